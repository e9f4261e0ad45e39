"""PagerDuty's rate, over a real sender: about 120 events of one key in any 60 s, no roll-up."""

import json

import anyio
import httpx
import pytest

from actors.alerts import outbox
from actors.messages import SendTest, Wake
from actors.senders.pagerduty import PagerDutyChannel
from tests.fakes.notices import notice
from tests.fakes.pagerduty import KEY
from tests.fakes.sender import sending

pytestmark = pytest.mark.anyio

LIMIT, WINDOW_S = 120, 60.0
WITHIN_S = 30.0  # a minute, less the half in which the return of a channel is noticed
IN_TIME = 54


class Service:
    """PagerDuty behind a transport; `events` are what it took: when, what, on which incident."""

    def __init__(self):
        self.events = []
        self.down = False
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._take))
        self.channel = PagerDutyChannel(KEY, client=client)
        self.channel.name = "fake"

    async def _take(self, request):
        if self.down:
            return httpx.Response(500)
        event = json.loads(request.content)
        incident = event["dedup_key"].rpartition("/")[2]
        self.events.append((anyio.current_time(), event["event_action"], incident))
        said = {"status": "success", "message": "Event processed", "dedup_key": incident}
        return httpx.Response(202, json=said)

    def busiest(self):
        """The most events in any 60 s."""
        times = [at for at, _, _ in self.events]
        return max(sum(at <= other < at + WINDOW_S for other in times) for at in times)


def waiting(count, severity="warning", *, over=False, first=0):
    def put(tx):
        for number in range(first, first + count):
            one = notice(
                id=f"a{number:03}.1", alert_id=f"a{number:03}", severity=severity, over=over
            )
            outbox.enqueue(tx, one, ["fake"], 1_767_225_600.0 + number / 1_000 - 1, held=False)

    return put


@pytest.mark.parametrize("over", [False, True])
async def test_it_never_asks_for_more_than_pagerduty_takes(tmp_path, over):
    service = Service()
    async with sending(tmp_path, service.channel) as table:
        await table.store.write(waiting(250, over=over))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(300)
    assert len(service.events) == 250 * (1 + over)
    assert 100 < service.busiest() <= LIMIT * 0.95


async def test_it_counts_both_events_of_a_test(tmp_path):
    service = Service()
    async with sending(tmp_path, service.channel) as table:
        await table.ref("tested").ask(SendTest(notice(kind="test")))
        await table.store.write(waiting(1))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(5)
    times = [at for at, _, _ in service.events]
    assert times[2] - times[1] == pytest.approx(1.1, abs=0.01)


async def test_it_lets_no_critical_wait_for_what_is_less_urgent(tmp_path):
    service = Service()
    async with sending(tmp_path, service.channel) as table:
        await table.store.write(waiting(200))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(10)
        began = anyio.current_time()
        await table.store.write(waiting(1, "critical", first=900))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(10)
        later = [(at - began, incident) for at, _, incident in service.events if at > began]
    assert later[0][1] == "a900"
    assert later[0][0] <= 0.56


async def test_it_has_as_many_out_in_its_minute_as_the_document_says(tmp_path):
    service = Service()
    service.down = True
    async with sending(tmp_path, service.channel) as table:
        await table.store.write(waiting(2 * IN_TIME, "critical"))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(3_600)
        service.down = False
        await anyio.sleep(120)
    back = service.events[0][0]
    in_time = [incident for at, _, incident in service.events if at - back < WITHIN_S]
    assert in_time[:IN_TIME] == [f"a{number:03}" for number in range(IN_TIME)]  # the oldest first
    assert {action for _, action, _ in service.events} == {"trigger"}
    assert len(service.events) == 2 * IN_TIME
