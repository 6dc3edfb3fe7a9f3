"""From elements up to what holds them: items, the sequences they belong to, headers, images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    false,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.sql.selectable import CompoundSelect

from dicom_graph.dicom.dictionary import ANY_BLOCK
from dicom_graph.store.dialect import FilterError
from dicom_graph.store.read.climb import enclosing_elements, images_with
from dicom_graph.store.read.compare import compare
from dicom_graph.store.read.conditions import And, Condition, HasCsa, HasElement, Not, Or
from dicom_graph.store.read.csa import items_with_csa
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.texts import as_range, of_beginning
from dicom_graph.store.tables import (
    DataElement,
    DataElementValue,
    Header,
    HeaderElement,
)

_NUMBER_TEXT_VRS = frozenset({"AS", "AT", "DS", "IS", "SV", "UV"})
"""VRs whose text is not indexed where it is a number."""


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
            asked = as_range(test) if name == "text" else (test,)
            conditions += [compare(self.sqlite, column, part) for part in asked]
            if name == "text" and texts and test.operator not in ("ne", "is_null"):
                # Words the condition so that the index of texts, a partial one, can serve it.
                conditions += [column.is_not(None), value.number.is_(None)]
                conditions += of_beginning(column, test)
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
            case HasCsa():
                return Header.id.in_(items_with_csa(self.sqlite, condition))
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
