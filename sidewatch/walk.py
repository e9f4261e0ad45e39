"""The demo's scenario, purely: a seeded random walk of trades, with its bad moments.

Its scenario, in seconds since its start (give or take 8 s, by the seed), with an ordinary trade
each 2 to 3 s and a heartbeat each 5 s: at 20 all 5 positions are open and one more is rejected; at
32 the exchange fails 5 calls; at 46 a streak of 12 losses costs more than 5 % of the equity, and
the circuit breaker stays open for 45 s after it. Then the same, spread over each quarter hour.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

Episode = Literal["rejection", "outage", "streak"]
WireEvent = dict[str, Any]

BOT = "demo"
CURRENCY = "USDT"
STARTING_EQUITY = Decimal(10_000)
GROWTH_PER_DAY = 0.0015  # of the starting equity, linear: a demo left alone stays plausible
PRICES = {"BTC/USDT": 90_000.0, "ETH/USDT": 3_000.0, "SOL/USDT": 140.0}
FEE_RATE = Decimal("0.001")
NOTIONAL = 0.1  # of the equity, for each trade
CENT, QUANTUM = Decimal("0.01"), Decimal("0.000001")

POSITIONS_MAX = 5
HEARTBEAT_S = 5.0
TRADE_S = (1.5, 2.9)  # on a step of 1 s: 2 or 3
BREAKER_S = 45.0
OUTAGE_ERRORS, OUTAGE_S = 5, 2.0
STREAK_LOSSES, STREAK_S = 12, 1.5
STREAK_LOSS = (0.0045, 0.0052)  # 12 of the least: 1 - (1 - 0.0045) ** 12 = 5.3 %
ORDINARY_RUN_MAX = 6  # only the episode reaches the 10 losses that alert
LIVE_MOVE = (0.0003, 0.0009)
HISTORY_MOVE = (0.002, 0.008)
HISTORY_TRADES_PER_DAY = 8
HISTORY_CAREFUL_AT = 0.025  # fallen so far on a day, history trades a fifth: it must not alert
SHIFT_S = 8.0
FIRST: tuple[tuple[float, Episode], ...] = ((20, "rejection"), (12, "outage"), (14, "streak"))
LATER: tuple[tuple[float, Episode], ...] = ((480, "rejection"), (180, "outage"), (240, "streak"))
BATCH_MAX = 100
STEP_EVENTS_MAX = 16


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


class Walk:
    """A seeded random walk as events ready for JSON (money as decimal strings).

    The same seed, start and instants give the same events: no clock and no I/O. Equity is what
    was earned, exactly: the bot is told to hold nothing unrealised. Sizes are fractions of the
    equity, and wins are likelier the further it stands below its slowly growing target.
    `start` is when live trading begins; `backfill` tells of the time before.
    """

    def __init__(self, seed: int, start: datetime) -> None:
        self.start = start
        self.equity = STARTING_EQUITY
        self._random = random.Random(seed)  # noqa: S311 - a walk to look at, not a secret
        self._born = start
        self._prices = dict(PRICES)
        self._losses = 0
        self._count = 0
        self._day: date | None = None
        self._day_peak = STARTING_EQUITY
        self._positions = 0
        self._script = list(FIRST)
        self._episode_due = start + _seconds(FIRST[0][0] + self._random.uniform(0, SHIFT_S))
        self._trade_due = self._beat_due = self._error_due = start
        self._losses_left = self._errors_left = 0
        # Over at once: a restarted bot says that the breaker of its earlier life is closed.
        self._breaker_until: datetime | None = start

    def step(self, now: datetime) -> list[WireEvent]:
        """Return what happens at `now`, at most STEP_EVENTS_MAX events; `now` must not go back."""
        events = self._breaker(now)
        if now >= self._episode_due:
            events += self._begin_episode(now)
        if self._errors_left:
            events += self._api_error(now)
        elif self._breaker_until is None and now >= self._trade_due:
            events += self._live_trade(now)
        if now >= self._beat_due:
            self._beat_due = now + _seconds(HEARTBEAT_S)
            paused = self._breaker_until is not None
            events.append(_event("heartbeat", now, state="paused" if paused else "trading"))
        return events

    @property
    def exchange_up(self) -> bool:
        """Whether the exchange answers at this moment of the scenario."""
        return not self._errors_left

    def history(self, began: datetime, end: datetime) -> Iterator[list[WireEvent]]:
        """Yield each past trade with its equity tick, calm enough to alert nobody.

        Their ids are the same in every run, so that a restart cannot tell them twice.
        """
        self._born = began
        spacing_s = 86_400 / HISTORY_TRADES_PER_DAY
        for number in range(int((end - began).total_seconds() / spacing_s)):
            at = began + _seconds((number + self._random.random()) * spacing_s)
            self._turn_day(at.date())
            careful = self.equity < self._day_peak * Decimal(1 - HISTORY_CAREFUL_AT)
            net = self._net(HISTORY_MOVE, at) * (0.2 if careful else 1.0)
            held_s = self._random.uniform(1_200, 21_600)
            yield self._close(f"history-{number + 1}", net, at, held_s)
            self._day_peak = max(self._day_peak, self.equity)

    def _turn_day(self, day: date) -> None:
        if day != self._day:
            self._day, self._day_peak = day, self.equity

    def _begin_episode(self, now: datetime) -> list[WireEvent]:
        _, episode = self._script.pop(0)
        self._script = self._script or list(LATER)
        shift_s = 0.0 if self._script[0] in FIRST else self._random.uniform(-60, 60)
        self._episode_due = now + _seconds(self._script[0][0] + shift_s)
        if episode == "rejection":
            return self._rejection(now)
        if episode == "outage":
            self._errors_left, self._error_due = OUTAGE_ERRORS, now
        else:
            self._losses_left = STREAK_LOSSES
        return []

    def _rejection(self, now: datetime) -> list[WireEvent]:
        symbol = self._random.choice(list(PRICES))
        reason = f"{symbol} long: {POSITIONS_MAX} of {POSITIONS_MAX} positions are open"
        return [
            *self._set_positions(POSITIONS_MAX, now),
            _event("position_rejected", now, id=self._id("rejected"), reason=reason),
        ]

    def _api_error(self, now: datetime) -> list[WireEvent]:
        if now < self._error_due:
            return []
        self._errors_left -= 1
        self._error_due = now + _seconds(OUTAGE_S)
        message = "GET /api/v3/account: 502 Bad Gateway"
        return [_event("api_error", now, id=self._id("error"), message=message)]

    def _breaker(self, now: datetime) -> list[WireEvent]:
        if self._breaker_until is None or now < self._breaker_until:
            return []
        self._breaker_until = None
        self._trade_due = now
        return [_event("circuit_breaker", now, open=False, reason="")]

    def _open_breaker(self, now: datetime) -> WireEvent:
        self._breaker_until = now + _seconds(BREAKER_S)
        reason = f"{self._losses} losses in a row: no trades for {BREAKER_S:.0f} s"
        until = self._breaker_until.isoformat()
        return _event("circuit_breaker", now, open=True, reason=reason, until=until)

    def _live_trade(self, now: datetime) -> list[WireEvent]:
        in_streak = self._losses_left > 0
        net = -self._random.uniform(*STREAK_LOSS) if in_streak else self._net(LIVE_MOVE, now)
        events = self._close(self._id("trade"), net, now, self._random.uniform(30, 900))
        opened = self._random.choice((0, 1, 1, 2))
        events += self._set_positions(min(max(self._positions - 1 + opened, 1), 4), now)
        self._trade_due = now + _seconds(STREAK_S if in_streak else self._random.uniform(*TRADE_S))
        if in_streak:
            self._losses_left -= 1
            if not self._losses_left:
                events.append(self._open_breaker(now))
        return events

    def _set_positions(self, count: int, now: datetime) -> list[WireEvent]:
        if count == self._positions:
            return []
        self._positions = count
        return [_event("positions", now, open=count, limit=POSITIONS_MAX)]

    def _net(self, move: tuple[float, float], now: datetime) -> float:
        """Draw the net result of an ordinary trade, a fraction of the equity."""
        age_days = (now - self._born) / timedelta(days=1)
        target = float(STARTING_EQUITY) * (1 + GROWTH_PER_DAY * age_days)
        chance = 0.55 + 4 * (target / float(self.equity) - 1)
        won = self._random.random() < min(max(chance, 0.25), 0.85)
        size = self._random.uniform(*move)
        return size if won or self._losses >= ORDINARY_RUN_MAX else -size

    def _close(self, id_: str, net: float, at: datetime, held_s: float) -> list[WireEvent]:
        symbol = self._random.choice(list(PRICES))
        # The price strays from its first one by a few percent, and is drawn back.
        pull = 0.01 * (PRICES[symbol] / self._prices[symbol] - 1)
        self._prices[symbol] *= 1 + pull + self._random.gauss(0, 0.002)
        notional = (self.equity * Decimal(NOTIONAL)).quantize(CENT)
        pnl = (self.equity * Decimal(net)).quantize(CENT)
        self.equity += pnl
        self._losses = self._losses + 1 if pnl < 0 else 0
        trade = _event(
            "trade",
            at,
            id=id_,
            symbol=symbol,
            side=self._random.choice(("long", "short")),
            quantity=str((notional / Decimal(self._prices[symbol])).quantize(QUANTUM)),
            opened_at=(at - _seconds(held_s)).isoformat(),
            closed_at=at.isoformat(),
            pnl=str(pnl),
            fee=str((notional * FEE_RATE).quantize(CENT)),
            currency=CURRENCY,
        )
        return [trade, _event("equity", at, equity=str(self.equity))]

    def _id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self.start:%Y%m%dT%H%M%S%f}-{self._count}"


def _event(kind: str, at: datetime, **fields: object) -> WireEvent:
    return {"type": kind, "bot": BOT, "at": at.isoformat(), **fields}


def backfill(walk: Walk, days: int, now: datetime) -> Iterator[list[WireEvent]]:
    """Yield the walk's `days` before `now`, oldest first, at most BATCH_MAX events at a time."""
    batch: list[WireEvent] = []
    for events in walk.history(now - timedelta(days=days), now):
        if len(batch) + len(events) > BATCH_MAX:
            yield batch
            batch = []
        batch = batch + events
    if batch:
        yield batch
