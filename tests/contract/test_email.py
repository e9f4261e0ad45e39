"""SMTP's row of the channel table."""

from __future__ import annotations

import socket
import ssl
import traceback

import anyio
import pytest

from actors.senders import email as email_module
from actors.senders.channel import SendError
from actors.senders.email import EmailChannel, compose, message_id
from tests.fakes.notices import notice
from tests.fakes.smtp import FakeSmtp

PASSWORD = "canaryMailPassword"
TO = ["trader@example.org", "oncall@example.org"]

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


def channel_to(smtp, **options):
    options = {"security": "none", "recipients": TO, **options}
    return EmailChannel("127.0.0.1", smtp.port, "Sidewatch <watch@example.org>", **options)


async def refusal(channel):
    with pytest.raises(SendError) as caught:
        await channel.send(notice())
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    return caught.value


async def test_it_sends_one_plain_mail_to_all_recipients(anyio_backend):
    with FakeSmtp() as smtp:
        receipt = await channel_to(smtp).send(notice())
        (mail,) = smtp.messages
        assert smtp.envelopes == [("watch@example.org", TO)]
    assert receipt.detail == "250 2.0.0 Ok: queued as 4XyZ"
    assert mail["Subject"] == "🔴 CRITICAL · alpha · Drawdown 12.4 %"
    assert mail["From"] == "Sidewatch <watch@example.org>"
    assert mail["To"] == ", ".join(TO)
    assert mail["Date"].datetime == notice().at
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert "Alert 7f3a" in mail.get_content()
    assert "+37 in 5 min" in mail.get_content()


async def test_it_keeps_the_message_id_over_retries(anyio_backend):
    with FakeSmtp() as smtp:
        channel = channel_to(smtp)
        smtp.data_reply = "451 4.3.0 try again"
        assert not (await refusal(channel)).permanent
        smtp.data_reply = ""
        await channel.send(notice())
        await channel_to(smtp).send(notice())
        await channel.send(notice(id="another"))
        first, second, other = (mail["Message-ID"] for mail in smtp.messages)
    assert first == second != other
    assert first.endswith(".sidewatch@example.org>")


def test_it_threads_what_follows_about_an_alert():
    first, later, other = (
        compose(notice(id=id_, alert_id=alert), "a@b.org", TO)
        for id_, alert in (("7f3a.1", "7f3a"), ("7f3a.2", "7f3a"), ("9c.1", "9c"))
    )
    assert first["References"] is None
    assert later["References"] == later["In-Reply-To"] == first["Message-ID"]
    assert other["References"] is None


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_it_verifies_and_encrypts(anyio_backend, security):
    with FakeSmtp(security=security) as smtp:
        await channel_to(smtp, security=security, tls_context=smtp.trust).send(notice())
        assert smtp.over_tls == [True]


async def test_it_never_falls_back_to_clear(anyio_backend):
    with FakeSmtp() as smtp:
        error = await refusal(channel_to(smtp, security="starttls", tls_context=smtp.trust))
        assert smtp.messages == []
    assert (error.permanent, error.reason) == (
        False,
        "STARTTLS is not offered; nothing was sent in clear",
    )


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_it_refuses_an_unknown_authority(anyio_backend, security):
    with FakeSmtp(security=security) as smtp:
        error = await refusal(channel_to(smtp, security=security))
        assert smtp.messages == []
    assert not error.permanent
    assert error.reason.startswith("certificate refused: ")


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_it_refuses_a_certificate_for_another_host(anyio_backend, security):
    with FakeSmtp(security=security, certificate_for="mail.example.org") as smtp:
        error = await refusal(channel_to(smtp, security=security, tls_context=smtp.trust))
        assert smtp.messages == []
    assert not error.permanent
    assert "certificate" in error.reason
    assert "127.0.0.1" in error.reason


async def test_it_logs_in_over_tls(anyio_backend):
    with FakeSmtp(security="starttls", login=("me", PASSWORD)) as smtp:
        options = {"security": "starttls", "tls_context": smtp.trust, "user": "me"}
        await channel_to(smtp, password=PASSWORD, **options).send(notice())
        assert len(smtp.messages) == 1
        error = await refusal(channel_to(smtp, password=f"{PASSWORD}2", **options))
    assert error.permanent
    assert error.reason.startswith("535 ")


@pytest.mark.parametrize(
    ("reply", "permanent"),
    [("451 4.7.1 later", False), ("421 4.3.2 busy", False), ("554 5.7.1 spam", True)],
)
async def test_it_calls_4xx_transient_and_5xx_permanent(anyio_backend, reply, permanent):
    with FakeSmtp() as smtp:
        smtp.data_reply = reply
        error = await refusal(channel_to(smtp))
    assert (error.permanent, error.reason) == (permanent, reply)


async def test_it_sends_nothing_where_tls_breaks_off(anyio_backend):
    with FakeSmtp(security="starttls") as smtp:
        smtp.starttls_reply = "454 4.7.0 TLS not available"
        error = await refusal(channel_to(smtp, security="starttls", tls_context=smtp.trust))
        assert smtp.messages == []
    assert (error.permanent, error.reason) == (False, "454 4.7.0 TLS not available")


async def test_it_calls_a_login_that_fails_for_now_transient(anyio_backend):
    with FakeSmtp(security="starttls", login=("me", PASSWORD)) as smtp:
        smtp.auth_reply = "454 4.7.0 Temporary authentication failure"
        options = {"security": "starttls", "tls_context": smtp.trust, "user": "me"}
        error = await refusal(channel_to(smtp, password=PASSWORD, **options))
        assert smtp.messages == []
    assert (error.permanent, error.reason) == (
        False,
        "454 4.7.0 Temporary authentication failure",
    )


async def test_it_sends_no_password_in_clear_to_a_server_that_wants_one(anyio_backend):
    with FakeSmtp(login=("me", PASSWORD)) as smtp:
        channel = channel_to(
            smtp, security="starttls", tls_context=smtp.trust, user="me", password=PASSWORD
        )
        assert (await refusal(channel)).reason.startswith("STARTTLS is not offered")
        assert smtp.logins == []


async def test_it_names_the_recipients_that_were_refused(anyio_backend):
    with FakeSmtp() as smtp:
        smtp.refuse = {TO[0]: "550 5.1.1 no such user"}
        receipt = await channel_to(smtp).send(notice())
        assert smtp.envelopes[0][1] == [TO[1]]
    assert receipt.detail == (
        "250 2.0.0 Ok: queued as 4XyZ; refused trader@example.org: 550 5.1.1 no such user"
    )


@pytest.mark.parametrize(
    ("second", "permanent"), [("550 5.1.1 unknown", True), ("450 4.2.0 greylisted", False)]
)
async def test_it_retries_while_one_recipient_may_be_accepted_later(
    anyio_backend, second, permanent
):
    with FakeSmtp() as smtp:
        smtp.refuse = {TO[0]: "550 5.1.1 unknown", TO[1]: second}
        error = await refusal(channel_to(smtp))
    assert error.permanent is permanent
    assert error.reason.startswith("every recipient refused: trader@example.org: 550 ")


async def test_it_reports_a_closed_port_as_transient(anyio_backend):
    with FakeSmtp() as smtp:
        channel = channel_to(smtp)
    error = await refusal(channel)
    assert not error.permanent
    assert error.reason.startswith("SMTPConnectError: ")


async def test_it_gives_a_silent_server_up(anyio_backend, monkeypatch):
    monkeypatch.setattr(email_module, "CONNECT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        error = await refusal(EmailChannel("127.0.0.1", port, "a@b.org", TO, security="none"))
    assert (error.permanent, error.reason) == (False, "no connection within 0.1 s")


async def test_it_bounds_the_whole_attempt(anyio_backend, monkeypatch):
    monkeypatch.setattr(email_module, "ATTEMPT_S", 0.2)
    with FakeSmtp() as smtp:
        smtp.hang_on_data = True
        error = await refusal(channel_to(smtp))
    assert (error.permanent, error.reason) == (False, "no answer within 0.2 s")


async def test_it_is_cancelled_at_once(anyio_backend):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        channel = EmailChannel("127.0.0.1", port, "a@b.org", TO, security="none")
        before = anyio.current_time()
        with anyio.move_on_after(0.1) as scope:
            await channel.send(notice())
        assert scope.cancelled_caught
        assert anyio.current_time() - before < 1


async def test_it_counts_a_mail_as_sent_when_only_quit_fails(anyio_backend, monkeypatch):
    monkeypatch.setattr(email_module, "QUIT_S", 0.1)
    with FakeSmtp() as smtp:
        smtp.hang_on_quit = True
        assert (await channel_to(smtp).send(notice())).detail.startswith("250 ")
        assert len(smtp.messages) == 1


HOSTILE = "a\r\nBcc: evil@example.org\r\n\r\nbody\x00\ud800"


def test_it_keeps_a_subject_to_one_header():
    mail = compose(notice(title=HOSTILE, bot=HOSTILE, id=HOSTILE, text=HOSTILE), "a@b.org", TO)
    encoded = mail.as_bytes()
    head = encoded.partition(b"\n\n")[0]
    assert mail["Bcc"] is None
    assert not any(line.lower().startswith(b"bcc") for line in head.split(b"\n"))
    assert "\n" not in mail["Subject"]
    encoded.decode("ascii")
    assert max(map(len, encoded.split(b"\n"))) < 998


def test_it_makes_a_message_id_of_any_id():
    assert message_id(HOSTILE, "a@b.org").isascii()
    assert message_id("1", "a@b.org") != message_id("2", "a@b.org")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": ""}, "host"),
        ({"host": "mail\r\nx"}, "host"),
        ({"sender": "nobody"}, "sender"),
        ({"sender": "a@b.org\r\nBcc: c@d.org"}, "sender"),
        ({"recipients": []}, "recipients"),
        ({"recipients": ["a@b.org"] * 51}, "recipients"),
        ({"recipients": ["a@b.org\n"]}, "recipients"),
        ({"recipients": ["ä@b.org"]}, "recipients"),
        ({"security": "none", "password": PASSWORD}, "security"),
        ({"tls_context": ssl._create_unverified_context()}, "tls_context"),
    ],
)
def test_it_refuses_bad_settings_and_names_the_field(changes, field):
    good = {"host": "mail.example.org", "port": 587, "sender": "a@b.org", "recipients": TO}
    with pytest.raises(ValueError, match=f"^email {field}: ") as caught:
        EmailChannel(**{**good, **changes})
    assert PASSWORD not in str(caught.value)


def test_it_accepts_no_tls_older_than_1_2():
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.raises(ValueError, match=r"TLS 1\.2"):
        EmailChannel("mail.example.org", 587, "a@b.org", TO, tls_context=context)


def test_it_shows_no_password_in_its_repr():
    channel = EmailChannel("mail.example.org", 587, "a@b.org", TO, user="u", password=PASSWORD)
    assert repr(channel) == "<EmailChannel mail.example.org:587 starttls>"
