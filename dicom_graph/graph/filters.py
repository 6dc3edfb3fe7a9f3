"""Filter inputs, and the conditions of the store that they mean."""

from typing import Any

import strawberry

from dicom_graph.store.read import EntityFilter

_field = strawberry.field


@strawberry.input(description="Which patients; all conditions must hold.")
class PatientFilter:
    has_warnings: bool | None = _field(
        default=None, description="Whether an image of the patient has warnings."
    )


@strawberry.input(description="Which studies; all conditions must hold.")
class StudyFilter:
    has_warnings: bool | None = _field(
        default=None, description="Whether an image of the study has warnings."
    )


@strawberry.input(description="Which series; all conditions must hold.")
class SeriesFilter:
    has_warnings: bool | None = _field(
        default=None, description="Whether an image of the series has warnings."
    )


@strawberry.input(description="Which images; all conditions must hold.")
class ImageFilter:
    has_warnings: bool | None = _field(default=None, description="Whether it has warnings.")


FILTERS: dict[str, Any] = {
    "patient": PatientFilter,
    "study": StudyFilter,
    "series": SeriesFilter,
    "image": ImageFilter,
}
"""The filter input of each entity."""


def entity_filter(given: Any) -> EntityFilter | None:
    """The store's condition of a filter input."""
    if given is None or given.has_warnings is None:
        return None
    return EntityFilter(has_warnings=given.has_warnings)
