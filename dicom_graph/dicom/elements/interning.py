"""Each distinct element is made once; the 98 % that repeat cost a dictionary look-up."""

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.elements.contents import MAX_RAW, Element, Item, make_element, make_sequence
from dicom_graph.dicom.elements.time_zone import TimeZones

LARGE = 4096
"""Elements of more bytes are not remembered."""
_MANY = 100
_GENERATION_BYTES = 8 << 20
_GENERATION_SIZE = 10_000
_OBJECTS_BYTES = 1000


class Context:
    """What decides the meaning of equal bytes in an explicit little endian data set.

    One for each (character set, private creator); `known` is read by the hot loop directly.
    """

    __slots__ = ("creator", "encodings", "interner", "known", "older")

    def __init__(self, interner: "Interner", encodings: list[str], creator: str) -> None:
        self.interner = interner
        self.encodings = encodings
        self.creator = creator
        self.known: dict[bytes, Element] = {}
        self.older: dict[bytes, Element] = {}

    def learn(self, chunk: bytes, tag: int, vr: str, value_start: int) -> Element:
        """The element of a chunk (its header and value) that `known` does not hold."""
        element = self.older.get(chunk)
        if element is None:
            raw = chunk[value_start:]
            element = make_element(
                tag, self.creator, vr, raw, self.encodings, True, self.interner.max_raw
            )
        if len(chunk) <= LARGE:
            self.remember(chunk, element)
        return element

    def remember(self, chunk: bytes, element: Element) -> None:
        self.known[chunk] = element
        self.interner.grown += len(chunk) + _OBJECTS_BYTES


class Interner:
    """The elements seen lately. Not thread-safe: one reader, one interner.

    `max_raw`: the most bytes of a binary value that an element keeps. `grown`: about how many
    bytes the present generation takes. `n_made`: how many elements were not known, but for those of
    the fast walk. `before`: the header that the fast walk read last (see
    `fork`). `zones`: what turns local times into moments.
    """

    def __init__(self, max_raw: int = MAX_RAW) -> None:
        self.max_raw = max_raw
        self.grown = 0
        self.n_made = 0
        self.before: object = None
        self.zones = TimeZones()
        self._contexts: dict[tuple[str, ...], Context] = {}
        self._raw: BoundedCache[tuple[object, ...], Element] = BoundedCache(_GENERATION_SIZE)
        self._sequences: BoundedCache[bytes, Element] = BoundedCache(_GENERATION_SIZE)

    def context(self, encodings: list[str], creator: str) -> Context:
        """The context of explicit little endian elements under a character set and creator."""
        key = (creator, *encodings)
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = Context(self, encodings, creator)
        return context

    def age(self) -> None:
        """Between two files: start a new generation where the present one is full."""
        if self.grown < _GENERATION_BYTES:
            return
        self.grown = 0
        if len(self._contexts) > 1000:
            self._contexts.clear()
        for context in self._contexts.values():
            context.older, context.known = context.known, {}

    def element(
        self,
        tag: int,
        private_creator: str,
        vr: str,
        raw: bytes,
        encodings: list[str],
        little_endian: bool,
        problem: str | None = None,
    ) -> Element:
        """The element of these bytes, in any encoding; `problem`: what is wrong with that."""
        key = (tag, private_creator, vr, raw, little_endian, problem, *encodings)
        element = self._raw.get(key) if len(raw) <= LARGE else None
        if element is None:
            self.n_made += 1
            element = make_element(
                tag, private_creator, vr, raw, encodings, little_endian, self.max_raw, problem
            )
            if len(raw) <= LARGE:
                self._raw[key] = element
        return element

    def sequence(
        self,
        tag: int,
        private_creator: str,
        items: tuple[Item, ...],
        problem: str | None = None,
    ) -> Element:
        """The sequence of these items; large ones are not remembered."""
        items = self.zones.of_items(items)
        element = make_sequence(tag, private_creator, items, problem)
        if sum(map(len, items)) > _MANY:
            self.n_made += 1
            return element
        known = self._sequences.get(element.digest)
        if known is None:
            self.n_made += 1
            self._sequences[element.digest] = element
            return element
        return known
