"""A provider at the other end of a MockTransport: answers in turn, keeps what was asked."""

from __future__ import annotations

import json
import traceback

import anyio
import httpx
import pytest

from actors.senders.channel import SendError
from tests.fakes.notices import notice


class Wire:
    """Build the channel with `make(client)`; an answer may be a response, an error or "hang".

    `secret` must not show in any error.
    """

    def __init__(self, make, *answers, secret):
        self.answers = list(answers)
        self.seen = []
        self.secret = secret
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))
        self.channel = make(self.client)

    async def _handle(self, request):
        self.seen.append(request)
        answer = self.answers.pop(0)
        if answer == "hang":
            await anyio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def sent(self):
        return [json.loads(request.content) for request in self.seen]

    async def send(self, **changes):
        return await self.channel.send(notice(**changes))

    async def refusal(self, **changes):
        with pytest.raises(SendError) as caught:
            await self.send(**changes)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert self.secret not in shown
        assert self.secret not in repr(self.channel)
        assert caught.value.reason.isprintable()
        return caught.value


def said(status, body="", **headers):
    """A response with a text, or with JSON where `body` is no text."""
    content = {"text": body} if isinstance(body, str) else {"json": body}
    return httpx.Response(status, headers=headers, **content)
