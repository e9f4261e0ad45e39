"""What the runtime reports goes to the log; a fault goes to alerts, and poison to disk as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from actors.alerts.triggers import Internal
from actors.keeper import Keep
from actors.messages import Recorded, Wake
from runtime.system import Quarantined, Reported
from sidewatch.lasting import Lasting

FAULTS = {"gave_up", "quarantined", "zombie", "stuck", "refused"}
TELLERS = {"alerts", "reporter"}  # a fault of theirs would be told through them
LOUD = {"refused", "dead_letter"}  # may come with each message: one line a minute for an actor
LOUD_EVERY_S = 60.0

log = structlog.get_logger()


class Reports:
    """Hears of everything. `post(actor, message)` leaves a message without waiting."""

    def __init__(self, lasting: Lasting, post: Callable[[str, Any], None]) -> None:
        self._clock = lasting.clock
        self._unwritten = lasting.unwritten
        self._places = {"metrics": lasting.metrics_position, "health": lasting.health_position}
        self._post = post
        self._loud: dict[tuple[str, str], tuple[float, int]] = {}

    def heard(self, report: Reported) -> None:
        """Log a report, and tell alerts of a fault."""
        if report.kind == "started" or report.detail == "the system ended":
            log.debug(report.kind, actor=report.name, detail=report.detail)
            return
        if report.kind in LOUD and self._told_just_now(report):
            return
        log.warning(report.kind, actor=report.name, detail=report.detail)
        if report.kind in FAULTS and report.name not in TELLERS:
            self.fault(
                Internal(
                    trigger=f"actor_{report.kind}",
                    subject=report.name,
                    severity="critical" if report.kind == "gave_up" else "warning",
                    title=f"Sidewatch: {report.name} {report.kind.replace('_', ' ')}",
                    text=report.detail[:500] or "See the supervisor's status.",
                    once=True,
                )
            )

    def _told_just_now(self, report: Reported) -> bool:
        """Count a report that comes again within a minute; the next line says how many."""
        key = (report.kind, report.name)
        now = self._clock.monotonic()
        told, unsaid = self._loud.get(key, (now - LOUD_EVERY_S, 0))
        if now < told + LOUD_EVERY_S:
            self._loud[key] = (told, unsaid + 1)
            return True
        if unsaid:
            log.warning(report.kind, actor=report.name, detail=f"{unsaid} more like the last one")
        self._loud[key] = (now, 0)
        return False

    def quarantined(self, kept: Quarantined, message: Any) -> None:
        """Have a record written down; a reader passes over the event from now on."""
        seq = message.seq if isinstance(message, Recorded) else None
        place = self._places.get(kept.actor)
        if place is not None and seq is not None:
            place.poison(seq)
        self._unwritten.add(Keep(kept, seq if place is not None else None))
        self._post("store", Wake())

    def fault(self, fault: Internal) -> None:
        """Have alerts told of a fault of our own."""
        self._post("reporter", fault)
