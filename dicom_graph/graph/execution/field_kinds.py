"""How a field of an entity is answered for many objects at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

from graphql import GraphQLField
from strawberry.schema.schema_converter import GraphQLCoreConverter

from dicom_graph.dicom.entities import Description
from dicom_graph.graph.batch_marks import Mark, mark_of
from dicom_graph.graph.enums.choices import ENUMS
from dicom_graph.graph.execution.scalar_values import Complete, completer, reader
from dicom_graph.graph.node import global_id
from dicom_graph.graph.registry import Entity
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES


class FromColumn(NamedTuple):
    """A field that is a column of a row, by `column`, and what that becomes."""

    column: str
    complete: Complete
    convert: Callable[[Any], Any] | None = None


class FromObject(NamedTuple):
    """A field that an object answers at once."""

    read: Callable[[Any], Any]


Kind = FromColumn | FromObject | Mark | None
"""How a field is answered; None: by graphql-core, for each object."""
_KINDS: dict[int, tuple[GraphQLField, Kind]] = {}
"""By the identity of fields, which live as long as the schema."""


def kind_of(entity: Entity, field: GraphQLField) -> Kind:
    """How a field of an entity is answered; found out once for each field."""
    known = _KINDS.get(id(field))
    if known is None:
        known = _KINDS[id(field)] = (field, _find_kind(entity, field))
    return known[1]


def _find_kind(entity: Entity, field: GraphQLField) -> Kind:
    defined = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if defined is None or defined.extensions or defined.permission_classes:
        return None
    resolver = defined.base_resolver
    if resolver is not None:
        mark = mark_of(resolver.wrapped_func)
        if mark is not None:
            return mark
    complete = completer(field.type)
    if complete is None:
        return None
    if resolver is None and entity.described is not None:
        name: str = defined.python_name
        columns = _columns_read(entity.described)
        if name in columns:
            return FromColumn(name, complete, columns[name])
        if name == "id":
            type_name = entity.type_name
            return FromColumn("id", complete, lambda key: global_id(type_name, key))
    read = reader(field)
    return FromObject(read) if read is not None else None


def _columns_read(described: Description) -> dict[str, Callable[[Any], Any] | None]:
    """The fields that are columns of a row, and what these become."""
    found: dict[str, Callable[[Any], Any] | None] = {}
    for attribute in (*described.attributes, *ROW_ATTRIBUTES):
        convert = None
        if attribute.choices is not None:
            enum = ENUMS[attribute.choices]
            convert = lambda value, enum=enum: enum(value) if value else None  # noqa: E731
        found[attribute.name] = convert
    return found
