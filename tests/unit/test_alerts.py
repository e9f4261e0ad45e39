"""The alerts actor in a real system: it decides once, commits, and survives what fails."""

from datetime import timedelta

import anyio
import pytest

from actors.alerts import actor as alerts_actor
from actors.alerts.commands import Acknowledge, AddSilence, ListSilences, RemoveSilence, Unknown
from actors.alerts.routing import Policy, Routes
from actors.alerts.triggers import Internal
from actors.messages import Health, HealthUpdate
from actors.place import cursor_key
from runtime.ref import Declined
from runtime.store import StoreError
from tests.fakes.alerts import START, Alerts, run

MANY = "held back: more than 30 criticals in an hour"
pytestmark = pytest.mark.anyio
HOUR_ON = START + timedelta(hours=1)


@pytest.fixture
async def alerts(tmp_path, anyio_backend):
    alerts = Alerts()
    async with run(alerts, tmp_path) as table:
        yield alerts
        assert table.actor("tested").state == "running"


# ---------------------------------------------------------------- deciding


async def test_it_commits_an_alert_with_its_deliveries_then_tells_and_wakes(alerts):
    await alerts.risk(0.06)
    (alert,) = await alerts.history()
    assert (alert.trigger, alert.state) == ("drawdown_day", "open")
    assert [(d.channel, d.state) for d in alert.deliveries] == [
        ("mail", "queued"),
        ("slack", "queued"),
    ]
    await anyio.lowlevel.checkpoint()
    assert alerts.told == [("Drawdown 6.00% today", "open", True)]
    assert alerts.table.heard["broadcaster"][0].alert == alert
    assert alerts.woken == 2  # once at the start


async def test_it_writes_how_far_it_has_come_within_a_second(alerts):
    await alerts.risk(0.01, seq=9)
    await alerts.ref.tell(HealthUpdate("", 11, Health(START, "HEALTHY", [], {}, {}), ""))
    await anyio.sleep(1.1)
    read = alerts.table.store.read
    assert await read(lambda tx: tx.state.get(cursor_key("metrics"))) == b"9"
    assert await read(lambda tx: tx.state.get(cursor_key("health"))) == b"11"
    assert await alerts.history() == []


async def test_it_tells_what_fired_and_cleared_undelivered_as_one_message(alerts):
    await alerts.risk(0.06)
    await alerts.risk(0.01)
    for channel in ("slack", "mail"):
        jobs = await alerts.jobs(channel)
        assert [(n.kind, n.title) for _, n in jobs] == [("fired", "Drawdown 6.00% today (over)")]
    await anyio.lowlevel.checkpoint()
    assert [(state, new) for _, state, new in alerts.told] == [("open", True), ("resolved", False)]


async def test_it_shows_where_the_message_went_of_an_alert_that_is_back(alerts):
    for drawdown in (0.06, 0.01, 0.06):
        await alerts.risk(drawdown)
    await anyio.lowlevel.checkpoint()
    first = alerts.table.heard["broadcaster"][-1].alert
    assert first.state == "resolved"
    again = (await alerts.history())[0].id
    assert {d.detail for d in first.deliveries} == {f"told in {again}.1"}


async def test_it_ends_flapping_by_the_clock_alone(alerts):
    for _ in range(3):
        await alerts.risk(0.06)
        await alerts.risk(0.01)
    for _ in range(20):
        await alerts.risk(0.06)
        await alerts.risk(0.01)
    assert len(await alerts.history()) == 4
    await anyio.sleep(599)
    assert (await alerts.history())[0].state == "open"
    await anyio.sleep(2)
    newest = (await alerts.history())[0]
    assert (newest.state, newest.suppressed) == ("resolved", 19)


async def test_it_holds_a_critical_for_a_minute_at_most(alerts):
    await anyio.sleep(0.5)  # between two looks
    await alerts.trouble(*range(40))
    assert len(await alerts.sent()) == 30
    await anyio.sleep(60)
    jobs = await alerts.jobs()
    assert jobs[-1][1].title == f"10 alerts {MANY}"
    held = [job for job, _ in jobs if job.detail.startswith("told in digest")]
    assert len(held) == 10
    assert max(job.updated - job.created for job in held) <= 60
    assert alerts.told[-1] == (
        f"10 alerts {MANY}",
        "resolved",
        True,
    )


async def test_it_forgets_deliveries_after_90_days(alerts):
    await alerts.risk(0.06)
    store, stamp = alerts.table.store, START.timestamp()
    jobs = await alerts.jobs()
    await store.write(lambda tx: tx.queue.done("slack", jobs[0][0].id, stamp))
    alerts.table.clock.jump(91 * 86_400)
    await anyio.sleep(3_601)
    assert await alerts.jobs() == []
    assert len(await alerts.jobs("mail")) == 1


# ---------------------------------------------------------------- acknowledging


async def test_it_stops_reminders_of_an_acknowledged_alert_even_after_a_restart(tmp_path):
    alerts = Alerts()
    async with run(alerts, tmp_path):
        await alerts.risk(0.06)
        (alert,) = await alerts.history()
        answer = await alerts.ref.ask(Acknowledge(alert.id))
        assert (answer.id, answer.state) == (alert.id, "acknowledged")
        await anyio.lowlevel.checkpoint()
        assert alerts.told[-1][1:] == ("acknowledged", False)
    alerts = Alerts(later_s=400.0)
    async with run(alerts, tmp_path):
        await alerts.risk(0.06)
        assert len(await alerts.sent()) == 1
        await alerts.risk(0.11)
        [(_, notice)] = await alerts.jobs()  # the worse band grew the message that waits
        assert (notice.title, notice.suppressed) == ("Drawdown 11.00% today", 1)
        assert (await alerts.history())[0].state == "acknowledged"


PAGED = Policy(["slack", "pagerduty"], incidents=frozenset({"pagerduty"}))


async def test_it_tells_of_an_acknowledgement_where_an_incident_is_kept(tmp_path):
    alerts = Alerts(policy=PAGED)
    async with run(alerts, tmp_path) as table:
        await alerts.risk(0.06)
        (alert,) = await alerts.history()
        for channel in PAGED.enabled:
            await take(table, channel)
        for _ in range(2):
            await alerts.ref.ask(Acknowledge(alert.id))
        assert [n.kind for _, n in await alerts.jobs("slack")] == ["fired"]
        jobs = await alerts.jobs("pagerduty")
        assert [(j.state, n.kind, n.id) for j, n in jobs] == [
            ("done", "fired", f"{alert.id}.1"),
            ("queued", "acknowledged", f"{alert.id}.2"),
        ]
    alerts = Alerts(policy=PAGED)
    async with run(alerts, tmp_path) as table:
        await anyio.sleep(60)  # nobody is asked in its place
        assert [n.kind for _, n in await alerts.jobs("slack")] == ["fired"]
        await alerts.risk(0.01)
        jobs = await alerts.jobs("pagerduty")
        assert [(j.state, n.kind) for j, n in jobs] == [
            ("done", "fired"),
            ("done", "acknowledged"),
            ("queued", "resolved"),
        ]
        assert jobs[1][0].detail == "not sent: the alert is over"


async def test_it_grows_no_acknowledgement_that_waits(tmp_path):
    alerts = Alerts(policy=PAGED)
    async with run(alerts, tmp_path) as table:
        await alerts.risk(0.06)
        (alert,) = await alerts.history()
        await take(table, "pagerduty")
        await alerts.ref.ask(Acknowledge(alert.id))
        await alerts.risk(0.11)
        jobs = await alerts.jobs("pagerduty")
        assert [n.kind for _, n in jobs] == ["fired", "acknowledged", "reminder"]


async def take(table, channel):
    """Deliver what waits on a channel."""
    now = START.timestamp()

    def deliver(tx):
        for job in tx.queue.claim(channel, now + 3_600, 10):
            tx.queue.done(channel, job.id, now, "202")

    await table.store.write(deliver)


async def test_it_declines_to_acknowledge_what_is_over_or_unknown(alerts):
    await alerts.risk(0.06)
    await alerts.risk(0.01)
    (alert,) = await alerts.history()
    with pytest.raises(Declined, match="is over"):
        await alerts.ref.ask(Acknowledge(alert.id))
    with pytest.raises(Unknown, match="no alert"):
        await alerts.ref.ask(Acknowledge("nope"))


# ---------------------------------------------------------------- silences


async def test_it_keeps_silences_over_a_restart_until_they_end(tmp_path):
    alerts = Alerts()
    until = START + timedelta(hours=1)
    async with run(alerts, tmp_path):
        kept = await alerts.ref.ask(AddSilence("tests", until, bot="native"))
        gone = await alerts.ref.ask(AddSilence("tests", until, bot="other"))
        await alerts.ref.ask(RemoveSilence(gone.id))
        assert gone.id > kept.id
    alerts = Alerts(later_s=60.0)
    async with run(alerts, tmp_path):
        assert await alerts.ref.ask(ListSilences()) == [kept]
        await alerts.risk(0.06)
        await alerts.risk(0.06, bot="other")
        assert [notice.bot for _, notice in await alerts.jobs()] == ["other"]
        await anyio.sleep(3_600)
        assert await alerts.ref.ask(ListSilences()) == []
        await alerts.risk(0.06)
        assert [notice.bot for _, notice in await alerts.jobs()] == ["native", "other"]


async def test_it_silences_the_kill_switch_only_by_its_name(alerts):
    until = START + timedelta(hours=1)
    await alerts.ref.ask(AddSilence("all", until))
    await alerts.ref.tell(Internal("kill_switch", "", "critical", "Kill switch on", "text"))
    await alerts.settle()
    assert len(await alerts.sent()) == 1
    await alerts.ref.ask(AddSilence("that too", until, trigger="kill_switch"))
    await alerts.ref.tell(Internal("kill_switch", "2", "critical", "Kill switch on", "text"))
    await alerts.settle()
    assert len(await alerts.sent()) == 1


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (AddSilence(" ", START + timedelta(hours=1)), "reason"),
        (AddSilence("r" * 201, HOUR_ON), "reason: needs at most 200 characters"),
        (AddSilence("r", HOUR_ON, bot="al*"), "bot: expected 1 to 64 of .*; \\* or nothing: any"),
        (AddSilence("r", START - timedelta(seconds=1)), "until"),
        (AddSilence("r", START + timedelta(days=31)), "until"),
        (AddSilence("r", HOUR_ON, since=HOUR_ON), "since: needs to be before until"),
        (
            AddSilence("r", HOUR_ON, trigger="kill_swich"),
            "trigger: there is no 'kill_swich'; did you mean kill_switch",
        ),
        (AddSilence("r", HOUR_ON, trigger="zzz"), "no 'zzz'. Known are drawdown_day, .*, own_one;"),
        (AddSilence("r", HOUR_ON, trigger="digest"), "trigger: there is no 'digest'"),
        (RemoveSilence("nope"), "no silence 'nope'"),
    ],
)
async def test_it_declines_a_silence_it_cannot_mean(tmp_path, command, why):
    alerts = Alerts(policy=Policy(["slack"], own={"own_one": frozenset()}))
    async with run(alerts, tmp_path):
        with pytest.raises(Declined, match=why):
            await alerts.ref.ask(command)
        assert await alerts.ref.ask(ListSilences()) == []


@pytest.mark.parametrize(
    ("trigger", "bot"), [("*", "*"), ("own_one", ""), ("drawdown_day", "native")]
)
async def test_it_takes_a_silence_of_any_trigger_or_of_a_known_one(tmp_path, trigger, bot):
    alerts = Alerts(policy=Policy(["slack"], own={"own_one": frozenset()}))
    async with run(alerts, tmp_path):
        silence = await alerts.ref.ask(AddSilence("r", HOUR_ON, trigger=trigger, bot=bot))
        assert "*" not in (silence.trigger, silence.bot)
        await alerts.risk(0.06)
        assert len(await alerts.jobs()) == (trigger == "own_one")


async def test_it_bounds_the_silences(alerts, monkeypatch):
    monkeypatch.setattr(alerts_actor, "SILENCES_MAX", 1)
    command = AddSilence("r", START + timedelta(hours=1))
    await alerts.ref.ask(command)
    with pytest.raises(Declined, match="1 silences already"):
        await alerts.ref.ask(command)


# ---------------------------------------------------------------- crashes and the disk


async def test_it_decides_nothing_twice_when_it_crashes(alerts):
    await alerts.risk(0.06)
    await alerts.risk(0.06, bot="poison")
    assert alerts.table.actor("tested").restarts_total == 3
    assert len(alerts.table.quarantined) == 1
    await alerts.risk(0.07)
    await alerts.risk(0.08)
    assert len(await alerts.sent()) == 1
    await alerts.risk(0.01)
    assert [notice.suppressed for _, notice in await alerts.jobs()] == [2]


async def test_it_commits_what_a_storm_decides_together(alerts):
    before = alerts.table.store.stats().commits
    await alerts.trouble(*range(300))
    assert alerts.table.store.stats().commits - before == 2
    assert len(await alerts.history()) == 300


async def test_it_waits_for_a_bounded_number_of_messages(alerts, monkeypatch):
    monkeypatch.setattr(alerts_actor, "TOGETHER_MAX", 10)
    before = alerts.table.store.stats().commits
    await alerts.trouble(*range(30))
    assert alerts.table.store.stats().commits - before == 3


async def test_it_keeps_what_was_decided_when_the_next_message_crashes(alerts):
    ref = alerts.ref
    await ref.tell(Internal("channel", "slack", "critical", "Trouble slack", "text"))
    await alerts.risk(0.06, bot="poison")
    assert alerts.table.actor("tested").restarts_total == 3
    assert [notice.title for _, notice in await alerts.jobs()] == ["Trouble slack"]


async def test_it_sends_from_memory_when_the_disk_refuses_and_writes_later(alerts):
    alerts.table.break_disk()
    await alerts.risk(0.06)
    await alerts.trouble("slack")
    await anyio.sleep(30)
    assert [notice.title for notice in alerts.emergencies] == [
        "Drawdown 6.00% today",
        "Trouble slack",
    ]
    assert "Storage failed: sent from memory" in alerts.emergencies[0].text
    assert "disk is full" in alerts.emergencies[0].text
    assert alerts.table.kinds("tested").count("storage_failed") == 1
    shown = [change.alert for change in alerts.table.heard["broadcaster"]]
    assert [alert.text for alert in shown] == [notice.text for notice in alerts.emergencies]
    assert [new for _, _, new in alerts.told] == [True, True]
    assert await alerts.history() == []
    alerts.table.mend_disk()
    await anyio.sleep(1.1)
    assert await alerts.sent() == [notice.id for notice in alerts.emergencies]
    assert [new for _, _, new in alerts.told] == [True, True, False, False]
    written = [change.alert for change in alerts.table.heard["broadcaster"][2:]]
    assert [len(alert.deliveries) for alert in written] == [2, 2]
    assert "Storage failed" not in written[0].text
    assert "Storage failed" not in (await alerts.jobs())[0][1].text
    alerts.table.break_disk()
    await alerts.trouble("mail")
    assert alerts.table.kinds("tested").count("storage_failed") == 2


async def test_it_sends_from_memory_where_the_alert_is_routed(tmp_path):
    policy = Policy(["slack", "mail"], routes=Routes(critical=["mail"]))
    alerts = Alerts(policy=policy)
    async with run(alerts, tmp_path) as table:
        table.break_disk()
        await alerts.risk(0.06)
        await alerts.risk(0.01)
        assert alerts.emergency_channels == [["mail"], ["mail"]]
        table.mend_disk()
        await anyio.sleep(1.1)
        assert await alerts.jobs() == []
        assert [notice.kind for _, notice in await alerts.jobs("mail")] == ["fired"]


async def test_it_keeps_what_the_disk_refused_over_a_crash(alerts):
    alerts.table.break_disk()
    await alerts.risk(0.06)
    await alerts.risk(0.07)
    await alerts.risk(0.06, bot="poison")
    assert alerts.table.actor("tested").restarts_total == 3
    alerts.table.mend_disk()
    await anyio.sleep(1.1)
    assert await alerts.sent() == [notice.id for notice in alerts.emergencies]
    await alerts.risk(0.01)
    assert [notice.suppressed for _, notice in await alerts.jobs()] == [1]


async def test_it_tells_no_end_from_memory_of_what_was_silenced(alerts):
    await alerts.ref.ask(AddSilence("r", START + timedelta(seconds=60)))
    await alerts.risk(0.06)
    await anyio.sleep(59)
    alerts.table.break_disk()
    await alerts.risk(0.01)
    await anyio.sleep(2)
    assert alerts.emergencies == []


async def test_it_combines_criticals_within_a_minute_though_the_disk_refuses(alerts):
    await alerts.trouble(*range(35))
    alerts.table.break_disk()
    await alerts.trouble(*range(35, 40))
    assert alerts.emergencies == []
    await anyio.sleep(60)
    (digest,) = alerts.emergencies
    assert (digest.kind, digest.title) == (
        "digest",
        f"10 alerts {MANY}",
    )
    await alerts.trouble(40)
    await anyio.sleep(60)
    assert [n.title for n in alerts.emergencies[1:]] == [f"1 alert {MANY}"]
    alerts.table.mend_disk()
    await anyio.sleep(120)
    assert (await alerts.sent())[30:] == [alerts.emergencies[0].id]
    assert f"11 alerts {MANY}" in [notice.title for _, notice in await alerts.jobs()]
    count = await alerts.table.store.read(lambda tx: tx.queue.count("slack"))
    assert count == {"queued": 31, "done": 12}


async def test_it_bounds_what_waits_for_the_disk_and_tells_what_it_lets_go(tmp_path, monkeypatch):
    monkeypatch.setattr(alerts_actor, "BACKLOG_MAX", 5)
    alerts = Alerts(hourly_limit=2)
    async with run(alerts, tmp_path) as table:
        table.break_disk()
        await alerts.trouble(*range(6), severity="warning")
        titles = [notice.title for notice in alerts.emergencies]
        assert titles == ["Trouble 0", "Trouble 1", "4 alerts held back: hourly limit"]
        table.mend_disk()
        await anyio.sleep(1.1)
        assert len(await alerts.history()) == 5


async def test_it_declines_rather_than_crashes_and_goes_on_while_the_disk_refuses(alerts):
    alerts.table.break_disk()
    with pytest.raises(Declined, match="storage failed"):
        await alerts.ref.ask(AddSilence("r", START + timedelta(hours=1)))
    assert await alerts.ref.ask(ListSilences()) == []
    await anyio.sleep(3_601)  # over a purge
    assert alerts.table.actor("tested").restarts_total == 0


async def test_it_waits_for_a_read_that_failed_with_anothers_write(alerts, monkeypatch):
    await alerts.trouble(*range(31))
    read = alerts.table.store.read

    async def refused(_func):
        raise StoreError("in the same batch")

    monkeypatch.setattr(alerts.table.store, "read", refused)
    await alerts.risk(0.06)
    await anyio.sleep(120)
    monkeypatch.setattr(alerts.table.store, "read", read)
    await anyio.sleep(1.1)
    assert alerts.told[-1][0] == f"2 alerts {MANY}"
    assert alerts.told[-2][0] == "Drawdown 6.00% today"
    assert alerts.table.actor("tested").restarts_total == 0
