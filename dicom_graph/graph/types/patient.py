"""Patient."""

import datetime as dt
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from dicom_graph.dicom.code_meanings import display_name
from dicom_graph.dicom.entities import PATIENT, PatientFields
from dicom_graph.graph.computed import computed
from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Info
from dicom_graph.graph.described import described_by, plain_fields
from dicom_graph.graph.fields import columns, combined, edited_fields, related_count, related_list
from dicom_graph.graph.inputs.groups import FieldName
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.scalars import LocalDateTime
from dicom_graph.graph.urls import absolute, file_url, page_path
from dicom_graph.research_subjects import SubjectPatient
from dicom_graph.store.read import PageRequest, Parent
from dicom_graph.store.read.relations import DEFAULT_ORDERS

if TYPE_CHECKING:
    from dicom_graph.graph.types.image import Image
    from dicom_graph.graph.types.patient_study import PatientStudyConnection
    from dicom_graph.graph.types.series import Series

Lazy = strawberry.lazy
_PLAIN = plain_fields(PATIENT)
_STUDIES = "dicom_graph.graph.types.patient_study"


@described_by(PATIENT)
@strawberry.type(
    description="A person or animal that was imaged, known by PatientID (0010,0020). A file "
    "without one has no patient; no two are merged."
)
class Patient(PatientFields, Node):
    key: strawberry.Private[int]
    created: dt.datetime
    modified: dt.datetime
    edited_fields: list[FieldName] = strawberry.field(
        description="The fields that a person has set; no import changes them."
    )

    @classmethod
    def from_row(cls, row: Any) -> "Patient":
        """The patient of a row."""
        return cls(
            id=global_id("Patient", row.id),
            key=row.id,
            edited_fields=edited_fields(row),
            **columns(row, _PLAIN),
        )

    @computed("The address of its page, without scheme and host.")
    def resource_path(self) -> str:
        return page_path("patients", self.uid)

    @computed("The address of its page.")
    def url(self) -> str:
        return absolute(page_path("patients", self.uid))

    def as_parent(self) -> Parent:
        """As a parent of lists."""
        return Parent(self.key)

    @computed("Given, middle and family name in one, with prefix and suffix.")
    def full_name(self) -> str | None:
        parts = (
            self.name_prefix, self.given_name, self.middle_name, self.family_name,
            self.name_suffix,
        )  # fmt: skip
        return " ".join(filter(None, parts)) or None

    @computed("What the code of `sex` means.")
    def sex_display(self) -> str | None:
        return display_name("PatientSex", self.sex)

    @computed("The research subject, from the server's DICOM_GRAPH_SUBJECT_RESOLVER; else null.")
    async def subject(self, info: Info) -> str | None:
        resolver = info.context.services.subjects
        if resolver is None or info.context.store.is_deidentified:
            return None
        patient = SubjectPatient(
            self.uid, self.name, self.given_name, self.family_name, self.sex, self.date_of_birth
        )
        return await info.context.loaders.subject(resolver).load(patient)

    @computed("Date and time of the latest study; midnight where it has no time.")
    async def latest_study_time(self, info: Info) -> LocalDateTime | None:
        request = PageRequest(DEFAULT_ORDERS["study"], first=1)
        pages = info.context.loaders.pages("patient.studies", request)
        rows = (await pages.load(self.as_parent())).rows
        return combined(rows[0].date, rows[0].time or dt.time()) if rows else None

    @computed("Where the files of all the patient's images are, in a zip archive.")
    def zip_url(self) -> str:
        return file_url("patients", self.uid, ".zip")

    studies: Annotated["PatientStudyConnection", Lazy(_STUDIES)] = related_list(
        "patient.studies",
        "The patient's studies, latest first. A study has the series of all its patients; what of "
        "it is this patient's is in the edges.",
        connection=lambda: import_module(_STUDIES).PatientStudyConnection,
    )

    series: Connection[Annotated["Series", Lazy("dicom_graph.graph.types.series")]] = related_list(
        "patient.series", "The patient's series over all studies, latest first."
    )

    images: Connection[Annotated["Image", Lazy("dicom_graph.graph.types.image")]] = related_list(
        "patient.images", "The patient's images over all series."
    )

    n_studies: int = related_count("patient.studies", "Number of studies.")

    n_series: int = related_count("patient.series", "Number of series.")

    n_images: int = related_count("patient.images", "Number of images.")
