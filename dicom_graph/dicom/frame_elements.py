"""Fields whose elements an image of several frames has in functional groups (PS3.3 C.7.6.16).

Enhanced and legacy converted images have no RepetitionTime of their own: each frame has one, in a
group that all frames share or in one of its own. A field is the value that all frames agree on.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary

from dicom_graph.dicom.dictionary import keyword_tag
from dicom_graph.dicom.elements.contents import Element, Item
from dicom_graph.dicom.elements.plausible import most_values

Elements = Mapping[int, Element]
"""The elements of a header by tag."""

SHARED, PER_FRAME = 0x52009229, 0x52009230
"""SharedFunctionalGroupsSequence and PerFrameFunctionalGroupsSequence."""
_UNASSIGNED = (0x00209170, 0x00209171)
"""What a legacy converted image has of attributes that no other group has: shared, per frame."""


class Place(NamedTuple):
    """An element in a functional group: the tags of the group's sequence and of the element."""

    group: int
    tag: int


def place(path: str) -> Place:
    """Of "MREchoSequence.EffectiveEchoTime". Raises KeyError for a keyword that PS3.6 has not."""
    group, element = map(keyword_tag, path.split("."))
    if group is None or element is None:
        raise KeyError(path)
    return Place(group, element)


def has_frames(by_tag: Elements) -> bool:
    """Whether a header has functional groups."""
    return SHARED in by_tag or PER_FRAME in by_tag


class Frames:
    """The functional groups of a header: of each frame, the groups by their tags."""

    def __init__(self, by_tag: Elements) -> None:
        shared = _items(by_tag, SHARED)
        self._shared = _by_tag(shared[0]) if shared else {}
        self._frames = [_by_tag(item) for item in _items(by_tag, PER_FRAME)] or [{}]

    def elements(self, tag: int, places: Iterable[Place]) -> tuple[Element | None, ...]:
        """The distinct elements that the frames have of a field, in the order of frames; None
        stands for frames without. `places`: where it is, the first that a frame has counts.
        """
        wanted = (*places, *(Place(group, tag) for group in _UNASSIGNED))
        found: dict[object, Element | None] = {}
        known: dict[tuple[int, ...], list[Element | None]] = {}
        for frame in self._frames:
            groups = [frame.get(p.group) or self._shared.get(p.group) for p in wanted]
            key = tuple(map(id, groups))
            if key not in known:
                known[key] = list(_of_groups(groups, wanted))
            for element in known[key]:
                found.setdefault(_content(element), element)
        return tuple(found.values())

    def agreed(self, tag: int, places: Iterable[Place]) -> Element | None:
        """The element that all frames have alike; None where they have none, or not the same, or
        one of more values than the field has.
        """
        element, *others = self.elements(tag, places)
        most = most_values(tag)
        if others or element is None or (most is not None and element.vm > most):
            return None
        return element


def with_frames(by_tag: Elements, places: Mapping[int, tuple[Place, ...]]) -> Elements:
    """The elements of a header, and of the fields that it lacks those that all frames agree on."""
    frames = Frames(by_tag)
    missing = {
        tag: frames.agreed(tag, where)
        for tag, where in places.items()
        if tag not in by_tag or not by_tag[tag].vm
    }
    return {**by_tag, **{tag: element for tag, element in missing.items() if element is not None}}


def _of_groups(groups: list[Element | None], wanted: tuple[Place, ...]) -> Iterator[Element | None]:
    """The elements of a frame: one, but where a group has several items."""
    for group, (_, tag) in zip(groups, wanted, strict=True):
        found = [_element(item, tag) for item in group.items or ()] if group is not None else []
        if any(element is not None for element in found):
            yield from found
            return
    yield None


def _element(item: Item, tag: int) -> Element | None:
    """An element that has a value and has the VR of PS3.6."""
    for element in item:
        if element.tag == tag:
            vrs = DicomDictionary[tag][0].split(" or ")
            return element if element.vm and element.definition.vr in vrs else None
    return None


def _content(element: Element | None) -> object:
    """Equal for equal values, however they are written."""
    if element is None:
        return None
    return tuple(v.number if v.number is not None else v.text for v in element.values)


def _items(by_tag: Elements, tag: int) -> tuple[Item, ...]:
    element = by_tag.get(tag)
    return (element.items or ()) if element is not None else ()


def _by_tag(item: Item) -> dict[int, Element]:
    return {element.tag: element for element in item}
