"""Test alerts: through the real sender of each channel, all at once, with the provider's answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import anyio

from actors.messages import Notice, SendTest, TestResult
from runtime.ref import AskFailed, AskTimeout, MailboxFull, NoSuchActor, Ref
from web.guard import Refusal
from web.services import Services

TEST_S = 25.0  # a sender may have a hanging attempt of 10 s in hand, and then ours
MESSAGE_CHARS_MAX = 1_000


Senders = Mapping[str, Ref[SendTest]]


def choose(senders: Senders, channel: str, message: str) -> Senders:
    """Return one channel's sender, or those of "all"; raises Refusal 422 naming what is wrong."""
    if not senders:
        raise Refusal(422, "channel: none is switched on (see docs/configuration.md)")
    if channel != "all" and channel not in senders:
        known = ", ".join(["all", *senders])
        raise Refusal(422, f"channel: {channel[:40]!r} is not one of: {known}")
    if not message.strip() or len(message) > MESSAGE_CHARS_MAX:
        raise Refusal(422, f"test_message: needs 1 to {MESSAGE_CHARS_MAX} characters")
    return {n: r for n, r in senders.items() if channel in ("all", n)}


async def send_tests(services: Services, chosen: Senders, message: str) -> dict[str, TestResult]:
    """Send a test notice on each of these channels."""
    id_ = f"test-{secrets.token_hex(4)}"
    notice = Notice(
        id=f"{id_}.1",
        alert_id=id_,
        kind="test",
        severity="info",
        bot="",
        title="Test alert",
        text=message,
        at=services.clock.now(),
    )
    results: dict[str, TestResult] = {}

    async def one(name: str, ref: Ref[SendTest]) -> None:
        began = services.clock.monotonic()
        try:
            results[name] = await ref.ask(SendTest(notice), timeout_s=TEST_S)
        except (AskTimeout, AskFailed, NoSuchActor, MailboxFull) as error:
            ms = round((services.clock.monotonic() - began) * 1_000, 2)
            results[name] = TestResult(ok=False, detail=str(error), ms=ms)

    async with anyio.create_task_group() as tasks:
        for name, ref in chosen.items():
            tasks.start_soon(one, name, ref)
    return {name: results[name] for name in chosen}
