"""What waits together goes together: all of it named, marked once delivered, and never half."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from msgspec.structs import replace

from actors.messages import Wake
from actors.senders import rollup
from actors.senders.channel import SendError
from tests.fakes.notices import notice
from tests.fakes.sender import REFUSED, TRANSIENT, FakeChannel, attempts, job, queue, sending

pytestmark = pytest.mark.anyio

MANY = [f"n{number:02}" for number in range(50)]


class Texts(FakeChannel):
    """Keeps what was said, too."""

    def __init__(self, *script, **options):
        super().__init__(*script, **options)
        self.said = []

    async def send(self, message):
        receipt = await super().send(message)
        self.said.append(message)
        return receipt


class Incidents(Texts):
    incidents = True


async def test_it_tells_together_what_is_more_than_a_channel_takes_soon(tmp_path):
    channel = Texts(rate_s=1.0)
    async with sending(tmp_path, channel, *MANY) as table:
        await anyio.sleep(40)
        assert [m.kind for m in channel.said[:2]] == ["digest", "digest"]
        assert len(channel.said) < 30
        lines = sum(len(m.text.split("\n")) for m in channel.said if m.kind == "digest")
        assert lines + sum(m.kind != "digest" for m in channel.said) == len(MANY)
        assert all(len(m.text) <= rollup.CHARS_MAX for m in channel.said if m.kind == "digest")
        first = await job(table, "n00")
        assert (first.state, first.detail) == ("done", f"told in roll-up {channel.ids[0]}")
        assert len(await attempts(table)) == len(MANY)
        assert channel.times == [float(second) for second in range(len(channel.times))]


async def test_it_tells_a_few_one_by_one(tmp_path):
    channel = FakeChannel(rate_s=1.0)
    async with sending(tmp_path, channel, *MANY[:20]):
        await anyio.sleep(40)
        assert channel.ids == MANY[:20]


@pytest.mark.parametrize("channel", [Texts(rate_s=0.0), Incidents(rate_s=0.5)])
async def test_it_tells_one_by_one_where_the_channel_wants_it(tmp_path, channel):
    async with sending(tmp_path, channel, *MANY):
        await anyio.sleep(60)
        assert channel.ids[-50:] == MANY


async def test_it_probes_with_one_message(tmp_path):
    channel = Texts(*[TRANSIENT] * 4, rate_s=1.0)
    async with sending(tmp_path, channel, *MANY) as table:
        await anyio.sleep(5)
        assert channel.ids[1:4] == ["n00"] * 3  # the first attempt did not know that it is down
        await anyio.sleep(60)
        assert {(await job(table, identity)).state for identity in MANY} == {"done"}


async def test_it_tells_one_by_one_what_is_refused_together(tmp_path):
    channel = Texts(REFUSED, REFUSED, rate_s=1.0)
    async with sending(tmp_path, channel, *MANY) as table:
        await anyio.sleep(90)
        assert channel.ids[1:] == MANY
        assert (await job(table, "n00")).state == "dead"  # refused by itself
        assert [trouble.holds for trouble in table.heard["alerts"]] == [True, False]


async def test_it_tells_together_again_once_nothing_waits_of_what_was_refused(tmp_path):
    channel = Texts(REFUSED, rate_s=1.0)
    async with sending(tmp_path, channel, *MANY) as table:
        await anyio.sleep(90)
        before = len(channel.ids)
        assert channel.ids[1:] == MANY
        await table.store.write(queue(*(f"m{number:02}" for number in range(50))))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(40)
        assert len(channel.ids) - before < 30


async def test_it_sends_again_what_a_crash_left_unmarked(tmp_path):
    crashes = ["once"]

    def crash(point):
        if point == "sender.sent" and crashes:
            crashes.clear()
            raise RuntimeError("crash")

    channel = Texts(rate_s=1.0)
    async with sending(tmp_path, channel, *MANY, faults=crash) as table:
        await anyio.sleep(40)
        assert channel.ids[0] == channel.ids[1]  # the same ones, so the same id
        assert {(await job(table, identity)).state for identity in MANY} == {"done"}


async def test_it_sends_once_what_the_disk_would_not_mark(tmp_path):
    def break_after_sending(point):
        if point == "sender.sent":
            table.break_disk()

    channel = Texts(rate_s=1.0)
    async with sending(tmp_path, channel, faults=break_after_sending) as table:
        await table.store.write(queue(*MANY[:30]))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(5)
        assert (await job(table, "n00")).state == "inflight"
        for _ in range(40):
            table.mend_disk()
            await anyio.sleep(2)
        assert len(set(channel.ids)) == len(channel.ids)
        told = {(await job(table, identity)).detail for identity in MANY[:20]}
        assert told <= {f"told in roll-up {identity}" for identity in channel.ids}
        assert {(await job(table, identity)).state for identity in MANY[:30]} == {"done"}


async def test_it_takes_no_digest_into_another_and_mixes_no_severities(tmp_path):
    channel = Texts(rate_s=1.0)
    async with sending(tmp_path, channel) as table:
        await table.store.write(queue(*MANY[:25], severity="warning"))
        await table.store.write(queue(*[f"c{n:02}" for n in range(25)]))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(60)
        kinds = [(m.severity, m.kind) for m in channel.said]
        assert kinds[0] == ("critical", "digest")
        assert [severity for severity, _ in kinds] == sorted(s for s, _ in kinds)


def test_it_names_each_with_its_instant_and_id():
    said = rollup._line(
        notice(bot="alpha", title="Kill switch on", alert_id="7f3a", kind="resolved")
    )
    assert said == "08:21:03 alpha · Kill switch on (over) [7f3a]"
    long = rollup._line(notice(title="x" * 300))
    assert len(long) <= rollup.LINE_CHARS_MAX
    assert long.endswith("… [7f3a]")


def test_it_gives_any_number_to_a_channel_without_a_rate():
    assert rollup.Pace().least(100_000, 5.0, 0.0) == 1
    assert isinstance(REFUSED, SendError)


def test_it_tells_one_by_one_what_a_channel_takes_in_20_s():
    least = {
        (waiting, rate_s): rollup.Pace().least(waiting, 5.0, rate_s)
        for waiting, rate_s in [(20, 1.0), (21, 1.0), (6, 3.0), (7, 3.0), (1, 60.0), (2, 60.0)]
    }
    assert list(least.values()) == [1, 2, 1, 2, 1, 2]


def test_it_keeps_to_its_20_s_however_many_wait():
    pace, waiting = rollup.Pace(), 10_000
    for second in range(20):
        waiting -= pace.least(waiting, 100.0 + second, 1.0)
    assert waiting == 0
    assert pace.least(7, 130.0, 1.0) == 7  # late: all that is left at once
    pace.over()
    assert pace.least(7, 131.0, 1.0) == 1
    assert pace.least(10**6, 132.0, 1.0) == rollup.TOGETHER_MAX  # what memory bears


def many(count, **each):
    start = datetime(2026, 11, 20, 8, tzinfo=UTC)
    return [
        notice(
            id=f"m{n}",
            alert_id=f"a{n}",
            at=start + timedelta(minutes=n),
            **{"bot": "alpha", "trigger": "drawdown_day", "title": f"Drawdown {n}", **each},
        )
        for n in range(count)
    ]


def test_it_counts_what_has_no_line_with_its_span_and_the_worst_of_each_trigger():
    notices = many(480, value=0.06)
    notices[300] = replace(notices[300], value=0.21, bot="beta", title="Drawdown 21.00% today")
    notices[200] = replace(notices[200], trigger="kill_switch", value=None, title="Kill switch on")
    told = rollup._rolled_up(notices)
    lines = told.text.split("\n")
    named = next(place for place, line in enumerate(lines) if line.startswith("and "))
    assert told.title == "480 critical messages that waited for this channel"
    assert [line.split("[")[1] for line in lines[:named]] == [f"a{n}]" for n in range(named)]
    span = f"from 2026-11-20 08:{named:02}:00 to 2026-11-20 15:59:00 UTC"
    assert lines[named:] == [
        f"and {480 - named} more {span}, each on the page:",
        "1 kill_switch, worst: alpha · Kill switch on [a200]",
        f"{479 - named} drawdown_day, worst: beta · Drawdown 21.00% today [a300]",
    ]


def test_what_it_counts_has_room_whatever_the_names():
    long = [
        replace(one, trigger=f"{place % 30}" + "t" * 200, bot="b" * 64, title="x" * 256)
        for place, one in enumerate(many(2_000))
    ]
    told = rollup._rolled_up(long)
    assert len(told.text) <= rollup.CHARS_MAX
    first = [line.split()[0] for line in told.text.split("\n")]
    named = sum(":" in word for word in first)
    assert sum(int(word) for word in first if word.isdigit()) + named == 2_000


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"value": 0.06}, {"value": 0.11}),
        ({"value": None}, {"value": 0.01}),
        ({"value": 0.30, "over": True}, {"value": 0.11}),
        ({"value": 0.30, "kind": "resolved"}, {"value": None}),
    ],
)
def test_it_knows_the_worst(better, worse):
    assert max([notice(**better), notice(**worse)], key=rollup._badness).value == worse["value"]
