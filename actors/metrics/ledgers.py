"""The ledgers of all bots and the portfolios of their currencies: pure, for whoever feeds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime

from msgspec.structs import replace

from actors.bounds import BOTS_MAX
from actors.codec import happened
from actors.messages import Equity, Flow, Metrics, MetricsUpdate, Trade
from actors.metrics.bulk import Loader
from actors.metrics.common import Common
from actors.metrics.ledger import POINTS_MIN, Ledger, LedgerOptions, Settled
from actors.metrics.money import micros
from actors.metrics.portfolio import Portfolio
from actors.metrics.queries import DayPnl, History, HistoryQuery, SheetsQuery, TooLarge
from actors.metrics.sheet import Sheet
from actors.metrics.wanted import Wanted

POINTS_MAX = 50_000  # of charts, of all bots (or portfolios) together
EVENTS_MAX = 2_000_000
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(2199, 12, 30, tzinfo=UTC)


class Ledgers:
    """The ledgers of all bots, built on demand."""

    def __init__(self, options: Callable[[str], LedgerOptions]) -> None:
        self.options = options
        self.of: dict[str, Ledger] = {}
        self.refused = ""
        self.settled = False
        self.horizon = 0
        self._portfolios: dict[str, Portfolio] = {}

    def apply(self, event: Trade | Equity | Flow) -> bool:
        """Apply an event to its bot's ledger; false where it changes nothing.

        `refused` then says why, unless it was a duplicate: an event in another currency than the
        bot's cannot be added up, and one bot name too many has no ledger. `settled` where it would
        change what is before the horizon; a rebuild must then leave it out.
        """
        self.refused, self.settled = "", False
        if self.horizon and micros(happened(event)) < self.horizon:
            return self._settled(event)
        ledger = self.ledger(event.bot, event.currency if isinstance(event, Trade) else None)
        if ledger is None:
            self.refused = f"more than {BOTS_MAX} bots: {event.bot!r} has no figures"
            return False
        return self._applied(ledger, event)

    def _settled(self, event: Trade | Equity | Flow) -> bool:
        """Refuse an event of before the horizon, or know it again: it gives no bot its currency."""
        ledger = self.of.get(event.bot) or Ledger(self.options(event.bot))
        ledger.horizon = self.horizon
        return self._applied(ledger, event)

    def _applied(self, ledger: Ledger, event: Trade | Equity | Flow) -> bool:
        try:
            return ledger.apply(event)
        except ValueError as error:
            self.refused, self.settled = f"{event.bot}: {error}", isinstance(error, Settled)
            return False

    def ledger(self, bot: str, currency: str | None = None) -> Ledger | None:
        """Return a bot's ledger, None for one bot name too many.

        A bot has the currency that its first trade to name one has, where no setting says it and
        nothing of the bot is settled.
        """
        ledger = self.of.get(bot)
        if ledger is None:
            if len(self.of) >= BOTS_MAX:
                return None
            ledger = self.of[bot] = Ledger(self.options(bot))
            ledger.name, ledger.horizon = bot, self.horizon
        if currency is not None and not ledger.currency_is_known and not self._has_begun(ledger):
            ledger.currency_is_known = True
            if currency != ledger.options.currency and not ledger.options.currency_is_set:
                ledger.options = replace(ledger.options, currency=currency)
        return ledger

    def _has_begun(self, ledger: Ledger) -> bool:
        """Whether something of the bot is before the horizon, and so its currency is settled."""
        return ledger.first is not None and ledger.first < self.horizon

    def settle(self, horizon: int) -> bool:
        """Refuse from now on what would change anything before an instant (microseconds).

        Whether that is more than before.
        """
        moved = horizon > self.horizon
        self.horizon = max(self.horizon, horizon)
        for ledger in self.of.values():
            ledger.horizon = self.horizon
        return moved

    def compacted(self) -> int:
        """How many entries are compacted."""
        return sum(ledger.timeline.base.entries for ledger in self.of.values())

    def compact(self, most: int) -> bool:
        """Compact about `most` entries of the bots of one currency; whether there was anything."""
        return any(
            self._whole(currency, names).compact(
                [self.of[bot] for bot in names], self.horizon, most
            )
            for currency, names in self._currencies().items()
        )

    def take_over(self, ledgers: dict[str, Ledger], commons: dict[str, Common]) -> None:
        """Go on from the ledgers of a snapshot, and what is compacted of currencies."""
        self.of.update(ledgers)
        for currency, bots in self._currencies().items():
            self._whole(currency, bots).common = commons.get(currency)
        self.settle(cut_of(ledgers.values(), commons.values()))

    def commons(self) -> dict[str, Common]:
        """What is compacted of currencies with several bots."""
        found = {currency: whole.common for currency, whole in self._portfolios.items()}
        return {currency: common for currency, common in found.items() if common is not None}

    def history(self, query: HistoryQuery) -> dict[str, History]:
        """Return a part of the charts; of many bots with fewer points each."""
        names = [query.bot] if query.bot else sorted(self.of)
        query = shared(query, len(names))
        return {bot: part(self.of[bot], query) for bot in names if bot in self.of}

    def sheets(self, query: SheetsQuery) -> dict[str, Sheet]:
        """Return copies of columns, those of one currency with one base. Raises TooLarge."""
        return dict(one for one in self.copying(query) if one is not None)

    def copying(self, query: SheetsQuery) -> Iterator[tuple[str, Sheet] | None]:
        """The same a column at a time, each with a None; nothing may change meanwhile."""
        chosen = {
            bot: ledger
            for bot, ledger in sorted(self.of.items())
            if query.bot in ("", bot) and query.currency in ("", ledger.options.currency)
        }
        bounded(chosen.values(), EVENTS_MAX, query.bot, query.currency)
        bases = {
            currency: self._whole(currency, bots).compacted([self.of[bot] for bot in bots])
            for currency, bots in self._currencies().items()
            if not query.bot
        }
        for bot, ledger in chosen.items():
            sheet = ledger.sheet(base=bases.get(ledger.options.currency))
            for name in query.columns:
                sheet.columns.update(ledger.sheet(name, base=sheet.base).columns)
                yield None
            yield bot, sheet

    def loader(self, wanted: Wanted | None = None) -> Loader:
        """Return what takes in a journal (or what is wanted of it) in bulk."""
        return Loader(self.ledger, self.apply, wanted)

    def update(self, now: datetime, bots: set[str] | None = None) -> MetricsUpdate:
        """Return the figures of these bots (or all), and the portfolios they belong to."""
        chosen = sorted(self.of) if bots is None else sorted(bots & self.of.keys())
        touched = {self.of[bot].options.currency for bot in chosen}
        return MetricsUpdate(
            now,
            {bot: self.of[bot].metrics(now) for bot in chosen},
            {
                currency: self._portfolio(currency, names, now)
                for currency, names in self._currencies().items()
                if currency in touched
            },
        )

    def _currencies(self) -> dict[str, list[str]]:
        """The bots of each currency, both in alphabetical order."""
        whole: dict[str, list[str]] = {}
        for bot in sorted(self.of):
            whole.setdefault(self.of[bot].options.currency, []).append(bot)
        return dict(sorted(whole.items()))

    def _portfolio(self, currency: str, bots: list[str], now: datetime) -> Metrics:
        return self._whole(currency, bots).metrics([self.of[bot] for bot in bots], now)

    def _whole(self, currency: str, bots: list[str]) -> Portfolio:
        whole = self._portfolios.get(currency)
        if whole is None:
            whole = self._portfolios[currency] = Portfolio(self.of[bots[0]].options)
        return whole


def cut_of(ledgers: Iterable[Ledger], commons: Iterable[Common]) -> int:
    """The instant before which something is compacted, 0: nothing is."""
    cuts = [ledger.timeline.base.cut for ledger in ledgers]
    return max([*cuts, *(common.base.cut for common in commons)], default=0)


def bounded(ledgers: Iterable[Ledger], most: int, bot: str = "", currency: str = "") -> None:
    """Raise TooLarge where the ledgers hold more entries than that together.

    `bot` or `currency` is what was asked for, if one was.
    """
    if sum(ledger.held for ledger in ledgers) <= most:
        return
    if bot or currency:
        field = "bot" if bot else "currency"
        raise TooLarge(f"{field}: more than {most:,} events, too many for one answer")
    raise TooLarge(f"bot: more than {most:,} events: ask for one")


def shared(query: HistoryQuery, charts: int) -> HistoryQuery:
    """The query with as many points as each of so many charts may have."""
    most = max(POINTS_MIN, POINTS_MAX // max(1, charts))
    return replace(query, points=min(query.points, most))


def part(ledger: Ledger, query: HistoryQuery) -> History:
    """Return a part of one account's chart."""
    first = min(max(query.first or EARLIEST, EARLIEST), LATEST)
    last = min(max(query.last or LATEST, EARLIEST), LATEST)
    days = ledger.daily_pnl(first, last)
    return History(
        ledger.history(first, last, query.points),
        [DayPnl(date.fromordinal(day), pnl) for day, pnl in days],
    )
