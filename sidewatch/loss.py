"""Loss: a database that is broken, gone or short of its end is told for certain, whoever dies when.

It is taken for the known one only once alerts has the loss on disk.
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
        return Untold(_lost(report), _as_it_is) if report.lost else Untold()
    return Untold(_fault(folder, report, before), partial(mark.write, folder, now))


def _fault(folder: Path, report: OpenReport, before: str) -> Internal | None:
    if report.set_aside:
        log.error("database set aside", file=report.set_aside)
        return _critical(
            report.set_aside,
            "the database was broken",
            f"It was set aside as {report.set_aside}; history starts anew.",
        )
    if before:
        log.error("the database is gone", folder=str(folder), created=before)
        return _critical(
            before,
            "the database is gone",
            f"The one created on {before} is no longer in {folder}:"
            " history and waiting alerts start anew.",
        )
    return None


def _as_it_is() -> None:
    """Keep the date of its creation: it is the same database."""


def _lost(report: OpenReport) -> Internal:
    log.error("history lost", entries=report.lost, after=report.head, log=report.kept)
    kept = f" What is left of its log is kept as {report.kept}." if report.kept else ""
    return _critical(
        report.kept or f"behind {report.head}",
        f"history lost: {report.lost} events",
        f"The database ends {report.lost} entries (events, attempts to deliver) before what was"
        " acknowledged: its log is damaged or missing, or an older copy took its place."
        f" The figures lack them; `sidewatch import` reads a history in again.{kept}",
    )


def _critical(which: str, what: str, text: str) -> Internal:
    """Return the fault. `which` tells it from the next one, which the debounce would hold back."""
    return Internal(
        trigger="storage",
        subject=which,
        severity="critical",
        title=f"Sidewatch: {what}",
        text=text,
        once=True,
    )
