"""The page is typed by the same messages that the server sends."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from actors import messages
from web import typescript

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "web" / "dashboard" / "src" / "messages.ts"


def test_it_is_fresh() -> None:
    written = GENERATED.read_text(encoding="utf-8")
    assert written == typescript.generate(), (
        "run: python -m web.typescript > web/dashboard/src/messages.ts"
    )


def test_it_turns_an_array_like_struct_into_a_tuple() -> None:
    wanted = "export type EquityPoint = readonly [t: number, equity: number, drawdown: number];"
    assert wanted in typescript.generate()


def test_it_sends_decimals_as_strings_and_undefined_figures_as_null() -> None:
    metrics = declared("Metrics")
    assert "readonly pnl_total: string;" in metrics
    assert "readonly sharpe: number | null;" in metrics
    assert "readonly undefined: Readonly<Record<string, string>>;" in metrics


def test_it_keeps_the_names_of_literal_unions() -> None:
    text = typescript.generate()
    assert 'export type Level = "CRITICAL" | "DEGRADED" | "HEALTHY";' in text
    assert "readonly severity: Severity;" in declared("Alert")
    assert "readonly state: DeliveryState;" in declared("Delivery")


def test_it_writes_lists_of_pairs_and_of_structs() -> None:
    alert = declared("Alert")
    assert "readonly facts: readonly (readonly [string, string])[];" in alert
    assert "readonly deliveries: readonly Delivery[];" in alert


def test_it_names_every_field_that_the_server_sends() -> None:
    sent = msgspec.to_builtins(messages.PositionState())
    lines = declared("PositionState").splitlines()[1:-1]
    assert [line.split()[1].rstrip(":") for line in lines] == list(sent)


def test_it_declares_a_struct_before_it_is_used() -> None:
    text = typescript.generate()
    assert text.index("interface Ratios") < text.index("interface Metrics ")


def test_it_writes_a_literal_without_a_name_as_a_union() -> None:
    assert 'readonly side: "long" | "short";' in typescript.generate((messages.Trade,))


def test_it_refuses_a_type_that_json_cannot_carry() -> None:
    odd = msgspec.defstruct("Odd", [("when", dict[Decimal, str])])
    odd.__doc__ = "Odd."
    with pytest.raises(TypeError, match="no TypeScript for"):
        typescript.generate((odd,))


def declared(name: str) -> str:
    """Return the declaration of interface `name`."""
    start = typescript.generate().index(f"export interface {name} ")
    text = typescript.generate()[start:]
    return text[: text.index("}\n") + 1]
