"""From elements up to what holds them: items, the sequences they belong to, headers, images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql.selectable import CompoundSelect

from dicom_graph.dicom.dictionary import ANY_BLOCK
from dicom_graph.store.dialect import FilterError
from dicom_graph.store.read.climb import enclosing_elements
from dicom_graph.store.read.compare import compare
from dicom_graph.store.read.conditions import And, Condition, HasElement, Not, Or, Test
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.tables import (
    TEXT_KEY_LENGTH,
    DataElement,
    DataElementValue,
    ElementSetMember,
    Header,
    HeaderElement,
)

_NUMBER_TEXT_VRS = frozenset({"AS", "AT", "DS", "IS", "SV", "UV"})
"""VRs whose text is not indexed where it is a number."""
Ids = Select[Any] | CompoundSelect[Any]


def images_with(elements: Ids) -> CompoundSelect[Any]:
    """The ids of images whose header holds one of the elements, at its top level."""
    own = (
        select(Header.image_id)
        .join(HeaderElement, HeaderElement.header_id == Header.id)
        .where(HeaderElement.element_id.in_(elements), Header.image_id.is_not(None))
    )
    sets = select(ElementSetMember.set_id).where(ElementSetMember.element_id.in_(elements))
    shared = select(Header.image_id).where(Header.shared_set_id.in_(sets))
    return union_all(own, shared)


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

    def is_held(self, image_id: ColumnElement[int], wanted: HasElement) -> ColumnElement[bool]:
        """Whether the header of one image holds such an element: for few images to look at."""
        found = self.elements(wanted).cte()
        ids = select(found.c.id)
        header = aliased(Header)
        own = select(HeaderElement.header_id).where(
            HeaderElement.element_id.in_(ids), HeaderElement.header_id == header.id
        )
        shared = select(ElementSetMember.set_id).where(
            ElementSetMember.element_id.in_(ids), ElementSetMember.set_id == header.shared_set_id
        )
        held = (
            select(header.id)
            .where(header.image_id == image_id, or_(own.exists(), shared.exists()))
            .limit(1)
        )
        # Not EXISTS, which PostgreSQL would make into a join with all images that hold it.
        return held.scalar_subquery().is_not(None)

    def elements(self, wanted: HasElement) -> Select[Any]:
        """The ids of such elements, as `(id)`."""
        definitions = [d for d in self.definitions.values() if is_wanted(wanted, d)]
        if wanted.item is not None:
            return self._sequences(wanted, definitions)
        if wanted.values:
            found = self._by_values(wanted, definitions)
            if not wanted.vm and wanted.has_warnings is None:
                return found
            conditions: list[ColumnElement[bool]] = [DataElement.id.in_(found)]
        else:
            conditions = [self._defined(definitions)]
        conditions += [compare(self.sqlite, DataElement.vm.expression, t) for t in wanted.vm]
        if wanted.has_warnings is not None:
            conditions.append(DataElement.has_warnings.is_(wanted.has_warnings))
        return select(DataElement.id.label("id")).where(*conditions)

    def _defined(self, definitions: Sequence[DefinitionRow]) -> ColumnElement[bool]:
        """Elements of definitions: through their values, which are indexed, and those without."""
        ids = [definition.id for definition in definitions]
        with_values = select(DataElementValue.element_id).where(
            DataElementValue.definition_id.in_(ids)
        )
        without = and_(DataElement.n_values == 0, DataElement.definition_id.in_(ids))
        return or_(DataElement.id.in_(with_values), without)

    def _by_values(self, wanted: HasElement, definitions: Sequence[DefinitionRow]) -> Select[Any]:
        """Elements one of whose values passes all tests."""
        value = DataElementValue
        conditions: list[ColumnElement[bool]] = [
            value.definition_id.in_([definition.id for definition in definitions])
        ]
        texts = all(definition.vr not in _NUMBER_TEXT_VRS for definition in definitions)
        for name, test in wanted.values:
            column = getattr(value, name).expression
            asked = _as_range(test) if name == "text" else (test,)
            conditions += [compare(self.sqlite, column, part) for part in asked]
            if name == "text" and texts and test.operator not in ("ne", "is_null"):
                # Words the condition so that the index of texts, a partial one, can serve it.
                conditions += [column.is_not(None), value.number.is_(None)]
                conditions += _indexed(column, test)
        return select(value.element_id.label("id")).where(*conditions)

    def _sequences(self, wanted: HasElement, definitions: Sequence[DefinitionRow]) -> Select[Any]:
        """Sequences that have an item which fulfils the condition."""
        assert wanted.item is not None
        ids = [definition.id for definition in definitions if definition.vr == "SQ"]
        parents = select(Header.element_id).where(
            Header.element_id.is_not(None), self._item(wanted.item)
        )
        if wanted.index is not None:
            parents = parents.where(Header.index == wanted.index)
        return select(DataElement.id.label("id")).where(
            DataElement.id.in_(parents), DataElement.definition_id.in_(ids)
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
                holders = select(HeaderElement.header_id).where(
                    HeaderElement.element_id.in_(select(found.c.id))
                )
                return Header.id.in_(holders)
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


def _is_tag(tag: int, definition: DefinitionRow) -> bool:
    """(0019,109C) and (0019,xx9C) name the same private definition; (0019,0010) a creator."""
    if not definition.private_creator:
        return tag == definition.tag
    has_block = bool(tag & (ANY_BLOCK | 0xF000))
    return has_block and tag & 0xFFFF00FF == definition.tag


def _as_range(test: Test) -> tuple[Test, ...]:
    """Equality as a range: SQLite would put the text of `=` in place of the column everywhere, and
    not know the index's expression again.
    """
    if test.operator == "eq":
        return Test("gte", test.value), Test("lte", test.value)
    if test.operator == "in" and len(test.value) == 1:
        return Test("gte", test.value[0]), Test("lte", test.value[0])
    return (test,)


def _indexed(column: ColumnElement[Any], test: Test) -> list[ColumnElement[bool]]:
    """What a test on a text says of its indexed beginning."""
    key = func.substr(column, literal(1, literal_execute=True, type_=Integer()),
                      literal(TEXT_KEY_LENGTH, literal_execute=True, type_=Integer()))  # fmt: skip
    if test.operator == "eq":
        return [key == test.value[:TEXT_KEY_LENGTH]]
    if test.operator == "in":
        return [key.in_([value[:TEXT_KEY_LENGTH] for value in test.value])]
    if test.operator == "starts_with" and test.value:
        start = test.value[:TEXT_KEY_LENGTH]
        return [key >= start, key < start + "\U0010ffff"]
    return []
