"""Why an item was refused: one line that begins with the field, where there is one.

Looked into only after decoding has failed, so that good events pay nothing for it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from actors.messages import EVENT_TYPES, BotName
from actors.plain import no_number

REASON_CHARS_MAX = 500
VALUE_CHARS_MAX = 40
FIELD_BYTES_MAX = 64
WINDOW_BYTES = 2_048  # how far before a bad byte its field's name is looked for
TAIL_BYTES = 16  # so near to its end half a pair is taken for a body that was cut off
NO_DECIMAL = "Invalid decimal string"  # as msgspec says it, without the text
INSTANT = "as in 2026-01-01T00:00:00Z"
FORMS = {
    "type": f"expected one of {', '.join(EVENT_TYPES)}",
    "bot": "expected 1 to 64 of A-Z a-z 0-9 _ . -, the first a letter or digit",
    "side": "expected long or short",
}
CODINGS = {
    b"\xef\xbb\xbf": "begins with a byte order mark",
    b"\xff\xfe": "looks like UTF-16",
    b"\xfe\xff": "looks like UTF-16",
    b"\x1f\x8b": "looks like gzip",
    b"\x28\xb5\x2f\xfd": "looks like Zstandard",
}

_FITTING = {"type": str, "bot": BotName, "side": Literal["long", "short"]}
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_packed_fields = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_AT = re.compile(r"(?P<text>.*) - at `\$\.(?P<field>\w+)(?P<rest>[^`]*)`", re.DOTALL)
_MISSING = re.compile(
    r"Object missing required field `(?P<field>\w+)`(?: - at `\$\.(?P<inside>[^`]*)`)?"
)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`", re.DOTALL)
_BYTE = re.compile(r"JSON is malformed: (?P<text>.*) \(byte (?P<byte>\d+)\)")
# A field's name, and behind it the beginning of its value: of a bare one, or of a text.
_BARE = re.compile(rb'"(\w{1,%d})"\s*:\s*([-+.\w\']*)$' % FIELD_BYTES_MAX)
_TEXT = re.compile(rb'"(\w{1,%d})"\s*:\s*"(?:[^"\\]|\\.)*$' % FIELD_BYTES_MAX)
# msgspec reads four or five bytes of what begins as null, true or false, and points behind them.
_WORD = re.compile(rb'"(\w{1,%d})"\s*:\s*((?!null|true|false)[ntf]\w*)\W{1,4}$' % FIELD_BYTES_MAX)
_TOKEN = re.compile(rb"[-+.\w']{0,%d}" % VALUE_CHARS_MAX)
_NO_NUMBER = re.compile(r"-?(nan|inf)", re.IGNORECASE)
_HALF = re.compile(rb"\\u[dD](?:[89abAB][\da-fA-F]{2}(?!\\u[dD][c-fC-F])|[c-fC-F][\da-fA-F]{2})")


def reason(
    error: Exception,
    raw: bytes,
    *,
    packed: bool = False,
    line: int = 0,
    kinds: Mapping[str, type[msgspec.Struct]] = EVENT_TYPES,
) -> str:
    """Return why `raw` could not be decoded to an event; `line` is its own in a body of lines.

    `kinds` are what it may have been, by its `type`; "" where there is one kind only.
    """
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = str(error)
    if found := _UNKNOWN.match(text):
        kind = kinds.get("") or kinds.get(str(_value("type", raw, packed=packed)))
        text = unknown(found["field"], kind.__struct_fields__ if kind else ())
    elif found := _MISSING.fullmatch(text):
        text = _missing(found, kinds)
    elif found := _AT.fullmatch(text):
        value = _value(found["field"], raw, packed=packed)
        forms = FORMS if kinds is EVENT_TYPES else {}
        text = f"{found['field']}: {_wanted(found, value, forms)}"
    elif packed:
        text = "a text in it is not UTF-8" if isinstance(error, UnicodeDecodeError) else text
    else:
        text = _malformed(error, text, raw, f"line {line}, " if line else "")
    return text[:REASON_CHARS_MAX]


def unknown(field: str, known: Iterable[str]) -> str:
    """Return the error of a field that there is not, with the one that may be meant."""
    names = list(known)
    near = nearest(field, names)
    hint = f": did you mean `{near}`?" if near else f": known are {', '.join(names)}"
    return f"unknown field `{field[:FIELD_BYTES_MAX]}`{hint if names else ''}"


def nearest(field: str, known: Iterable[str], likeness: float = 0.7) -> str | None:
    """Return the known name that a wrong one is most like, None where it is like none."""
    wanted = field[:FIELD_BYTES_MAX].casefold().replace("-", "_")
    return next(iter(difflib.get_close_matches(wanted, list(known), n=1, cutoff=likeness)), None)


def _wanted(found: re.Match[str], value: object, forms: Mapping[str, str]) -> str:
    """Return what is wrong with a field's value, in words that say what would be right."""
    if found["field"] in forms:
        if _fits(found["field"], value):  # the last one does: an earlier one is what was refused
            return "stands twice, and not with the same value: keep one"
        return f"{forms[found['field']]}, not {repr(value)[:VALUE_CHARS_MAX]}"
    if found["text"] == NO_DECIMAL and isinstance(value, str):
        return no_number(value)
    text = found["text"][:1].lower() + found["text"][1:]
    return f"{text}, {INSTANT}" if "datetime" in text else text


def _fits(field: str, value: object) -> bool:
    """Say whether a value is one that a field of `FORMS` may have."""
    try:
        msgspec.convert(value, _FITTING[field])
    except msgspec.ValidationError:
        return False
    return field != "type" or value in EVENT_TYPES


def _missing(found: re.Match[str], kinds: Mapping[str, type[msgspec.Struct]]) -> str:
    """Return that a field is missing, and what it may be where that is known."""
    inside = found["inside"]
    field = f"{inside}.{found['field']}" if inside else found["field"]
    forms = {"at": INSTANT, **FORMS} if kinds is EVENT_TYPES else {}
    form = forms.get(field)
    return f"{field}: required{f', {form}' if form else ''}"


def _value(field: str, raw: bytes, *, packed: bool) -> object:
    decoder, decode = (
        (_packed_fields, msgspec.msgpack.decode) if packed else (_fields, msgspec.json.decode)
    )
    try:
        return decode(decoder.decode(raw)[field])
    except (msgspec.MsgspecError, ValueError, RecursionError, KeyError):
        return None


def _malformed(error: Exception, text: str, raw: bytes, where: str) -> str:
    """Return what is wrong with bytes that are no JSON, and where."""
    for lead, coding in CODINGS.items():
        if raw.startswith(lead):
            return f"{coding}: send plain UTF-8 ({where}byte 0)"
    if isinstance(error, UnicodeDecodeError):
        return _no_text(raw, where)
    if (half := _half_pair(text, raw)) is not None:
        escape = half[0].decode()
        return (
            f"{_field(raw, half.start())}`{escape}` alone is no text ({where}byte {half.start()})"
        )
    if found := _BYTE.fullmatch(text):
        return _no_json(found["text"], raw, int(found["byte"]), where)
    if "truncated" in text:
        return f"{text} ({where}byte {len(raw)})"
    return text


def _no_text(raw: bytes, where: str) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"{_field(raw, error.start)}not UTF-8 ({where}byte {error.start})"
    return "not UTF-8"


def _half_pair(text: str, raw: bytes) -> re.Match[bytes] | None:
    """Find the lone half of a surrogate pair that decoding stumbled over."""
    if "surrogate" in text:
        return _HALF.search(raw)
    if "truncated" in text:
        half = _HALF.search(raw, max(0, len(raw) - TAIL_BYTES))
        return half if half and half.end() < len(raw) else None
    return None


def _no_json(text: str, raw: bytes, byte: int, where: str) -> str:
    at = f"({where}byte {byte})"
    before = _before(raw, byte)
    found = _WORD.search(before)
    rest = None if found else _TOKEN.match(raw, byte)
    found = found or _BARE.search(before)
    whole = (found[2] if found else b"") + (rest[0] if rest else b"")
    token = whole.decode("utf-8", "replace")[:VALUE_CHARS_MAX]
    field = _field(raw, byte)
    if _NO_NUMBER.match(token):
        return f"{field}{token} is neither JSON nor a finite number {at}"
    if found and token:
        return f"{field}`{token}` is not JSON {at}"
    if text == "trailing characters":
        text = "more behind the first value; lines need Content-Type: application/x-ndjson"
    return f"{field}JSON is malformed: {text} {at}"


def _field(raw: bytes, byte: int) -> str:
    """Return the name of the field whose value a byte is in, and a colon, where one can be seen."""
    before = _before(raw, byte)
    found = _WORD.search(before) or _BARE.search(before) or _TEXT.search(before)
    return f"{found[1].decode('utf-8', 'replace')}: " if found else ""


def _before(raw: bytes, byte: int) -> bytes:
    return raw[max(0, byte - WINDOW_BYTES) : byte]
