"""Siemens CSA headers as JSON, and the ASCCONV protocol text inside them and in XA headers.

Siemens MR files keep two CSA headers as private elements: (0029,xx10) about the image and
(0029,xx20) about the series, both of "SIEMENS CSA HEADER". No standard describes them; the layout
is the one that SPM found and nibabel documents (``doc/source/dicom/siemens_csa.rst``). They are
read here and not with nibabel because its reader fails on every type 1 header that has a value
(nibabel issue 817), its ASCCONV parser on every protocol with an ``__attribute__`` (all of
software VD and VE), and neither bounds what hostile bytes can make it do.

Software XA writes no CSA headers. It keeps the protocol alone, as text, in (0021,xx19) of
"SIEMENS MR SDS 01", in the shared functional groups or in the data set: it is read as a series
header that has one tag, MrPhoenixProtocol.
"""

import math
import re
import struct
from collections.abc import Iterator
from itertools import pairwise
from struct import Struct
from typing import Any, NamedTuple, TypeAlias, TypedDict

Json: TypeAlias = "int | float | str | list[Json] | dict[str, Json] | None"

CSA_CREATOR = "SIEMENS CSA HEADER"
CSA_GROUP = 0x0029
CSA_IMAGE_HEADER = 0x10
"""Low byte of the element number of the CSA image header."""
CSA_SERIES_HEADER = 0x20
"""Low byte of the element number of the CSA series header."""
XA_CREATOR = "SIEMENS MR SDS 01"
XA_GROUP = 0x0021
XA_PROTOCOL = 0x19
"""Low byte of the element number of the protocol of software XA."""
_KINDS = {
    (CSA_CREATOR, CSA_GROUP, CSA_IMAGE_HEADER): CSA_IMAGE_HEADER,
    (CSA_CREATOR, CSA_GROUP, CSA_SERIES_HEADER): CSA_SERIES_HEADER,
    (XA_CREATOR, XA_GROUP, XA_PROTOCOL): CSA_SERIES_HEADER,
}
CSA_TAGS = frozenset(group << 16 | low for _, group, low in _KINDS)
"""What holds CSA headers, without the block."""


class CsaTag(TypedDict):
    """One tag of a CSA header: its VR, its VM as declared (0 is any number), its value."""

    vr: str
    vm: int
    value: Json


class CsaError(ValueError):
    """The bytes are not a CSA header; the message says what is wrong, and where."""


def csa_header_kind(tag: int, private_creator: str) -> int | None:
    """CSA_IMAGE_HEADER or CSA_SERIES_HEADER, whatever the block of the tag; None for others."""
    return _KINDS.get((private_creator, tag >> 16, tag & 0xFF))


def is_xa_protocol(raw: bytes) -> bool:
    """Whether these bytes are a protocol as software XA writes it."""
    return raw[:64].lstrip().startswith(b"<XProtocol>")


def parse_csa(raw: bytes) -> dict[str, CsaTag]:
    """Read a CSA header of type 1 or 2, or a protocol of XA, ready for JSON.

    The result is ``{name: {"vr", "vm", "value"}}``.

    The value is a scalar or null where VM is 1, otherwise a list without its trailing empty
    values. DS, FL and FD are floats, IS, SL, SS, UL and US are ints, everything else is text.
    MrPhoenixProtocol and MrProtocol are the nested objects of their ASCCONV text. A number that
    is not finite is null. Units are those of Siemens: mm, ms, s/mm², mostly undocumented.

    Raises CsaError, and nothing else, for anything malformed; time and memory are linear in the
    length.
    """
    if is_xa_protocol(raw):
        tag = _RawTag("MrPhoenixProtocol", "UN", 1, [_text(raw)], 0)
        return {tag.name: _csa_tag(tag)}
    return {tag.name: _csa_tag(tag) for tag in _tags(raw)}


def csa_chunks(raw: bytes) -> list[bytes] | None:
    """The bytes of each tag of a type 2 header, which `parse_csa_chunk` reads.

    Equal ones have equal values, so only new ones need be parsed. None where it takes `parse_csa`
    to tell: for type 1, whose tags depend on the first, and for whatever looks malformed.
    """
    if not raw.startswith(b"SV10") or len(raw) < _FIRST_TAG:
        return None
    n_tags, offset = _START.unpack_from(raw, 8)[0], _FIRST_TAG
    chunks, names = [], set()
    try:
        for _ in range(n_tags):
            start = offset
            n_items = _N_ITEMS.unpack_from(raw, offset)[0]
            offset += _TAG.size
            for _ in range(n_items):
                length = _ITEM.unpack_from(raw, offset)[1]
                offset += _ITEM.size + length + -length % 4
                if length < 0:
                    return None
            chunks.append(raw[start:offset])
            names.add(raw[start : start + 64].partition(b"\0")[0].rstrip(b" "))
    except struct.error:
        return None
    is_whole = 0 < n_tags <= _MAX_COUNT and offset <= len(raw)
    return chunks if is_whole and len(names) == n_tags else None


def parse_csa_chunk(chunk: bytes) -> tuple[str, CsaTag]:
    """Name and content of a tag from `csa_chunks`. Raises CsaError."""
    cursor = _Cursor(chunk)
    tag, n_items = _tag(cursor, 0)
    tag.items.extend(_item(cursor, None, f"item of tag {tag.name!r}") for _ in range(n_items))
    return tag.name, _csa_tag(tag)


_START = Struct("<2I")
_TAG = Struct("<64si4s3i")
_ITEM = Struct("<4i")
_N_ITEMS = Struct("<76x i")
_FIRST_TAG = 16
# What nibabel allows; real headers stay near 100 tags of at most some 200 items.
_MAX_COUNT = 1000

_INTEGER_VRS = frozenset({"IS", "SL", "SS", "UL", "US"})
_FLOAT_VRS = frozenset({"DS", "FD", "FL"})
_PROTOCOLS = frozenset({"MrPhoenixProtocol", "MrProtocol"})


class _RawTag(NamedTuple):
    name: str
    vr: str
    vm: int
    items: list[str]
    offset: int


class _Cursor:
    """A position in the bytes that never passes their end."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.offset = 0

    def unpack(self, layout: Struct, what: str) -> tuple[Any, ...]:
        self._check(layout.size, what)
        fields = layout.unpack_from(self.raw, self.offset)
        self.offset += layout.size
        return fields

    def text(self, length: int, what: str) -> str:
        self._check(length, what)
        text = _text(self.raw[self.offset : self.offset + length])
        self.offset += length + -length % 4
        return text

    def _check(self, length: int, what: str) -> None:
        if not 0 <= length <= len(self.raw) - self.offset:
            raise CsaError(
                f"{what} at offset {self.offset}: {length} bytes do not fit "
                f"in a CSA header of {len(self.raw)}"
            )


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("latin-1").rstrip(" ")


def _tags(raw: bytes) -> Iterator[_RawTag]:
    cursor = _Cursor(raw)
    is_type_2 = raw.startswith(b"SV10")
    cursor.offset = 8 if is_type_2 else 0
    n_tags, _ = cursor.unpack(_START, "start")
    if not 0 < n_tags <= _MAX_COUNT:
        raise CsaError(f"not a CSA header: {n_tags} tags, where 1 to {_MAX_COUNT} can be")
    excess = None
    for number in range(n_tags):
        tag, n_items = _tag(cursor, number)
        if number == 0 and not is_type_2:
            excess = n_items
        what = f"item of tag {tag.name!r}"
        tag.items.extend(_item(cursor, excess, what) for _ in range(n_items))
        yield tag


def _tag(cursor: _Cursor, number: int) -> tuple[_RawTag, int]:
    """A tag without its items, and how many of them follow."""
    offset = cursor.offset
    name, vm, vr, _, n_items, _ = cursor.unpack(_TAG, f"tag {number}")
    tag = _RawTag(_text(name), _text(vr), vm, [], offset)
    if not tag.name or vm < 0 or not 0 <= n_items <= _MAX_COUNT:
        raise CsaError(
            f"tag {number} {tag.name!r} at offset {offset} cannot have VM {vm} and {n_items} items"
        )
    return tag, n_items


def _item(cursor: _Cursor, excess: int | None, what: str) -> str:
    """Type 1 adds the number of items of the first tag, `excess`, to each length."""
    first, second, _, _ = cursor.unpack(_ITEM, what)
    return cursor.text(second if excess is None else first - excess, what)


def _csa_tag(tag: _RawTag) -> CsaTag:
    values = _values(tag)
    value: Json = values
    if tag.vm == 1:
        value = values[0] if values else None
        if tag.name in _PROTOCOLS and isinstance(value, str):
            value = _protocol(tag.name, value)
    return {"vr": tag.vr, "vm": tag.vm, "value": value}


def _values(tag: _RawTag) -> list[Json]:
    items = tag.items[: tag.vm] if tag.vm else tag.items
    numeric = tag.vr in _INTEGER_VRS or tag.vr in _FLOAT_VRS
    # Siemens pads the items of a tag to a number of its own with empty ones.
    if numeric or tag.vm == 0:
        items = _without_trailing_empty(items)
    if not numeric:
        return list(items)
    return [_number(tag, item.strip()) for item in items]


def _without_trailing_empty(items: list[str]) -> list[str]:
    end = len(items)
    while end and not items[end - 1].strip():
        end -= 1
    return items[:end]


# Lengths are bounded so that no conversion is slow and every integer fits 64 bits.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,9})?")
# The last is how Microsoft's C library prints NaN and infinity: 1.#QNAN, -1.#INF00.
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity|1\.#[a-z]+[0-9]*)", re.IGNORECASE)


def _number(tag: _RawTag, text: str) -> int | float | None:
    if not text or _NOT_FINITE.fullmatch(text):
        return None
    if tag.vr in _INTEGER_VRS and _INTEGER.fullmatch(text):
        return int(text)
    if tag.vr in _FLOAT_VRS and _FLOAT.fullmatch(text):
        return _finite(float(text))
    raise CsaError(f"tag {tag.name!r} at offset {tag.offset}: a value is not a number of {tag.vr}")


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


_BEGIN = "### ASCCONV BEGIN"
_END = "### ASCCONV END ###"
# Text in a protocol inside a protocol has its quotes doubled.
_DOUBLED_QUOTES = re.compile(r'=[ \t]*""(?:[^"\r\n]+""|""|[^"\s])')
_REST_OF_LINE = r"(?:[ \t]+#[^\n]*|[ \t]*)\r?(?:\n|\Z)"
_ASSIGNMENTS = {
    quote: re.compile(
        rf'\s*([^\s=]+)[ \t]*=[ \t]*(?:{quote}([^\n]*?|[^"]*){quote}|([^\s"]+)){_REST_OF_LINE}'
    )
    for quote in ('"', '""')
}


def _protocol(name: str, text: str) -> Json:
    """The ASCCONV part of a protocol as nested objects and lists, or the text where it has none.

    Lists have null where nothing was assigned. ``__attribute__`` assignments are left out: they
    give the size of a list, which in JSON cannot stand beside its values.
    """
    begin = text.find(_BEGIN)
    if begin < 0:
        return text
    end = text.find(_END, begin)
    if end < 0:
        raise CsaError(f"tag {name!r}: its ASCCONV text has no end")
    start = text.find("\n", begin, end) + 1 or end
    tree = _Tree()
    for line, path, value in _assignments(name, text[start:end]):
        try:
            tree.assign(path, value)
        except AssignmentError as error:
            raise CsaError(f"tag {name!r}: line {line} of its ASCCONV text {error}") from None
    return tree.root


def _assignments(name: str, body: str) -> Iterator[tuple[int, str, Json]]:
    quote = '""' if _DOUBLED_QUOTES.search(body) else '"'
    line, position = 1, 0
    while match := _ASSIGNMENTS[quote].match(body, position):
        line += body.count("\n", position, match.start(1))
        yield line, match[1], _plain_value(match[3]) if match[2] is None else match[2]
        line += body.count("\n", match.start(1), match.end())
        position = match.end()
    rest = body[position:].lstrip()
    if rest:
        line += body.count("\n", position, len(body) - len(rest))
        raise CsaError(f"tag {name!r}: line {line} of its ASCCONV text is not an assignment")


def _plain_value(text: str) -> int | float | str | None:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return _finite(float(text))
    return None if _NOT_FINITE.fullmatch(text) else text


Step: TypeAlias = "str | int"
_PART = re.compile(r"([^.\[\]]+)((?:\[[0-9]{1,9}\])*)")
# Real protocols nest 10 deep, with indexes below 200.
_MAX_STEPS = 32
_MAX_EMPTY_SLOTS = 100_000


class AssignmentError(ValueError):
    """A path that is malformed, or contradicts an earlier one."""


def path_steps(path: str) -> list[Step]:
    """``a.b[2].c`` as ``["a", "b", 2, "c"]``. Raises AssignmentError."""
    if path.count(".") + path.count("[") >= _MAX_STEPS:
        raise AssignmentError(f"nests more than {_MAX_STEPS} deep")
    steps: list[Step] = []
    for part in path.split("."):
        match = _PART.fullmatch(part)
        if match is None:
            raise AssignmentError("has a malformed name")
        steps.append(match[1])
        steps.extend(int(index) for index in re.findall("[0-9]+", match[2]))
    return steps


class _Tree:
    """Nested objects and lists, grown by one assignment after the other."""

    def __init__(self) -> None:
        self.root: dict[str, Json] = {}
        self._empty_slots = 0

    def assign(self, path: str, value: Json) -> None:
        """Raises AssignmentError where the path contradicts an earlier one, or grows too far."""
        steps = path_steps(path)
        if "__attribute__" in steps:
            return
        node: Json = self.root
        for step, next_step in pairwise(steps):
            child = self._get(node, step)
            if child is None:
                child = [] if isinstance(next_step, int) else {}
                self._set(node, step, child)
            node = child
        if isinstance(self._get(node, steps[-1]), (dict, list)):
            raise AssignmentError("contradicts an earlier one")
        self._set(node, steps[-1], value)

    def _get(self, node: Json, step: Step) -> Json:
        if isinstance(node, dict) and isinstance(step, str):
            return node.get(step)
        if isinstance(node, list) and isinstance(step, int):
            return node[step] if step < len(node) else None
        raise AssignmentError("contradicts an earlier one")

    def _set(self, node: Json, step: Step, value: Json) -> None:
        if isinstance(node, dict) and isinstance(step, str):
            node[step] = value
        elif isinstance(node, list) and isinstance(step, int):
            self._grow(node, step)
            node[step] = value

    def _grow(self, node: list[Json], index: int) -> None:
        missing = index + 1 - len(node)
        if missing <= 0:
            return
        self._empty_slots += missing - 1
        if self._empty_slots > _MAX_EMPTY_SLOTS:
            raise AssignmentError("leaves too many list items empty")
        node.extend([None] * missing)
