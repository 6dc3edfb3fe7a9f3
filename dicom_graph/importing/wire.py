"""Contents on their way from one process to another: each element is sent once."""

import pickle
from array import array
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from dicom_graph.dicom.dictionary import definition
from dicom_graph.dicom.elements import Element, Item
from dicom_graph.dicom.entities import Entities, ImageFields
from dicom_graph.dicom.mode import Mode
from dicom_graph.dicom.values import Value
from dicom_graph.importing.content import Content

MAX_ELEMENTS = 20_000
MAX_BYTES = 16 << 20
_IMAGE_FIELDS = tuple(ImageFields.__dataclass_fields__)
_image_values: Callable[[ImageFields], tuple[Any, ...]] = attrgetter(*_IMAGE_FIELDS)
Read = Content | str | None


class Packer:
    """The sender's side: numbers the elements that it has sent, a bounded number of them."""

    def __init__(self) -> None:
        self._numbers: dict[Element, int] = {}
        self._bytes = 0

    def pack(self, contents: Sequence[Read]) -> bytes:
        """Contents as bytes for the one `Unpacker` that gets all that this packer makes."""
        is_new = len(self._numbers) > MAX_ELEMENTS or self._bytes > MAX_BYTES
        if is_new:
            self._numbers.clear()
            self._bytes = 0
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
            _image_values(entities.image), self._item(content.elements, sent), int(content.mode),
            content.transfer_syntax_uid, content.warnings, content.weight,
        )  # fmt: skip

    def _item(self, elements: Item, sent: list[tuple[Any, ...]]) -> bytes:
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

    def unpack(self, message: bytes) -> list[Read]:
        """The contents that a `Packer` made the message of."""
        is_new, elements, packed = pickle.loads(message)
        if is_new:
            self._elements.clear()
        for element in elements:
            self._elements.append(self._element(*element))
        return [self._content(*item) if isinstance(item, tuple) else item for item in packed]

    def _content(
        self, size: int, mtime_ns: int, patient: Any, study: Any, series: Any,
        image: tuple[Any, ...], elements: bytes, mode: int, transfer_syntax_uid: str | None,
        warnings: tuple[str, ...], weight: int,
    ) -> Content:  # fmt: skip
        entities = Entities(patient, study, series, ImageFields(*image))
        return Content(
            size, mtime_ns, entities, self._item(elements), Mode(mode), transfer_syntax_uid,
            warnings, weight,
        )  # fmt: skip

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
