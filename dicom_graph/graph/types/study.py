"""Study."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from dicom_graph.dicom.entities import STUDY, StudyFields
from dicom_graph.graph.computed import computed
from dicom_graph.graph.connection import Connection
from dicom_graph.graph.described import described_by, plain_fields
from dicom_graph.graph.fields import columns, combined, edited_fields, related_count, related_list
from dicom_graph.graph.inputs.groups import FieldName
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.scalars import LocalDateTime
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.urls import absolute, file_url, page_path
from dicom_graph.store.read import Parent

if TYPE_CHECKING:
    from dicom_graph.graph.types.image import Image
    from dicom_graph.graph.types.series import Series

Lazy = strawberry.lazy
_PLAIN = plain_fields(STUDY)


@described_by(STUDY)
@strawberry.type(
    description="An examination, known by StudyInstanceUID (0020,000D). It has the series of all "
    "its patients; what of it is one patient's is told by `Patient.studies`, in the edges."
)
class Study(StudyFields, Node):
    key: strawberry.Private[int]
    created: dt.datetime
    modified: dt.datetime
    edited_fields: list[FieldName] = strawberry.field(
        description="The fields that a person has set; no import changes them."
    )

    @classmethod
    def from_row(cls, row: Any) -> "Study":
        """The study of a row."""
        return cls(
            id=global_id("Study", row.id),
            key=row.id,
            edited_fields=edited_fields(row),
            **columns(row, _PLAIN),
        )

    @computed("The address of its page, without scheme and host.")
    def resource_path(self) -> str:
        return page_path("studies", self.uid)

    @computed("The address of its page.")
    def url(self) -> str:
        return absolute(page_path("studies", self.uid))

    def as_parent(self) -> Parent:
        """As a parent of lists."""
        return Parent(self.key)

    @computed("StudyDate and StudyTime in one; null where either is missing.")
    def datetime(self) -> LocalDateTime | None:
        return combined(self.date, self.time)

    @computed("Where all its files are, in a zip archive.")
    def zip_url(self) -> str:
        return file_url("studies", self.uid, ".zip")

    patients: Connection[Patient] = related_list(
        "study.patients", "The patients of the study's series: as a rule one."
    )

    series: Connection[Annotated["Series", Lazy("dicom_graph.graph.types.series")]] = related_list(
        "study.series", "The study's series, latest first."
    )

    images: Connection[Annotated["Image", Lazy("dicom_graph.graph.types.image")]] = related_list(
        "study.images", "The study's images over all series."
    )

    n_patients: int = related_count(
        "study.patients", "Number of patients among the study's series."
    )

    n_series: int = related_count("study.series", "Number of series.")

    n_images: int = related_count("study.images", "Number of images.")
