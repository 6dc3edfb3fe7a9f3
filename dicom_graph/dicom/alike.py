"""The walk over a file's explicit little endian header, fast where it is like the one before.

What an element is follows from its bytes, the character set, and the private creators of its data
set. So where a header has the bytes of the header before, and these two are the same, it has its
elements: they are taken over many at a time, and only the others are walked. An element that
differed lately is expected to differ again.
"""

from bisect import bisect_right
from itertools import accumulate
from operator import attrgetter

from pydicom.charset import default_encoding

from dicom_graph.dicom.dictionary import is_private_creator
from dicom_graph.dicom.elements import Element, Item
from dicom_graph.dicom.explicit import (
    SPECIFIC_CHARACTER_SET,
    DataSet,
    LargeValue,
    NeedMore,
    walk_on,
)
from dicom_graph.dicom.interning import Interner

_MAX_SURPRISES = 64
_PATIENCE = 3
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
    before a large value. Raises NotUnderstood where pydicom has to read it, NeedMore where
    `buffer` is cut, LargeValue at bytes over 4 MiB.
    """
    before, interner.before = interner.before, None
    walked = None
    if isinstance(before, Walked) and after is None:
        walked = before.walk_alike(buffer, start)
    if walked is None:
        walked = _walk_all(buffer, start, interner, after)
    if walked.end == len(buffer) and not at_end:
        raise NeedMore
    if after is None and len(buffer) <= _LONGEST_KEPT:
        interner.before = walked
    return tuple(walked.data_set.elements)


def _walk_all(buffer: bytes, start: int, interner: Interner, after: LargeValue | None) -> "Walked":
    if after is None:
        data_set, last = DataSet(interner, [default_encoding]), -1
    else:
        data_set, last = after.data_set.rest(), after.tag
    end = walk_on(buffer, start, len(buffer), data_set, last)
    starts = [*data_set.starts, end]
    lengths = [stop - start for start, stop in zip(starts, starts[1:], strict=False)]
    return Walked(buffer, start, end, data_set, lengths, [])


class Walked:
    """A header that was walked: where it lies in its buffer, and the lengths of its elements.

    `restless`: the indexes of elements that differed from the header before, and for how many
    more headers each is expected to.
    """

    __slots__ = ("buffer", "data_set", "end", "lengths", "restless", "start")

    def __init__(
        self,
        buffer: bytes,
        start: int,
        end: int,
        data_set: DataSet,
        lengths: list[int],
        restless: list[tuple[int, int]],
    ) -> None:
        self.buffer = buffer
        self.start = start
        self.end = end
        self.data_set = data_set
        self.lengths = lengths
        self.restless = restless

    def walk_alike(self, buffer: bytes, start: int) -> "Walked | None":
        """The header at `start`; None where it is too unlike this one, or means other things."""
        walk = _Walk(self, buffer, start)
        for place, patience in (*self.restless, (len(self.lengths), 0)):
            while walk.take_equal(place):
                walk.surprises += 1
                if walk.surprises > _MAX_SURPRISES or not walk.step(0):
                    return walk.ended()
            if walk.index == place and not walk.step(patience):
                return walk.ended()
        while walk.step(0):
            pass
        return walk.ended()


class _Walk:
    """One walk: `position` in the new buffer, `index` and `old_position` in the header before."""

    __slots__ = (
        "before", "buffer", "data_set", "index", "is_alike", "lengths", "old_position", "position",
        "restless", "start", "surprises",
    )  # fmt: skip

    def __init__(self, before: Walked, buffer: bytes, start: int) -> None:
        self.before = before
        self.buffer = buffer
        self.start = self.position = start
        self.data_set = before.data_set.alike()
        self.lengths: list[int] = []
        self.restless: list[tuple[int, int]] = []
        self.index = 0
        self.old_position = before.start
        self.surprises = 0
        self.is_alike = True

    def take_equal(self, place: int) -> bool:
        """Take the elements before `place` as long as they are equal; gives whether one is not."""
        if self.index >= place:
            return False
        lengths = self.before.lengths[self.index : place]
        length = sum(lengths)
        if not self._is_equal(length):
            ends = list(accumulate(lengths))
            first = bisect_right(ends, False, key=lambda end: not self._is_equal(end))
            lengths = lengths[:first]
            length = ends[first - 1] if first else 0
        self.data_set.elements += self.before.data_set.elements[
            self.index : self.index + len(lengths)
        ]
        self.lengths += lengths
        self.index += len(lengths)
        self.position += length
        self.old_position += length
        return self.index < place

    def _is_equal(self, length: int) -> bool:
        old = self.before.buffer[self.old_position : self.old_position + length]
        return self.buffer.startswith(old, self.position)

    def step(self, patience: int) -> bool:
        """Walk one element; gives whether the walk goes on."""
        elements = self.data_set.elements
        last = elements[-1].tag if elements else -1
        stop = walk_on(
            self.buffer,
            self.position,
            len(self.buffer),
            self.data_set,
            last,
            until=self.position + 1,
        )
        if stop == self.position:
            self._pass(len(self.before.lengths), None)
            return False
        element = elements[-1]
        self.lengths.append(stop - self.position)
        self.position = stop
        old = self.before.data_set.elements
        if self.index < len(old) and old[self.index].tag == element.tag:
            index = self.index + 1
        else:
            index = bisect_right(old, element.tag, self.index, key=_tag)
        if not self._pass(index, element):
            patience = _PATIENCE
        if patience > 0:
            self.restless.append((len(elements) - 1, patience - 1))
        return self.is_alike

    def _pass(self, index: int, element: Element | None) -> bool:
        """Go on to an index of the header before; gives whether it holds the element too."""
        passed = self.before.data_set.elements[self.index : index]
        self.old_position += sum(self.before.lengths[self.index : index])
        self.index = index
        if element is not None:
            if passed and passed[-1] is element:
                del passed[-1]
                element = None
            elif _decides(element):
                self.is_alike = False
        if any(map(_decides, passed)):
            self.is_alike = False
        return element is None

    def ended(self) -> Walked | None:
        """The header, if what it was taken from means the same in it."""
        if not self.is_alike or self.surprises > _MAX_SURPRISES:
            return None
        return Walked(
            self.buffer, self.start, self.position, self.data_set, self.lengths, self.restless
        )


def _decides(element: Element) -> bool:
    """Whether other elements mean something else with this one than without it."""
    return element.tag == SPECIFIC_CHARACTER_SET or is_private_creator(element.tag)
