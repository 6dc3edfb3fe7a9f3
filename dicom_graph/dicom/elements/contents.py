"""Elements as contents: equal bytes with equal meaning are one object, known by its digest.

Bytes are little endian here, whatever their order in the file.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b, sha256
from typing import NamedTuple

from dicom_graph.dicom.csa.header import csa_header_kind
from dicom_graph.dicom.dictionary import Definition, definition, format_tag, is_private
from dicom_graph.dicom.elements.byte_order import in_little_endian, swapped_chunks
from dicom_graph.dicom.elements.character_sets import resolve_character_set
from dicom_graph.dicom.elements.packing import pack
from dicom_graph.dicom.elements.revisions import (
    CHARACTER_SET,
    TIMEZONE_OFFSET,
    revision,
    revision_of_streamed,
)
from dicom_graph.dicom.elements.values import (
    ALL_VRS,
    CHARSET_VRS,
    Value,
    is_local,
    parse_beginning,
    parse_offset,
    parse_values,
)

DIGEST_SIZE = 12
MAX_RAW = 65_536
"""By default, bytes over this many keep length and SHA-256 only; the file has them."""
LONGEST_HELD = 4_194_304
"""Values of more bytes are read in pieces; of their values the first are kept, of a text none."""
MAX_RAW_OF_CSA = 4_194_304
"""The same for Siemens CSA headers and XA protocols, whose text is asked for by path."""

Item = tuple["Element", ...]
"""The elements of one sequence item, in the order of their tags."""


class Changes(NamedTuple):
    """How a header differs from another one, `since`: the elements that came, and that went."""

    since: Item
    came: Sequence["Element"]
    went: Sequence["Element"]


class Element:
    """One distinct data element.

    `digest` (12 bytes) covers all that decides the meaning: tag, private creator, VR, raw bytes,
    and where it matters the character set, and what is wrong with its encoding; of a sequence, its
    items; and the `revision` of how such an element is read. `content` is the same without that
    revision, at any depth: what tells the element whichever version of the program read it.
    `tag` is the tag in the file, block included. `length` is the number of raw bytes. `packed`
    (see `packing`) is None where the values give the bytes back, or where there are too many:
    then `sha256` is theirs. `items` is None unless the VR is SQ. `has_warnings` says whether it,
    one of its values or anything inside it has one; `has_local_time` the same of moments that
    mean something else in another time zone.
    """

    __slots__ = (
        "_standard", "content", "definition", "digest", "has_local_time", "has_warnings", "items",
        "length", "packed", "sha256", "tag", "values", "vm", "warning",
    )  # fmt: skip

    def __init__(
        self,
        tag: int,
        definition: Definition,
        digest: bytes,
        *,
        content: bytes | None = None,
        values: tuple[Value, ...] = (),
        vm: int = 0,
        packed: bytes | None = None,
        sha256: bytes | None = None,
        length: int = 0,
        warning: str | None = None,
        items: tuple[Item, ...] | None = None,
        has_local_time: bool | None = None,
    ) -> None:
        self.tag = tag
        self.definition = definition
        self.digest = digest
        self.content = digest if content is None else content
        self.values = values
        self.vm = vm
        self.packed = packed
        self.sha256 = sha256
        self.length = length
        self.warning = warning
        self.items = items
        self._standard: Element | None = None
        self.has_warnings = warning is not None or _have_warnings(values, items or ())
        if has_local_time is None:
            has_local_time = definition.vr == "DT" and any(map(is_local, values))
            has_local_time |= any(inner.has_local_time for item in items or () for inner in item)
        self.has_local_time: bool = has_local_time

    def __repr__(self) -> str:
        return f"<Element {self.definition.keyword or self.definition.name} {self.definition.vr}>"

    @property
    def block(self) -> int:
        """The block of a private element (16 to 255); 0 where it has no creator."""
        return (self.tag ^ self.definition.tag) >> 8

    @property
    def text(self) -> str | None:
        """The text of the first value."""
        return self.values[0].text if self.values else None

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of all values that have one."""
        return tuple(value.text for value in self.values if value.text is not None)

    def without_private(self) -> "Element":
        """The same element with no private element at any depth (itself where there is none)."""
        if self.items is None:
            return self
        if self._standard is None:
            items = tuple(standard_elements(item) for item in self.items)
            same = items == self.items
            self._standard = self if same else make_sequence(self.tag, "", items)
        return self._standard


def _have_warnings(values: tuple[Value, ...], items: tuple[Item, ...]) -> bool:
    for value in values:
        if value.warning is not None:
            return True
    return any(element.has_warnings for item in items for element in item) if items else False


def standard_elements(elements: Iterable[Element]) -> Item:
    """The elements that are not private, at any depth."""
    return tuple(e.without_private() for e in elements if not is_private(e.tag))


def private_element(elements: Iterable[Element], creator: str, tag: int) -> Element | None:
    """The private element of a creator in whichever block; `tag` has 00 for it."""
    for element in elements:
        if element.definition.tag == tag and element.definition.private_creator == creator:
            return element
    return None


def replaced(elements: Item, came: Iterable[Element], went: Iterable[Element]) -> Item | None:
    """The header in which some elements were replaced by others of their tags; None where tags
    came or went.
    """
    by_tag = {element.tag: element for element in elements}
    new = {element.tag: element for element in came}
    if new.keys() != {element.tag for element in went} or not new.keys() <= by_tag.keys():
        return None
    return tuple((by_tag | new).values())


def element_warnings(elements: Iterable[Element], limit: int = 10_000) -> list[str]:
    """The warnings of a header's elements at any depth, each with its element, up to a limit."""
    found: list[str] = []
    _collect_warnings(elements, "", found)
    if len(found) > limit:
        return [*found[:limit], f"and {len(found) - limit} more"]
    return found


def _collect_warnings(elements: Iterable[Element], path: str, found: list[str]) -> None:
    for element in elements:
        if not element.has_warnings:
            continue
        name = f"{path}{format_tag(element.tag)} {element.definition.keyword}".rstrip()
        own = [element.warning, *(value.warning for value in element.values)]
        found += [f"{name}: {warning}" for warning in dict.fromkeys(own) if warning is not None]
        for index, item in enumerate(element.items or ()):
            _collect_warnings(item, f"{name}[{index}].", found)


def make_element(
    tag: int,
    private_creator: str,
    vr: str,
    raw: bytes,
    encodings: list[str],
    little_endian: bool,
    max_raw: int = MAX_RAW,
    problem: str | None = None,
) -> Element:
    """Parse one element that is not a sequence. Never raises.

    `problem`: what is wrong with its encoding. A VR that the standard does not know is read as UN.
    """
    if len(raw) > LONGEST_HELD:
        return make_streamed_element(
            tag, private_creator, vr, [raw], encodings, little_endian, problem
        )
    if vr not in ALL_VRS:
        vr, problem = "UN", f"unknown VR {vr[:8]!r}"
    if not little_endian:
        raw = in_little_endian(vr, raw)
    parsed = parse_values(vr, raw, encodings, True)
    has_charset = vr in CHARSET_VRS and not (raw.isascii() and b"\x1b" not in raw)
    context = _context(encodings if has_charset else (), problem)
    is_csa = csa_header_kind(tag, private_creator) is not None
    limit = max(max_raw, MAX_RAW_OF_CSA) if is_csa else max_raw
    inline = len(raw) <= limit
    warning = _encoding_warning(problem, vr) or parsed.warning or _warning_of(tag, parsed.values)
    content = _digest(tag, private_creator, vr, context, raw)
    return Element(
        tag,
        definition(tag, private_creator, vr),
        _revised(content, revision(tag, vr, raw, warning, parsed.values)),
        content=content,
        values=parsed.values,
        vm=parsed.vm,
        packed=pack(raw) if parsed.keep_raw and inline else None,
        sha256=sha256(raw).digest() if parsed.keep_raw and not inline else None,
        length=len(raw),
        warning=warning,
    )


def _context(encodings: Iterable[str], problem: str | None) -> bytes:
    context = "\\".join(encodings)
    return (context if problem is None else f"{context}\x01{problem}").encode()


def _encoding_warning(problem: str | None, vr: str) -> str | None:
    return None if problem is None else f"{problem}: read as {vr}"


def _warning_of(tag: int, values: tuple[Value, ...]) -> str | None:
    """What is odd about an element that decides what others mean."""
    if tag == TIMEZONE_OFFSET and values:
        try:
            (value,) = values
            parse_offset(value.text or "")
        except ValueError:
            return "not one offset from UTC (+hhmm or -hhmm, from -1200 to +1400): ignored"
    if tag == CHARACTER_SET:
        return resolve_character_set([value.text or "" for value in values])[1]
    return None


def make_streamed_element(
    tag: int,
    private_creator: str,
    vr: str,
    chunks: Iterable[bytes],
    encodings: list[str],
    little_endian: bool,
    problem: str | None = None,
) -> Element:
    """An element of more than `LONGEST_HELD` bytes; the same as `make_element` returns."""
    if vr not in ALL_VRS:
        vr, problem = "UN", f"unknown VR {vr[:8]!r}"
    context = _context(encodings if vr in CHARSET_VRS else (), problem)
    content = blake2b(_head(tag, private_creator, vr, context), digest_size=DIGEST_SIZE)
    whole = sha256()
    beginning, length, n_separators = b"", 0, 0
    for chunk in chunks if little_endian else swapped_chunks(vr, chunks):
        content.update(chunk)
        whole.update(chunk)
        n_separators += chunk.count(b"\\")
        if length < LONGEST_HELD:
            beginning += chunk[: LONGEST_HELD - length]
        length += len(chunk)
    parsed = parse_beginning(vr, beginning, length, n_separators + 1, encodings)
    return Element(
        tag,
        definition(tag, private_creator, vr),
        _revised(content.digest(), revision_of_streamed(vr)),
        content=content.digest(),
        values=parsed.values,
        vm=parsed.vm,
        sha256=whole.digest(),
        length=length,
        warning=_encoding_warning(problem, vr) or parsed.warning,
    )


def make_sequence(
    tag: int, private_creator: str, items: tuple[Item, ...], problem: str | None = None
) -> Element:
    """A sequence element of these items; equal items give an equal digest, however encoded.

    `problem`: what is wrong with its own encoding.
    """
    context = _context((), problem)
    read = b"".join(
        len(item).to_bytes(4, "big") + b"".join([element.digest for element in item])
        for item in items
    )
    digest = content = _digest(tag, private_creator, "SQ", context, read)
    if any(element.content != element.digest for item in items for element in item):
        held = b"".join(
            len(item).to_bytes(4, "big") + b"".join([element.content for element in item])
            for item in items
        )
        content = _digest(tag, private_creator, "SQ", context, held)
    return Element(
        tag,
        definition(tag, private_creator, "SQ"),
        digest,
        content=content,
        vm=len(items),
        items=items,
        warning=_encoding_warning(problem, "SQ"),
    )


def header_digest(elements: Iterable[Element]) -> bytes:
    """What tells a header, as read, from every other one: 12 bytes of all its elements.

    Without the file meta information, the pixel data, how the elements are encoded, and which
    version of the program reads them.
    """
    digests = b"".join([element.content for element in elements])
    return blake2b(digests, digest_size=DIGEST_SIZE).digest()


def _digest(tag: int, private_creator: str, vr: str, context: bytes, content: bytes) -> bytes:
    head = _head(tag, private_creator, vr, context)
    return blake2b(head + content, digest_size=DIGEST_SIZE).digest()


def _revised(content: bytes, revision: int) -> bytes:
    """The digest of an element of this content whose reading was changed so often."""
    if not revision:
        return content
    return blake2b(content + revision.to_bytes(2, "big"), digest_size=DIGEST_SIZE).digest()


def _head(tag: int, private_creator: str, vr: str, context: bytes) -> bytes:
    return b"\x00".join((b"%08X" % tag, private_creator.encode(), vr.encode(), context, b""))
