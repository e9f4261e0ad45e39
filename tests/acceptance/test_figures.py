"""Figures by other definitions, in detail and explained, over a real process."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from actors.metrics.definitions import DEFINITIONS
from actors.metrics.details import Details
from tests.acceptance.process import TOKENS, Sidewatch, bearer, trade, until

READ = bearer("READ")
REALTIME, DETAILS = "/api/v1/metrics/realtime", "/api/v1/metrics/details"


@pytest.fixture(scope="module")
def sidewatch(tmp_path_factory):
    environ = {"SIDEWATCH_STARTING_EQUITY": "1000"}
    with Sidewatch(tmp_path_factory.mktemp("figures") / "data", environ) as running:
        with running.live() as live:
            for n, pnl in enumerate(("10", "-4", "6")):
                running.post(trade(f"t{n}", pnl, bot="alpha"))
            until(live, has_all_three)
        yield running


def has_all_three(message):
    if message["type"] not in ("snapshot", "metrics_update"):
        return False
    return message["metrics"]["bots"].get("alpha", {}).get("trades") == 3


def test_it_shows_a_family_beside_the_default(sidewatch):
    answer = sidewatch.get(REALTIME, bot="alpha", definition="freqtrade")
    assert answer["bots"]["alpha"]["pnl_total"] == "12"
    found = answer["families"]["alpha"]["freqtrade"]
    assert found["figures"]["expectancy"] == pytest.approx(4.0)
    assert found["figures"]["max_drawdown_abs"] == pytest.approx(4.0)
    assert found["source"].startswith("freqtrade 2026.9")
    assert "portfolio_families" not in answer  # of one bot there is no portfolio
    assert "families" not in sidewatch.get(REALTIME, bot="alpha")


def test_it_shows_all_families_as_of_an_instant(sidewatch):
    soon = datetime.now(UTC) + timedelta(hours=1)
    answer = sidewatch.get(REALTIME, definition="all", at=soon.isoformat())
    assert list(answer["families"]["alpha"]) == ["freqtrade", "empyrical", "quantstats", "nautilus"]
    assert answer["portfolio_families"] == {"USD": answer["families"]["alpha"]}
    assert (
        sidewatch.get(REALTIME, definition="all", at="2020-01-01T00:00:00Z").get("families") is None
    )


@pytest.mark.parametrize("text", ["zipline", "", "freqtrade,zipline"])
def test_it_refuses_an_unknown_definition(sidewatch, text):
    answer = sidewatch.client.get(REALTIME, params={"definition": text}, headers=READ)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("definition: ")


def test_it_tells_an_account_in_detail(sidewatch):
    found = sidewatch.get(DETAILS, bot="alpha")["bots"]["alpha"]
    assert (found["best"]["pnl"], found["best"]["id"]) == ("10", "tt0")
    assert sum(group["trades"] for group in found["by_hour"]) == 3
    assert found["precision"]["win_rate"]["sample"] == 3
    assert found["undefined"]["value_at_risk"] == "needs 20 days"
    recent = found["rolling_by_days"]
    assert (recent["trades"], recent["expectancy"], recent["max_drawdown"]) == (3, "4", 4 / 1010)
    assert found["undefined"]["rolling_by_days.sharpe"] == "needs 2 days"
    assert sidewatch.get(DETAILS)["portfolio"]["USD"]["trades"] == 3
    unknown = sidewatch.client.get(DETAILS, params={"bot": "nobody"}, headers=READ)
    assert unknown.status_code == 404


def test_it_draws_any_part_of_the_history(sidewatch):
    path = "/api/v1/metrics/history"
    found = sidewatch.get(path, bot="alpha")["bots"]["alpha"]
    assert [equity for _, equity, _ in found["points"]] == [1010, 1006, 1012]
    assert sum(int(day["pnl"]) for day in found["days"]) == 12
    part = {"from": "0001-01-01T00:00:00Z", "to": "2001-01-01T00:00:00Z", "points": "8"}
    assert sidewatch.get(path, **part)["bots"]["alpha"] == {"points": [], "days": []}
    for wrong in ({"points": "7"}, {"points": "x"}, {"from": "yesterday"}):
        answer = sidewatch.client.get(path, params=wrong, headers=READ)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(f"{next(iter(wrong))}: ")
    unknown = sidewatch.client.get(path, params={"bot": "nobody"}, headers=READ)
    assert unknown.status_code == 404


def test_it_draws_the_history_of_a_portfolio(sidewatch):
    path = "/api/v1/metrics/history"
    found = sidewatch.get(path, currency="USD", points="8")
    assert found["bots"] == {}
    assert found["portfolio"] == {"USD": sidewatch.get(path, bot="alpha")["bots"]["alpha"]}
    assert list(sidewatch.get(path)["portfolio"]) == ["USD"]
    both = sidewatch.client.get(path, params={"currency": "USD", "bot": "alpha"}, headers=READ)
    assert (both.status_code, both.json()["error"]) == (
        422,
        "currency: a bot or a currency, not both",
    )
    unknown = sidewatch.client.get(path, params={"currency": "DOGE"}, headers=READ)
    assert (unknown.status_code, unknown.json()["error"]) == (
        404,
        "currency: no bot trades in 'DOGE'",
    )


def test_it_explains_every_figure(sidewatch):
    answer = sidewatch.get("/api/v1/metrics/definitions")
    figures = sidewatch.get(REALTIME, bot="alpha")["bots"]["alpha"]
    unexplained = {"at", "currency", "undefined"}
    assert set(figures) - set(answer["figures"]) == unexplained
    groups = {"zone", "precision", "by_symbol", "by_side", "by_hour", "by_weekday"}
    assert set(Details.__struct_fields__) - set(DEFINITIONS) == groups | unexplained
    assert answer["options"]["alpha"]["periods_per_year"] == 365
    assert answer["options"]["alpha"]["starting_equity"] == "1000"
    assert set(answer["families"]) == {"freqtrade", "empyrical", "quantstats", "nautilus"}


def test_it_needs_the_read_scope(sidewatch):
    for path in (DETAILS, "/api/v1/metrics/definitions"):
        assert sidewatch.client.get(path).status_code == 401


def test_it_draws_a_portfolios_own_drawdown_on_the_page(sidewatch, browser):
    for bot, number, pnl in (("gamma", 1, "100"), ("delta", 1, "-50"), ("gamma", 2, "10")):
        sidewatch.post({**trade(f"e{number}", pnl, bot=bot), "currency": "EUR"})
    page = browser.new_page()
    page.goto(f"{sidewatch.url}/#login={TOKENS['SIDEWATCH_READ_TOKEN']}")
    page.get_by_test_id("selector").select_option("portfolio:EUR")
    summary = page.get_by_test_id("chart-summary")
    expect(summary).to_contain_text("2.38%")  # from 2,100 to 2,050: neither bot's own
    sidewatch.post({**trade("e2", "-300", bot="delta"), "currency": "EUR"})
    expect(summary).to_contain_text("16.19%")  # of 2,100, and 2,060 less 300 is 1,760
    page.close()
