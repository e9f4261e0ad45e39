"""What the routes may use: the services below the web, given by whoever builds the tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from actors.hub import Hub
from actors.ingest import Ingest
from actors.metrics.study import Studies
from runtime.clock import Clock
from runtime.ref import Ref
from runtime.status import SystemStatus
from runtime.store import Store
from runtime.system import Quarantined
from web.guard import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of what comes in."""

    body_bytes_max: int = 65_536
    batch_bytes_max: int = 1_048_576
    login_per_minute: int = 5
    test_per_minute: int = 3
    body_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may do what: revealed secrets, held here and in no log."""

    tokens: Mapping[Scope, str]
    hmac_keys: tuple[bytes, ...]
    freqtrade_secret: str
    hosts: frozenset[str]
    origins: frozenset[str]
    secure: bool = False
    behind_proxy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything below the web. `senders` maps a channel to its sender's address."""

    ingest: Ingest
    store: Store
    hub: Hub
    clock: Clock
    status: Callable[[], SystemStatus]
    quarantined: Callable[[], list[Quarantined]]
    metrics: Ref[Any]
    health: Ref[Any]
    alerts: Ref[Any]
    senders: Mapping[str, Ref[Any]]
    studies: Studies
    started: datetime
    version: str

    def unread(self) -> int:
        """Return how many entries of the journal the figures may still have to read."""
        place = self.studies.place
        return 0 if place is None else place.behind(self.store.head())
