"""Restating: an account as if its entries had come in order, when some did not.

What triggers need (`position`) comes from the tree of summaries: O(log n). The rest (`history`)
waits until all figures are asked for: the largest drawdown looks into the few blocks that can
hold it, returns follow the days, and the window its last trades.
"""

from __future__ import annotations

import math

import numpy as np

from actors.metrics.account import Account, open_account
from actors.metrics.block import Block
from actors.metrics.capital import Capital
from actors.metrics.days import Calendar
from actors.metrics.summary import (
    FLOW,
    MARK,
    TRADE,
    Path,
    Standing,
    Streaks,
    follow,
    join,
    opened,
    standing,
    trace,
)
from actors.metrics.timeline import Timeline

SLACK = 1 + 1e-9  # a bound in floats may be this much too small


def position(account: Account, timeline: Timeline, start: Standing | None) -> None:
    """Set equity, peaks, the running day's and week's figures, and the streak."""
    calendar, last = account.calendar, timeline.last
    account.day, account.day_end = calendar.day_of(last), calendar.end_of_day(last)
    monday = calendar.monday(account.day)
    morning = timeline.since(calendar.start_of(account.day))
    week_began = timeline.since(calendar.start_of(monday))
    before = timeline.until(week_began)
    week = timeline.summary(week_began, morning)
    today = timeline.summary(morning, timeline.end())
    whole = standing(timeline.total(), start)
    at_week = _equity(standing(before, start))
    at_day = _equity(standing(week, opened(at_week)))
    account.equity = _equity(whole)
    account.peak = None if whole is None else whole.peak
    account.day_peak = _peak(standing(today, opened(at_day)))
    account.week_peak = _peak(standing(join(week, today), opened(at_week)))
    account.day_pnl = today.pnl
    account.week_pnl = week.pnl + today.pnl
    account.streak = _streak(timeline)


def shift(account: Account, timeline: Timeline, by: int, start: Standing | None) -> None:
    """Move the levels by the change of an entry before this week; no equity was ever reported."""
    whole = standing(timeline.total(), start)
    assert whole is not None
    assert account.day_peak is not None
    assert account.week_peak is not None
    account.equity, account.peak = whole.equity, whole.peak
    account.day_peak += by
    account.week_peak += by
    account.streak = _streak(timeline)


def history(account: Account, timeline: Timeline, start: Standing | None, since: int = 0) -> None:
    """Set all that `position` leaves: returns, largest drawdowns, longest streaks, the window.

    Nothing changed before the instant `since`, so the days before its day stay as they are.
    """
    _drawdowns(account, timeline, start)
    runs = timeline.base.streaks
    for block in timeline.blocks:
        runs = follow(runs, block.streaks())
    account.longest_win_streak, account.longest_loss_streak = runs.wins, runs.losses
    _returns(account, timeline, start, since)
    _window(account, timeline, start)


def _equity(after: Standing | None) -> int | None:
    return None if after is None else after.equity


def _peak(after: Standing | None) -> int | None:
    return None if after is None else after.peak


def _streak(timeline: Timeline) -> int:
    runs = Streaks()
    for block in timeline.backwards():
        runs = follow(block.streaks(), runs)
        if runs.trades > abs(runs.last):
            return runs.last
    return follow(timeline.base.streaks, runs).last


def _drawdowns(account: Account, timeline: Timeline, start: Standing | None) -> None:
    """Set the largest drawdowns; the exact fraction of a block only where its bound is larger."""
    now, bounds = standing(timeline.base.summary, start), []
    for number, block in enumerate(timeline.blocks):
        bounds.append((_bound(block, now), number, now))
        now = standing(block.summary(), now)
    whole = standing(timeline.total(), start)
    account.max_drawdown_abs = 0 if whole is None else whole.deepest
    deepest = timeline.base.deepest()
    if deepest is None and start is not None and start.peak > 0:
        deepest = 0.0
    for bound, number, opening in sorted(bounds, key=lambda each: each[0], reverse=True):
        if deepest is not None and bound * SLACK <= deepest:
            break
        found = _deepest(timeline.blocks[number], opening)
        if found is not None:
            deepest = found if deepest is None else max(deepest, found)
    account.max_drawdown = deepest


def _bound(block: Block, opening: Standing | None) -> float:
    """No drawdown within the block is a larger fraction; infinity where that is not known."""
    if opening is None or opening.peak <= 0 or block.kind.find(FLOW) >= 0:
        return math.inf
    after = standing(block.summary(), opening._replace(deepest=0))
    assert after is not None
    return after.deepest / opening.peak


def _deepest(block: Block, opening: Standing | None) -> float | None:
    path = trace(block.kinds(), block.amounts(), opening)
    if not len(path.peak) or not (path.peak > 0).any():
        return None
    return float(path.falls().max())


def days(
    timeline: Timeline, calendar: Calendar, start: Standing | None, *, fixed: bool = False
) -> Account:
    """An account of which only what daily returns need is true."""
    walk = open_account(calendar, _equity(start), 1, fixed=fixed)
    for piece in timeline.base.pieces:
        walk.condensed(piece)
    for block in timeline.blocks:
        for piece in block.pieces(calendar):
            walk.condensed(piece)
    return walk


def _returns(account: Account, timeline: Timeline, start: Standing | None, since: int) -> None:
    walk = _resumed(account, timeline, start, since)
    if walk is None:
        fixed = account.capital is not None
        walk = days(timeline, account.calendar, start, fixed=fixed)
    account.returns, account.logs = walk.returns, walk.logs
    account.first_day, account.returns_from = walk.first_day, walk.returns_from
    account.cut_equity = walk.cut_equity
    account.cut_return, account.cut_log = walk.cut_return, walk.cut_log
    account.capital = walk.capital
    account.closed.clear()


def _resumed(
    account: Account, timeline: Timeline, start: Standing | None, since: int
) -> Account | None:
    """As `days`, from the day of the last entry before the day of `since` on.

    None where there is none, or no return yet.
    """
    calendar = account.calendar
    if account.returns_from is None:
        return None
    morning = timeline.since(calendar.start_of(calendar.day_of(since)))
    if morning == (0, 0):
        return None
    day = calendar.day_of(timeline.when(timeline.before(morning)))
    begins = calendar.start_of(day)
    place = timeline.since(begins)
    opening = standing(timeline.until(place), start)
    if opening is None or day < account.returns_from or begins < timeline.base.cut:
        return None
    walk = open_account(calendar, opening.equity, 1)
    if account.capital is not None:
        if start is None:  # only the first reported equity tells what was put in
            return None
        walk.capital = Capital(start.equity + timeline.until(place).flows)
    walk.resume(begins, account, day - account.returns_from)
    for block in timeline.blocks[place[0] :]:
        for piece in block.pieces(calendar):
            if piece.when >= begins:
                walk.condensed(piece)
    return walk


def _window(account: Account, timeline: Timeline, start: Standing | None) -> None:
    window = account.window
    window.clear()
    number, inside = timeline.oldest(window.size)
    blocks = timeline.blocks[number:]
    if not blocks:
        return
    opening = standing(timeline.until((number, inside)), start)
    kinds = np.concatenate([block.kinds() for block in blocks])[inside:]
    amounts = np.concatenate([block.amounts() for block in blocks])[inside:]
    when = timeline.column("when", number)[inside:]
    path = trace(kinds, amounts, opening)
    steps = np.flatnonzero(kinds != MARK)
    if opening is None and path.first < len(kinds):
        steps = np.union1d(steps, [path.first])  # the first equity that became known
    feed = _Feed(account, path, opening)
    feed.marks(0, int(steps[0]) if len(steps) else len(kinds))
    ends = [*steps[1:].tolist(), len(kinds)] if len(steps) else []
    rows = zip(
        steps.tolist(),
        ends,
        kinds[steps].tolist(),
        amounts[steps].tolist(),
        when[steps].tolist(),
        strict=True,
    )
    for step, end, kind, amount, instant in rows:
        feed.step(step, kind, amount, account.calendar.day_of(instant))
        feed.marks(step + (kind != MARK), end)


class _Feed:
    """Takes the window through the entries since its oldest trade."""

    def __init__(self, account: Account, path: Path, opening: Standing | None) -> None:
        self._window = account.window
        self._path = path
        self._opening = opening

    def step(self, place: int, kind: int, amount: int, day: int) -> None:
        """Take in a trade, a flow or the first equity that became known."""
        after = self._equity(place)
        if kind == TRADE:
            self._window.trade(day, amount, self._equity(place - 1), after)
        elif after is not None:
            self._window.flow(day, amount if kind == FLOW else 0, after)

    def marks(self, first: int, last: int) -> None:
        """Take in reported equities."""
        first = max(first, self._path.first)
        for equity in self._path.equity[
            first - self._path.first : last - self._path.first
        ].tolist():
            self._window.mark(equity)

    def _equity(self, place: int) -> int | None:
        if place < 0:
            return None if self._opening is None else self._opening.equity
        if place < self._path.first:
            return None
        return int(self._path.equity[place - self._path.first])
