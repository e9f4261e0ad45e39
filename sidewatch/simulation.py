"""The demo's bot: it trades a random walk, and talks to Sidewatch over HTTP as any bot would.

`sidewatch.walk` tells its scenario. An outage of Sidewatch costs at most old equity ticks and
heartbeats, never a trade.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

import anyio
import httpx

from runtime.clock import Clock, SystemClock
from sidewatch.exchange import Exchange
from sidewatch.walk import BATCH_MAX, STEP_EVENTS_MAX, Walk, WireEvent, backfill

PATH = "/api/v1/events"
TOKEN_VARIABLE = "SIDEWATCH_INGEST_TOKEN"  # noqa: S105 - the name, not the token
PENDING_MAX = 2_000
TIMEOUT_S = 5.0
RETRY_S = (0.5, 1.0, 2.0, 4.0, 8.0)
DROPPABLE = frozenset({"equity", "heartbeat"})
LATER_STATUS = frozenset({408, 425, 429})
UNPROCESSABLE = 422


class Refused(Exception):
    """Sidewatch will never take what this bot sends: a wrong token or address, not an outage."""


class Pending:
    """What is not yet delivered, oldest first. Full, it forgets the oldest equity or heartbeat.

    Nothing else is ever forgotten: without `room` for a step's events the bot stops trading.
    """

    def __init__(self, events_max: int = PENDING_MAX) -> None:
        self._max = events_max
        self._events: list[WireEvent] = []

    def __len__(self) -> int:
        return len(self._events)

    @property
    def room(self) -> bool:
        """Whether any step's events can be kept."""
        kept = sum(event["type"] not in DROPPABLE for event in self._events)
        return kept + STEP_EVENTS_MAX <= self._max

    def add(self, events: Iterable[WireEvent]) -> None:
        """Add a step's events; call only with `room`."""
        self._events += events
        excess = len(self._events) - self._max
        if excess > 0:
            spare = [i for i, e in enumerate(self._events) if e["type"] in DROPPABLE][:excess]
            gone = set(spare)
            self._events = [e for i, e in enumerate(self._events) if i not in gone]

    def first(self) -> list[WireEvent]:
        """Return the next batch, which stays until `delivered`."""
        return self._events[:BATCH_MAX]

    def delivered(self, count: int) -> None:
        """Forget the `count` oldest."""
        del self._events[:count]


class Courier:
    """Delivers batches, and waits RETRY_S after failures in a row."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._failures = 0
        self._not_before_s = 0.0

    async def history(self, batches: Iterator[list[WireEvent]]) -> None:
        """Deliver all batches, unless Sidewatch knows them from an earlier run. Raises Refused."""
        known = False
        for number, batch in enumerate(batches):
            if known:
                continue  # drawn all the same: live trading goes on from where history ends
            attempts = 1
            while (duplicates := await self._post(batch)) is None:
                attempts += 1
                await anyio.sleep_until(self._not_before_s)
            # After a lost answer our own first attempt would look like an earlier run.
            known = number == 0 and attempts == 1 and duplicates > 0

    async def flush(self, pending: Pending) -> None:
        """Deliver what can be delivered now. Raises Refused."""
        while pending and anyio.current_time() >= self._not_before_s:
            batch = pending.first()
            if await self._post(batch) is not None:
                pending.delivered(len(batch))

    async def _post(self, batch: list[WireEvent]) -> int | None:
        """Return how many were duplicates; None when it is to be tried again later."""
        try:
            response = await self._client.post(PATH, json=batch)
        except httpx.UnsupportedProtocol as error:
            raise Refused(str(error)) from error
        except httpx.TransportError:
            self._failed()
            return None
        if response.status_code in LATER_STATUS or response.is_server_error:
            self._failed()
            return None
        if not response.is_success and response.status_code != UNPROCESSABLE:
            raise Refused(f"{response.url} answered {response.status_code}")
        self._failures = 0
        return _duplicates(response)

    def _failed(self) -> None:
        wait_s = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1
        self._not_before_s = anyio.current_time() + wait_s


def _duplicates(response: httpx.Response) -> int:
    try:
        result = response.json()
        rejected, duplicates = result["rejected"], int(result["duplicates"])
    except (ValueError, TypeError, KeyError) as error:
        raise Refused(f"{response.url} does not answer as Sidewatch does") from error
    if rejected:
        raise Refused(f"{response.url} rejected an event: {rejected[0]}")
    return duplicates


async def simulate(
    url: str,
    token: str,
    *,
    seed: int,
    period_s: float = 1.0,
    days: int = 30,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Clock | None = None,
    exchange: Exchange | None = None,
) -> None:
    """Send history, then a step each period, for ever; outages are outlived. Raises Refused.

    `exchange` goes down and comes back as the scenario has it.
    """
    clock = clock or SystemClock()
    start = clock.now()
    walk, pending = Walk(seed, start), Pending()
    async with httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT_S,
        transport=transport,
        trust_env=False,  # a proxy has no business between two processes of one machine
    ) as client:
        courier = Courier(client)
        await courier.history(backfill(walk, days, start))
        due_s = anyio.current_time()
        while True:
            if pending.room:
                pending.add(walk.step(clock.now()))
            if exchange is not None:
                exchange.up = walk.exchange_up
            await courier.flush(pending)
            due_s = max(due_s + period_s, anyio.current_time())
            await anyio.sleep_until(due_s)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bot until a signal; returns the exit code. The token comes by the environment."""
    parser = argparse.ArgumentParser(prog="sidewatch.simulation", description="The demo's bot.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=int, choices=range(366), default=30, metavar="0..365")
    parser.add_argument("--period", type=float, default=1.0, help="seconds between steps")
    parser.add_argument("--exchange-fd", type=int, help="a listening socket to be the exchange on")
    given = parser.parse_args(argv)
    token = os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        parser.error(f"{TOKEN_VARIABLE} is not set")
    if not 0.01 <= given.period <= 60:  # noqa: PLR2004
        parser.error("--period: must be 0.01 to 60 s")

    return _run(given, token)


def _run(given: argparse.Namespace, token: str) -> int:
    with ExitStack() as stack:
        exchange = None
        if given.exchange_fd is not None:
            exchange = stack.enter_context(Exchange(socket.socket(fileno=given.exchange_fd)))

        async def run() -> None:
            await simulate(
                given.url,
                token,
                seed=given.seed,
                period_s=given.period,
                days=given.days,
                exchange=exchange,
            )

        try:
            anyio.run(run)
        except KeyboardInterrupt:
            return 0
        except (Refused, httpx.InvalidURL) as error:
            sys.stderr.write(f"sidewatch.simulation: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
