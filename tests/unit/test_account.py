"""What a trader asks next about any alert of a bot: its equity, and what is still open."""

from decimal import Decimal

from msgspec.structs import replace

from actors.alerts.account import Accounts
from actors.alerts.triggers import Finding
from actors.messages import PositionState
from tests.unit.test_watch import CALM, health, metrics, risk

BAD = Finding("kill_switch", "alpha", 1, "critical", "Kill switch on", "text")


def test_it_completes_a_finding_by_what_was_heard_of_its_bot():
    accounts = Accounts()
    assert accounts.completed(BAD) == BAD
    accounts.hear(risk())
    accounts.hear(health(alpha=CALM, beta=replace(CALM, positions=PositionState(1))))
    assert accounts.completed(BAD).facts == [
        ("Equity", "9000.50 USDT"),
        ("Open positions", "2 of 5"),
    ]
    assert accounts.completed(replace(BAD, bot="beta")).facts == [("Open positions", "1")]
    accounts.hear(metrics(("beta",), equity=Decimal(7)))
    assert ("Equity", "7.00 USDT") in accounts.completed(replace(BAD, bot="beta")).facts


def test_it_says_nothing_of_positions_that_no_bot_told_of():
    accounts = Accounts()
    accounts.hear(health(alpha=replace(CALM, positions=PositionState(limit=5))))
    assert accounts.completed(BAD).facts == []
    accounts.hear(health(alpha=replace(CALM, positions=PositionState(0, 5))))
    assert accounts.completed(BAD).facts == [("Open positions", "0 of 5")]


def test_it_forgets_an_equity_that_became_undefined():
    accounts = Accounts()
    accounts.hear(risk())
    accounts.hear(risk(equity=None))
    assert accounts.completed(BAD).facts == []


def test_it_completes_the_end_of_a_finding_by_how_things_stand_then():
    accounts = Accounts()
    accounts.hear(risk())
    accounts.hear(risk(equity=Decimal(9_100)))
    assert accounts.completed(replace(BAD, band=0)).facts == [("Equity", "9100.00 USDT")]


def test_it_adds_nothing_to_what_is_said_or_is_no_bots():
    accounts = Accounts()
    accounts.hear(risk())
    said = replace(BAD, facts=[("Equity", "1 USDT")])
    assert accounts.completed(said) == said
    assert accounts.completed(replace(BAD, bot="")).facts == []
