"""The operator's own triggers, from settings and events to the outbox."""

import functools
from decimal import Decimal

import anyio
import pytest
from msgspec.structs import replace

from actors.messages import Refresh
from config.alerting import Trigger
from config.settings import Settings
from tests.fakes.core import running

pytestmark = pytest.mark.anyio
PLAIN = Settings(starting_equity=Decimal(1_000))


def settings(**triggers):
    return replace(PLAIN, triggers={name: Trigger(**fields) for name, fields in triggers.items()})


WHEN = "drawdown > 0.01 and trades >= 2"
DEEP = settings(deep={"when": WHEN, "text": "Deep.", "severity": "info"})


@pytest.fixture
def run(tmp_path, monkeypatch, anyio_backend):
    return functools.partial(running, tmp_path, monkeypatch)


async def test_it_alerts_while_a_condition_over_trades_holds(run):
    async with run(DEEP) as core:
        await core.trade(1, -15)
        assert await core.alerts("deep") == []
        await core.trade(2, -5)
        (alert,) = await core.alerts("deep")
        assert (alert.state, alert.severity, alert.bot) == ("open", "info", "alpha")
        assert alert.title == "Deep: drawdown > 0.01 and trades >= 2"
        assert alert.text == "Deep. Now: drawdown 0.02, trades 2."
        await core.trade(3, 15)
        (alert,) = await core.alerts("deep")
        assert alert.state == "resolved"
        assert "It no longer holds: drawdown 0.005, trades 3." in alert.text
        assert [n.kind for n in await core.notices() if n.severity == "info"] == ["fired"]


async def test_it_judges_any_figure_of_metrics_and_health(run):
    own = settings(
        cold={"when": "win_rate < 0.5 and longest_loss_streak >= 2"},
        full={"when": "positions_utilization >= 0.8 and not breaker_open", "bots": ["alpha"]},
        both={"when": "kill_switch_active and losses_in_a_row >= 2"},
    )
    async with run(own) as core:
        await core.trade(1, -1)
        await core.trade(2, -1)
        assert [a.trigger for a in await core.alerts()] == ["cold"]
        await core.post("positions", open=4, limit=5)
        await core.post("positions", "beta", open=4, limit=5)
        assert [(a.trigger, a.bot) for a in await core.alerts()][1:] == [("full", "alpha")]
        await core.post("kill_switch", active=True)
        assert len(await core.alerts("both")) == 1
        await core.post("circuit_breaker", open=True)
        (full,) = await core.alerts("full")
        assert full.state == "resolved"
        assert ("Equity", "998.00 USD") in (await core.alerts("both"))[0].facts


async def test_it_neither_fires_nor_resolves_by_a_restart(run):
    own = settings(
        deep={"when": "drawdown > 0.01 and not kill_switch_active"},
        cold={"when": "win_rate < 0.5 and not kill_switch_active"},
    )
    async with run(own) as core:
        await core.trade(1, -15)
        before = await core.alerts()
        assert [alert.state for alert in before] == ["open", "open"]
    async with run(own) as core:
        await anyio.sleep(5)
        await core.ref("alerts").tell(Refresh())  # the actor crashes on it, and begins anew
        await anyio.sleep(5)
        after = await core.alerts()
        assert [(a.id, a.state) for a in after] == [(a.id, "open") for a in before]
        await core.post("kill_switch", active=True)
        assert {a.state for a in await core.alerts() if a.trigger != "kill_switch"} == {"resolved"}
        assert [n.kind for n in await core.notices() if n.severity == "warning"] == ["fired"] * 2


@pytest.mark.parametrize(
    "later",
    [
        PLAIN,
        settings(deep={"when": WHEN, "enabled": False}),
        settings(deep={"when": WHEN, "bots": ["beta"]}),
    ],
    ids=["gone", "switched off", "for another bot"],
)
async def test_it_resolves_what_is_no_longer_watched(run, later):
    async with run(DEEP) as core:
        await core.trade(1, -15)
        await core.trade(2, -5)
    async with run(later) as core:
        await anyio.sleep(2)
        (alert,) = await core.alerts("deep")
        assert alert.state == "resolved"


async def test_it_debounces_by_its_own_time_over_a_restart(run):
    own = settings(deep={"when": "drawdown > 0.01", "debounce_s": 60.0})
    async with run(own) as core:
        for number in range(5):
            await core.trade(number, -15)
        assert [n.kind for n in await core.notices() if n.severity == "warning"] == ["fired"]
        await core.deliver()
    async with run(own) as core:
        await anyio.sleep(50)
        await core.trade(6, -15)
        assert len([n for n in await core.notices() if n.severity == "warning"]) == 1
        await anyio.sleep(15)
        await core.trade(7, -15)
        told = [n for n in await core.notices() if n.severity == "warning"]
        assert [n.kind for n in told] == ["fired", "reminder"]
