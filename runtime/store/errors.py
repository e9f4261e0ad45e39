"""What can go wrong with the store, one error for each possible response of a caller."""


class StoreError(Exception):
    """The write did not happen; it may work later (disk full, I/O error). Nothing is half done."""


class StoreFull(StoreError):
    """Too many writes wait already: push back on whoever sends."""


class StoreClosed(StoreError):
    """The store is closed, or was never opened."""


class StoreCorrupt(StoreError):
    """The file cannot be used, and could not be set aside either."""
