"""The rules of delivery that hold over alerts and senders together."""

import anyio
import pytest
from msgspec.structs import replace

from actors.alerts import actor as alerts_actor
from actors.alerts import expiry
from actors.alerts.escalation import Plan as Escalation
from actors.alerts.failover import Plan
from actors.alerts.triggers import Finding
from actors.senders.channel import ATTEMPT_S
from config.channels import Slack
from config.secret import Auth, Secret
from config.settings import Settings
from sidewatch.channels import fingerprint
from tests.fakes.desk import Desk
from tests.fakes.oncall import Duty
from tests.fakes.sender import REFUSED, FakeChannel, job, sending

BAD = Finding("losses_in_a_row", "native", 1, "warning", "10 losses", "Too many.", value=10.0)
HOUR = 3_600
DAY = 24 * HOUR


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.link.close()


def expire(desk):
    limit = expiry.expire(desk.tx, desk.policy.enabled, desk.now.timestamp())
    kept = desk.book.dispatch.limit
    desk.book.dispatch.limit = replace(kept, held=limit, holding_since=desk.now.timestamp())
    return limit


# ---------------------------------------------------------------- an outage of days


def test_it_grows_one_waiting_message_rather_than_queue_each_repeat(desk):
    desk.take(BAD)
    desk.deliver("slack")
    for losses in range(11, 17):
        desk.wait(300)
        desk.take(replace(BAD, value=float(losses)))
        desk.take(BAD)
        desk.deliver("slack")
    [(waiting, notice)] = [(j, n) for j, n in desk.jobs("mail") if j.state == "queued"]
    assert (notice.kind, notice.suppressed, notice.span_s) == ("fired", 6, 1_800.0)
    assert waiting.id.startswith(f"{notice.id}/")
    assert len(desk.jobs("slack")) == 7


def test_it_does_not_hide_a_critical_in_a_waiting_warning(desk):
    desk.take(BAD)
    desk.take(replace(BAD, severity="critical", title="20 losses"))
    first, second = desk.jobs("mail")
    assert (first[0].priority, second[0].priority) == (1, 2)
    assert second[1].title == "20 losses"


def test_it_lets_what_is_not_critical_join_the_digest_after_72_hours(desk):
    desk.take(BAD, replace(BAD, trigger="kill_switch", severity="critical"))
    desk.deliver("slack")
    desk.now_s += 3 * DAY
    assert expire(desk) == 0
    desk.now_s += 5
    assert expire(desk) == 1
    desk.look()
    assert [(n.kind, n.title) for j, n in desk.jobs("mail") if j.state == "queued"] == [
        ("fired", "10 losses"),
        ("digest", "1 alert held back: undelivered for 72 h"),
    ]
    assert [kind for kind, _ in desk.sent("slack")] == ["fired", "fired"]


def test_it_never_makes_a_digest_of_digests(desk):
    desk.take(BAD)
    desk.now_s += 4 * DAY
    expire(desk)
    desk.look()
    desk.now_s += 4 * DAY
    assert expire(desk) == 0


@pytest.mark.anyio
async def test_it_tells_after_days_a_digest_and_the_oldest_critical_first(tmp_path):
    duty = Duty("slack", route=["slack"], failover=Plan([]))
    async with duty.run(tmp_path) as on:
        on.lines["slack"].how = "500"
        await on.trouble("w", severity="warning")
        await on.trouble("a")
        await anyio.sleep(60)
        await on.trouble("b")
        on.clock.jump(3 * DAY)
        await anyio.sleep(2 * HOUR)
        on.lines["slack"].how = "ok"
        await anyio.sleep(301)
        ids = [notice.alert_id for _, notice in on.lines["slack"].got]
        oldest = [alert.id for alert in reversed(await on.history()) if alert.severity != "warning"]
        assert ids[:2] == oldest[:2]
        assert [kind for _, kind, _ in on.got("slack")] == ["fired", "fired", "digest"]
        counts = await on.store.read(lambda tx: tx.queue.count("slack"))
        assert counts == {"done": 4}


@pytest.mark.anyio
async def test_it_owes_little_after_a_day_of_outage_and_pays_within_a_minute(tmp_path, monkeypatch):
    monkeypatch.setattr(alerts_actor, "LOOK_EVERY_S", 15.0)  # a day of looks
    duty = Duty("slack", route=["slack"], escalation=Escalation(1_800.0))
    async with duty.run(tmp_path) as on:
        on.lines["slack"].how = "500"
        on.lines["slack"].rate_s = 1.0
        await on.trouble("all day")
        for hour in range(24):
            await on.trouble(f"critical {hour}")
            await on.trouble(f"warning {hour}", severity="warning")
            await anyio.sleep(600)
            await on.trouble(f"critical {hour}", holds=False)
            await anyio.sleep(3_000)
        owed = await on.store.read(lambda tx: tx.queue.count("slack"))
        # One for each critical, its reminders and its end within; the newest warnings, and a digest
        # of the older ones.
        count = 25 + expiry.OWED_MAX + 1
        assert owed["queued"] == count
        assert len(on.lines["slack"].tried) < 3_400  # a probe each 27 s
        on.lines["slack"].how = "ok"
        await anyio.sleep(100)
        got = on.lines["slack"].got
        assert len(got) <= count  # what waits is told together, each by its id
        assert got[-1][0] - got[0][0] <= 60
        urgent = [notice for _, notice in got if notice.severity == "critical"]
        assert [notice for _, notice in got[: len(urgent)]] == urgent
        told = "\n".join(notice.text + f"[{notice.alert_id}]" for notice in urgent)
        history = [a for a in reversed(await on.history()) if a.severity == "critical"]
        assert len(history) == 25
        places = [told.find(f"[{alert.id}]") for alert in history]
        assert -1 not in places
        assert places == sorted(places)
        assert urgent[0].suppressed == 0  # reminders of what still holds are no news
        assert told.count("(over)") + sum(notice.over for notice in urgent) >= 24


# ---------------------------------------------------------------- parked work


@pytest.mark.anyio
async def test_it_revives_parked_work_after_a_change_of_the_channels_settings(tmp_path):
    async with sending(tmp_path, FakeChannel(REFUSED), "n1", fingerprint="old") as table:
        await anyio.sleep(5)
        assert (await job(table)).state == "dead"
    same = FakeChannel()
    async with sending(tmp_path, same, fingerprint="old") as table:
        await anyio.sleep(5)
        assert (await job(table)).state == "dead"
    mended = FakeChannel()
    async with sending(tmp_path, mended, fingerprint="new") as table:
        await anyio.sleep(5)
        assert (await job(table)).state == "done"
        assert mended.ids == ["n1"]


def test_it_knows_a_changed_secret_by_a_hash_that_does_not_tell_it():
    auth = Auth(hmac_key=Secret("k" * 32))
    settings = Settings(auth=auth, slack=Slack(True, Secret("https://x.example/a")))
    other = replace(settings, slack=Slack(True, Secret("https://x.example/b")))
    assert fingerprint(settings, "slack") != fingerprint(other, "slack")
    assert fingerprint(settings, "email") == fingerprint(other, "email")
    assert "example" not in fingerprint(settings, "slack")


# ---------------------------------------------------------------- attempts


@pytest.mark.anyio
async def test_it_ends_an_attempt_that_a_channel_does_not_end_and_keeps_the_id(tmp_path):
    channel = FakeChannel(takes_s=HOUR)
    async with sending(tmp_path, channel, "n1") as table:
        await anyio.sleep(ATTEMPT_S + 2.1)
        waiting = await job(table)
        assert (waiting.state, waiting.detail) == ("queued", "no answer within 12 s")
        channel.takes_s = 0.0
        await anyio.sleep(5)
        assert channel.ids == ["n1", "n1"]
        assert (await job(table)).state == "done"
