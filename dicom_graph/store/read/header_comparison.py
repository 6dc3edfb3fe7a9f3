"""Headers side by side: which elements are equal in all, which differ, which some have not."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from dicom_graph.dicom.dictionary import ANY_BLOCK, format_tag, is_private_creator, keyword_tag
from dicom_graph.store.read.elements import ElementNode, ElementRow

Tree = Sequence[ElementNode]
_Key = tuple[int, str, int]
"""What is the same element in two headers: its tag without a block, whose it is, and which of
several such.
"""


class Outcome(Enum):
    """What a comparison finds."""

    EQUAL = "EQUAL"
    DIFFERENT = "DIFFERENT"
    MISSING = "MISSING"


class Compared(NamedTuple):
    """An element of some headers; None for those that have it not. `depth`: sequences around it."""

    path: str
    depth: int
    elements: tuple[ElementRow | None, ...]
    outcome: Outcome

    @property
    def first(self) -> ElementRow:
        """That of the first header that has it."""
        return next(element for element in self.elements if element is not None)


def step_name(row: ElementRow) -> str:
    """What a path calls an element: its keyword, or its tag where that names it alone."""
    keyword = row.definition.keyword
    return keyword if keyword and keyword_tag(keyword) == row.tag else format_tag(row.tag)


def compare_headers(trees: Sequence[Tree], above: str = "", depth: int = 0) -> Iterator[Compared]:
    """All elements of headers by tag, each sequence followed by those of its items, side by side.

    A private element is the same in whichever block its creator reserves, and so is the element
    that reserves the block.
    """
    keyed = [_keyed(tree) for tree in trees]
    for key in sorted(set().union(*keyed)):
        nodes = [each.get(key) for each in keyed]
        elements = tuple(node.element if node is not None else None for node in nodes)
        row = next(element for element in elements if element is not None)
        path = above + (_open_tag(row) if row.definition.private_creator else step_name(row))
        items = [(node.items or ()) if node is not None else () for node in nodes]
        nested: list[Compared] = []
        for index in range(max(map(len, items))):
            of_all = [each[index] if len(each) > index else () for each in items]
            nested += compare_headers(of_all, f"{path}[{index}].", depth + 1)
        yield Compared(path, depth, elements, _outcome(elements, items, nested))
        yield from nested


def _outcome(
    elements: Sequence[ElementRow | None], items: Sequence[Sequence[Tree]], nested: list[Compared]
) -> Outcome:
    held = [element for element in elements if element is not None]
    if len(held) < len(elements):
        return Outcome.MISSING
    if len({element.id for element in held}) == 1:
        return Outcome.EQUAL
    is_same = (
        len({(e.definition.vr, e.vm, e.raw, e.sha256, e.values) for e in held}) == 1
        and len(set(map(len, items))) == 1
        and all(each.outcome is Outcome.EQUAL for each in nested)
    )
    return Outcome.EQUAL if is_same else Outcome.DIFFERENT


def _keyed(tree: Tree) -> Mapping[_Key, ElementNode]:
    found: dict[_Key, ElementNode] = {}
    for node in tree:
        row = node.element
        tag, owner = row.definition.tag, row.definition.private_creator
        if is_private_creator(row.tag) and row.values:
            tag, owner = tag & 0xFFFF0000, row.values[0].text or ""
        number = 0
        while (tag, owner, number) in found:
            number += 1
        found[tag, owner, number] = node
    return found


def _open_tag(row: ElementRow) -> str:
    return format_tag(row.tag & ~ANY_BLOCK, any_block=True)
