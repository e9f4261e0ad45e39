"""Loss: a database that was broken or is gone is told once for certain, whenever a process ends.

A new database is taken for the known one only once alerts has the loss of the old one on disk.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import structlog

from actors.alerts.triggers import Internal
from actors.keeper import Untold
from runtime.store import OpenReport
from sidewatch import mark

log = structlog.get_logger()


def untold(folder: Path, report: OpenReport, now: datetime) -> Untold:
    """Return what is to be told of the database that was opened, and marked behind it."""
    before = mark.created(folder)
    if before and not report.fresh:
        return Untold()
    return Untold(_fault(folder, report, before), partial(mark.write, folder, now))


def _fault(folder: Path, report: OpenReport, before: str) -> Internal | None:
    if report.set_aside:
        log.error("database set aside", file=report.set_aside)
        return _critical(
            "the database was broken",
            f"It was set aside as {report.set_aside}; history starts anew.",
        )
    if before:
        log.error("the database is gone", folder=str(folder), created=before)
        return _critical(
            "the database is gone",
            f"The one created on {before} is no longer in {folder}:"
            " history and waiting alerts start anew.",
        )
    return None


def _critical(what: str, text: str) -> Internal:
    return Internal(
        trigger="storage",
        subject="database",
        severity="critical",
        title=f"Sidewatch: {what}",
        text=text,
        once=True,
    )
