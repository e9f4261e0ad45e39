"""The sender while the disk fails: nothing is lost, and nothing goes out twice that it can help."""

import anyio
import pytest

from actors.messages import SendTest, Wake
from actors.senders.actor import SendNow
from runtime.store import StoreError
from tests.fakes.notices import notice
from tests.fakes.sender import TRANSIENT, FakeChannel, job, queue, sending

pytestmark = pytest.mark.anyio


async def test_it_answers_a_test_once_while_storage_fails(tmp_path):
    channel = FakeChannel()
    async with sending(tmp_path, channel) as table:
        await anyio.sleep(1)
        table.break_disk()
        answer = await table.ref("tested").ask(SendTest(notice(id="test")))
        assert (answer.ok, channel.ids) == (True, ["test"])
        assert table.actor("tested").restarts_total == 0
        assert table.kinds("tested")[-1] == "storage_failed"


async def test_it_waits_while_storage_fails(tmp_path):
    channel = FakeChannel()
    async with sending(tmp_path, channel) as table:
        await table.store.write(queue("n1"))
        table.break_disk()
        await table.ref("tested").tell(Wake())
        await anyio.sleep(5.5)
        assert channel.sent == []
        assert 4 <= table.kinds("tested").count("storage_failed") <= 6
        table.mend_disk()
        await anyio.sleep(1)
        assert channel.ids == ["n1"]
        assert table.actor("tested").restarts_total == 0


async def test_it_marks_what_it_sent_once_storage_works_again(tmp_path):
    channel = FakeChannel()

    def break_after_sending(point):
        if point == "sender.sent":
            table.break_disk()

    async with sending(tmp_path, channel, faults=break_after_sending) as table:
        await table.store.write(queue("n1"))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(3)
        assert (await job(table)).state == "inflight"
        table.mend_disk()
        await anyio.sleep(3)
        assert channel.ids == ["n1"]
        marked = await job(table)
        assert (marked.state, marked.detail) == ("done", "sent while storage failed")


async def test_it_tries_again_what_failed_while_storage_did(tmp_path):
    channel = FakeChannel(TRANSIENT)

    def break_after_failing(point):
        if point == "sender.failed":
            table.break_disk()

    async with sending(tmp_path, channel, faults=break_after_failing) as table:
        await table.store.write(queue("n1"))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(3)
        assert channel.ids == ["n1"]
        table.mend_disk()
        await anyio.sleep(3)
        assert channel.ids == ["n1", "n1"]
        assert (await job(table)).state == "done"


async def test_it_sends_from_memory_and_not_once_more_from_the_queue(tmp_path):
    channel = FakeChannel()
    async with sending(tmp_path, channel) as table:
        await table.ref("tested").tell(SendNow(notice(id="n1")))
        await anyio.sleep(1)
        assert channel.ids == ["n1"]
        await table.store.write(queue("n1"))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(1)
        assert channel.ids == ["n1"]
        assert (await job(table)).state == "done"


async def test_it_leaves_to_the_queue_what_memory_could_not_send(tmp_path):
    channel = FakeChannel(TRANSIENT)
    async with sending(tmp_path, channel) as table:
        await table.ref("tested").tell(SendNow(notice(id="n1")))
        await table.store.write(queue("n1"))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(1)
        assert channel.ids == ["n1", "n1"]
        assert "emergency_failed" in table.kinds("tested")


async def test_it_starts_again_and_sends_from_memory_while_storage_fails(tmp_path):
    channel = FakeChannel(RuntimeError("a crash"))
    async with sending(tmp_path, channel) as table:
        await anyio.sleep(1)
        table.break_disk()
        await table.ref("tested").tell(SendNow(notice(id="n1")))
        await anyio.sleep(1)
        assert table.actor("tested").restarts_total == 1
        assert channel.ids == ["n1", "n1"]
        table.mend_disk()
        await table.store.write(queue("n2"))
        await anyio.sleep(2)
        assert (await job(table, "n2")).state == "done"


async def test_it_starts_again_after_a_crash_while_storage_fails(tmp_path):
    channel, crashes = FakeChannel(), ["once"]

    def break_and_crash(point):
        if point == "sender.sent" and crashes:
            crashes.clear()
            table.break_disk()
            raise RuntimeError("crash")

    async with sending(tmp_path, channel, faults=break_and_crash) as table:
        await table.store.write(queue("n1", "n2"))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(60)
        assert table.actor("tested").restarts_total == 1
        await table.ref("tested").tell(SendNow(notice(id="n3")))
        await anyio.sleep(1)
        assert channel.ids == ["n1", "n3"]
        table.mend_disk()
        await anyio.sleep(5)
        assert channel.ids == ["n1", "n3", "n1", "n2"]  # the crash lost that n1 had gone
        assert [(await job(table, n)).state for n in ("n1", "n2")] == ["done", "done"]


async def test_it_remembers_what_went_out_from_memory_when_a_read_fails(tmp_path):
    channel = FakeChannel()
    async with sending(tmp_path, channel) as table:
        await table.ref("tested").tell(SendNow(notice(id="n1")))
        await table.store.write(queue("n0", "n1"))
        read = table.store.read

        async def failing(_func):
            table.store.read = read
            raise StoreError("the read failed: disk I/O error")

        table.store.read = failing
        await table.ref("tested").tell(Wake())
        await anyio.sleep(2)
        assert table.actor("tested").restarts_total == 0
        assert table.kinds("tested")[-1] == "storage_failed"
        assert sorted(channel.ids) == ["n0", "n1"]
        assert [(await job(table, n)).state for n in ("n0", "n1")] == ["done", "done"]
