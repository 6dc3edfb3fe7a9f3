"""Facets: the distinct values of a field or an element, with their counts."""

import datetime as dt
from dataclasses import fields
from typing import Annotated, Any

import strawberry

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.errors import BadInput
from dicom_graph.graph.context import Info
from dicom_graph.graph.inputs.entities import (
    ImageFilter,
    PatientFilter,
    SeriesFilter,
    StudyFilter,
)
from dicom_graph.graph.inputs.groups import FieldName
from dicom_graph.graph.registry import ENTITIES
from dicom_graph.graph.scalars import JSON
from dicom_graph.graph.types.entity_field import EntityType
from dicom_graph.store.read import FacetValue as Row
from dicom_graph.store.read.client_errors import answered
from dicom_graph.store.read.conditions import Condition, HasElement
from dicom_graph.store.read.element_path import checked_keyword, parse_path
from dicom_graph.store.read.fields import listed_fields

_field = strawberry.field
_MAX_VALUES = 10_000


@strawberry.input(description="Which entities a facet counts: the filter of that entity.")
class FacetFilter:
    patient: PatientFilter | None = _field(default=None, description="With PATIENT.")
    study: StudyFilter | None = _field(default=None, description="With STUDY.")
    series: SeriesFilter | None = _field(default=None, description="With SERIES.")
    image: ImageFilter | None = _field(default=None, description="With IMAGE.")


@strawberry.type(description="A value, and how many have it.")
class FacetValue:
    value: JSON | None = _field(description="The value; null where it is missing.")
    count: int = _field(description="How many of the counted entities have it.")


Entity = Annotated[EntityType, strawberry.argument(description="Which kind of objects.")]
Field = Annotated[FieldName | None, strawberry.argument(description="A field of the entity.")]
Keyword = Annotated[str | None, strawberry.argument(description="A keyword, such as EchoTime.")]
Path = Annotated[
    str | None,
    strawberry.argument(
        description="A path into sequences, or a tag: (0019,109C), with any block (0019,xx9C)."
    ),
]
Creator = Annotated[
    str | None, strawberry.argument(description="With the tag of a private element: its creator.")
]
Filter = Annotated[
    FacetFilter | None, strawberry.argument(description="Which entities; all if not given.")
]
Each = Annotated[
    bool,
    strawberry.argument(
        description="Of a field that is a list: each member of it is a value, with all that have "
        "it; else each whole list. Of an element each value always is."
    ),
]
First = Annotated[
    int, strawberry.argument(description="At most so many values, the most frequent first.")
]


async def facet(
    info: Info,
    entity: Entity,
    field: Field = None,
    keyword: Keyword = None,
    path: Path = None,
    private_creator: Creator = None,
    filter: Filter = None,
    first: First = 100,
    each: Each = False,
) -> list[FacetValue]:
    """The values of a field of an entity, or of an element of the images' headers."""
    if sum(name is not None for name in (field, keyword, path)) != 1:
        raise BadInput("give `field`, `keyword` or `path`, one of them")
    if not 0 <= first <= _MAX_VALUES:
        raise BadInput(f"`first` is {first}; it must be from 0 to {_MAX_VALUES}")
    counted = str(entity.value)
    wanted = _condition(counted, filter)
    store = info.context.store
    if field is not None:
        name = str(field.value)
        if name not in listed_fields(counted):
            raise BadInput(f"{field.name} is no field of these objects that facets have")
        found = await answered(store.field_facet(counted, name, wanted, first, each=each))
        rows = [_as_filters_take_it(counted, name, row) for row in found]
    else:
        names = _names(keyword, path, private_creator)
        rows = await answered(store.element_facet(counted, names, wanted, first))
    return [FacetValue(value=_json(row), count=row.n_entities) for row in rows]


def _condition(entity: str, given: FacetFilter | None) -> Condition | None:
    if given is None:
        return None
    for field in fields(given):
        if field.name != entity and getattr(given, field.name) is not None:
            raise BadInput(f"the facet counts {entity.upper()}: give `filter.{entity}`")
    return ENTITIES[entity].wanted(getattr(given, entity))


def _names(keyword: str | None, path: str | None, creator: str | None) -> list[HasElement]:
    if keyword is not None:
        return [HasElement(keyword=checked_keyword(keyword), private_creator=creator)]
    steps = parse_path(path or "")
    names = [HasElement(keyword=s.keyword, tag=s.tag, index=s.item) for s in steps[:-1]]
    last = steps[-1]
    return [*names, HasElement(keyword=last.keyword, tag=last.tag, private_creator=creator)]


def _as_filters_take_it(entity: str, name: str, row: Row) -> Row:
    """The name of a choice in place of what the database has."""
    attribute = DESCRIBED[entity].by_name.get(name)
    if attribute is None or attribute.choices is None or row.value is None:
        return row
    return row._replace(value=attribute.choices(row.value).name)


def _json(row: Row) -> Any:
    value = row.value
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
