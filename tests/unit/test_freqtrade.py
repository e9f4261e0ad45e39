"""freqtrade's real webhooks: six closed trades, no more, and nothing that cannot be understood."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import pytest

from actors import codec
from actors.ingest import Ingest
from actors.messages import ApiError, CircuitBreaker, Heartbeat, Trade
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.sources.freqtrade import FIELDS_MAX, WebhookError, identity, parse, translate
from tests.fakes.bench import opened

DATA = Path(__file__).parents[1] / "data"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
CLOSED = {
    "msg_type": "exit_fill",
    "trade_id": "7",
    "pair": "AAA/USDT",
    "direction": "Short",
    "amount": "0.5",
    "open_date": "2026-11-23 18:00:00+00:00",
    "close_date": "2026-11-23 20:00:00+02:00",
    "profit_amount": "1.5",
    "cumulative_profit": "2.5",
    "is_final_exit": "True",
    "stake_currency": "USDT",
}


def recorded():
    lines = (DATA / "freqtrade-webhooks.jsonl").read_text().splitlines()[1:]
    return [json.loads(line) for line in lines]


def raw(hook):
    body = hook["body"]
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def translated(hook):
    return translate("ft", parse(raw(hook), hook["content_type"]), NOW)


def refused(**changes):
    fields = {name: value for name, value in (CLOSED | changes).items() if value is not None}
    with pytest.raises(WebhookError) as caught:
        translate("ft", fields, NOW)
    return str(caught.value)


def test_it_finds_six_closed_trades_in_a_recorded_session():
    trades = [e for hook in recorded() for e in translated(hook) if isinstance(e, Trade)]
    assert len(trades) == 6
    assert sum(trade.pnl for trade in trades) == Decimal("-1.92011699")
    assert len({trade.id for trade in trades}) == 6


def test_it_agrees_with_the_bots_own_database():
    rows = json.loads((DATA / "freqtrade-trades.json").read_text())["trades"][:6]
    trades = [e for hook in recorded() for e in translated(hook) if isinstance(e, Trade)]
    told = [(t.id.partition("@")[0], t.symbol, str(t.pnl)) for t in trades]
    assert told == [(str(row["id"]), row["pair"], row["pnl"]) for row in rows]
    stamps = [int(t.closed_at.timestamp() * 1_000) for t in trades]
    assert stamps == [row["closed_ms"] for row in rows]


def test_it_takes_a_state_as_a_sign_of_life():
    beats = [e for hook in recorded() for e in translated(hook) if isinstance(e, Heartbeat)]
    assert beats[0] == Heartbeat("ft", NOW, "running")


def test_it_reads_a_final_exit():
    [trade] = translate("ft", CLOSED, NOW)
    closed_at = datetime(2026, 11, 23, 18, tzinfo=UTC)
    assert trade == Trade(
        bot="ft",
        id="7@1795456800000",
        symbol="AAA/USDT",
        side="short",
        quantity=Decimal("0.5"),
        opened_at=closed_at,
        closed_at=closed_at,
        at=closed_at,
        pnl=Decimal("2.5"),
        currency="USDT",
    )


def test_it_names_a_trade_as_the_bots_rest_answer_does():
    rows = json.loads((DATA / "freqtrade-trades.json").read_text())["trades"][:6]
    trades = [e for hook in recorded() for e in translated(hook) if isinstance(e, Trade)]
    assert [t.id for t in trades] == [f"{row['id']}@{row['closed_ms']}" for row in rows]
    # 1.001 s is 1000.9999999999999 ms in floats, for freqtrade and so for us
    assert identity(3, datetime.fromtimestamp(1.001, UTC)) == f"3@{int(1.001 * 1_000)}"


@pytest.mark.anyio
async def test_it_loses_no_trade_when_ids_start_again_with_a_new_database(tmp_path):
    opened_at = {"open_date": "2025-01-01", "close_date": "2025-01-02 03:04:05.678901+00:00"}
    first = CLOSED | {"trade_id": "1"} | opened_at
    second_life = first | {"close_date": "2025-01-03 01:00:00+00:00", "cumulative_profit": "-4"}
    async with opened(tmp_path) as (store, clock):
        ingest = Ingest(store, clock, lambda _seen: None)
        answers = [
            await ingest.freqtrade("ft", json.dumps(fields).encode(), "application/json")
            for fields in (first, second_life, first, second_life)
        ]
        rows = await store.read(lambda tx: tx.journal.read(0, 10, ("trade",)))
    assert [(a.accepted, a.duplicates) for a in answers] == [(1, 0), (1, 0), (0, 1), (0, 1)]
    book = Ledger(LedgerOptions(starting_equity=Decimal(1_000), currency="USDT"))
    assert [book.apply(codec.decode(row.data)) for row in rows] == [True, True]
    assert book.metrics(NOW).pnl_total == Decimal("-1.5")


def test_it_takes_the_profit_of_the_exit_where_there_is_no_other():
    fields = CLOSED | {"cumulative_profit": "None", "is_final_exit": "", "direction": "long"}
    [trade] = translate("ft", fields, NOW)
    assert (trade.pnl, trade.side) == (Decimal("1.5"), "long")


def test_it_takes_an_instant_without_zone_as_utc():
    [trade] = translate("ft", CLOSED | {"close_date": "2026-11-23 21:00:00"}, NOW)
    assert trade.closed_at == datetime(2026, 11, 23, 21, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["exit", "entry", "entry_fill", "entry_cancel", "whatever"])
def test_it_ignores_what_is_no_closed_trade(kind):
    assert translate("ft", CLOSED | {"msg_type": kind}, NOW) == []


def test_it_ignores_a_partial_exit():
    assert translate("ft", CLOSED | {"is_final_exit": "False"}, NOW) == []


@pytest.mark.parametrize("name", ["msg_type", "event", "type"])
def test_it_finds_the_kind_in_any_of_three_fields(name):
    assert translate("ft", {name: "status", "status": "stopped"}, NOW) == [
        Heartbeat("ft", NOW, "stopped")
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"msg_type": None}, "field 'msg_type' or 'event' is missing"),
        ({"trade_id": "None"}, "field 'trade_id' is missing"),
        ({"pair": " "}, "field 'pair' is missing"),
        ({"direction": "up"}, "field 'direction' is 'up', not long or short"),
        ({"amount": "many"}, "field 'amount' is not a number: 'many'"),
        ({"cumulative_profit": "1,5"}, "field 'cumulative_profit' is not a number: '1,5'"),
        ({"close_date": "yesterday"}, "field 'close_date' is not a date: 'yesterday'"),
        ({"open_date": "0001-01-01T00:00:00+23:59"}, "field 'open_date' is not a date"),
        ({"open_date": None}, "field 'open_date' is missing"),
    ],
)
def test_it_names_the_field_it_cannot_understand(changes, text):
    assert text in refused(**changes)


def test_it_takes_a_global_protection_as_the_circuit_breaker():
    fields = {"msg_type": "protection_trigger_global", "lock_end_time": "2026-11-24 01:00:00"}
    assert translate("ft", fields | {"reason": "max drawdown"}, NOW) == [
        CircuitBreaker("ft", NOW, True, "max drawdown", NOW + timedelta(hours=1))
    ]
    fields = {"msg_type": "protection_trigger_global", "active": "False"}
    assert translate("ft", fields, NOW) == [
        CircuitBreaker("ft", NOW, False, "global protection", None)
    ]


def test_it_takes_an_exception_as_an_api_error_and_cuts_it():
    long = {"msg_type": "exception", "status": "x" * 3_000}
    assert translate("ft", long, NOW) == [ApiError("ft", NOW, "x" * 2_000)]
    assert translate("ft", {"msg_type": "exception"}, NOW) == [ApiError("ft", NOW, "exception")]


def test_it_reads_json_and_forms_alike():
    form = urlencode(CLOSED).encode()
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    assert parse(form, kind) == parse(json.dumps(CLOSED).encode(), "application/json") == CLOSED


def test_it_makes_text_of_every_value():
    body = b'{"trade_id": 1, "amount": 2.5, "is_final_exit": true, "reason": null}'
    wanted = {"trade_id": "1", "amount": "2.5", "is_final_exit": "True", "reason": "None"}
    assert parse(body, "") == wanted


def test_it_passes_over_what_else_stands_in_an_owners_template():
    body = json.dumps(CLOSED | {"embeds": [{"title": "x"}], "note": {"a": 1}}).encode()
    assert parse(body, "") == CLOSED
    assert parse(b'{"type": "status", "x": "\xff"}', "") == {"type": "status"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"{}", "{}"),
        (b"[1, 2]", r"\[1, 2\]"),
        (b'"\xff"', '"\ufffd"'),
        (b"9" * 5_000, "9" * 40 + "$"),
    ],
)
def test_it_names_a_field_that_is_no_text(value, shown):
    wanted = f"field 'trade_id' is neither a text nor a number: {shown}"
    with pytest.raises(WebhookError, match=wanted):
        parse(b'{"trade_id": %b}' % value, "")


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b"{", "application/json", "json body: "),
        (b"[1]", "application/json", "json body: Expected `object`"),
        (b'{"amount": NaN}', "", "json body: amount: NaN is neither JSON nor a finite number"),
        (b"[" * 100_000, "", "json body: "),
        (b"a=%ff", "application/x-www-form-urlencoded", "form body: "),
        (b"a=\xff", "application/x-www-form-urlencoded", "form body: "),
        (b"a=1&" * (FIELDS_MAX + 1), "application/x-www-form-urlencoded", "form body: Max number"),
        (
            json.dumps({str(n): n for n in range(FIELDS_MAX + 1)}).encode(),
            "",
            "json body: more than 64 fields",
        ),
    ],
)
def test_it_refuses_a_body_it_cannot_read(body, kind, text):
    with pytest.raises(WebhookError, match=text):
        parse(body, kind)
