import pytest

from web import guard
from web.guard import Failures, Nonces, Rate, Refusal
from web.session import Sessions

KEY = b"0123456789abcdef0123456789abcdef"
BODY = b'{"channel":"all","test_message":"Alert system test"}'
STAMP = 1_766_836_800
NONCE = "b1946ac92492d234"
# The vector of the wire contract.
SIGNATURE = "2e49eab93f7041bb38639416f447365606a1f3cef765a4a9b9d8abaeb4abd4d0"
PATH = "/api/v1/alerts/test"


def headers(**changed):
    given = {
        "X-HMAC-Signature": f"v1={SIGNATURE}",
        "X-HMAC-Timestamp": str(STAMP),
        "X-HMAC-Nonce": NONCE,
    }
    given |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in given.items() if value is not None}


def test_it_signs_the_vector_of_the_contract():
    assert guard.sign(KEY, "POST", PATH, STAMP, NONCE, BODY) == SIGNATURE


def test_it_accepts_what_any_of_the_keys_has_signed():
    signed = guard.claim(headers(X_HMAC_Signature=f"v1={'0' * 64} v1={SIGNATURE}"))
    guard.verify(signed, [b"another", KEY], method="POST", path=PATH, body=BODY)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", PATH, BODY),
        ("POST", PATH + "?x=1", BODY),
        ("POST", PATH, BODY + b" "),
    ],
)
def test_it_refuses_what_was_changed_after_signing(method, path, body):
    with pytest.raises(Refusal, match="X-HMAC-Signature") as refused:
        guard.verify(guard.claim(headers()), [KEY], method=method, path=path, body=body)
    assert refused.value.status == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-HMAC-Signature", None),
        ("X-HMAC-Signature", "v2=abc"),
        ("X-HMAC-Timestamp", None),
        ("X-HMAC-Timestamp", "1e9"),
        ("X-HMAC-Nonce", "short"),
        ("X-HMAC-Nonce", "spaces in the nonce"),
        ("X-HMAC-Nonce", "x" * 65),
    ],
)
def test_it_names_the_header_it_refuses(name, value):
    with pytest.raises(Refusal, match=name):
        guard.claim(headers(**{name.replace("-", "_"): value}))


@pytest.mark.parametrize("off", [-301, 301])
def test_it_refuses_a_timestamp_outside_the_window(off):
    nonces = Nonces(started=0)
    with pytest.raises(Refusal, match="300 s"):
        nonces.check_time(guard.claim(headers()), STAMP + off)
    nonces.check_time(guard.claim(headers()), STAMP + off - (1 if off > 0 else -1))


def test_it_refuses_a_timestamp_from_before_the_process_started():
    with pytest.raises(Refusal, match="before this process"):
        Nonces(started=STAMP + 1).check_time(guard.claim(headers()), STAMP + 2)


def test_it_refuses_a_replay_and_forgets_nonces_in_time():
    nonces = Nonces(started=0)
    nonces.use(NONCE, STAMP)
    with pytest.raises(Refusal, match="used before"):
        nonces.use(NONCE, STAMP + 599)
    nonces.use(NONCE, STAMP + 601)


def test_it_bounds_the_nonces_it_keeps(monkeypatch):
    monkeypatch.setattr(guard, "NONCES_MAX", 1)
    nonces = Nonces(started=0)
    nonces.use("a" * 16, STAMP)
    with pytest.raises(Refusal) as refused:
        nonces.use("b" * 16, STAMP)
    assert refused.value.status == 429


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ([(b"content-length", b"5"), (b"Transfer-Encoding", b"chunked")], 400),
        ([(b"x", b"y" * guard.HEADER_BYTES_MAX)], 431),
        ([(b"x", b"y")] * (guard.HEADER_BYTES_MAX // 2 + 1), 431),
    ],
)
def test_it_refuses_headers_that_mean_two_things_or_too_much(given, status):
    with pytest.raises(Refusal) as refused:
        guard.check_headers(given)
    assert refused.value.status == status


def test_it_takes_headers_as_long_as_they_may_be():
    guard.check_headers([(b"x", b"y" * (guard.HEADER_BYTES_MAX - 1))])
    guard.check_headers([(b"content-length", b"5")])


def fail(failures, who, now, times=1):
    for _ in range(times):
        failures.add(who, now)


def test_it_holds_up_only_the_address_that_failed():
    failures = Failures(5, 60.0)
    fail(failures, "203.0.113.9", 100.0, times=4)
    failures.check("203.0.113.9", 100.0)
    fail(failures, "203.0.113.9", 101.0)
    with pytest.raises(Refusal) as refused:
        failures.check("203.0.113.9", 130.0)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 30.0)
    failures.check("203.0.113.10", 130.0)
    failures.check("203.0.113.9", 160.5)


def test_it_forgets_the_address_that_failed_longest_ago_for_a_new_one():
    failures = Failures(1, 60.0, addresses_max=2)
    fail(failures, "a", 1.0)
    fail(failures, "b", 2.0)
    fail(failures, "a", 3.0)
    fail(failures, "c", 4.0)
    failures.check("b", 5.0)
    for who in ("a", "c"):
        with pytest.raises(Refusal):
            failures.check(who, 5.0)


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("fe80::1%eth0", None, "fe80::/64"),
        ("::ffff:203.0.113.9", None, "203.0.113.9"),
        ("", None, ""),
    ],
)
def test_it_names_who_a_request_comes_from(peer, forwarded, who):
    assert guard.address(peer, forwarded) == who


HOSTS = frozenset({"127.0.0.1:5173", "watch.example.org"})


@pytest.mark.parametrize("host", ["127.0.0.1:5173", "watch.example.org", "WATCH.example.org:8443"])
def test_it_serves_the_hosts_on_the_list(host):
    guard.check_host(host, HOSTS)


@pytest.mark.parametrize("host", ["", "127.0.0.1:80", "evil.org", "127.0.0.1:5173.evil.org"])
def test_it_refuses_other_hosts(host):
    with pytest.raises(Refusal) as refused:
        guard.check_host(host, HOSTS)
    assert refused.value.status == 421


ORIGINS = frozenset({"http://127.0.0.1:5173"})


def test_it_lets_programs_and_its_own_page_in():
    guard.check_origin(None, None, ORIGINS)
    guard.check_origin("http://127.0.0.1:5173", "same-origin", ORIGINS)


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("null", None),
        ("http://evil.org", None),
        ("https://127.0.0.1:5173", None),
        (None, "cross-site"),
        (None, "same-site"),
    ],
)
def test_it_refuses_another_page(origin, site):
    with pytest.raises(Refusal) as refused:
        guard.check_origin(origin, site, ORIGINS)
    assert refused.value.status == 403


def test_it_counts_a_rate_in_a_sliding_window():
    rate = Rate(2, 60.0)
    rate.take(0.0)
    rate.take(30.0)
    with pytest.raises(Refusal) as refused:
        rate.take(59.0)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 1.0)
    rate.take(61.0)


def test_it_knows_whose_token_it_is_and_what_it_permits():
    tokens = {"read": "r" * 20, "ingest": "i" * 20, "operate": "o" * 20}
    assert guard.scope_of("o" * 20, tokens) == "operate"
    assert guard.scope_of("x", tokens) is None
    assert guard.scope_of("\u00e9", tokens) is None
    assert guard.permits("operate", "read")
    assert not guard.permits("read", "operate")
    assert not guard.permits("ingest", "read")
    assert not guard.permits("operate", "ingest")
    assert not guard.permits(None, "read")


@pytest.mark.parametrize(
    ("given", "token"),
    [(None, None), ("Bearer abc", "abc"), ("bearer abc", "abc"), ("Basic abc", None), ("", None)],
)
def test_it_reads_a_bearer_token(given, token):
    assert guard.bearer(given) == token


def test_it_makes_a_session_that_ends_and_cannot_be_forged():
    sessions = Sessions(KEY, secure=False)
    cookie = sessions.make("read", 1_000.0)
    assert sessions.scope(cookie, 1_000.0 + 12 * 3_600 - 1) == "read"
    assert sessions.scope(cookie, 1_000.0 + 12 * 3_600) is None
    assert sessions.scope(cookie.replace("read", "operate"), 1_001.0) is None
    assert sessions.scope("nonsense", 0.0) is None
    assert Sessions(b"x" * 32, secure=False).scope(cookie, 1_001.0) is None
    assert sessions.name == "sidewatch"
    assert Sessions(KEY, secure=True).name == "__Host-sidewatch"
