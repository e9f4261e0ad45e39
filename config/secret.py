"""Secrets: never printed, never guessable, and made by Sidewatch itself when none is given.

There is no default secret. What an operator gives must be long enough and no known example;
what is missing is drawn once (32 random bytes), kept in `secrets.json` (mode 0600) and reused.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Struct

from config.names import PATH_CHARS_MAX, Place, SettingsError, printable, refusal
from config.rules import Rule

TOKEN_CHARS_MIN = 16
KEY_BYTES_MIN = 32
SECRET_BYTES_MAX = 4_096
SIGNING_BYTES_MIN, SIGNING_BYTES_MAX = 24, 64
DRAWN_BYTES = 32
DISTINCT_CHARS_MIN = 5
FILE_NAME = "secrets.json"
FILE_BYTES_MAX = 65_536

# The wire document's test vector is "0123456789abcdef" twice: everybody knows that key.
_EXAMPLES = """
0123456789 0123456789abcdef 1234567890 1234567890abcdef abcdefghijklmnop admin change change-me
change-me-please change_me changeit changeme changemeplease default demo dummy example foobar
hmackey insecure letmein my-secret-key mysecret mysecretkey no_key p4ssw0rd password passw0rd
placeholder qwerty qwertyuiopasdfgh replace-me replaceme sample secret secret-key secret_key
secretkey sidewatch somethingrandom super-secret super-secret-key supersecret supersecretkey
test testing thisisasecret token todo xxx your-256-bit-secret your-secret-here your-secret-key
your-secret-key-here your_bot_token your_secret your_secret_key your_token your_token_here
yoursecret
"""
EXAMPLES = frozenset(_EXAMPLES.split())

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_PATH_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_BOT_TOKEN = re.compile(r"[A-Za-z0-9:_-]+")
_APPRISE = re.compile(r" *[A-Za-z][A-Za-z0-9+.-]*://\S+(?: +[A-Za-z][A-Za-z0-9+.-]*://\S+){0,7} *")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")


class Secret:
    """Text that prints as `***`; only `reveal()` gives it away. Equality takes constant time."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError("a secret is text")
        self._text = text

    def reveal(self) -> str:
        """Give the secret itself, for the one line that signs, compares or sends it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._bytes(), other._bytes())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def _bytes(self) -> bytes:
        return self._text.encode("utf-8", "surrogatepass")


def is_example(text: str) -> bool:
    """Whether `text` is a known example, one repeated, or of fewer than 5 different characters."""
    plain = text.strip().lower()
    if len(set(plain)) < DISTINCT_CHARS_MIN:
        return True
    return any(not plain.replace(example, "").strip(" -_.") for example in EXAMPLES)


def strong(bytes_min: int, alphabet: re.Pattern[str] | None, letters: str = "") -> Rule:
    """Demand a secret of our own to be long enough, no known example, and of `letters` only."""

    def reason(text: str) -> str | None:
        size = len(text.encode("utf-8", "surrogatepass"))
        if size < bytes_min:
            return f"is too short: must have at least {bytes_min} bytes, got {size}"
        if size > SECRET_BYTES_MAX:
            return f"is too long: must have at most {SECRET_BYTES_MAX} bytes, got {size}"
        if is_example(text):
            return "is a known example or too simple: make one with `openssl rand -hex 32`"
        if alphabet is not None and alphabet.fullmatch(text) is None:
            return f"must consist of {letters}"
        return None

    return Rule(reason, shows=False)


def given(alphabet: re.Pattern[str] | None = None, letters: str = "") -> Rule:
    """Demand of a provider's secret, whose strength is not ours to judge, what can be sent."""

    def reason(text: str) -> str | None:
        if len(text.encode("utf-8", "surrogatepass")) > SECRET_BYTES_MAX:
            return f"is too long: must have at most {SECRET_BYTES_MAX} bytes"
        if alphabet is not None and alphabet.fullmatch(text) is None:
            return f"must consist of {letters}"
        return None

    return Rule(reason, shows=False)


def webhook_key(secret: str) -> bytes | None:
    """The key in `whsec_` and base64 (Standard Webhooks: 24 to 64 bytes); None for another text."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        return None
    good = secret.startswith("whsec_") and SIGNING_BYTES_MIN <= len(key) <= SIGNING_BYTES_MAX
    return key if good else None


TOKEN = strong(TOKEN_CHARS_MIN, _TOKEN, "A-Z a-z 0-9 - . _ ~ + / and final =")
PATH_SECRET = strong(TOKEN_CHARS_MIN, _PATH_SEGMENT, "A-Z a-z 0-9 - _, as it stands in a URL")
KEY = strong(KEY_BYTES_MIN, None)
PASSWORD = given()
BOT_TOKEN = given(_BOT_TOKEN, "A-Z a-z 0-9 : - _")
TOPIC = given(_TOPIC, "1 to 64 of A-Z a-z 0-9 _ -")
ACCESS_TOKEN = given(_TOKEN, "A-Z a-z 0-9 - . _ ~ + / and final =")
SIGNING_KEY = Rule(
    lambda text: None if webhook_key(text) else "must be whsec_ and base64 of 24 to 64 bytes",
    shows=False,
)
APPRISE = given(_APPRISE, "1 to 8 URLs such as mailto://..., separated by spaces")
ROUTING_KEY = given(_ROUTING_KEY, "32 letters and digits: the integration key of an Events API v2")


class Auth(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may read, send events and operate. None: `ensure` draws it (never a previous key)."""

    read_token: Annotated[Secret, TOKEN] | None = None
    ingest_token: Annotated[Secret, TOKEN] | None = None
    operate_token: Annotated[Secret, TOKEN] | None = None
    hmac_key: Annotated[Secret, KEY] | None = None
    hmac_key_previous: Annotated[Secret, KEY] | None = None
    freqtrade_secret: Annotated[Secret, PATH_SECRET] | None = None


DRAWN: dict[str, Rule] = {
    "read_token": TOKEN,
    "ingest_token": TOKEN,
    "operate_token": TOKEN,
    "hmac_key": KEY,
    "freqtrade_secret": PATH_SECRET,
}
DATA_DIR: Place = ("storage", "data_dir")


def check_distinct(auth: Auth) -> None:
    """Raise SettingsError where one secret serves two scopes, so that a leak of one stays one."""
    owners: dict[Secret, str] = {}
    for name in auth.__struct_fields__:
        secret: Secret | None = getattr(auth, name)
        if secret is None:
            continue
        owner = owners.setdefault(secret, name)
        if owner != name:
            raise refusal(("auth", name), f"must differ from auth.{owner}")


def look(data_dir: Path, auth: Auth) -> Auth:
    """Fill what `auth` lacks from `data_dir/secrets.json`, and change nothing.

    What an earlier start did not draw stays None. Raises SettingsError naming storage.data_dir
    where the file cannot be read or understood, or could not be made, and naming the secret that
    equals another one.
    """
    missing = _missing(auth)
    stored = _look_up(data_dir, private=False) if missing else {}
    if any(name not in stored for name in missing):
        _check_place(data_dir)
    return _filled(auth, stored)


def ensure(data_dir: Path, auth: Auth) -> Auth:
    """Fill what `auth` lacks from `data_dir/secrets.json`, drawing and storing what is not there.

    The directory is made with mode 0700, the file written atomically with 0600. Touches nothing
    when nothing is missing. Raises SettingsError naming storage.data_dir when the file cannot be
    read, understood or written, and naming the secret that equals another one.
    """
    missing = _missing(auth)
    stored = _look_up(data_dir, private=True) if missing else {}
    fresh = {name: secrets.token_urlsafe(DRAWN_BYTES) for name in missing if name not in stored}
    stored |= fresh
    filled = _filled(auth, stored)  # what is refused has drawn nothing
    if fresh:
        path = data_dir / FILE_NAME
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, msgspec.json.format(msgspec.json.encode(stored)) + b"\n")
        except OSError as error:
            raise _unusable(path, error.strerror or "not usable", "write") from None
    return filled


def _missing(auth: Auth) -> list[str]:
    return [name for name in DRAWN if getattr(auth, name) is None]


def _filled(auth: Auth, stored: dict[str, str]) -> Auth:
    known = {name: Secret(stored[name]) for name in _missing(auth) if name in stored}
    filled = msgspec.structs.replace(auth, **known) if known else auth
    check_distinct(filled)
    return filled


def _check_place(data_dir: Path) -> None:
    """Raise where a start could not make the directory, or write into it."""
    place = data_dir
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise _unusable(
            data_dir / FILE_NAME,
            f"{printable(str(place), PATH_CHARS_MAX)} is not writable",
            "write",
        )


def _unusable(path: Path, why: str, what: str = "read") -> SettingsError:
    shown = printable(str(path), PATH_CHARS_MAX)
    return refusal(DATA_DIR, f"cannot {what} the secrets in {shown}: {why}")


def _look_up(data_dir: Path, *, private: bool) -> dict[str, str]:
    path = data_dir / FILE_NAME
    try:
        return _read(path, private=private)
    except OSError as error:
        raise _unusable(path, error.strerror or "not usable") from None


def _read(path: Path, *, private: bool) -> dict[str, str]:
    """What an earlier start stored; with `private` the file is made so again if it is not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return {}
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _unusable(path, "not a regular file")
        if private and mode & 0o077:
            os.fchmod(descriptor, 0o600)
        raw = file.read(FILE_BYTES_MAX + 1)
    if len(raw) > FILE_BYTES_MAX:
        raise _unusable(path, f"more than {FILE_BYTES_MAX} bytes")
    try:
        stored = msgspec.json.decode(raw, type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _unusable(path, "not a JSON object of texts; restore it, or delete it") from None
    for name, rule in DRAWN.items():
        reason = rule.reason(stored[name]) if name in stored else None
        if reason:
            raise _unusable(path, f"{name} {reason}")
    return stored


def _write(path: Path, content: bytes) -> None:
    """Replace the file in one step: a crash leaves the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
