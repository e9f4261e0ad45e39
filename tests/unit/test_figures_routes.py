"""The figures' routes: what a query may ask for, and what is said where it cannot be answered."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

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
    async def busy(_bot, _at):
        raise StudiesBusy("8 questions wait for the journal already")

    services = SimpleNamespace(studies=SimpleNamespace(figures=busy))
    with pytest.raises(Refusal, match=r"^8 questions wait for the journal already$") as refusal:
        await figures._update(services, "", AT)
    assert (refusal.value.status, refusal.value.retry_after_s) == (503, 1.0)
