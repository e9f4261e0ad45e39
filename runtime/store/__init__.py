"""The durable store: an ordered journal, queues of work and keyed state, in one transaction.

Nothing above this package knows SQL, so that another implementation fits behind the same calls.
"""

from runtime.store.database import Store
from runtime.store.errors import StoreClosed, StoreCorrupt, StoreError, StoreFull
from runtime.store.examine import examine
from runtime.store.journal import Entry, Row, Run
from runtime.store.report import OpenReport, StoreStats
from runtime.store.transaction import Job, Tx

__all__ = [
    "Entry",
    "Job",
    "OpenReport",
    "Row",
    "Run",
    "Store",
    "StoreClosed",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreStats",
    "Tx",
    "examine",
]
