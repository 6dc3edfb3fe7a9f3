"""Order inputs: by which field, in which direction."""

import json
from dataclasses import replace
from enum import Enum
from typing import Any

import strawberry

from dicom_graph.graph.element_path import Step, checked_keyword, checked_tag, parse_path
from dicom_graph.graph.errors import BadInput
from dicom_graph.graph.inputs.operators import checked_text
from dicom_graph.store.read import Order
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.relations import DEFAULT_ORDERS


@strawberry.enum(description="In which direction to sort. A missing value is the smallest.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest first.")
    DESC = strawberry.enum_value("DESC", description="Largest first.")


_COMMON = {
    "id": "The order in which they came into the database.",
    "uid": "The UID; of a patient PatientID.",
    "created": "When it came into the database.",
    "modified": "When its row last changed.",
}
_FIELDS: dict[str, dict[str, str]] = {
    "patient": {
        "family_name": "Family name.",
        "given_name": "Given name.",
        "sex": "PatientSex.",
        "date_of_birth": "PatientBirthDate.",
        "latest_study_time": "Date and time of the latest study.",
        "n_studies": "Number of studies.",
        "n_series": "Number of series.",
        "n_images": "Number of images.",
    },
    "study": {
        "date": "StudyDate.",
        "time": "StudyTime.",
        "description": "StudyDescription.",
        "n_patients": "Number of patients.",
        "n_series": "Number of series.",
        "n_images": "Number of images.",
    },
    "series": {
        "study": "The study's UID.",
        "patient": "The patient's PatientID.",
        "number": "SeriesNumber.",
        "date": "SeriesDate.",
        "time": "SeriesTime.",
        "description": "SeriesDescription.",
        "modality": "Modality.",
        "protocol_name": "ProtocolName.",
        "scanning_sequence": "ScanningSequence, code by code.",
        "sequence_variant": "SequenceVariant, code by code.",
        "pixel_spacing": "PixelSpacing between rows.",
        "slice_thickness": "SliceThickness.",
        "echo_time": "EchoTime.",
        "inversion_time": "InversionTime.",
        "repetition_time": "RepetitionTime.",
        "flip_angle": "FlipAngle.",
        "manufacturer": "Manufacturer.",
        "manufacturer_model_name": "ManufacturerModelName.",
        "magnetic_field_strength": "MagneticFieldStrength.",
        "device_serial_number": "DeviceSerialNumber.",
        "institution_name": "InstitutionName.",
        "sequence_type": "The sequence type's label.",
        "n_images": "Number of images.",
    },
    "image": {
        "series_id": "The series, in the order in which they came into the database.",
        "number": "InstanceNumber.",
        "date": "InstanceCreationDate.",
        "time": "InstanceCreationTime.",
    },
    "import_job": {
        "id": "The order in which they were asked for.",
        "created": "When it was asked for.",
        "started_at": "When it first began.",
        "finished_at": "When it ended.",
        "status": "Where it is in its life.",
        "origin": "Who asked for it.",
        "found": "Number of files found.",
        "failed": "Number of files that it could not take.",
    },
    "audit_entry": {
        "id": "The order in which they were written.",
        "created": "When it ended.",
        "principal": "The name of whoever did it.",
        "seconds": "How long it took.",
        "n_patients": "Number of patients.",
        "n_images": "Number of images.",
    },
}
_TYPE_NAMES = {
    "patient": "Patient", "study": "Study", "series": "Series", "image": "Image",
    "import_job": "ImportJob", "audit_entry": "AuditEntry",
}  # fmt: skip
_MEMBER_NAMES = {
    ("image", "series_id"): "SERIES",
    ("import_job", "created"): "CREATED_AT",
    ("audit_entry", "created"): "CREATED_AT",
}


_WITH_HEADERS = {
    "image": "An element of the image's header",
    "series": "An element of the series' sample header",
}


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


def _make_order(entity: str) -> Any:
    title = _TYPE_NAMES[entity]
    is_own = entity in ("import_job", "audit_entry")
    fields = _FIELDS[entity] if is_own else _FIELDS[entity] | _COMMON
    values: Any = {
        _MEMBER_NAMES.get((entity, name), name.upper()): strawberry.enum_value(
            name, description=description
        )
        for name, description in fields.items()
    }
    names: Any = Enum(f"{title}OrderField", values, module=__name__)  # type: ignore[misc]
    field_type = strawberry.enum(names, description=f"What {title.lower()} lists can be sorted by.")
    members: dict[str, Any] = {
        "field": (field_type, strawberry.field(description="What to sort by."))
    }
    if entity in _WITH_HEADERS:
        members = _with_element(field_type, _WITH_HEADERS[entity])
    members["direction"] = (
        OrderDirection,
        strawberry.field(default=OrderDirection.ASC, description="In which direction."),
    )
    made = type(f"{title}Order", (), {"__module__": __name__})
    made.__annotations__ = {name: annotation for name, (annotation, _) in members.items()}
    for name, (_, field) in members.items():
        setattr(made, name, field)
    return strawberry.input(made, description="One thing to sort by, and the direction.")


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


ORDERS: dict[str, Any] = {entity: _make_order(entity) for entity in _FIELDS}
"""The order input of each entity."""


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
    if any(order.name == "id" for order in unique):
        return unique
    return (*unique, Order("id", unique[-1].descending))


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
