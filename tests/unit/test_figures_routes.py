"""The figures' routes: what a query may ask for, and what is said where it cannot be answered."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from actors.metrics.queries import History, TooLarge
from actors.metrics.study import StudiesBusy
from web import figures
from web.guard import Refusal

AT = datetime(2026, 1, 1, tzinfo=UTC)


def asked(monkeypatch, **args):
    monkeypatch.setattr(figures, "request", SimpleNamespace(args=args))


@pytest.mark.parametrize(("text", "points"), [("8", 8), ("5000", 5_000), ("000500", 500)])
def test_it_gives_as_many_points_as_asked(monkeypatch, text, points):
    asked(monkeypatch, points=text)
    assert figures._points() == points


def test_it_gives_500_points_where_nothing_is_said(monkeypatch):
    asked(monkeypatch)
    assert figures._points() == 500


@pytest.mark.parametrize(
    "text", ["7", "0", "5001", "-8", "8.5", "", "\u0665\u0660\u0660", "1e3", "9" * 4_000, "0000500"]
)
def test_it_refuses_too_few_and_too_many_points_by_name(monkeypatch, text):
    asked(monkeypatch, points=text)
    with pytest.raises(Refusal, match=r"^points: 8 to 5000, not ") as refusal:
        figures._points()
    assert refusal.value.status == 422
    assert len(refusal.value.error) < 80


@pytest.mark.anyio
async def test_it_says_when_too_many_ask_as_of_an_instant():
    async def busy(*_):
        raise StudiesBusy("8 questions of the journal are asked already")

    services = SimpleNamespace(studies=SimpleNamespace(figures=busy))
    with pytest.raises(Refusal, match=r"^8 questions of the journal are asked") as refusal:
        await figures._figures(services, "", AT, ())
    assert (refusal.value.status, refusal.value.retry_after_s) == (503, 1.0)


async def too_large(currency, _query):
    raise TooLarge(f"{'currency' if currency else 'bot'}: more than 4 events, so to say")


async def bots(_query, timeout_s):
    return {"alpha": History([], [])}


CHARTS = SimpleNamespace(
    metrics=SimpleNamespace(ask=bots),
    studies=SimpleNamespace(curves=too_large),
    clock=SimpleNamespace(now=lambda: AT),
)


@pytest.mark.anyio
async def test_it_gives_the_bots_where_the_portfolios_are_too_large(monkeypatch):
    asked(monkeypatch)
    monkeypatch.setattr(figures, "span", lambda: (None, None))
    answered = await figures._history(CHARTS)
    assert answered.bots == {"alpha": History([], [])}
    assert answered.portfolio == {}
    assert answered.portfolio_left_out == "currency: more than 4 events, so to say"


@pytest.mark.anyio
async def test_it_refuses_a_portfolio_that_is_too_large_by_its_name(monkeypatch):
    asked(monkeypatch, currency="USD")
    monkeypatch.setattr(figures, "span", lambda: (None, None))
    with pytest.raises(Refusal, match=r"^currency: more than 4 events") as refusal:
        await figures._history(CHARTS)
    assert refusal.value.status == 422
