"""Secrets: hidden in print, compared in constant time, drawn once and kept private."""

from __future__ import annotations

import copy
import json
import logging
import os
import stat

import msgspec
import pytest

from config.names import SettingsError
from config.secret import DRAWN, Auth, Secret, ensure, is_example, look

CANARY = "canary-4f1d9b7e23c85a60"
KEY = "k3y-canary-" + "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
OWN = Auth(
    read_token=Secret("own-read-7Qm2xV9pLr"),
    ingest_token=Secret("own-ingest-4Zt8bN1kWs"),
    operate_token=Secret("own-operate-6Hy3cJ5dFg"),
    hmac_key=Secret(KEY),
    freqtrade_secret=Secret("own-freqtrade-0Pu7eR2aXi"),
)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_it_hides_in_every_way_to_print(caplog):
    secret = Secret(CANARY)
    with caplog.at_level(logging.INFO):
        logging.getLogger("t").info("%s %r", secret, [secret])
    auth = Auth(read_token=secret)
    printed = f"{secret} {secret!r} {auth} {auth!r} {caplog.text} {[secret]} {{'a': {secret}}}"
    assert CANARY not in printed
    assert str(secret) == repr(secret) == "***"


def test_it_gives_itself_away_only_when_asked():
    assert Secret(CANARY).reveal() == CANARY


def test_it_cannot_be_encoded_by_accident():
    with pytest.raises(TypeError) as caught:
        msgspec.json.encode(Auth(read_token=Secret(CANARY)))
    assert CANARY not in str(caught.value)
    assert b"***" in msgspec.json.encode(Auth(read_token=Secret(CANARY)), enc_hook=str)


def test_it_decodes_through_a_hook():
    auth = msgspec.json.decode(
        json.dumps({"read_token": CANARY}), type=Auth, dec_hook=lambda kind, raw: kind(raw)
    )
    assert auth.read_token == Secret(CANARY)


def test_it_refuses_what_is_not_text():
    with pytest.raises(TypeError, match="text"):
        Secret(5)


def test_it_equals_only_the_same_secret():
    assert Secret("abc") == Secret("abc")
    assert hash(Secret("abc")) == hash(Secret("abc"))
    assert Secret("abc") != Secret("abd")
    assert Secret("ü\udc80") == Secret("ü\udc80")
    assert Secret("abc") != "abc"
    assert copy.deepcopy(Secret("abc")) == Secret("abc")


def test_it_compares_in_constant_time(monkeypatch):
    compared = []
    monkeypatch.setattr(
        "config.secret.hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b
    )
    assert Secret("abc") != Secret("xyz")
    assert compared == [(b"abc", b"xyz")]


@pytest.mark.parametrize(
    "text",
    [
        "changeme",
        "ChangeMe",
        "secret",
        "changemechangeme",
        "change-me-please",
        "secret-secret-secret",
        "a" * 64,
        "abababababababababab",
        "0123456789abcdef0123456789abcdef",
        "0123456789ABCDEF" * 4,
        "your-256-bit-secret",
        "somethingrandom",
    ],
)
def test_it_knows_examples(text):
    assert is_example(text)


@pytest.mark.parametrize("text", [CANARY, KEY, "correct-horse-battery-staple", "4e1f" + "09bd" * 7])
def test_it_takes_other_texts_for_no_example(text):
    assert not is_example(text)


def test_it_draws_what_is_missing(tmp_path):
    auth = ensure(tmp_path, Auth())
    drawn = [getattr(auth, name).reveal() for name in DRAWN]
    assert len(set(drawn)) == 5
    assert all(len(text) == 43 for text in drawn)  # 32 bytes in base64, unpadded
    assert auth.hmac_key_previous is None


def test_it_draws_differently_each_time(tmp_path):
    assert ensure(tmp_path / "a", Auth()) != ensure(tmp_path / "b", Auth())


def test_it_reuses_what_it_drew(tmp_path):
    assert ensure(tmp_path, Auth()) == ensure(tmp_path, Auth())


def test_it_keeps_what_was_given(tmp_path):
    auth = ensure(tmp_path, Auth(read_token=Secret(CANARY)))
    assert auth.read_token == Secret(CANARY)
    assert "read_token" not in json.loads((tmp_path / "secrets.json").read_text())


def test_it_prefers_the_given_to_the_stored(tmp_path):
    first = ensure(tmp_path, Auth())
    second = ensure(tmp_path, Auth(read_token=Secret(CANARY)))
    assert second.read_token == Secret(CANARY)
    assert second.hmac_key == first.hmac_key
    assert ensure(tmp_path, Auth()) == first


def test_it_adds_to_what_is_stored(tmp_path):
    first = ensure(tmp_path, Auth(read_token=Secret(CANARY)))
    second = ensure(tmp_path, Auth())
    assert second.hmac_key == first.hmac_key
    assert second.read_token != first.read_token


def test_it_touches_nothing_when_nothing_is_missing(tmp_path):
    assert ensure(tmp_path / "never", OWN) is OWN
    assert not (tmp_path / "never").exists()


def test_it_looks_without_drawing(tmp_path):
    assert look(tmp_path / "never" / "there", Auth()) == Auth()
    assert list(tmp_path.iterdir()) == []
    drawn = ensure(tmp_path / "data", Auth())
    (tmp_path / "data" / "secrets.json").chmod(0o644)
    assert look(tmp_path / "data", Auth()) == drawn
    assert look(tmp_path / "data", OWN) is OWN
    assert mode(tmp_path / "data" / "secrets.json") == 0o644


def test_it_looks_whether_a_start_could_draw(tmp_path, monkeypatch):
    monkeypatch.setattr("config.secret.os.access", lambda path, _mode: path != tmp_path)
    with pytest.raises(SettingsError, match=r"cannot write the secrets in .* is not writable"):
        look(tmp_path / "data" / "deep", Auth())
    assert look(tmp_path / "data", OWN) is OWN


@pytest.mark.parametrize("use", [look, ensure])
def test_it_says_whether_it_was_reading_that_failed(tmp_path, use):
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(SettingsError, match=r"cannot read the secrets in .*: not a JSON object"):
        use(tmp_path, Auth())


def test_it_draws_nothing_beside_a_secret_that_is_refused(tmp_path):
    twice = Auth(read_token=Secret(CANARY), ingest_token=Secret(CANARY))
    with pytest.raises(SettingsError, match="must differ"):
        ensure(tmp_path / "data", twice)
    assert list(tmp_path.iterdir()) == []


def test_it_keeps_the_directory_and_the_file_private(tmp_path):
    before = os.umask(0)
    try:
        ensure(tmp_path / "data" / "deep", Auth())
    finally:
        os.umask(before)
    assert mode(tmp_path / "data" / "deep") == 0o700
    assert mode(tmp_path / "data" / "deep" / "secrets.json") == 0o600
    assert [path.name for path in (tmp_path / "data" / "deep").iterdir()] == ["secrets.json"]


def test_it_makes_an_open_file_private_again(tmp_path):
    ensure(tmp_path, Auth())
    (tmp_path / "secrets.json").chmod(0o644)
    ensure(tmp_path, Auth())
    assert mode(tmp_path / "secrets.json") == 0o600


def test_it_leaves_the_old_file_when_a_write_fails(tmp_path, monkeypatch):
    ensure(tmp_path, Auth(read_token=Secret(CANARY)))
    before = (tmp_path / "secrets.json").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("config.secret.os.fsync", full)
    with pytest.raises(SettingsError, match=r"storage\.data_dir .*cannot write .*No space left"):
        ensure(tmp_path, Auth())
    assert (tmp_path / "secrets.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"read_token": 5}',
        b'{"read_token": "' + CANARY.encode() + b'"',
        b"[" * 50_000,
        b'{"a": "' + b"x" * 70_000 + b'"}',
        b'{"read_token": "short"}',
        b'{"hmac_key": "0123456789abcdef0123456789abcdef"}',
        b'{"freqtrade_secret": "no/slash/in/a/path/segment"}',
    ],
)
def test_it_refuses_a_file_it_cannot_trust(tmp_path, content):
    (tmp_path / "secrets.json").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        ensure(tmp_path, Auth())
    text = str(caught.value)
    assert text.startswith("storage.data_dir (SIDEWATCH_DATA_DIR or SIDEWATCH__STORAGE__DATA_DIR)")
    assert "\n" not in text
    assert CANARY not in text
    assert (tmp_path / "secrets.json").read_bytes() == content


def test_it_refuses_a_directory_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"^storage\.data_dir .*secrets\.json"):
        ensure(tmp_path / "file", Auth())


def test_it_refuses_a_directory_it_cannot_write(tmp_path, monkeypatch):
    def denied(path, flags, mode=0o777):
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode)

    real = os.open
    monkeypatch.setattr("config.secret.os.open", denied)
    with pytest.raises(SettingsError, match=r"^storage\.data_dir .*Permission denied"):
        ensure(tmp_path, Auth())


def test_it_does_not_wait_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "secrets.json")
    with pytest.raises(SettingsError, match="not a regular file"):
        ensure(tmp_path, Auth())


def test_it_refuses_one_secret_for_two_scopes(tmp_path):
    stored = ensure(tmp_path, Auth())
    with pytest.raises(SettingsError, match=r"auth\.operate_token .*must differ") as caught:
        ensure(tmp_path, Auth(operate_token=stored.read_token))
    assert stored.read_token.reveal() not in str(caught.value)
