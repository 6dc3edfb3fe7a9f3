"""The studies of a patient, with what of each is that patient's."""

from typing import Any

import strawberry

from dicom_graph.graph.computed import computed
from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Info
from dicom_graph.graph.fields import related_count, related_list
from dicom_graph.graph.paging import Edge
from dicom_graph.graph.types.image import Image
from dicom_graph.graph.types.series import Series
from dicom_graph.graph.types.study import Study
from dicom_graph.graph.urls import file_url
from dicom_graph.store.read import Parent


@strawberry.type(
    description="A study of a patient, and what of it is that patient's. A study may hold series "
    "of several patients: `node` has those of all."
)
class PatientStudyEdge(Edge[Study]):
    patient_key: strawberry.Private[int]

    def as_parent(self) -> Parent:
        """As a parent of lists, narrowed to the patient."""
        return Parent(self.node.key, self.patient_key)

    @computed("Where the patient's files of the study are, in a zip archive.")
    async def zip_url(self, info: Info) -> str:
        patient = await info.context.loaders.entity("patient").load(self.patient_key)
        return file_url("studies", self.node.uid, ".zip", patient=patient.uid)

    series: Connection[Series] = related_list(
        "study.series", "The patient's series of the study, latest first."
    )

    images: Connection[Image] = related_list("study.images", "The patient's images of the study.")

    n_series: int = related_count("study.series", "Number of the patient's series of the study.")

    n_images: int = related_count("study.images", "Number of the patient's images of the study.")


@strawberry.type(description="A page of a patient's studies.")
class PatientStudyConnection(Connection[Study]):
    def edge(self, node: Study, row: Any) -> PatientStudyEdge:
        """The edge of a study, which was made of a row of the page."""
        patient = self.listing.parent
        assert patient is not None
        cursor = self.listing.request.cursor(row)
        return PatientStudyEdge(node=node, cursor=cursor, patient_key=patient.id)

    @computed("The studies of the page with their cursors, and what of each is the patient's.")
    def edges(self) -> list[PatientStudyEdge]:  # type: ignore[override]
        return [self.edge(node, row) for node, row in zip(self.nodes, self.page.rows, strict=True)]
