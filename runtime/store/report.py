"""What the store says of itself: what it found as it was opened, and how it has done since."""

from __future__ import annotations

from typing import NamedTuple


class OpenReport(NamedTuple):
    """What `open` found. `fresh`: a new database, or one that nobody has settled since.

    `set_aside` names the broken file that was moved away for it. `lost` is how many acknowledged
    entries of the journal are gone, reported until settled; `kept` names the copy of the log that
    should have held them, empty where there is none.
    """

    fresh: bool
    set_aside: str
    head: int
    released: int
    lost: int = 0
    kept: str = ""


class StoreStats(NamedTuple):
    """Counts since the start. `last_error` is empty once a commit has written again.

    `broken` is why the file cannot go on, until a restart; `lost` as in the OpenReport.
    """

    commits: int
    operations: int
    failed: int
    queued: int
    last_error: str
    broken: str = ""
    lost: int = 0
