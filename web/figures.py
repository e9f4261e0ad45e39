"""The figures' routes: live or as of an instant, by other definitions, in detail, explained."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from quart import Blueprint, Response, request

from actors import codec
from actors.messages import Family, Metrics
from actors.metrics.definitions import Definition, explained
from actors.metrics.details import Details
from actors.metrics.families import FAMILIES, chosen
from actors.metrics.ledger import POINTS_MIN
from actors.metrics.options import LedgerOptions
from actors.metrics.queries import History, HistoryQuery, MetricsQuery, TooLarge
from actors.metrics.study import StudiesBusy
from web.api import ASK_S, given, span
from web.app import Door, answer, scoped
from web.guard import Refusal
from web.services import Services

POINTS_MAX = 5_000

Families = tuple[dict[str, dict[str, Family]], dict[str, dict[str, Family]]]


class MetricsAnswer(Struct, frozen=True, omit_defaults=True):
    """Answer of GET /api/v1/metrics/realtime, with families where some were asked for.

    They are of each bot and of each currency's portfolio: name -> definition -> Family.
    """

    at: datetime
    bots: dict[str, Metrics]
    portfolio: dict[str, Metrics]
    families: dict[str, dict[str, Family]] = {}
    portfolio_families: dict[str, dict[str, Family]] = {}


class DetailsAnswer(Struct, frozen=True):
    """Answer of GET /api/v1/metrics/details."""

    at: datetime
    bots: dict[str, Details]
    portfolio: dict[str, Details]


class HistoryAnswer(Struct, frozen=True, omit_defaults=True):
    """Answer of GET /api/v1/metrics/history.

    `portfolio_left_out` says why portfolios that nobody asked for by name are missing.
    """

    at: datetime
    bots: dict[str, History]
    portfolio: dict[str, History]
    portfolio_left_out: str = ""


class DefinitionsAnswer(Struct, frozen=True):
    """Answer of GET /api/v1/metrics/definitions: what figures mean, and the options in force.

    What happened before `settled_before` (None: no retention) is compacted and cannot be corrected.
    """

    figures: dict[str, Definition]
    families: dict[str, str]
    options: dict[str, LedgerOptions]
    settled_before: datetime | None = None


def figures(door: Door, services: Services) -> Blueprint:
    """Routes that answer with figures."""
    routes = Blueprint("figures", __name__)

    @routes.get("/api/v1/metrics/realtime")
    @scoped(door, "read")
    async def get_metrics() -> Response:
        bot, definitions = request.args.get("bot", ""), _definitions()
        return answer(await _figures(services, bot, _at(services), definitions))

    @routes.get("/api/v1/metrics/details")
    @scoped(door, "read")
    async def get_details() -> Response:
        bot, at = request.args.get("bot", ""), _at(services)
        now = services.clock.now()
        try:
            bots, portfolio = await services.studies.details(bot, at, now)
        except (TooLarge, StudiesBusy) as error:
            raise _refusal(error) from error
        _known(bot, bots)
        return answer(DetailsAnswer(at or now, bots, portfolio))

    @routes.get("/api/v1/metrics/history")
    @scoped(door, "read")
    async def get_history() -> Response:
        return answer(await _history(services))

    @routes.get("/api/v1/metrics/definitions")
    @scoped(door, "read")
    async def get_definitions() -> Response:
        update = await services.metrics.ask(MetricsQuery(""), timeout_s=ASK_S)
        options = {bot: services.studies.options(bot) for bot in update.bots}
        sources = {name: module.SOURCE for name, module in FAMILIES.items()}
        since = services.ingest.horizon.since
        figures = explained(services.studies.options(""))  # alike for every bot
        return answer(DefinitionsAnswer(figures, sources, options, since))

    return routes


def _at(services: Services) -> datetime | None:
    """The instant asked for. Raises Refusal 422.

    No event is further ahead; days without any would be reckoned one by one, millions to the last.
    """
    at = given("at")
    if at is not None and at > services.clock.now() + codec.AHEAD_MAX:
        raise Refusal(422, f"at: {at.isoformat()} is more than a day ahead of this clock")
    return at


async def _figures(
    services: Services, bot: str, at: datetime | None, definitions: tuple[str, ...]
) -> MetricsAnswer:
    found: Families = ({}, {})
    try:
        if at is not None:
            update, found = await services.studies.figures(bot, at, definitions)
        else:
            update = await services.metrics.ask(MetricsQuery(bot), timeout_s=ASK_S)
        _known(bot, update.bots)
        if at is None and definitions:
            found = await services.studies.families(definitions, bot, None, update.at)
    except (TooLarge, StudiesBusy) as error:
        raise _refusal(error) from error
    return MetricsAnswer(update.at, update.bots, update.portfolio, *found)


async def _history(services: Services) -> HistoryAnswer:
    bot, currency = request.args.get("bot", ""), request.args.get("currency", "")
    if bot and currency:
        raise Refusal(422, "currency: a bot or a currency, not both")
    query = HistoryQuery(bot, *span(), _points())
    bots: dict[str, History] = {}
    portfolio: dict[str, History] = {}
    left_out = ""
    if not currency:
        bots = await services.metrics.ask(query, timeout_s=ASK_S)
        _known(bot, bots)
    if not bot:
        try:
            portfolio = await services.studies.curves(currency, query)
        except TooLarge as error:
            if currency:
                raise _refusal(error) from error
            left_out = str(error).replace("bot:", "currency:")
        except StudiesBusy as error:
            raise _refusal(error) from error
        if currency and currency not in portfolio:
            raise Refusal(404, f"currency: no bot trades in {currency[:64]!r}")
    return HistoryAnswer(services.clock.now(), bots, portfolio, left_out)


def _known(bot: str, bots: Mapping[str, object]) -> None:
    if bot and bot not in bots:
        raise Refusal(404, f"bot: nothing known of {bot[:64]!r}")


def _refusal(error: TooLarge | StudiesBusy) -> Refusal:
    if isinstance(error, StudiesBusy):
        return Refusal(503, str(error), 1.0)
    return Refusal(422, str(error))


def _points() -> int:
    text = request.args.get("points", "500")
    digits = text.isascii() and text.isdecimal() and len(text) <= 6  # noqa: PLR2004
    if not (digits and POINTS_MIN <= int(text) <= POINTS_MAX):
        raise Refusal(422, f"points: {POINTS_MIN} to {POINTS_MAX}, not {text[:40]!r}")
    return int(text)


def _definitions() -> tuple[str, ...]:
    text = request.args.get("definition")
    if text is None:
        return ()
    try:
        return chosen(text)
    except ValueError as error:
        raise Refusal(422, str(error)) from error
