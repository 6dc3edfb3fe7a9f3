"""Order inputs: by which field, in which direction."""

from enum import Enum
from typing import Any

import strawberry

from dicom_graph.store.read import Order
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
}
_TYPE_NAMES = {
    "patient": "Patient", "study": "Study", "series": "Series", "image": "Image",
    "import_job": "ImportJob",
}  # fmt: skip
_MEMBER_NAMES = {("image", "series_id"): "SERIES", ("import_job", "created"): "CREATED_AT"}


def _make_order(entity: str) -> Any:
    title = _TYPE_NAMES[entity]
    fields = _FIELDS[entity] if entity == "import_job" else _FIELDS[entity] | _COMMON
    members: Any = {
        _MEMBER_NAMES.get((entity, name), name.upper()): strawberry.enum_value(
            name, description=description
        )
        for name, description in fields.items()
    }
    names: Any = Enum(f"{title}OrderField", members, module=__name__)  # type: ignore[misc]
    field_type = strawberry.enum(names, description=f"What {title.lower()} lists can be sorted by.")
    made = type(f"{title}Order", (), {"__module__": __name__})
    made.__annotations__ = {"field": field_type, "direction": OrderDirection}
    made.field = strawberry.field(description="What to sort by.")  # type: ignore[attr-defined]
    made.direction = strawberry.field(  # type: ignore[attr-defined]
        default=OrderDirection.ASC, description="In which direction."
    )
    return strawberry.input(made, description="One thing to sort by, and the direction.")


ORDERS: dict[str, Any] = {entity: _make_order(entity) for entity in _FIELDS}
"""The order input of each entity."""


def order_of(entity: str, given: list[Any] | None) -> tuple[Order, ...]:
    """The order that is asked for, made total by the key; the entity's own where none is."""
    if not given:
        return DEFAULT_ORDERS[entity]
    orders = [Order(order.field.value, order.direction is OrderDirection.DESC) for order in given]
    named: dict[str, Order] = {}
    for order in orders:
        named.setdefault(order.name, order)
    unique = tuple(named.values())
    if any(order.name == "id" for order in unique):
        return unique
    return (*unique, Order("id", unique[-1].descending))
