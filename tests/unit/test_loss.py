"""A database that is lost: told until alerts has it on disk, and only then is the new one known."""

from datetime import UTC, datetime

import anyio
import pytest

from actors.alerts.commands import Commit, NotStored
from actors.alerts.triggers import Internal, of_internal
from actors.keeper import StoreActor, Untold, Unwritten
from actors.messages import Wake
from runtime.actor import Actor
from runtime.clock import LoopClock
from runtime.spec import ChildSpec, SupervisorSpec
from runtime.store import OpenReport, Store
from runtime.system import System
from sidewatch import loss, mark
from tests.fakes.desk import Desk

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 25, 12, tzinfo=UTC)
NEW = OpenReport(fresh=True, set_aside="", head=0, released=0)
KNOWN = NEW._replace(fresh=False)


def test_it_has_nothing_to_tell_of_a_first_start_and_marks_it_once_it_is_settled(tmp_path):
    untold = loss.untold(tmp_path, NEW, NOW)
    assert untold.fault is None
    assert mark.created(tmp_path) == ""
    untold.settled()
    assert mark.created(tmp_path) == "2026-11-24T12:00:00+00:00"


def test_it_leaves_a_known_database_alone_and_marks_one_that_no_mark_knows(tmp_path):
    loss.untold(tmp_path, KNOWN, NOW).settled()
    untold = loss.untold(tmp_path, KNOWN, LATER)
    assert (untold.fault, untold.settled) == (None, None)
    assert mark.created(tmp_path).startswith("2026-11-24")


def test_it_tells_of_a_database_without_its_end_and_keeps_its_date(tmp_path):
    mark.write(tmp_path, NOW)
    untold = loss.untold(tmp_path, KNOWN._replace(lost=7, kept="s.db.lost-1-wal"), LATER)
    assert (untold.fault.title, untold.fault.once) == ("Sidewatch: history lost: 7 events", True)
    assert "s.db.lost-1-wal" in untold.fault.text
    untold.settled()
    assert mark.created(tmp_path).startswith("2026-11-24")


@pytest.mark.parametrize(
    ("report", "title", "text"),
    [
        (NEW, "Sidewatch: the database is gone", "The one created on 2026-11-24T12:00:00+00:00"),
        (
            NEW._replace(set_aside="x.corrupt-1"),
            "Sidewatch: the database was broken",
            "x.corrupt-1",
        ),
    ],
)
def test_it_tells_anew_until_it_is_settled(tmp_path, report, title, text):
    mark.write(tmp_path, NOW)
    for _ in range(2):
        untold = loss.untold(tmp_path, report, LATER)
        assert (untold.fault.title, untold.fault.severity) == (title, "critical")
        assert text in untold.fault.text
    untold.settled()
    assert mark.created(tmp_path).startswith("2026-11-25")


def test_a_loss_soon_after_another_is_told_at_once_and_the_same_one_once(tmp_path):
    mark.write(tmp_path, NOW)
    desk = Desk()
    broken = NEW._replace(set_aside="s.db.corrupt-1")
    first, second = (KNOWN._replace(lost=n, kept=f"s.db.lost-{n}-wal") for n in (7, 8))
    for report in (broken, NEW, first, second, second, KNOWN._replace(lost=9, head=3)):
        desk.take(of_internal(loss.untold(tmp_path, report, LATER).fault))
        desk.restart()
    assert [title.removeprefix("Sidewatch: ") for _, title in desk.sent()] == [
        "the database was broken",
        "the database is gone",
        "history lost: 7 events",
        "history lost: 8 events",
        "history lost: 9 events",
    ]


class Alerts(Actor):
    """Takes faults, and has them on disk where `disk` says so."""

    def __init__(self, said, disk):
        self.said = said
        self.disk = disk

    async def receive(self, message):
        if not isinstance(message, Commit):
            self.said.append(message.title)
        elif not self.disk.pop(0):
            raise NotStored("full")


@pytest.mark.anyio
@pytest.mark.parametrize("crash", [False, True])
async def test_it_is_settled_once_alerts_has_it_on_disk(tmp_path, crash):
    store = Store(tmp_path / "s.db", LoopClock(), inline=True)
    await store.open()
    said, settled = [], []
    fault = Internal("storage", "database", "critical", "gone", "x", once=True)
    untold = Untold(fault, lambda: settled.append(anyio.current_time()))
    disk = [False, False, True]

    def keeper():
        return StoreActor(store, system.ref("alerts"), Unwritten(), untold)

    children = [
        ChildSpec(id="store", name="store", start=keeper),
        ChildSpec(id="alerts", name="alerts", start=lambda: Alerts(said, disk)),
    ]
    system = System(SupervisorSpec(id="root", children=children), clock=LoopClock())
    began = anyio.current_time()
    async with system:
        system.ref("store").post(Wake())
        await anyio.sleep(1)
        if crash:
            system.ref("store")._slot.incarnation.kill()
        await anyio.sleep(60)
        assert said.count("gone") == 1
        assert disk == []
        assert settled == [pytest.approx(began + (11 if crash else 10))]
    await store.close()
    assert not (await store.open()).fresh
    await store.close()
