"""Every trigger of the plan fires from real events, says what a trader needs, and resolves."""

import functools
import sqlite3
from decimal import Decimal

import anyio
import pytest
from msgspec.structs import replace

from config.sections import Alerts, Api, Bot
from config.settings import Settings
from runtime.store import StoreError
from runtime.system import Reported
from tests.fakes.core import running

pytestmark = pytest.mark.anyio
SETTINGS = Settings(
    starting_equity=Decimal(1_000),
    alerts=Alerts(losses_in_a_row=3),
    bots={"alpha": Bot(starting_equity=Decimal(1_000), max_positions=2)},
    apis={"kraken": Api("http://127.0.0.1:1/")},
)


@pytest.fixture
def run(tmp_path, monkeypatch, anyio_backend):
    return functools.partial(running, tmp_path, monkeypatch, SETTINGS)


async def lose(core):
    await core.post("positions", open=1, limit=2)
    await core.trade(1, -210)


async def win(core):
    await core.trade(9, 200)


async def lose_thrice(core):
    for number in range(3):
        await core.trade(number, -1)


async def switch_on(core):
    await core.trade(1, 5)
    await core.post("kill_switch", active=True, reason="operator")


async def switch_off(core):
    await core.post("kill_switch", active=False)


async def trip(core):
    await core.post("circuit_breaker", open=True, reason="5 losses", until="2026-01-01T00:10:00Z")


async def close_by_time(core):
    await anyio.sleep(600)


async def fall_silent(core):
    await core.post("heartbeat")
    await anyio.sleep(130)


async def speak(core):
    await core.post("heartbeat")
    await anyio.sleep(2)


async def fail_calls(core):
    for number in range(4):
        await core.post("api_error", message="502", id=number)


async def wait_a_minute(_core):
    await anyio.sleep(63)


async def fill(core):
    await core.post("positions", open=2)


async def free(core):
    await core.post("positions", open=1)


async def lose_exchange(core):
    await core.pinged("kraken", connected=False)
    await core.pinged("kraken", connected=False)


async def find_exchange(core):
    await core.pinged("kraken", connected=True)


CASES = {
    "drawdown_day": (
        lose,
        win,
        ("critical", "Drawdown 21.00% today", 0.21, 0.05),
        {
            "Drawdown": "21.00%",
            "Limit": "5.00%",
            "P&L today": "-210.00 USD",
            "Equity": "790.00 USD",
            "Open positions": "1 of 2",
        },
        "Drawdown today is back at 1.00%, below 5.00%.",
    ),
    "drawdown_week": (
        lose,
        win,
        ("critical", "Drawdown 21.00% this week", 0.21, 0.10),
        {"Limit": "10.00%", "Equity": "790.00 USD", "Open positions": "1 of 2"},
        "Drawdown this week is back at 1.00%, below 10.00%.",
    ),
    "drawdown_total": (
        lose,
        win,
        ("critical", "Drawdown 21.00% from the peak", 0.21, 0.20),
        {"Limit": "20.00%", "Equity": "790.00 USD", "Open positions": "1 of 2"},
        "Drawdown from the peak is back at 1.00%, below 20.00%.",
    ),
    "losses_in_a_row": (
        lose_thrice,
        win,
        ("warning", "3 losses in a row", 3.0, 3.0),
        {"Losses in a row": "3", "Limit": "3", "Equity": "997.00 USD"},
        "The losing streak has ended.",
    ),
    "kill_switch": (
        switch_on,
        switch_off,
        ("critical", "Kill switch on", None, None),
        {"Since": "2026-01-01 00:00:01 UTC", "Equity": "1005.00 USD"},
        "The kill switch is off.",
    ),
    "circuit_breaker": (
        trip,
        close_by_time,
        ("critical", "Circuit breaker open", None, None),
        {"Since": "2026-01-01 00:00:00 UTC", "Until": "2026-01-01 00:10:00 UTC"},
        "The circuit breaker is closed.",
    ),
    "silent": (
        fall_silent,
        speak,
        ("critical", "Bot silent", None, 120.0),
        {"Last seen": "2026-01-01 00:00:00 UTC"},
        "The bot is heard again.",
    ),
    "api_errors": (
        fail_calls,
        wait_a_minute,
        ("warning", "4 API errors within a minute", 4.0, 3.0),
        {"API errors": "4", "Limit": "3"},
        "API errors within a minute.",
    ),
    "position_limit": (
        fill,
        free,
        ("warning", "Position limit reached", 2.0, 2.0),
        {"Open positions": "2 of 2"},
        "Now 1 of 2 positions are open.",
    ),
    "exchange_unreachable": (
        lose_exchange,
        find_exchange,
        ("warning", "Exchange kraken unreachable", 2.0, 2.0),
        {"Failed in a row": "2", "Last ping": "2026-01-01 00:00:01 UTC"},
        "The exchange's API answers again.",
    ),
}


AFTER = {
    "drawdown_day": {"Drawdown": "1.00%", "P&L today": "-10.00 USD", "Equity": "990.00 USD"},
    "drawdown_week": {"Drawdown": "1.00%", "Equity": "990.00 USD"},
    "drawdown_total": {"Drawdown": "1.00%", "Equity": "990.00 USD"},
    "losses_in_a_row": {"Losses in a row": "0", "Equity": "1197.00 USD"},
    "kill_switch": {"Since": "2026-01-01 00:00:01 UTC", "Equity": "1005.00 USD"},
    "circuit_breaker": {"Since": "2026-01-01 00:00:00 UTC"},
    "silent": {"Last seen": "2026-01-01 00:02:11 UTC"},
    "api_errors": {"Limit": "3"},
    "position_limit": {"Open positions": "1 of 2"},
    "exchange_unreachable": {"Failed in a row": "0"},
}


@pytest.mark.parametrize("trigger", CASES)
async def test_it_fires_with_its_figures_and_resolves(run, trigger):
    begin, end, told, facts, over = CASES[trigger]
    async with run() as core:
        await begin(core)
        (alert,) = await core.alerts(trigger)
        assert alert.state == "open"
        assert (alert.severity, alert.title, alert.value, alert.threshold) == (
            told[0],
            told[1],
            pytest.approx(told[2]) if told[2] is not None else None,
            told[3],
        )
        assert facts.items() <= dict(alert.facts).items()
        told_of_positions = trigger == "position_limit" or begin is lose
        assert ("Open positions" in dict(alert.facts)) is told_of_positions
        await end(core)
        (alert,) = await core.alerts(trigger)
        assert alert.state == "resolved"
        assert f"{over} Before: " in alert.text
        assert AFTER[trigger].items() <= dict(alert.facts).items()
        assert [label for label, _ in alert.facts][-2:] == ["Since", "Lasted"]
        assert "Until" not in dict(alert.facts)
        assert len([d for d in alert.deliveries if d.channel == "console"]) == 1


async def test_it_alerts_of_api_errors_only_above_the_limit(run):
    async with run() as core:
        for number in range(3):
            await core.post("api_error", message="502", id=number)
        assert await core.alerts() == []


async def test_it_alerts_of_an_order_that_the_position_limit_refused(run):
    async with run() as core:
        await core.post("position_rejected", id=1, reason="2 of 2 open")
        (alert,) = await core.alerts("position_rejected")
        assert (alert.state, alert.severity, alert.text) == ("resolved", "warning", "2 of 2 open")
        assert "Open positions" not in dict(alert.facts)


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        ("gave_up", "critical"),
        ("quarantined", "warning"),
        ("zombie", "warning"),
        ("stuck", "warning"),
        ("refused", "warning"),
    ],
)
async def test_it_alerts_of_a_part_that_fails(run, kind, severity):
    async with run() as core:
        core.reports.heard(Reported(kind, "metrics", "why"))
        await anyio.sleep(1)
        (alert,) = await core.alerts(f"actor_{kind}")
        assert (alert.severity, alert.text, alert.state) == (severity, "why", "resolved")


async def test_it_says_since_when_with_each_further_message(run):
    async with run() as core:
        await core.trade(1, -60)
        now = core.clock.now().timestamp()
        for job in await core.store.write(lambda tx: tx.queue.claim("console", now, 10)):
            await core.store.write(lambda tx, id_=job.id: tx.queue.done("console", id_, now))
        await core.trade(2, -60)  # the next band
        fired, again = [n for n in await core.notices() if "today" in n.title]
        assert "Since" not in dict(fired.facts)
        assert dict(again.facts)["Since"] == f"{fired.at:%Y-%m-%d %H:%M:%S} UTC"


async def test_it_shows_in_a_resolved_message_how_things_stand_at_the_clearing(run):
    async with run() as core:
        await core.trade(1, 5)
        await fill(core)
        await core.deliver()
        await anyio.sleep(72)
        await core.trade(2, -1)
        await free(core)
        fired, over = await core.notices()
        assert (over.kind, over.severity) == ("resolved", "warning")
        assert over.text == "Now 1 of 2 positions are open. Before: 2 of 2 positions are open."
        assert over.facts == [
            ("Open positions", "1 of 2"),
            ("Equity", "1004.00 USD"),
            ("Since", f"{fired.at:%Y-%m-%d %H:%M:%S} UTC"),
            ("Lasted", "1 min 13 s"),
        ]


@pytest.mark.parametrize("trigger", ["position_limit", "api_errors", "kill_switch", "drawdown_day"])
async def test_it_counts_nothing_else_of_the_same_bot_as_a_repeat(run, trigger):
    async with run() as core:
        await CASES[trigger][0](core)
        for number in range(4):
            await core.post("position_rejected", id=f"r{number}", reason="full")
            await core.post("equity", equity=1_000 if trigger != "drawdown_day" else 800)
            await core.post("heartbeat")
            await core.pinged("kraken", connected=True)
        await CASES[trigger][1](core)
        (alert,) = await core.alerts(trigger)
        assert (alert.state, alert.suppressed) == ("resolved", 0)


async def test_it_counts_each_further_error_of_the_exchange_as_a_repeat(run):
    async with run() as core:
        await fail_calls(core)
        for number in range(4, 7):
            await core.post("api_error", message="502", id=number)
        await wait_a_minute(core)
        (notice,) = [n for n in await core.notices() if n.trigger == "api_errors"]
        assert (notice.suppressed, notice.worst) == (3, "7 API errors within a minute")


async def test_it_tells_at_the_end_of_the_quiet_time_how_many_more_orders_were_refused(run):
    async with run() as core:
        for number in range(5):
            await core.post("position_rejected", id=number, reason=f"order {number}")
            await core.deliver()
        await anyio.sleep(300)
        first, again = await core.notices()
        assert (first.text, first.suppressed) == ("order 0", 0)
        assert (again.text, again.suppressed) == ("order 4", 4)
        (alert,) = await core.alerts()
        assert (alert.state, alert.suppressed) == ("resolved", 4)


async def test_it_resolves_what_is_about_an_exchange_that_was_taken_out(run, tmp_path, monkeypatch):
    async with run() as core:
        await lose_exchange(core)
    async with running(tmp_path, monkeypatch, replace(SETTINGS, apis={})) as core:
        await anyio.sleep(2)
        (alert,) = await core.alerts("exchange_unreachable")
        assert alert.state == "resolved"
        assert alert.text.startswith("kraken was taken out of the settings. Before: ")


async def test_it_tells_of_no_open_position_once_the_bot_has_said_so(run):
    async with run() as core:
        await core.post("positions", open=0)
        await switch_on(core)
        (alert,) = await core.alerts("kill_switch")
        assert ("Open positions", "0 of 2") in alert.facts


async def test_it_knows_the_account_again_after_a_restart(run):
    async with run() as core:
        await core.trade(1, 5)
        await core.post("positions", open=1)
    async with run() as core:
        await core.post("kill_switch", active=True)
        (alert,) = await core.alerts("kill_switch")
        assert {("Equity", "1005.00 USD"), ("Open positions", "1 of 2")} <= set(alert.facts)


async def test_it_tells_of_a_disk_that_refuses_and_that_it_works_again(run):
    def full(point):
        if point == "store.commit":
            raise sqlite3.OperationalError("database or disk is full")

    async with run() as core:
        core.store.fault = full
        with pytest.raises(StoreError):
            await core.trade(1, 5)
        await anyio.sleep(12)
        core.store.fault = lambda _point: None
        await anyio.sleep(12)
        (alert,) = await core.alerts("storage")
        assert (alert.severity, alert.state) == ("critical", "resolved")
        assert "disk is full" in alert.text
        assert alert.text.startswith("Writes succeed again. Before: ")
