"""A second opinion on every default figure, in decimal arithmetic: slow, obvious, O(n).

Written apart from the product and sharing nothing with it: money is exact (a rounding raises),
ratios carry 60 digits. Give it events in any order, with duplicates and corrections.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, localcontext
from zoneinfo import ZoneInfo

from actors.messages import Equity, Flow, Trade

DIGITS = 60
EXACT = Context(prec=200, traps=[Inexact])
SHOWN = Context(prec=28, rounding=ROUND_HALF_EVEN)
ZERO, ONE = Decimal(0), Decimal(1)
TOLERANCE = Decimal("1e-12")
KINDS = {Flow: 0, Trade: 1, Equity: 2}


def accepted(events):
    """The events that count: first of each id and revision, highest revision, in order."""
    trades, flows, marks = {}, {}, {}
    for event in events:
        if isinstance(event, Trade):
            known = trades.get(str(event.id))
            if known is None or event.revision > known.revision:
                trades[str(event.id)] = event
        elif isinstance(event, Flow):
            flows.setdefault(str(event.id), event)
        else:
            marks.setdefault((event.at, event.equity), event)
    return sorted([*trades.values(), *flows.values(), *marks.values()], key=place)


def place(event):
    when, kind = instant(event), KINDS[type(event)]
    if isinstance(event, Equity):
        return when, kind, False, event.equity
    identity = event.id
    is_number = isinstance(identity, int) or (
        identity.isdecimal() and str(int(identity)) == identity
    )
    return when, kind, not is_number, int(identity) if is_number else identity


def instant(event):
    return (event.closed_at or event.at) if isinstance(event, Trade) else event.at


@dataclass
class Books:
    """What one pass over the events leaves behind."""

    equity: Decimal | None
    peak: Decimal | None
    worst: Decimal | None = None
    worst_abs: Decimal = ZERO
    pnls: list = field(default_factory=list)
    fees: Decimal = ZERO
    day: object = None
    day_pnl: Decimal = ZERO
    day_peak: Decimal | None = None
    week_pnl: Decimal = ZERO
    week_peak: Decimal | None = None
    base: Decimal | None = None
    growth: Decimal | None = ONE
    capital: Decimal | None = None
    parts: list = field(default_factory=list)
    first_day: object = None
    first_return: object = None
    returns: list = field(default_factory=list)
    on_capital: list = field(default_factory=list)
    streak: int = 0
    longest: Counter = field(default_factory=Counter)
    window: deque = field(default_factory=deque)


def figures(
    events,
    start,
    now,
    *,
    zone="UTC",
    periods=365,
    base="compounding",
    calendar="all",
    trades=100,
    days=90,
):
    """Every figure by name; rolling ones as `rolling.<name>`; None where undefined."""
    tz = ZoneInfo(zone)
    with localcontext(EXACT):
        books = Books(start, start, day_peak=start, week_peak=start, base=start, capital=start)
        if start is not None and start > 0:
            books.worst = ZERO
        for event in accepted(events):
            turn_day(books, day_of(instant(event), tz, calendar), calendar)
            take(books, event, trades)
        today = day_of(now, tz, calendar)
        today = max(today, books.day or today)
        found = {**money(books, today, calendar)}
    with localcontext(Context(prec=DIGITS)):
        rest = len(dates(books.day, today, calendar)) - 1 if books.day else 0
        returns = all_returns(books, rest, books.returns, day_return)
        counted = dates(books.first_return, today, calendar) if books.first_return else []
        measured = returns
        if base == "fixed":
            measured = all_returns(books, rest, books.on_capital, return_on_capital)
        found |= standing(books, today)
        deepest = worst(books)
        found |= ratios("", books.pnls, (returns, measured, counted), deepest, periods)
        found["cagr"] = cagr(returns, counted)
        window = [pnl for kind, pnl, *_ in books.window if kind is Trade]
        first = next((d for kind, _, d, *_ in books.window if kind is Trade), None)
        if returns is not None:
            span = len(dates(first, today, calendar)) if first else 0
            span = min(span, days, len(returns))
            counted = counted[len(counted) - span :]
            returns = returns[len(returns) - span :]
            measured = measured[len(measured) - span :]
        deepest = rolling_worst(books.window) if window else None
        found |= ratios("rolling.", window, (returns, measured, counted), deepest, periods)
    return found


# ---------------------------------------------------------------- one event after the other


def day_of(when, tz, calendar):
    """The date that an instant counts with."""
    day = when.astimezone(tz).date()
    while calendar == "weekdays" and day.isoweekday() > 5:
        day += timedelta(days=1)
    return day


def dates(first, last, calendar):
    """The dates from one to another that are days of their own."""
    every = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [day for day in every if calendar == "all" or day.isoweekday() <= 5]


def turn_day(books, day, calendar):
    if day == books.day:
        return
    if books.first_return is not None:
        idle = [ZERO] * (len(dates(books.day, day, calendar)) - 2)
        books.returns += [day_return(books), *idle]
        books.on_capital += [return_on_capital(books), *idle]
    if books.day is None or day.isocalendar()[:2] != books.day.isocalendar()[:2]:
        books.week_pnl, books.week_peak = ZERO, books.equity
    books.day, books.day_pnl = day, ZERO
    books.day_peak = books.base = books.equity
    books.growth = ONE
    books.parts = []


def take(books, event, size):
    before = books.equity
    if isinstance(event, Trade):
        begin_returns(books)
        if before is not None:
            books.equity = before + event.pnl
        books.pnls.append(event.pnl)
        books.fees += event.fee
        books.day_pnl += event.pnl
        books.week_pnl += event.pnl
        count_streak(books, event.pnl)
        remember(books, (Trade, event.pnl, books.day, before, books.equity), size)
    elif isinstance(event, Flow):
        if before is None:
            return
        books.growth = times(books.growth, since_base(books))
        books.parts.append((before - books.base, books.capital))
        books.capital += event.amount
        books.base = books.equity = before + event.amount
        books.peak += event.amount
        books.day_peak += event.amount
        books.week_peak += event.amount
        remember(books, (Flow, event.amount, books.day, before, books.equity), size)
    else:
        if before is None:
            books.peak = books.day_peak = books.week_peak = books.base = event.equity
            books.capital = event.equity
        books.equity = event.equity
        begin_returns(books)
        remember(books, (Equity, event.equity, books.day, before, books.equity), size)
    observe(books)


def begin_returns(books):
    if books.first_day is None:
        books.first_day = books.day
    if books.first_return is None and books.equity is not None:
        books.first_return = books.day


def remember(books, row, size):
    """Keep the last `size` trades and what happened since the oldest of them."""
    window = books.window
    if not window and row[0] is not Trade:
        return
    window.append(row)
    if row[0] is Trade:
        books.longest["window"] += 1
    if books.longest["window"] > size:
        window.popleft()
        while window[0][0] is not Trade:
            window.popleft()
        books.longest["window"] -= 1


def count_streak(books, pnl):
    if not pnl:
        return
    sign = 1 if pnl > 0 else -1
    books.streak = books.streak + sign if books.streak * sign > 0 else sign
    books.longest[sign] = max(books.longest[sign], abs(books.streak))


def observe(books):
    if books.equity is None:
        return
    books.peak = max(books.peak, books.equity)
    books.day_peak = max(books.day_peak, books.equity)
    books.week_peak = max(books.week_peak, books.equity)
    books.worst_abs = max(books.worst_abs, books.peak - books.equity)
    if books.peak > 0:
        with localcontext(Context(prec=DIGITS)):
            books.worst = max(books.worst or ZERO, (books.peak - books.equity) / books.peak)


def since_base(books):
    """Growth since the day's open or its last flow; None: equity was not positive."""
    if books.equity == books.base or books.equity is None:
        return ONE
    if books.base is None or books.base <= 0 or books.equity <= 0:
        return None
    with localcontext(Context(prec=DIGITS)):
        return books.equity / books.base


def times(one, other):
    with localcontext(Context(prec=DIGITS)):
        return None if one is None or other is None else one * other


def day_return(books):
    whole = times(books.growth, since_base(books))
    with localcontext(Context(prec=DIGITS)):
        return None if whole is None else whole - 1


def return_on_capital(books):
    """The sum of each part's P&L over the capital of then; None: that was not positive."""
    if books.equity is None or books.base is None:
        return ZERO
    parts = [*books.parts, (books.equity - books.base, books.capital)]
    if any(gain and capital <= 0 for gain, capital in parts):
        return None
    with localcontext(Context(prec=DIGITS)):
        return sum((gain / capital for gain, capital in parts if gain), ZERO)


# ---------------------------------------------------------------- what it comes to


def money(books, today, calendar):
    same_day = books.day == today
    same_week = books.day is not None and (today.isocalendar()[:2] == books.day.isocalendar()[:2])
    wins = [pnl for pnl in books.pnls if pnl > 0]
    losses = [pnl for pnl in books.pnls if pnl < 0]
    first = books.first_return or books.first_day
    return {
        "trades": len(books.pnls),
        "wins": len(wins),
        "losses": len(losses),
        "draws": len(books.pnls) - len(wins) - len(losses),
        "pnl_total": sum(books.pnls, ZERO),
        "pnl_today": books.day_pnl if same_day else ZERO,
        "pnl_week": books.week_pnl if same_week else ZERO,
        "fees_total": books.fees,
        "equity": books.equity,
        "peak_equity": books.peak,
        "max_drawdown_abs": None if books.equity is None else books.worst_abs,
        "streak": books.streak,
        "longest_win_streak": books.longest[1],
        "longest_loss_streak": books.longest[-1],
        "days": 0 if first is None else len(dates(first, today, calendar)),
        "avg_win": mean_shown(wins),
        "avg_loss": mean_shown(losses),
    }


def mean_shown(values):
    return SHOWN.divide(sum(values, ZERO), Decimal(len(values))) if values else None


def standing(books, today):
    same_day = books.day == today
    same_week = books.day is not None and (today.isocalendar()[:2] == books.day.isocalendar()[:2])
    equity = books.equity
    return {
        "drawdown": fall(equity, books.peak),
        "drawdown_today": fall(equity, books.day_peak if same_day else equity),
        "drawdown_week": fall(equity, books.week_peak if same_week else equity),
    }


def fall(equity, peak):
    return None if equity is None or peak <= 0 else (peak - equity) / peak


def worst(books):
    return books.worst if books.equity is not None else None


def all_returns(books, idle, closed, running):
    if books.equity is None:
        return None
    if books.first_return is None:
        return []
    return [*closed, running(books), *([ZERO] * idle)]


def rolling_worst(window):
    peak, deepest = None, ZERO
    for kind, amount, _, before, after in window:
        if after is None:
            continue
        if peak is None:
            peak = after if before is None else before
        if kind is Flow:
            peak += amount
        if peak > 0 and after < peak:
            deepest = max(deepest, (peak - after) / peak)
        peak = max(peak, after)
    return None if peak is None else deepest


def ratios(prefix, pnls, days, deepest, periods):
    returns, measured, counted = days  # the second by the base that was asked for
    won = sum((pnl for pnl in pnls if pnl > 0), ZERO)
    lost = -sum((pnl for pnl in pnls if pnl < 0), ZERO)
    sharpe, stderr = sharpe_and_error(measured, periods)
    growth = cagr(returns, counted)
    found = {
        "trades": len(pnls),
        "win_rate": Decimal(sum(pnl > 0 for pnl in pnls)) / len(pnls) if pnls else None,
        "sharpe": sharpe,
        "sharpe_stderr": stderr,
        "sortino": sortino(measured, periods),
        "calmar": growth / deepest if growth is not None and deepest else None,
        "profit_factor": won / lost if lost else None,
        "expectancy": exact_mean(pnls),
        "sqn": sqn(pnls),
        "max_drawdown": deepest,
    }
    return {prefix + name: value for name, value in found.items()}


def exact_mean(values):
    with localcontext(EXACT):
        return mean_shown(values)


def usable(returns, days):
    return returns is not None and len(returns) >= days and None not in returns


def mean(values):
    return sum(values, ZERO) / len(values)


def sharpe_and_error(returns, periods):
    if not usable(returns, 2):
        return None, None
    centre = mean(returns)
    off = [value - centre for value in returns]
    squares = sum((value * value for value in off), ZERO)
    deviation = (squares / (len(returns) - 1)).sqrt()
    if deviation <= Decimal("1e-12") * max(abs(value) for value in returns):
        return None, None
    ratio = centre / deviation
    spread = (squares / len(returns)).sqrt()
    skew = mean([value**3 for value in off]) / spread**3
    kurtosis = mean([value**4 for value in off]) / spread**4
    error = (1 + ratio**2 / 2 - skew * ratio + (kurtosis - 3) * ratio**2 / 4) / len(returns)
    return ratio * Decimal(periods).sqrt(), (max(error, ZERO) * periods).sqrt()


def sortino(returns, periods):
    if not usable(returns, 2):
        return None
    down = mean([min(value, ZERO) ** 2 for value in returns])
    return mean(returns) / down.sqrt() * Decimal(periods).sqrt() if down else None


def cagr(returns, counted):
    elapsed = (counted[-1] - counted[0]).days + 1 if counted else 0
    if not usable(returns, 1) or elapsed < 30:
        return None
    growth = ONE
    for value in returns:
        growth *= 1 + value
    return (growth.ln() * 365 / elapsed).exp() - 1


def sqn(pnls):
    n = len(pnls)
    if n < 2:
        return None
    with localcontext(EXACT):
        total, squares = sum(pnls, ZERO), sum((pnl * pnl for pnl in pnls), ZERO)
        spread = n * squares - total * total
    return (total * total * (n - 1) / spread).sqrt().copy_sign(total) if spread else None


# ---------------------------------------------------------------- comparing


def differences(ours, events, start, now, **options):
    """Figures of a Metrics that disagree: money and counts at all, ratios beyond 1e-12."""
    expected = figures(events, start, now, **options)
    wrong = {}
    for name, want in expected.items():
        holder = ours.rolling if name.startswith("rolling.") else ours
        have = getattr(holder, name.removeprefix("rolling."))
        if not agree(have, want):
            wrong[name] = (have, want)
    return wrong


def agree(have, want):
    if have is None or want is None:
        return have is want
    if isinstance(have, float):
        with localcontext(Context(prec=DIGITS)):
            return abs(Decimal(have) - want) <= TOLERANCE * max(ONE, abs(want))
    return have == want
