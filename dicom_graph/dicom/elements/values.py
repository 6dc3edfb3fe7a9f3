"""From the bytes of an element to its values, by VR (PS3.5 6.2). Nothing here raises.

What cannot be parsed keeps its text, has no typed value, and says why in `warning`.
"""

import datetime as dt
import math
import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from pydicom.charset import default_encoding

from dicom_graph.dicom.elements.character_sets import decode_text

BYTES_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
CHARSET_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""The VRs that (0008,0005) Specific Character Set applies to (PS3.5 6.1.2.2)."""
NUMBER_FORMATS = {
    "FD": "d", "FL": "f", "SL": "l", "SS": "h", "SV": "q", "UL": "L", "US": "H", "UV": "Q",
}  # fmt: skip
NUMBER_VRS = frozenset({"AS", "AT", "DS", "IS"}) | frozenset(NUMBER_FORMATS)
"""The VRs whose values have a number."""
SINGLE_VRS = frozenset({"LT", "ST", "UR", "UT"})
"""Text VRs in which a backslash is a character, not a separator."""
ALL_VRS = (
    frozenset({"AE", "AS", "AT", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "SQ", "TM"})
    | frozenset({"UC", "UI"}) | BYTES_VRS | SINGLE_VRS | frozenset(NUMBER_FORMATS)
)  # fmt: skip

MAX_VALUES = 100_000
"""More values than this in one element are counted but not stored one by one."""
_MAX_UN_TEXT = 1024
_YEARS_PER = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52.1429, "D": 1 / 365.2422}
# Digits are those of ASCII: Python's own `\d`, `int` and `float` take those of every script.
_DS = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_AS = re.compile(r"(\d{1,3})([DWMY])", re.ASCII)
_AT = re.compile(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)")
_DA = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)", re.ASCII)
_TM = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6})\d*)?)?)?", re.ASCII)
_DT = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6})\d*)?)?)?)?)?)?"
    r"([-+]\d{4})?",
    re.ASCII,
)
_OFFSET = re.compile(r"([-+])(\d\d)(\d\d)", re.ASCII)
_ENDS_IN_OFFSET = re.compile(r"[-+]\d{4}$", re.ASCII)
_PRINTABLE = re.compile(rb"[\x20-\x7e\t\r\n]*")


class Value(NamedTuple):
    """One value: its text as in the file (padding removed), and what it means.

    `number`: DS, IS and the binary numbers, AS in years. `datetime`: without offset; in UTC where
    the value or (0008,0201) gives an offset. Bytes have none of these.
    """

    text: str | None = None
    number: float | None = None
    date: dt.date | None = None
    time: dt.time | None = None
    datetime: dt.datetime | None = None
    warning: str | None = None


class Parsed(NamedTuple):
    """The values of an element. `vm` may exceed `len(values)`: past `MAX_VALUES`, and of bytes.

    `keep_raw` is false where the values alone give back the bytes.
    """

    values: tuple[Value, ...]
    vm: int
    keep_raw: bool
    warning: str | None = None


def parse_values(vr: str, raw: bytes, encodings: list[str], little_endian: bool) -> Parsed:
    """Parse the bytes of any element but a sequence. Never raises."""
    if not raw:
        return Parsed((), 0, False)
    if vr in NUMBER_FORMATS:
        return _numbers(vr, raw, little_endian)
    if vr in BYTES_VRS:
        text = _text_of_un(raw) if vr == "UN" else None
        return Parsed((Value(text),) if text else (), 1, True)
    if vr == "AT":
        return _tags(raw, little_endian)
    return _texts(vr, raw, encodings)


def parse_beginning(
    vr: str, beginning: bytes, length: int, n_texts: int, encodings: list[str]
) -> Parsed:
    """Parse an element of `length` bytes, too many to hold, of which these are the first.

    `n_texts`: how many values there are if backslashes separate them. The first `MAX_VALUES` are
    given; of a text that goes on beyond the beginning nothing is.
    """
    if vr in BYTES_VRS:
        return Parsed((), 1, True)
    size = 4 if vr == "AT" else struct.calcsize("=" + NUMBER_FORMATS.get(vr, ""))
    if size and length % size:
        reason = f"{length} bytes are no whole number of {vr} values of {size} bytes"
        return Parsed((Value(warning=reason),), 1, True)
    if size:
        count = length // size
        values = parse_values(vr, beginning[: MAX_VALUES * size], encodings, True).values
        return Parsed(values, count, True, _too_many(count))
    whole, separator, _ = beginning.rpartition(b"\\")
    if vr in SINGLE_VRS or not separator:
        vm = 1 if vr in SINGLE_VRS else n_texts
        return Parsed((), vm, True, f"a text of {length} bytes: only its file has it")
    values, _, _, warning = parse_values(vr, whole, encodings, True)
    many = f"{n_texts} values: only the first {len(values)} are stored one by one"
    return Parsed(values, n_texts, True, many if warning is None else f"{many}; {warning}")


def number_of_text(vr: str, text: str) -> float | None:
    """Returns the number that `parse_values` reads from this text, None where it is none."""
    typed = _TYPED.get(vr)
    if typed is not None:
        return typed(text).number
    tag = _AT.fullmatch(text)
    try:
        return float(int(tag[1] + tag[2], 16) if tag is not None else int(text))
    except (ValueError, OverflowError):
        return None


def parse_date(text: str) -> dt.date:
    """DA: YYYYMMDD, or the older YYYY.MM.DD. Raises ValueError."""
    match = _DA.fullmatch(text)
    if match is None:
        raise ValueError("not a date (YYYYMMDD)")
    return dt.date(int(match[1]), int(match[2]), int(match[3]))


def parse_time(text: str) -> dt.time:
    """TM: HH, HHMM, HHMMSS and HHMMSS.FFFFFF, or the older HH:MM:SS. Raises ValueError.

    A leap second (60) is read as 59, as pydicom does.
    """
    match = _TM.fullmatch(text)
    if match is None:
        raise ValueError("not a time (HHMMSS.FFFFFF)")
    hour, minute, second, fraction = match.groups()
    micro = int((fraction or "").ljust(6, "0"))
    return dt.time(int(hour), int(minute or 0), _second(second), micro)


def _second(text: str | None) -> int:
    return 59 if text == "60" else int(text or 0)


def parse_datetime(text: str) -> dt.datetime:
    """DT: YYYYMMDDHHMMSS.FFFFFF&ZZXX, cut anywhere after the year; of a longer fraction the first
    six digits count, as in a time. Raises ValueError.
    """
    match = _DT.fullmatch(text)
    if match is None:
        raise ValueError("not a datetime (YYYYMMDDHHMMSS.FFFFFF&ZZXX)")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    zone = None
    if offset:
        zone = dt.timezone(parse_offset(offset))
    return dt.datetime(
        int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0),
        _second(second), int((fraction or "").ljust(6, "0")), zone,
    )  # fmt: skip


def parse_offset(text: str) -> dt.timedelta:
    """An offset from UTC: +hhmm or -hhmm, from -1200 to +1400 (PS3.5 6.2). Raises ValueError."""
    match = _OFFSET.fullmatch(text)
    if match is not None:
        minutes = int(match[2]) * 60 + int(match[3])
        minutes = minutes if match[1] == "+" else -minutes
        if int(match[3]) < 60 and -12 * 60 <= minutes <= 14 * 60:
            return dt.timedelta(minutes=minutes)
    raise ValueError("no offset from UTC (+hhmm or -hhmm, from -1200 to +1400)")


def is_local(value: Value) -> bool:
    """Whether it is a moment that says no offset from UTC."""
    return value.datetime is not None and _ENDS_IN_OFFSET.search(value.text or "") is None


def parse_age(text: str) -> float:
    """AS in years: `045Y` is 45, `018M` 1.5. Raises ValueError."""
    match = _AS.fullmatch(text)
    if match is None:
        raise ValueError("not an age (nnnD, nnnW, nnnM or nnnY)")
    return int(match[1]) * _YEARS_PER[match[2]]


def _numbers(vr: str, raw: bytes, little_endian: bool) -> Parsed:
    code = NUMBER_FORMATS[vr]
    size = struct.calcsize("=" + code)
    if len(raw) % size:
        reason = f"{len(raw)} bytes are no whole number of {vr} values of {size} bytes"
        return Parsed((Value(warning=reason),), 1, True)
    count = len(raw) // size
    kept = min(count, MAX_VALUES)
    numbers = struct.unpack_from(f"{'<' if little_endian else '>'}{kept}{code}", raw)
    values = tuple(map(_integer if code in "lhqLHQ" else _real, numbers))
    return Parsed(values, count, count > kept, _too_many(count))


def _integer(number: int) -> Value:
    # A double holds integers exactly up to 2**53; beyond, the text is the exact value.
    exact = -(2**53) <= number <= 2**53
    return Value(None if exact else str(number), float(number))


def _real(number: float) -> Value:
    if math.isfinite(number):
        return Value(None, number)
    return Value(str(number), warning=f"{number} is not a finite number")


def _tags(raw: bytes, little_endian: bool) -> Parsed:
    count, rest = divmod(len(raw), 4)
    if rest:
        return Parsed((Value(warning=f"{len(raw)} bytes are no whole number of tags"),), 1, True)
    kept = min(count, MAX_VALUES)
    parts = struct.unpack_from(f"{'<' if little_endian else '>'}{2 * kept}H", raw)
    values = (
        Value(f"({group:04X},{element:04X})", float(group << 16 | element))
        for group, element in zip(parts[::2], parts[1::2], strict=True)
    )
    return Parsed(tuple(values), count, count > kept, _too_many(count))


def _texts(vr: str, raw: bytes, encodings: list[str]) -> Parsed:
    plain = raw.isascii() and b"\x1b" not in raw
    text, warning = (raw.decode("ascii"), None) if plain else _decode(vr, raw, encodings)
    pieces = [text] if vr in SINGLE_VRS else text.split("\\")
    trimmed = [_trim(vr, piece) for piece in pieces]
    if len(trimmed) == 1 and not trimmed[0]:
        return Parsed((), 0, True)
    kept = trimmed[:MAX_VALUES]
    typed = _TYPED.get(vr)
    values = tuple([typed(piece) if typed and piece else Value(piece) for piece in kept])
    if "\x00" in text:
        values = tuple(map(_escape_nul, values))
    keep_raw = not plain or len(kept) < len(trimmed) or not _same_bytes(vr, trimmed, raw)
    return Parsed(values, len(trimmed), keep_raw, warning or _too_many(len(trimmed)))


def _decode(vr: str, raw: bytes, encodings: list[str]) -> tuple[str, str | None]:
    is_declared = vr in CHARSET_VRS
    used = encodings if is_declared else [default_encoding]
    text, warning = decode_text(raw, used, is_name=vr == "PN", is_single=vr in SINGLE_VRS)
    if warning is not None and not is_declared:
        warning = f"{vr} has no character set but the default: {warning}"
    if vr == "PN":
        # As pydicom writes a name: without the delimiters of groups that are empty.
        text = "\\".join(name.rstrip(" \x00").rstrip("=") for name in text.split("\\"))
    # Lone surrogates are no characters: neither database takes them.
    return text.encode("utf-8", "replace").decode(), warning


def _trim(vr: str, text: str) -> str:
    if vr in _STRIPPED_VRS:
        return text.strip(" \x00")
    if vr == "UR":
        return text.rstrip(" \x00\t\r\n")
    return text.rstrip(" \x00")


_STRIPPED_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})


def _same_bytes(vr: str, pieces: list[str], raw: bytes) -> bool:
    joined = "\\".join(pieces).encode("ascii")
    if b"\x00" in joined:
        # The values have it escaped.
        return False
    if len(joined) % 2:
        joined += b"\x00" if vr == "UI" else b" "
    return joined == raw


def _escape_nul(value: Value) -> Value:
    # PostgreSQL's text refuses NUL; the raw bytes keep it.
    if value.text is None or "\x00" not in value.text:
        return value
    text = value.text.replace("\x00", "\\x00")
    return value._replace(text=text, warning=value.warning or "NUL inside the text: escaped")


def _too_many(count: int) -> str | None:
    if count <= MAX_VALUES:
        return None
    return f"{count} values: only the first {MAX_VALUES} are stored one by one"


def _text_of_un(raw: bytes) -> str | None:
    if len(raw) > _MAX_UN_TEXT:
        return None
    stripped = raw.rstrip(b" \x00")
    return stripped.decode("ascii") if stripped and _PRINTABLE.fullmatch(stripped) else None


def _decimal_string(text: str) -> Value:
    if _DS.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return Value(text, number)
    return Value(text, warning=f"not a decimal number: {_peek(text)}")


def _integer_string(text: str) -> Value:
    number = float(text) if _DS.fullmatch(text) else math.nan
    if not number.is_integer():
        return Value(text, warning=f"not an integer: {_peek(text)}")
    if not -(2**31) <= number < 2**31:
        return Value(text, number, warning="outside the range of IS (32 bits)")
    return Value(text, number)


def _dated(text: str) -> Value:
    try:
        return Value(text, date=parse_date(text))
    except ValueError as error:
        return Value(text, warning=f"{error}: {_peek(text)}")


def _timed(text: str) -> Value:
    try:
        return Value(text, time=parse_time(text))
    except ValueError as error:
        return Value(text, warning=f"{error}: {_peek(text)}")


def _datetimed(text: str) -> Value:
    try:
        moment = parse_datetime(text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        return Value(text, warning=f"{error}: {_peek(text)}")
    return Value(text, datetime=moment)


def _aged(text: str) -> Value:
    try:
        return Value(text, number=parse_age(text))
    except ValueError as error:
        return Value(text, warning=f"{error}: {_peek(text)}")


def _peek(text: str) -> str:
    return repr(text if len(text) <= 32 else text[:32] + "…")


_TYPED: dict[str, Callable[[str], Value]] = {
    "AS": _aged, "DA": _dated, "DS": _decimal_string, "DT": _datetimed, "IS": _integer_string,
    "TM": _timed,
}  # fmt: skip
