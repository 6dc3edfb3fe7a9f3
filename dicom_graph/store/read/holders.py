"""From elements up to what holds them: items, the sequences they belong to, headers, images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
    false,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.selectable import CompoundSelect

from dicom_graph.dicom.dictionary import ANY_BLOCK, is_private
from dicom_graph.store.postings import is_held, postings
from dicom_graph.store.read.by_values import (
    IS_WARNED,
    elements_by_values,
    elements_of_definitions,
)
from dicom_graph.store.read.compare import compare
from dicom_graph.store.read.conditions import And, Condition, HasCsa, HasElement, Not, Or
from dicom_graph.store.read.containing_images import enclosing_elements, images_with
from dicom_graph.store.read.csa import items_with_csa
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.sql.driver_errors import FilterError
from dicom_graph.store.tables.columns import DATA_ELEMENT, HEADER
from dicom_graph.store.tables.headers import ElementSetMember, Header, HeaderElement


def images_that_hold(element_id: int) -> CompoundSelect[Any]:
    """The ids of images whose header holds the element, at any depth."""
    enclosing = enclosing_elements(select(literal(element_id, BigInteger()).label("id")))
    return images_with(select(enclosing.c.id))


@dataclass(frozen=True, slots=True)
class ElementMatcher:
    """Finds the elements that a condition describes, and the headers that hold them."""

    sqlite: bool
    definitions: Mapping[int, DefinitionRow]

    def images(self, wanted: HasElement) -> CompoundSelect[Any]:
        """The ids of images whose header holds such an element. Raises FilterError."""
        elements = self.elements(wanted)
        if wanted.anywhere:
            enclosing = enclosing_elements(elements)
            elements = select(enclosing.c.id)
        return images_with(elements)

    def headers(self, wanted: HasElement) -> CompoundSelect[Any]:
        """The ids of headers of images and items that hold such an element. Raises FilterError."""
        elements = self.elements(wanted)
        if wanted.anywhere:
            enclosing = enclosing_elements(elements)
            elements = select(enclosing.c.id)
        found = select(elements.cte().c.id)
        held, member = postings(HeaderElement), postings(ElementSetMember)
        sets = member.holders().where(member.element_id.in_(found))
        shared = select(HEADER.id).where(HEADER.shared_set_id.in_(sets))
        return union_all(held.holders().where(held.element_id.in_(found)), shared)

    def is_value(self, table: FromClause, wanted: HasElement) -> ColumnElement[bool]:
        """Whether a row of the table of values is one of such an element. Raises FilterError."""
        definitions = [d for d in self.definitions.values() if is_wanted(wanted, d)]
        conditions = [
            table.c.definition_id.in_([definition.id for definition in definitions]),
            *(compare(self.sqlite, table.c[name], test) for name, test in wanted.values),
        ]
        if wanted.values:  # For which there are indexes, if not for this statement's words.
            found = elements_by_values(self.sqlite, definitions, wanted.values)
            conditions.append(table.c.element_id.in_(found))
        if wanted.has_warnings is not None:
            is_warned = table.c.warning.is_not(None)
            conditions.append(is_warned if wanted.has_warnings else ~is_warned)
        if block := in_block(wanted):
            conditions.append(table.c.element_id.in_(select(DATA_ELEMENT.id).where(*block)))
        return and_(true(), *conditions)

    def is_held(self, image_id: ColumnElement[int], wanted: HasElement) -> ColumnElement[bool]:
        """Whether the header of one image holds such an element: for few images to look at."""
        found = self.elements(wanted).cte()
        ids = select(found.c.id)
        header = Header.__table__.alias().c
        own = is_held(HeaderElement, ids, header.id)
        shared = is_held(ElementSetMember, ids, header.shared_set_id)
        held = select(header.id).where(header.image_id == image_id, or_(own, shared)).limit(1)
        # Not EXISTS, which PostgreSQL would make into a join with all images that hold it.
        return held.scalar_subquery().is_not(None)

    def elements(self, wanted: HasElement) -> Select[Any]:
        """The ids of such elements, as `(id)`."""
        definitions = [d for d in self.definitions.values() if is_wanted(wanted, d)]
        if wanted.item is not None:
            return self._sequences(wanted, definitions)
        asked = self._of_element(wanted)
        if wanted.values:
            found = elements_by_values(self.sqlite, definitions, wanted.values)
        elif wanted.has_warnings:
            ids = [definition.id for definition in definitions]
            asked.append(DATA_ELEMENT.definition_id.in_(ids))
            return select(DATA_ELEMENT.id.label("id")).where(*asked)
        else:
            found = elements_of_definitions(definitions)
        if not asked:
            return found
        return select(DATA_ELEMENT.id.label("id")).where(DATA_ELEMENT.id.in_(found), *asked)

    def _of_element(self, wanted: HasElement) -> list[ColumnElement[bool]]:
        """What is asked of the element beside its definition and its values."""
        asked = [compare(self.sqlite, DATA_ELEMENT.vm, test) for test in wanted.vm]
        if wanted.has_warnings is not None:
            asked.append(IS_WARNED if wanted.has_warnings else ~DATA_ELEMENT.has_warnings)
        return asked + in_block(wanted)

    def _sequences(self, wanted: HasElement, definitions: Sequence[DefinitionRow]) -> Select[Any]:
        """Sequences that have an item which fulfils the condition."""
        assert wanted.item is not None
        ids = [definition.id for definition in definitions if definition.vr == "SQ"]
        parents = select(HEADER.element_id).where(
            HEADER.element_id.is_not(None), self._item(wanted.item)
        )
        if wanted.index is not None:
            parents = parents.where(HEADER.index == wanted.index)
        return select(DATA_ELEMENT.id.label("id")).where(
            DATA_ELEMENT.id.in_(parents), DATA_ELEMENT.definition_id.in_(ids), *in_block(wanted)
        )

    def _item(self, condition: Condition) -> ColumnElement[bool]:
        """The condition on a sequence item."""
        match condition:
            case And(parts):
                return and_(true(), *map(self._item, parts))
            case Or(parts):
                return or_(false(), *map(self._item, parts))
            case Not(part):
                return self._item(part).is_not(true())
            case HasElement():
                elements = self.elements(condition)
                if condition.anywhere:
                    enclosing = enclosing_elements(elements)
                    elements = select(enclosing.c.id)
                found = elements.cte()
                held = postings(HeaderElement)
                among = held.element_id.in_(select(found.c.id))
                return HEADER.id.in_(held.holders().where(among))
            case HasCsa():
                return HEADER.id.in_(items_with_csa(self.sqlite, condition))
            case _:
                raise FilterError("a sequence item has elements only")


def is_wanted(wanted: HasElement, definition: DefinitionRow) -> bool:
    """Whether the condition names this definition."""
    if wanted.keyword is not None and definition.keyword != wanted.keyword:
        return False
    if wanted.tag is not None and not _is_tag(wanted.tag, definition):
        return False
    if wanted.private_creator is not None and (
        definition.private_creator != wanted.private_creator
    ):
        return False
    return wanted.vr is None or definition.vr == wanted.vr


def in_block(wanted: HasElement) -> list[ColumnElement[bool]]:
    """That a private element lies in the block that the tag names; nothing for any block."""
    block = explicit_block(wanted)
    # A private element without a creator has block 0, and its whole tag in its definition.
    return [] if block is None else [DATA_ELEMENT.block.in_((0, block))]


def explicit_block(wanted: HasElement) -> int | None:
    """The block that a private tag names; None for any, and for a standard tag."""
    tag = wanted.tag
    if tag is None or tag & ANY_BLOCK or not is_private(tag) or not tag & 0xF000:
        return None
    return tag >> 8 & 0xFF


def _is_tag(tag: int, definition: DefinitionRow) -> bool:
    """(0019,109C) and (0019,xx9C) have one private definition; (0019,0010) is a creator."""
    if not definition.private_creator:
        return tag == definition.tag
    has_block = bool(tag & (ANY_BLOCK | 0xF000))
    return has_block and tag & 0xFFFF00FF == definition.tag
