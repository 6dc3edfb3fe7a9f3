"""The walk over a file's explicit little endian header, fast where it is like the one before.

What an element is follows from its bytes, the character set, and the private creators of its data
set. So where a header has the bytes of the header before, and these two are the same, it has its
elements: they are taken over many at a time, and only the others are walked. An element that
differed lately is expected to differ again.
"""

from bisect import bisect_right
from itertools import accumulate, pairwise
from operator import attrgetter
from typing import NamedTuple

from pydicom.charset import default_encoding

from dicom_graph.dicom.dictionary import is_private_creator
from dicom_graph.dicom.elements.contents import Changes, Element, Item
from dicom_graph.dicom.elements.interning import LARGE, Context, Interner
from dicom_graph.dicom.parsing.explicit import (
    SPECIFIC_CHARACTER_SET,
    DataSet,
    LargeValue,
    NeedMore,
    continue_walk,
)

_MAX_SURPRISES = 64
_PATIENCE = 4
_LONGEST_KEPT = 1 << 20
_tag = attrgetter("tag")


def walk(
    buffer: bytes,
    start: int,
    interner: Interner,
    *,
    at_end: bool,
    after: LargeValue | None = None,
) -> Item:
    """The elements of the data set at `start`, up to the pixel data or the end of the file.

    `at_end` says that `buffer` reaches the end of the file; `after`, that the data set began
    before a large value. Raises NeedsPydicom where pydicom has to read it, NeedMore where
    `buffer` is cut, LargeValue at bytes over 4 MiB.
    """
    before, interner.before = interner.before, None
    walked = None
    if isinstance(before, Walked) and after is None:
        walked = before.walk_similar(buffer, start)
    if walked is None:
        walked = _walk_all(buffer, start, interner, after)
    if walked.end == len(buffer) and not at_end:
        raise NeedMore
    walked.item = tuple(walked.data_set.elements)
    if after is None and len(buffer) <= _LONGEST_KEPT:
        interner.before = walked
    return walked.item


def changes(interner: Interner, elements: Item) -> Changes | None:
    """How the header that was walked last differs from the one before it, if that is known."""
    last = interner.before
    return last.changes if isinstance(last, Walked) and last.item is elements else None


def _walk_all(buffer: bytes, start: int, interner: Interner, after: LargeValue | None) -> "Walked":
    if after is None:
        data_set, last = DataSet(interner, [default_encoding]), -1
    else:
        data_set, last = after.data_set.rest(), after.tag
    end = continue_walk(buffer, start, len(buffer), data_set, last)
    starts = [*data_set.starts, end]
    lengths = [stop - start for start, stop in pairwise(starts)]
    return Walked(buffer, start, end, data_set, lengths, [])


class VolatileElement(NamedTuple):
    """An element that differed lately, and for how many more headers it is expected to.

    `context` is what decides its meaning; None where it decides that of others.
    """

    place: int
    patience: int
    context: Context | None


class Walked:
    """A header that was walked: where it lies in its buffer, and the lengths of its elements."""

    __slots__ = ("buffer", "changes", "data_set", "end", "item", "lengths", "start", "volatile")

    def __init__(
        self,
        buffer: bytes,
        start: int,
        end: int,
        data_set: DataSet,
        lengths: list[int],
        volatile: list[VolatileElement],
        changes: Changes | None = None,
    ) -> None:
        self.buffer = buffer
        self.start = start
        self.end = end
        self.data_set = data_set
        self.lengths = lengths
        self.volatile = volatile
        self.changes = changes
        self.item: Item = ()

    def walk_similar(self, buffer: bytes, start: int) -> "Walked | None":
        """The header at `start`; None where it is too unlike this one, or means other things."""
        walk = _Walk(self, buffer, start)
        for volatile in self.volatile:
            if walk.index > volatile.place:
                continue
            if not walk.go_on(volatile.place) or not (walk.look_up(volatile) or walk.step()):
                return walk.ended()
        if walk.go_on(len(self.lengths)):
            while walk.step():
                pass
        return walk.ended()


class _Walk:
    """One walk: `position` in the new buffer, `index` and `old_position` in the header before."""

    __slots__ = (
        "before",
        "buffer",
        "came",
        "data_set",
        "elements",
        "index",
        "is_alike",
        "lengths",
        "old",
        "old_position",
        "position",
        "start",
        "surprises",
        "volatile",
        "went",
    )  # fmt: skip

    def __init__(self, before: Walked, buffer: bytes, start: int) -> None:
        self.before = before
        self.old = before.data_set.elements
        self.buffer = buffer
        self.start = self.position = start
        self.data_set = before.data_set.fork()
        self.elements = self.data_set.elements
        self.lengths: list[int] = []
        self.volatile: list[VolatileElement] = []
        self.came: list[Element] = []
        self.went: list[Element] = []
        self.index = 0
        self.old_position = before.start
        self.surprises = 0
        self.is_alike = True

    def go_on(self, place: int) -> bool:
        """Take the elements before `place`, which should be equal; False where the walk ends."""
        while self.index < place and not self._take_equal(place):
            self.surprises += 1
            if self.surprises > _MAX_SURPRISES or not self.step():
                return False
        return True

    def _take_equal(self, place: int) -> bool:
        """Take the elements before `place` as far as they are equal; returns whether all are."""
        lengths = self.before.lengths[self.index : place]
        length = sum(lengths)
        if not self._is_equal(length):
            ends = list(accumulate(lengths))
            count = bisect_right(ends, False, key=lambda end: not self._is_equal(end))
            lengths = lengths[:count]
            length = ends[count - 1] if count else 0
        start = self.index
        self.index += len(lengths)
        self.elements += self.old[start : self.index]
        self.lengths += lengths
        self.position += length
        self.old_position += length
        return self.index == place

    def _is_equal(self, length: int) -> bool:
        old = self.before.buffer[self.old_position : self.old_position + length]
        return self.buffer.startswith(old, self.position)

    def look_up(self, volatile: VolatileElement) -> bool:
        """Take the element at a restless place, if one of the same tag and length is known."""
        place, patience, context = volatile
        length = self.before.lengths[place]
        if context is None or place != self.index:
            return False
        old = self.old[place]
        element = context.known.get(self.buffer[self.position : self.position + length])
        if element is None and length > LARGE and self._is_equal(length):
            element = old
        if element is None or element.tag != old.tag:
            return False
        self.index += 1
        self.elements.append(element)
        self.lengths.append(length)
        self.position += length
        self.old_position += length
        if element is not old:
            self.came.append(element)
            self.went.append(old)
            self.volatile.append(VolatileElement(len(self.lengths) - 1, _PATIENCE, context))
        elif patience > 1:
            self.volatile.append(VolatileElement(len(self.lengths) - 1, patience - 1, context))
        return True

    def step(self) -> bool:
        """Walk one element; False where the walk ends."""
        elements = self.elements
        last = elements[-1].tag if elements else -1
        position, end = self.position, len(self.buffer)
        until = min(position + 1, end)
        stop = continue_walk(self.buffer, position, end, self.data_set, last, until=until)
        if stop == position:
            self._pass(len(self.old), None)
            return False
        element = elements[-1]
        self.lengths.append(stop - position)
        self.position = stop
        if self.index < len(self.old) and self.old[self.index].tag == element.tag:
            index = self.index + 1
        else:
            index = bisect_right(self.old, element.tag, self.index, key=_tag)
        if not self._pass(index, element):
            context = None if _decides(element) else self.data_set.context_of(element.tag)
            self.volatile.append(VolatileElement(len(elements) - 1, _PATIENCE, context))
        return self.is_alike

    def _pass(self, index: int, element: Element | None) -> bool:
        """Go on to an index of the header before; returns whether it holds the element too."""
        passed = self.old[self.index : index]
        self.old_position += sum(self.before.lengths[self.index : index])
        self.index = index
        if passed and passed[-1] is element:
            del passed[-1]
            element = None
        if element is not None:
            self.came.append(element)
            self.is_alike = self.is_alike and not _decides(element)
        self.went += passed
        if any(map(_decides, passed)):
            self.is_alike = False
        return element is None

    def ended(self) -> Walked | None:
        """The header, if what it was taken from means the same in it."""
        if not self.is_alike or self.surprises > _MAX_SURPRISES:
            return None
        changes = Changes(self.before.item, self.came, self.went)
        return Walked(
            self.buffer, self.start, self.position, self.data_set, self.lengths, self.volatile,
            changes,
        )  # fmt: skip


def _decides(element: Element) -> bool:
    """Whether other elements mean something else with this one than without it."""
    return element.tag == SPECIFIC_CHARACTER_SET or is_private_creator(element.tag)
