"""Image."""

import datetime as dt
import os
from typing import Any

import strawberry

from dicom_graph.dicom.default_path import default_path
from dicom_graph.dicom.entities import IMAGE, ImageFields
from dicom_graph.graph.batch_marks import leads_to
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.described import described_by, plain_fields
from dicom_graph.graph.enums.sequence_type import SequenceType
from dicom_graph.graph.fields import columns, combined, edited_fields
from dicom_graph.graph.imaging import instance_of
from dicom_graph.graph.inputs.groups import FieldName
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.scalars import BigInt, LocalDateTime
from dicom_graph.graph.types.header import Header
from dicom_graph.graph.types.instance import Instance
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.types.pixels import Pixels
from dicom_graph.graph.types.series import Series
from dicom_graph.graph.urls import absolute, file_url, page_path

_PLAIN = plain_fields(IMAGE)
_field = strawberry.field


@strawberry.type(description="A file that holds an image, as it was when last read.")
class ImageFile:
    path: str = _field(description="The absolute path on the server.")
    size: BigInt = _field(description="The size in bytes.")
    missing_since: dt.datetime | None = _field(
        description="When a sync found it gone, UTC; null while it is there."
    )


@described_by(IMAGE)
@strawberry.type(description="A SOP instance, known by SOPInstanceUID (0008,0018).")
class Image(ImageFields, Node):
    key: strawberry.Private[int]
    series_key: strawberry.Private[int | None]
    transfer_syntax_uid: str | None
    warnings: list[str] = _field(
        description="All that is odd: elements that cannot be read as the standard says, where it "
        "contradicts its series, its patient, or another file of its UID."
    )
    missing_since: dt.datetime | None = _field(
        description="When the last of its files was found gone, UTC; null while one is there."
    )
    created: dt.datetime
    modified: dt.datetime
    edited_fields: list[FieldName] = _field(
        description="The fields that a person has set; no import changes them."
    )

    @classmethod
    def from_row(cls, row: Any) -> "Image":
        """The image of a row."""
        return cls(
            id=global_id("Image", row.id),
            key=row.id,
            series_key=row.series_id,
            warnings=row.warnings or [],
            missing_since=row.missing_since,
            edited_fields=edited_fields(row),
            **columns(row, _PLAIN),
        )

    @computed("The address of its page, without scheme and host.")
    def resource_path(self) -> str:
        return page_path("images", self.uid)

    @computed("The address of its page.")
    def url(self) -> str:
        return absolute(page_path("images", self.uid))

    @computed("Date and time of its creation in one; null where either is missing.")
    def datetime(self) -> LocalDateTime | None:
        return combined(self.date, self.time)

    @computed("The sequence type of its series.")
    async def sequence_type(self, info: Info) -> SequenceType | None:
        series = await self._series(info)
        return SequenceType(series.sequence_type) if series and series.sequence_type else None

    @computed("The patient of its series; null where the header has no PatientID.")
    async def patient(self, info: Info) -> Patient | None:
        series = await self._series(info)
        if series is None or series.patient_id is None:
            return None
        row = await info.context.loaders.entity("patient").load(series.patient_id)
        return Patient.from_row(row) if row is not None else None

    @computed(
        "Where a copy of its file belongs below a storage root: patient, study, series and image "
        "by their UIDs, made safe for any file system."
    )
    async def default_path(self, info: Info) -> str:
        loaders = info.context.loaders
        series = await self._series(info)
        study_id, patient_id = (series.study_id, series.patient_id) if series else (None, None)
        study = await loaders.entity("study").load(study_id) if study_id else None
        patient = await loaders.entity("patient").load(patient_id) if patient_id else None
        return default_path(_uid(patient), _uid(study), _uid(series), self.uid)

    async def _series(self, info: Info) -> Any:
        if self.series_key is None:
            return None
        return await info.context.loaders.entity("series").load(self.series_key)

    @computed("Its series; null where the header names none.")
    @leads_to("series", by="series_id")
    async def series(self, info: Info) -> Series | None:
        row = await self._series(info)
        return Series.from_row(row) if row is not None else None

    @computed("Its pixels; null where the header has no Rows and Columns, so that it has none.")
    def pixels(self) -> Pixels | None:
        return Pixels(image=self) if self.rows and self.columns else None

    @computed("Where its file is, as it is on the server.")
    def file_url(self) -> str:
        return file_url("images", self.uid, ".dcm")

    @computed("Where its header is, in the DICOM JSON Model (PS3.18 F.2).")
    def header_json_url(self) -> str:
        return file_url("images", self.uid, "/header.json")

    @computed("Its header; null if it was imported in minimal mode.")
    @leads_to("header", by="id", loader="header_of_image")
    async def header(self, info: Info) -> Header | None:
        row = await info.context.loaders.header_of_image.load(self.key)
        return Header.from_row(row) if row is not None else None

    @computed(
        "What its file holds, also what the database does not: read from the file, with an error "
        "where that is gone. For users who see no identities as the file that they get."
    )
    async def instance(self, info: Info) -> Instance | None:
        return Instance(nodes=await instance_of(info, self), image_uid=self.uid)

    @computed("The files that hold it, by path; more than one for copies.")
    async def files(self, info: Info) -> list[ImageFile]:
        rows = await info.context.loaders.files.load(self.key)
        return [
            ImageFile(
                path=os.path.join(row.directory, row.name),
                size=BigInt(row.size),
                missing_since=row.missing_since,
            )
            for row in rows or ()
        ]


def _uid(row: Any) -> str | None:
    return row.uid if row is not None else None
