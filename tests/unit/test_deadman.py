"""The dead-man's switch: it beats while an alert would arrive, else says why not."""

import sqlite3
from datetime import UTC, datetime

import anyio
import httpx
import pytest
from msgspec.structs import replace

from actors.deadman import Deadman, below, healthy
from runtime.status import ActorStatus, SupervisorStatus, SystemStatus
from runtime.store import StoreError
from tests.fakes.bench import bench

pytestmark = pytest.mark.anyio
URL = "https://beat.example/canary-4f1d9b7e23c8"
GOOD = {"slack": "", "email": ""}


def actor(name, state="running"):
    fields = dict.fromkeys(ActorStatus.__struct_fields__, 0)
    return ActorStatus(**fields | {"id": name, "name": name, "state": state})


def tree(*children, state="running", blocked=""):
    root = SupervisorStatus("root", "root", "rest_for_one", state, 0, 0, 3, 60.0, list(children))
    return SystemStatus(datetime(2026, 1, 1, tzinfo=UTC), root, 0, 0, 0, blocked)


WELL = tree(actor("alerts"), actor("slack"))

# ---------------------------------------------------------------- judging


def test_it_is_healthy_while_the_tree_runs_the_disk_takes_writes_and_a_channel_delivers():
    assert healthy(WELL, "", GOOD).healthy
    assert healthy(WELL, "", {"slack": "503", "email": ""}).healthy


@pytest.mark.parametrize("state", ["starting", "restarting"])
def test_it_forgives_an_actor_that_is_on_its_way_back(state):
    assert healthy(tree(actor("alerts", state)), "", GOOD).healthy


@pytest.mark.parametrize(
    ("status", "storage", "channels", "reason"),
    [
        (tree(actor("slack", "stopped")), "", GOOD, "supervisor: slack is stopped"),
        (tree(actor("alerts", "stuck")), "", GOOD, "supervisor: alerts is stuck"),
        (tree(state="stopping"), "", GOOD, "supervisor: root is stopping"),
        (replace(WELL, root=None), "", GOOD, "supervisor: no tree"),
        (replace(WELL, blocked="metrics"), "", GOOD, "supervisor: metrics blocks the event loop"),
        (WELL, "disk is full", GOOD, "outbox: disk is full"),
        (WELL, "", {"slack": "503 busy"}, "channel slack: 503 busy"),
        (WELL, "", {}, "channels: none is switched on"),
    ],
)
def test_it_says_why_it_is_not_healthy(status, storage, channels, reason):
    verdict = healthy(status, storage, channels)
    assert (verdict.healthy, verdict.reasons) == (False, [reason])


def test_it_finds_what_stopped_deep_in_the_tree():
    inner = SupervisorStatus("core", "core", "one_for_one", "stopped", 0, 0, 1, 5.0, [])
    assert healthy(tree(inner), "", GOOD).reasons == ["supervisor: core is stopped"]
    inner = replace(inner, state="running", children=[actor("alerts", "stopped")])
    assert healthy(tree(inner), "", GOOD).reasons == ["supervisor: alerts is stopped"]


@pytest.mark.parametrize(
    ("url", "start"),
    [
        (URL, f"{URL}/start"),
        (f"{URL}/", f"{URL}/start"),
        ("http://h:1/p?x=1", "http://h:1/p/start?x=1"),
    ],
)
def test_it_adds_a_signal_to_the_path(url, start):
    assert below(url, "start") == start


# ---------------------------------------------------------------- beating


class Beats:
    """A service that keeps what it was asked, and answers by script, then with 200."""

    def __init__(self, *script, url=URL):
        self.url = url
        self.script = list(script)
        self.asked = []
        self.channels = dict(GOOD)

    async def __call__(self, request):
        path = request.url.path.removeprefix("/canary-4f1d9b7e23c8")
        self.asked.append((request.method, path, (await request.aread()).decode()))
        answer = self.script.pop(0) if self.script else 200
        if isinstance(answer, Exception):
            raise answer
        if answer == "hang":
            await anyio.sleep(3_600)
        return httpx.Response(answer)

    def start(self, table):
        def client():
            return httpx.AsyncClient(transport=httpx.MockTransport(self))

        return Deadman(
            self.url,
            status=table.system.status,
            channels=lambda: self.channels,
            store=table.store,
            alerts=table.ref("alerts"),
            client=client,
        )

    def run(self, tmp_path):
        return bench(tmp_path, self.start, neighbours=("alerts",))


BEAT = ("GET", "", "")


async def test_it_says_that_it_starts_then_beats_every_period(tmp_path):
    beats = Beats()
    async with beats.run(tmp_path) as table:
        await anyio.sleep(125)
        assert beats.asked == [("GET", "/start", ""), BEAT, BEAT, BEAT]
        assert await table.store.read(lambda tx: tx.state.get("deadman"))
        assert table.heard["alerts"] == []


async def test_it_fails_with_the_reasons_while_no_channel_delivers_and_beats_again_after(tmp_path):
    beats = Beats()
    async with beats.run(tmp_path) as table:
        await anyio.sleep(1)
        beats.channels = {"slack": "503 busy", "email": "no connection within 3 s"}
        await anyio.sleep(60)
        beats.channels["email"] = ""
        await anyio.sleep(60)
        text = "channel slack: 503 busy\nchannel email: no connection within 3 s"
        assert beats.asked[1:] == [BEAT, ("POST", "/fail", text), BEAT]
        assert table.kinds("tested").count("deadman") == 2


async def test_it_fails_while_the_outbox_cannot_be_written(tmp_path):
    beats = Beats()
    async with beats.run(tmp_path) as table:
        await anyio.sleep(1)
        table.break_disk()
        await anyio.sleep(60)
        table.mend_disk()
        await anyio.sleep(60)
        ways = [path for _, path, _ in beats.asked]
        assert ways == ["/start", "", "/fail", ""]
        assert beats.asked[2][2].startswith("outbox: the write failed: database or disk is full")
        assert table.actor("tested").restarts_total == 0


async def test_it_fails_once_the_database_is_broken_although_this_write_works(tmp_path):
    beats = Beats()

    def malformed(_tx):
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    async with beats.run(tmp_path) as table:
        await anyio.sleep(1)
        with pytest.raises(StoreError, match="malformed"):
            await table.store.read(malformed)
        await anyio.sleep(60)
        assert [path for _, path, _ in beats.asked] == ["/start", "", "/fail"]
        assert "restart Sidewatch" in beats.asked[2][2]


async def test_it_fails_while_a_write_hangs(tmp_path, monkeypatch):
    beats = Beats()
    async with beats.run(tmp_path) as table:
        await anyio.sleep(1)
        monkeypatch.setattr(table.store, "write", lambda _func: anyio.sleep(3_600))
        await anyio.sleep(75)
        assert beats.asked[-1] == ("POST", "/fail", "outbox: no write within 10 s")


@pytest.mark.parametrize("answer", [404, 302, 500, "hang", httpx.ConnectError(f"no {URL}")])
async def test_it_tells_of_a_heartbeat_that_does_not_arrive_and_no_secret(tmp_path, answer):
    beats = Beats(200, *[answer] * 4)
    async with beats.run(tmp_path) as table:
        await anyio.sleep(115)
        assert table.heard["alerts"] == []
        await anyio.sleep(50)
        [trouble] = table.heard["alerts"]
        assert (trouble.trigger, trouble.severity, trouble.holds) == ("deadman", "warning", True)
        assert "canary" not in trouble.text
        assert trouble.text
        await anyio.sleep(180)
        assert [trouble.holds for trouble in table.heard["alerts"]] == [True, False]


async def test_it_does_not_say_again_that_it_starts_after_a_crash(tmp_path):
    beats = Beats()
    async with beats.run(tmp_path) as table:
        await anyio.sleep(1)
        beats.channels = 1  # no mapping: the judge crashes
        await anyio.sleep(60)
        beats.channels = dict(GOOD)
        await anyio.sleep(120)
        assert table.actor("tested").restarts_total > 0
        assert [path for _, path, _ in beats.asked].count("/start") == 1
        assert beats.asked[-1] == BEAT


SECRET_URL = "https://canary-user:canary-pass@beat.example/p?key=canary-key-123&form=x%2Fcanary-b"


@pytest.mark.parametrize(
    "told",
    [
        SECRET_URL,
        below(SECRET_URL, "start"),
        "key=canary-key-123&form=x%2Fcanary-b",
        "canary-key-123",
        "x/canary-b",
        "canary-user:canary-pass",
        "canary-pass",
    ],
)
async def test_it_tells_no_part_of_a_secret_in_its_address(tmp_path, told):
    beats = Beats(*[httpx.ConnectError(f"cannot connect to {told}")] * 4, url=SECRET_URL)
    async with beats.run(tmp_path) as table:
        await anyio.sleep(200)
        assert "cannot connect to" in table.heard["alerts"][0].text
        assert "canary" not in repr((table.heard, table.reports, table.system.status()))
