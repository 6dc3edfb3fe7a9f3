"""Elements as contents: equal bytes with equal meaning are one object, known by its digest."""

from collections.abc import Iterable
from hashlib import blake2b

from dicom_graph.dicom.dictionary import Definition, definition, is_private
from dicom_graph.dicom.packing import pack
from dicom_graph.dicom.values import (
    BYTES_VRS,
    CHARSET_VRS,
    NUMBER_FORMATS,
    Value,
    parse_values,
)

DIGEST_SIZE = 12
MAX_RAW = 65_536
"""Binary values over this many bytes keep length and digest only; the file has them."""

Item = tuple["Element", ...]
"""The elements of one sequence item, in the order of their tags."""


class Element:
    """One distinct data element.

    `digest` (12 bytes) covers all that decides the meaning: tag, private creator, VR, raw bytes,
    and where they matter the character set and the byte order; of a sequence, its items.
    `tag` is the tag in the file, block included. `length` is the number of raw bytes. `packed`
    (see `packing`) is None where the values give the bytes back, or where they exceed `MAX_RAW`.
    `items` is None unless the VR is SQ.
    """

    __slots__ = (
        "_standard", "definition", "digest", "items", "length", "packed", "tag", "values",
        "vm", "warning",
    )  # fmt: skip

    def __init__(
        self,
        tag: int,
        definition: Definition,
        digest: bytes,
        *,
        values: tuple[Value, ...] = (),
        vm: int = 0,
        packed: bytes | None = None,
        length: int = 0,
        warning: str | None = None,
        items: tuple[Item, ...] | None = None,
    ) -> None:
        self.tag = tag
        self.definition = definition
        self.digest = digest
        self.values = values
        self.vm = vm
        self.packed = packed
        self.length = length
        self.warning = warning
        self.items = items
        self._standard: Element | None = None

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
            self._standard = self if same else make_sequence(self.tag, "", items, self.length)
        return self._standard


def standard_elements(elements: Iterable[Element]) -> Item:
    """The elements that are not private, at any depth."""
    return tuple(e.without_private() for e in elements if not is_private(e.tag))


def make_element(
    tag: int,
    private_creator: str,
    vr: str,
    raw: bytes,
    encodings: list[str],
    little_endian: bool,
) -> Element:
    """Parse one element that is not a sequence. Never raises."""
    parsed = parse_values(vr, raw, encodings, little_endian)
    context = b""
    if vr in CHARSET_VRS and not (raw.isascii() and b"\x1b" not in raw):
        context = "\\".join(encodings).encode()
    elif not little_endian and (vr in NUMBER_FORMATS or vr in BYTES_VRS or vr == "AT"):
        context = b">"
    return Element(
        tag,
        definition(tag, private_creator, vr),
        _digest(tag, private_creator, vr, context, raw),
        values=parsed.values,
        vm=parsed.vm,
        packed=pack(raw) if parsed.keep_raw and len(raw) <= MAX_RAW else None,
        length=len(raw),
        warning=parsed.warning,
    )


def make_sequence(
    tag: int, private_creator: str, items: tuple[Item, ...], length: int = 0
) -> Element:
    """A sequence element of these items; equal items give an equal digest, however encoded."""
    content = b"".join(
        len(item).to_bytes(4, "big") + b"".join([element.digest for element in item])
        for item in items
    )
    return Element(
        tag,
        definition(tag, private_creator, "SQ"),
        _digest(tag, private_creator, "SQ", b"", content),
        vm=len(items),
        length=length,
        items=items,
    )


def _digest(tag: int, private_creator: str, vr: str, context: bytes, content: bytes) -> bytes:
    head = b"\x00".join((b"%08X" % tag, private_creator.encode(), vr.encode(), context, b""))
    return blake2b(head + content, digest_size=DIGEST_SIZE).digest()
