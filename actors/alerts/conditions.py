"""Conditions that operators write: checked whole before the start, and never an error after it.

`drawdown > 0.05 and (trades >= 10 or not silent)`: figures by name, numbers, true and false,
`and or not` (also `&& || !`), `< <= > >= == !=`, `+ - * /`, parentheses; nothing that loops, calls
or looks inside. rule-engine parses and reckons, in decimal. An undefined figure makes what is said
of it neither true nor false: `or` may still hold by its other side, `not` does not.
"""

from __future__ import annotations

import decimal
import difflib
import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any, Literal, NamedTuple

TOKENS_MAX = 150  # so that no condition is deep, and each takes microseconds

Kind = Literal["a number", "true or false"]
Value = bool | int | float | Decimal | None
Judge = Callable[[Mapping[str, Value]], bool | None]

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?)(?![A-Za-z0-9_.])"
    r"|(?P<sign>&&|\|\||[<>=!]=|[<>!+*/()-]))"
)
_WORDS = ("and", "or", "not", "true", "false")
_SIGNS = {"&&": "and", "||": "or", "!": "not"}
_HINTS = {
    "%": "a percentage is written as a fraction: 0.05 for 5 %",
    "=": "equal is written ==",
    "'": "there is no text in a condition",
    '"': "there is no text in a condition",
}
_CONTEXT = decimal.Context(
    prec=28, traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
)


class BadConditionError(ValueError):
    """Why a condition cannot be used, and at which column (from 1)."""

    def __init__(self, reason: str, column: int) -> None:
        super().__init__(f"column {column}: {reason}")
        self.column = column


class Condition:
    """A checked condition. `names` are the figures that it uses, `order` as it names them."""

    def __init__(self, text: str, names: Iterable[str], judge: Judge) -> None:
        self.text = text
        self.order = tuple(dict.fromkeys(names))
        self.names = frozenset(self.order)
        self._judge = judge

    def __repr__(self) -> str:
        return f"<Condition {self.text}>"

    def holds(self, figures: Mapping[str, Value]) -> bool:
        """Say whether it holds; `figures` has every one of `names`, None where undefined.

        Call it within `reckoning()`, once for many.
        """
        return self._judge(figures) is True


def reckoning() -> AbstractContextManager[object]:
    """Reckon in decimal with 28 digits, whatever the thread does otherwise."""
    return decimal.localcontext(_CONTEXT)


class _Token(NamedTuple):
    text: str
    column: int
    figure: str = ""


class _UndefinedError(Exception):
    """A figure is undefined."""


def read(text: str, kinds: Mapping[str, Kind]) -> Condition:
    """Check a condition over the figures of these names; raises BadConditionError."""
    import rule_engine  # noqa: PLC0415 - a quarter of a second, for those who have conditions

    tokens = list(_tokens(text, kinds))
    figures = {token.text: token for token in tokens if token.figure}
    if not figures:
        raise BadConditionError("names no figure, so it would never change", 1)

    def resolve(values: Mapping[str, Value], name: str) -> Value:
        value = values[figures[name].figure]
        if value is None:
            raise _UndefinedError
        return value

    context = rule_engine.Context(resolver=resolve, default_timezone="utc")
    root = _parsed(tokens, len(text), context)
    reader = _Reader(figures, kinds)
    reader.want("true or false", root, root)
    return Condition(text, [token.figure for token in figures.values()], reader.judge(root))


def _tokens(text: str, kinds: Mapping[str, Kind]) -> Iterator[_Token]:
    """Cut a condition up; each figure gets a name of its own for each place where it stands."""
    at = count = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            hint = _HINTS.get(rest[0], "this does not belong into a condition")
            raise BadConditionError(f"{rest[:1]!r}: {hint}", len(text) - len(rest) + 1)
        at, column = match.end(), match.start(match.lastgroup or 0) + 1
        yield _token(match, column, count, kinds)
        count += 1
        if count > TOKENS_MAX:
            raise BadConditionError(f"more than {TOKENS_MAX} words and signs", column)


def _token(match: re.Match[str], column: int, count: int, kinds: Mapping[str, Kind]) -> _Token:
    if (number := match["number"]) is not None:
        return _Token(f"{Decimal(number):f}", column)
    if (sign := match["sign"]) is not None:
        return _Token(_SIGNS.get(sign, sign), column)
    name = match["name"]
    if name in _WORDS:
        return _Token(name, column)
    if name not in kinds:
        close = difflib.get_close_matches(name.lower()[:64], [*kinds, *_WORDS], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise BadConditionError(f"there is no figure {name[:64]!r}{hint}", column)
    return _Token(f"f{count}", column, name)


def _parsed(tokens: list[_Token], length: int, context: Any) -> Any:
    """Let the library parse; what it refuses is told with the column in the operator's text."""
    import rule_engine  # noqa: PLC0415

    starts, text = [], ""
    for token in tokens:
        starts.append(len(text))
        text += token.text + " "
    try:
        with reckoning():
            return rule_engine.Rule(text, context=context).statement.expression
    except rule_engine.errors.RuleSyntaxError as error:
        place = error.token.lexpos if error.token is not None else len(text)
        if place >= starts[-1] + len(tokens[-1].text):
            raise BadConditionError("something is missing at the end", length + 1) from None
        column = tokens[bisect(starts, place) - 1].column
        raise BadConditionError("this is not expected here", column) from None
    except (rule_engine.errors.EngineError, ArithmeticError) as error:
        raise BadConditionError(f"cannot be reckoned: {error}", 1) from None


class _Reader:
    """Checks the kinds of a parsed condition, and makes of it what judges."""

    def __init__(self, figures: Mapping[str, _Token], kinds: Mapping[str, Kind]) -> None:
        from rule_engine import ast  # noqa: PLC0415

        self._figures = figures
        self._kinds = kinds
        self._ast = ast

    def want(self, kind: Kind, node: Any, whole: Any) -> None:
        """Raise BadConditionError where a part of the whole is of the other kind."""
        if self.kind(node) == kind:
            return
        first = self._first(node) or self._first(whole)
        name = first.figure if isinstance(node, self._ast.SymbolExpression) and first else "this"
        other = "true or false" if kind == "a number" else "a number"
        column = first.column if first else 1
        raise BadConditionError(f"{name} is {other} where {kind} is needed", column)

    def kind(self, node: Any) -> Kind:
        """Return what a part amounts to, after checking its own parts."""
        ast = self._ast
        if isinstance(node, ast.SymbolExpression):
            return self._kinds[self._figures[node.name].figure]
        if isinstance(node, ast.FloatExpression):
            return "a number"
        if isinstance(node, ast.BooleanExpression):
            return "true or false"
        left, *right = self._operands(node)
        parts: Kind = "a number"
        if isinstance(node, ast.LogicExpression) or node.type == "not":
            parts = "true or false"
        if node.type in ("eq", "ne"):
            parts = self.kind(left)
        else:
            right.insert(0, left)
        for operand in right:
            self.want(parts, operand, node)
        arithmetic = (ast.AddExpression, ast.SubtractExpression, ast.ArithmeticExpression)
        number = isinstance(node, arithmetic) or node.type == "uminus"
        return "a number" if number else "true or false"

    def judge(self, node: Any) -> Judge:
        """Return a function of the figures: true, false, or None for neither."""
        if isinstance(node, self._ast.LogicExpression):
            return _joined(node.type == "or", self.judge(node.left), self.judge(node.right))
        if isinstance(node, self._ast.UnaryExpression):
            return _denied(self.judge(node.right))
        return _leaf(node.evaluate)

    def _operands(self, node: Any) -> list[Any]:
        return [getattr(node, side) for side in ("left", "right") if hasattr(node, side)]

    def _first(self, node: Any) -> _Token | None:
        """Return the first figure within a part."""
        if isinstance(node, self._ast.SymbolExpression):
            return self._figures[node.name]
        found = [self._first(part) for part in self._operands(node)]
        return next((token for token in found if token is not None), None)


def _joined(decisive: bool, left: Judge, right: Judge) -> Judge:  # noqa: FBT001
    """Join two sides: one that is `decisive` (true for `or`, false for `and`) decides alone."""

    def judge(figures: Mapping[str, Value]) -> bool | None:
        one = left(figures)
        if one is decisive:
            return decisive
        other = right(figures)
        if other is decisive:
            return decisive
        return None if one is None or other is None else not decisive

    return judge


def _denied(inner: Judge) -> Judge:
    def judge(figures: Mapping[str, Value]) -> bool | None:
        held = inner(figures)
        return None if held is None else not held

    return judge


def _leaf(evaluate: Callable[[Any], Any]) -> Judge:
    from rule_engine.errors import EngineError  # noqa: PLC0415

    def judge(figures: Mapping[str, Value]) -> bool | None:
        try:
            return bool(evaluate(figures))
        except (_UndefinedError, EngineError, ArithmeticError):  # undefined, or divided by zero
            return None

    return judge
