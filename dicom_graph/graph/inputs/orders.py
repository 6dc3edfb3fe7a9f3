"""Order inputs: by which field, in which direction."""

import json
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

import strawberry

from dicom_graph.dicom.entities import IMAGE, PATIENT, SERIES, STUDY, Description
from dicom_graph.errors import BadInput
from dicom_graph.graph.inputs.clauses import input_class
from dicom_graph.graph.inputs.operators import checked_text
from dicom_graph.store.read import Order
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.element_path import Step, checked_keyword, checked_tag, parse_path
from dicom_graph.store.read.relations import DEFAULT_ORDERS
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES


@strawberry.enum(description="In which direction to sort. A missing value is the smallest.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest first.")
    DESC = strawberry.enum_value("DESC", description="Largest first.")


@strawberry.input(
    description="An element to sort by, by its first value: as a number, date, time or moment "
    "where its VR has such, else as text. What is not there or cannot be read is the smallest."
)
class ElementOrder:
    keyword: str | None = strawberry.field(
        default=None, description="A standard keyword, such as EchoTime."
    )
    tag: str | None = strawberry.field(
        default=None, description="A tag: (0018,0081), or (0019,xx9C) with any block."
    )
    path: str | None = strawberry.field(
        default=None,
        description="Keywords or tags into sequences; the first item unless an index says which.",
    )
    private_creator: str | None = strawberry.field(
        default=None, description="With the tag of a private element: its creator."
    )


def order_input(
    type_name: str,
    more: Mapping[str, tuple[str, str]],
    *,
    described: Description | None = None,
    element: str | None = None,
) -> Any:
    """The order of a type, by the attributes of its description and by `more`: members with the
    store's names and descriptions. `element`: whose elements its objects can be sorted by.
    """
    members = {**(_described(described) if described is not None else {}), **more}
    values: Any = {
        member: strawberry.enum_value(name, description=description)
        for member, (name, description) in members.items()
    }
    names: Any = Enum(f"{type_name}OrderField", values, module=__name__)  # type: ignore[misc]
    sorted_by = f"What {type_name.lower()} lists can be sorted by."
    fields: Any = strawberry.enum(names, description=sorted_by)
    made = type(f"{type_name}Order", (), {"__module__": __name__})
    field = strawberry.field(description="What to sort by.")
    given = {"field": (fields, field)} if element is None else _with_element(fields, element)
    direction = strawberry.field(default=OrderDirection.ASC, description="In which direction.")
    return input_class(
        made,
        {**given, "direction": (OrderDirection, direction)},
        "One thing to sort by, and the direction.",
    )


def _described(described: Description) -> dict[str, tuple[str, str]]:
    """A member for each attribute, and for what a database adds."""
    attributes = (*described.attributes, *ROW_ATTRIBUTES)
    return {
        "ID": ("id", "The order in which they came into the database."),
        **{a.name.upper(): (a.name, a.description) for a in attributes},
    }


def _with_element(field_type: Any, whose: str) -> Any:
    """Members of an order input: a field, or an element of a header."""
    by_element = (
        f"{whose}. All of the list is looked at, some 30 µs for each object; pages of all images "
        "by a standard number, date or time come from an index."
    )
    return {
        "field": (
            field_type | None,
            strawberry.field(default=None, description="What to sort by: this, or an element."),
        ),
        "element": (ElementOrder | None, strawberry.field(default=None, description=by_element)),
    }


_N_STUDIES, _N_SERIES, _N_IMAGES = (
    (f"n_{name}", f"Number of {name}.") for name in ("studies", "series", "images")
)
PatientOrder: Any = order_input(
    "Patient",
    {
        "LATEST_STUDY_TIME": ("latest_study_time", "Date and time of the latest study."),
        "N_STUDIES": _N_STUDIES,
        "N_SERIES": _N_SERIES,
        "N_IMAGES": _N_IMAGES,
    },
    described=PATIENT,
)
StudyOrder: Any = order_input(
    "Study",
    {
        "N_PATIENTS": ("n_patients", "Number of patients."),
        "N_SERIES": _N_SERIES,
        "N_IMAGES": _N_IMAGES,
    },
    described=STUDY,
)
SeriesOrder: Any = order_input(
    "Series",
    {
        "STUDY": ("study", "The study's UID."),
        "PATIENT": ("patient", "The patient's PatientID."),
        "N_IMAGES": _N_IMAGES,
    },
    described=SERIES,
    element="An element of the series' sample header",
)
ImageOrder: Any = order_input(
    "Image",
    {
        "SERIES": ("series_id", "The series, in the order in which they came into the database."),
        "MISSING_SINCE": ("missing_since", "When the last of its files was found gone."),
    },
    described=IMAGE,
    element="An element of the image's header",
)
ImportJobOrder: Any = order_input(
    "ImportJob",
    {
        "ID": ("id", "The order in which they were asked for."),
        "CREATED_AT": ("created", "When it was asked for."),
        "STARTED_AT": ("started_at", "When it first began."),
        "FINISHED_AT": ("finished_at", "When it ended."),
        "STATUS": ("status", "Where it is in its life."),
        "ORIGIN": ("origin", "Who asked for it."),
        "FOUND": ("found", "Number of files found."),
        "FAILED": ("failed", "Number of files that it could not take."),
        "CREATED": ("images_created", "Number of images that were new."),
        "MISSING": ("missing", "Number of images found missing."),
        "SYNC": ("sync", "Whether it marks the images whose files are gone; those that do last."),
        "ERROR": ("error", "Why it failed as a whole."),
    },
)
AuditEntryOrder: Any = order_input(
    "AuditEntry",
    {
        "ID": ("id", "The order in which they were written."),
        "CREATED_AT": ("created", "When it ended."),
        "PRINCIPAL": ("principal", "The name of whoever did it."),
        "SECONDS": ("seconds", "How long it took."),
        "N_PATIENTS": ("n_patients", "Number of patients."),
        "N_IMAGES": _N_IMAGES,
        "N_STUDIES": _N_STUDIES,
        "N_SERIES": _N_SERIES,
        "ACTION": ("action", "What was done."),
        "OUTCOME": ("outcome", "How it ended."),
        "USER_ID": ("user_id", "The user's number."),
        "TOKEN_ID": ("token_id", "The token's number."),
        "ADDRESS": ("address", "The client's address."),
        "ROUTE": ("route", "The route."),
        "REQUEST_ID": ("request_id", "The request's id."),
        "OPERATION_NAME": ("operation_name", "The name of the operation."),
        "ROOT_FIELDS": ("root_fields", "The fields of the root that it asked for, one by one."),
        "DOCUMENT_DIGEST": ("document_digest", "The SHA-256 of its document."),
        "DETAIL": ("detail", "Codes of errors, or what a command changed."),
    },
)


HeaderOrder: Any = order_input(
    "Header",
    {
        "ID": ("id", "The order in which they came into the database."),
        "IMAGE": ("image_id", "Their images, as these came into the database; items first."),
        "PARENT": ("element_id", "The sequences whose items they are; those of images first."),
        "INDEX": ("index", "Their places among the items of a sequence."),
    },
)
DataElementValueOrder: Any = order_input(
    "DataElementValue",
    {
        "ELEMENT": ("element_id", "Their elements, in the order in which these came."),
        "INDEX": ("index", "Their places among the values of an element."),
        "TEXT": ("text", "Their texts."),
        "NUMBER": ("number", "Their numbers."),
        "DATE": ("date", "Their dates (DA)."),
        "TIME": ("time", "Their times (TM)."),
        "DATETIME": ("datetime", "Their moments (DT), in UTC where the offset is known."),
    },
)
_KEYS = {"data_element_value": ("element_id", "index")}
"""What tells objects apart, where that is not their `id`."""


def order_of(entity: str, given: list[Any] | None) -> tuple[Order, ...]:
    """The order that is asked for, made total by the key; the entity's own where none is.

    Raises BadInput.
    """
    if not given:
        return DEFAULT_ORDERS[entity]
    named: dict[str, Order] = {}
    for order in map(_order, given):
        named.setdefault(order.name, order)
    unique = tuple(named.values())
    keys = _KEYS.get(entity, ("id",))
    last = unique[-1].descending
    return (*unique, *(Order(key, last) for key in keys if key not in named))


def _order(given: Any) -> Order:
    descending = given.direction is OrderDirection.DESC
    element = getattr(given, "element", None)
    if (given.field is None) == (element is None):
        raise BadInput("give `field` or `element` to sort by, one of them")
    if element is None:
        return Order(given.field.value, descending)
    path = _path(element)
    return Order(f"element {json.dumps(_plain_path(path))}", descending, path)


def _path(given: ElementOrder) -> tuple[HasElement, ...]:
    if sum(name is not None for name in (given.keyword, given.tag, given.path)) != 1:
        raise BadInput("an element to sort by is named by `keyword`, `tag` or `path`: one of them")
    if given.path is not None:
        steps = parse_path(given.path)
    elif given.keyword is not None:
        steps = [Step(checked_keyword(given.keyword), None, None)]
    else:
        steps = [Step(None, checked_tag(given.tag or ""), None)]
    path = [HasElement(keyword=step.keyword, tag=step.tag, index=step.item or 0) for step in steps]
    creator = given.private_creator
    path[-1] = replace(path[-1], private_creator=checked_text(creator) if creator else creator)
    return tuple(path)


def _plain_path(path: tuple[HasElement, ...]) -> list[Any]:
    return [(step.keyword, step.tag, step.private_creator, step.index) for step in path]
