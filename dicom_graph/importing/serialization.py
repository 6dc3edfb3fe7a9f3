"""Contents on their way from one process to another: each element is sent once."""

import pickle
from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from dicom_graph.dicom.dictionary import definition
from dicom_graph.dicom.elements.contents import Changes, Element, Item
from dicom_graph.dicom.elements.values import Value
from dicom_graph.dicom.entities import Entities, ImageFields
from dicom_graph.dicom.mode import Mode
from dicom_graph.importing.content import Content, NoImage, Unread

MAX_ELEMENTS = 20_000
MAX_BYTES = 16 << 20
_IMAGE_FIELDS = tuple(ImageFields.__dataclass_fields__)
_image_values: Callable[[ImageFields], tuple[Any, ...]] = attrgetter(*_IMAGE_FIELDS)
Read = Content | NoImage | Unread
Numbered = bytes | tuple[bytes, bytes]
"""A header's elements, or those that came and went since the header before."""


class Packer:
    """The sender's side: numbers the elements that it has sent, a bounded number of them."""

    def __init__(self) -> None:
        self._numbers: dict[Element, int] = {}
        self._bytes = 0
        self._last: Item | None = None

    def pack(self, contents: Sequence[Read]) -> bytes:
        """Contents as bytes for the one `Unpacker` that gets all that this packer makes."""
        is_new = len(self._numbers) > MAX_ELEMENTS or self._bytes > MAX_BYTES
        if is_new:
            self._numbers.clear()
            self._bytes = 0
            self._last = None
        elements: list[tuple[Any, ...]] = []
        packed = [
            self._content(content, elements) if isinstance(content, Content) else content
            for content in contents
        ]
        return pickle.dumps((is_new, elements, packed), pickle.HIGHEST_PROTOCOL)

    def _content(self, content: Content, sent: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        entities = content.entities
        return (
            content.size, content.mtime_ns, entities.patient, entities.study, entities.series,
            _image_values(entities.image), self._header(content, sent), int(content.mode),
            content.transfer_syntax_uid, content.warnings, content.weight,
            (content.digest, content.stamp, content.link, content.real_folder),
        )  # fmt: skip

    def _header(self, content: Content, sent: list[tuple[Any, ...]]) -> Numbered:
        changes, last = content.changes, self._last
        self._last = content.elements
        if changes is None or changes.since is not last:
            return self._item(content.elements, sent)
        return self._item(changes.came, sent), self._item(changes.went, sent)

    def _item(self, elements: Sequence[Element], sent: list[tuple[Any, ...]]) -> bytes:
        numbers = self._numbers
        for element in set(elements).difference(numbers):
            # One inside a sequence before it may have been the same.
            if element not in numbers:
                sent.append(self._element(element, sent))
                numbers[element] = len(numbers)
        return array("I", map(numbers.__getitem__, elements)).tobytes()

    def _element(self, element: Element, sent: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        self._bytes += 500 + len(element.packed or b"") + 200 * len(element.values)
        items = element.items
        return (
            element.tag, element.definition.private_creator, element.definition.vr, element.digest,
            tuple(map(tuple, element.values)), element.vm, element.packed, element.sha256,
            element.length, element.warning,
            None if items is None else [self._item(item, sent) for item in items],
        )  # fmt: skip


class Unpacker:
    """The receiver's side."""

    def __init__(self) -> None:
        self._elements: list[Element] = []
        self._last: Item = ()
        self._by_tag: dict[int, Element] = {}

    def unpack(self, message: bytes) -> list[Read]:
        """The contents that a `Packer` made the message of."""
        is_new, elements, packed = pickle.loads(message)
        if is_new:
            self._elements.clear()
        for element in elements:
            self._elements.append(self._element(*element))
        return [self._content(*item) if type(item) is tuple else item for item in packed]

    def _content(
        self, size: int, mtime_ns: int, patient: Any, study: Any, series: Any,
        image: tuple[Any, ...], numbered: Numbered, mode: int, transfer_syntax_uid: str | None,
        warnings: tuple[str, ...], weight: int,
        identity: tuple[bytes | None, bytes | None, str | None, str | None],
    ) -> Content:  # fmt: skip
        entities = Entities(patient, study, series, ImageFields(*image))
        changes = self._header(numbered)
        return Content(
            size, mtime_ns, entities, self._last, Mode(mode), transfer_syntax_uid, warnings,
            weight, changes, *identity,
        )  # fmt: skip

    def _header(self, numbered: Numbered) -> Changes | None:
        """Keep a header as the last one; returns how it differs from the one before, if known."""
        if isinstance(numbered, bytes):
            self._last = self._item(numbered)
            self._by_tag = {element.tag: element for element in self._last}
            return None
        came, went = map(self._item, numbered)
        changes = Changes(self._last, came, went)
        by_tag = self._by_tag
        new = {element.tag: element for element in came}
        is_ordered = new.keys() <= by_tag.keys()
        for element in went:
            if element.tag not in new:
                del by_tag[element.tag]
        by_tag |= new
        if not is_ordered:
            self._by_tag = by_tag = dict(sorted(by_tag.items()))
        self._last = tuple(by_tag.values())
        return changes

    def _item(self, numbers: bytes) -> Item:
        return tuple(map(self._elements.__getitem__, array("I", numbers)))

    def _element(
        self, tag: int, private_creator: str, vr: str, digest: bytes,
        values: Iterable[tuple[Any, ...]], vm: int, packed: bytes | None, sha256: bytes | None,
        length: int, warning: str | None, items: Iterable[bytes] | None,
    ) -> Element:  # fmt: skip
        return Element(
            tag,
            definition(tag, private_creator, vr),
            digest,
            values=tuple(Value(*value) for value in values),
            vm=vm,
            packed=packed,
            sha256=sha256,
            length=length,
            warning=warning,
            items=None if items is None else tuple(map(self._item, items)),
        )
