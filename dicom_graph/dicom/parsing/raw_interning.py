"""From data sets as they were read to interned elements."""

from itertools import chain
from typing import cast

from dicom_graph.dicom.elements.contents import LONGEST_HELD, Element, Item, make_streamed_element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.parsing.byte_source import ByteSource
from dicom_graph.dicom.parsing.data_set_walk import Chunks, DataSetWalk
from dicom_graph.dicom.parsing.raw_data_set import RawDataSet, RawElement

_BYTES_OF_ITEM, _BYTES_OF_NEW = 100, 1000
_LONG = 65_536
"""Values of more bytes are made elements at once, so that their bytes need not be kept."""


def walk_for(source: ByteSource, interner: Interner) -> DataSetWalk:
    """A walk over a data set whose elements `intern` makes."""

    def finish(item: RawDataSet) -> tuple[object, int]:
        n_before = interner.n_made
        made = intern(item, interner)
        return made, _BYTES_OF_ITEM + 8 * len(made) + _BYTES_OF_NEW * (interner.n_made - n_before)

    return DataSetWalk(source, longest=_LONG, takes=_Taken(interner), finishes=finish)


def intern(data_set: RawDataSet, interner: Interner) -> Item:
    """The elements of a data set, in the order of their tags, at any depth."""
    encodings = data_set.encodings
    return tuple(_intern(data_set, each, interner, encodings) for each in data_set.in_order())


def _intern(
    data_set: RawDataSet, element: RawElement, interner: Interner, encodings: list[str]
) -> Element:
    if isinstance(element.taken, Element):
        return element.taken
    tag = element.tag
    creator = data_set.creator_of(tag)
    if element.items is not None:
        items = tuple(
            intern(item, interner) if isinstance(item, RawDataSet) else cast(Item, item)
            for item in element.items
        )
        return interner.sequence(tag, creator, items, element.problem)
    vr = data_set.vr_of(element)
    return interner.element(
        tag, creator, vr, element.raw, encodings, element.is_little, element.problem
    )


class _Taken:
    """Makes elements of long values as they come."""

    def __init__(self, interner: Interner) -> None:
        self._interner = interner

    def __call__(self, data_set: RawDataSet, element: RawElement, chunks: Chunks) -> Element:
        tag = element.tag
        creator, vr = data_set.creator_of(tag), data_set.vr_of(element)
        rest = (data_set.encodings, element.is_little, element.problem)
        beginning = []
        length = 0
        for chunk in chunks:
            beginning.append(chunk)
            length += len(chunk)
            if length > LONGEST_HELD:
                whole = chain(beginning, chunks)
                return make_streamed_element(tag, creator, vr, whole, *rest)
        return self._interner.element(tag, creator, vr, b"".join(beginning), *rest)
