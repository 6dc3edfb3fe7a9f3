"""Series."""

import datetime as dt
import os
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from dicom_graph.dicom.code_meanings import display_name
from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.dicom.entities import SERIES, SeriesFields
from dicom_graph.graph.batch_marks import leads_to
from dicom_graph.graph.bounded_lists import DEFAULT, First, Offset, check_part, part_of
from dicom_graph.graph.computed import computed
from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Info
from dicom_graph.graph.described import described_by, plain_fields
from dicom_graph.graph.enums.confidence import Confidence
from dicom_graph.graph.enums.sequence_type import SequenceType, display_of
from dicom_graph.graph.fields import (
    codes,
    columns,
    combined,
    edited_fields,
    related_count,
    related_list,
)
from dicom_graph.graph.imaging import instance_of, volumes_of
from dicom_graph.graph.inputs.groups import FieldName
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.scalars import LocalDateTime
from dicom_graph.graph.types.instance import Instance
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.types.study import Study
from dicom_graph.graph.types.volume import Volume
from dicom_graph.graph.urls import absolute, file_url, page_path
from dicom_graph.store.read import Parent
from dicom_graph.store.read.frame_differences import VaryingInFrames
from dicom_graph.store.read.summary import Varying

if TYPE_CHECKING:
    from dicom_graph.graph.types.element import DataElement, DataElementDefinition
    from dicom_graph.graph.types.header import Header
    from dicom_graph.graph.types.image import Image

Lazy = strawberry.lazy
_PLAIN = plain_fields(SERIES)
_field = strawberry.field


@strawberry.type(
    description="Elements of one definition that differ among a series' headers, or among the "
    "frames of its images."
)
class VaryingElement:
    tag: str = _field(description="(gggg,eeee) as in the files.")
    path: str = _field(
        description="Where it stands: its keyword or tag; in frames, the sequences above it too, "
        "such as PerFrameFunctionalGroupsSequence.MREchoSequence.EffectiveEchoTime."
    )
    definition: Annotated["DataElementDefinition", Lazy("dicom_graph.graph.types.element")] = (
        _field(description="What kind of element it is.")
    )
    n_distinct: int = _field(
        description="How many distinct contents the headers, or the frames, hold of it."
    )
    n_missing: int = _field(description="How many headers, or frames, do not hold it at all.")

    @classmethod
    def from_row(cls, row: Varying, n_headers: int) -> "VaryingElement":
        """What varies, of so many headers."""
        from dicom_graph.graph.types.element import DataElementDefinition

        return cls(
            tag=format_tag(row.tag),
            path=row.definition.keyword or format_tag(row.tag),
            definition=DataElementDefinition.from_row(row.definition),
            n_distinct=row.n_distinct,
            n_missing=n_headers - row.n_headers,
        )

    @classmethod
    def in_frames(cls, row: VaryingInFrames) -> "VaryingElement":
        """What varies among frames."""
        from dicom_graph.graph.types.element import DataElementDefinition

        return cls(
            tag=format_tag(row.tag),
            path=row.path,
            definition=DataElementDefinition.from_row(row.definition),
            n_distinct=row.n_distinct,
            n_missing=row.n_frames - row.n_with,
        )


@described_by(SERIES)
@strawberry.type(
    description="Images acquired together, known by SeriesInstanceUID (0020,000E). The fields "
    "are those of the first header that was imported."
)
class Series(SeriesFields, Node):
    key: strawberry.Private[int]
    study_key: strawberry.Private[int | None]
    patient_key: strawberry.Private[int | None]
    sequence_type: SequenceType | None
    acquisition_contrast_confidence: Confidence | None
    complex_component_confidence: Confidence | None
    bids_confidence: Confidence | None
    created: dt.datetime
    modified: dt.datetime
    edited_fields: list[FieldName] = _field(
        description="The fields that a person has set; no import changes them."
    )

    @classmethod
    def from_row(cls, row: Any) -> "Series":
        """The series of a row."""
        return cls(
            id=global_id("Series", row.id),
            key=row.id,
            study_key=row.study_id,
            patient_key=row.patient_id,
            edited_fields=edited_fields(row),
            **columns(row, _PLAIN),
            **codes(row, SERIES),
        )

    @computed("The address of its page, without scheme and host.")
    def resource_path(self) -> str:
        return page_path("series", self.uid)

    @computed("The address of its page.")
    def url(self) -> str:
        return absolute(page_path("series", self.uid))

    def as_parent(self) -> Parent:
        """As a parent of lists."""
        return Parent(self.key)

    @computed("SeriesDate and SeriesTime in one; null where either is missing.")
    def datetime(self) -> LocalDateTime | None:
        return combined(self.date, self.time)

    @computed("Pixel spacing and slice thickness in mm; null where the header has neither.")
    def spatial_resolution(self) -> list[float] | None:
        thickness = [self.slice_thickness] if self.slice_thickness is not None else []
        return [*(self.pixel_spacing or ()), *thickness] or None

    @computed("What the code of `modality` means.")
    def modality_display(self) -> str | None:
        return display_name("Modality", self.modality)

    @computed("What the code of `patientPosition` means.")
    def patient_position_display(self) -> str | None:
        return display_name("PatientPosition", self.patient_position)

    @computed("What the codes of `scanningSequence` mean; null for an unknown one.")
    def scanning_sequence_display(self) -> list[str | None] | None:
        return _displays("ScanningSequence", self.scanning_sequence)

    @computed("What the codes of `sequenceVariant` mean; null for an unknown one.")
    def sequence_variant_display(self) -> list[str | None] | None:
        return _displays("SequenceVariant", self.sequence_variant)

    @computed("What the code of `mrAcquisitionType` means.")
    def mr_acquisition_type_display(self) -> str | None:
        return display_name("MRAcquisitionType", self.mr_acquisition_type)

    @computed("What `sequenceType` is called.")
    def sequence_type_display(self) -> str | None:
        return display_of(self.sequence_type)

    @computed("The paths of the files of its images, in order; `nFiles` says how many there are.")
    async def file_paths(self, info: Info, first: First = DEFAULT, offset: Offset = 0) -> list[str]:
        check_part(first, offset)
        paths = await info.context.loaders.files_of_series.load(self.key)
        return part_of(paths or (), first, offset)

    @computed("Number of files of its images: more than images where there are copies.")
    async def n_files(self, info: Info) -> int:
        return len(await info.context.loaders.files_of_series.load(self.key) or ())

    @computed("The folder that holds all files of its images; null where it has none.")
    async def path(self, info: Info) -> str | None:
        paths = await info.context.loaders.files_of_series.load(self.key)
        return os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else None

    @computed("The header of its first image by number.")
    async def sample_header(
        self, info: Info
    ) -> Annotated["Header", Lazy("dicom_graph.graph.types.header")] | None:
        from dicom_graph.graph.types.header import Header

        loaders = info.context.loaders
        first = await loaders.first_images.load(self.as_parent())
        if first is None:
            return None
        row = await loaders.header_of_image.load(first.id)
        return Header.from_row(row) if row is not None else None

    @computed("What the file of its first image by number holds: see `Image.instance`.")
    async def instance(self, info: Info) -> Instance | None:
        from dicom_graph.graph.types.image import Image

        first = await info.context.loaders.first_images.load(self.as_parent())
        if first is None:
            return None
        image = Image.from_row(first)
        return Instance(nodes=await instance_of(info, image), image_uid=image.uid)

    @computed("The elements that the headers of all its images hold alike.")
    async def constant_elements(
        self, info: Info
    ) -> list[Annotated["DataElement", Lazy("dicom_graph.graph.types.element")]]:
        from dicom_graph.graph.types.element import DataElement

        contents = await info.context.loaders.series_contents.load(self.key)
        return [DataElement.made_once(info, row) for row in contents.constant]

    @computed(
        "What differs among the headers of its images, or is missing in some; then what differs "
        "among the frames of its images, or is missing in some."
    )
    async def varying_elements(self, info: Info) -> list[VaryingElement]:
        loaders = info.context.loaders
        contents = await loaders.series_contents.load(self.key)
        found = [VaryingElement.from_row(row, contents.n_headers) for row in contents.varying]
        if contents.per_frame:
            rows = await loaders.frame_differences.load((self.key, contents))
            found += map(VaryingElement.in_frames, rows)
        return found

    @computed("The study it belongs to; null where the header names none.")
    @leads_to("study", by="study_id")
    async def study(self, info: Info) -> Study | None:
        if self.study_key is None:
            return None
        row = await info.context.loaders.entity("study").load(self.study_key)
        return Study.from_row(row) if row is not None else None

    @computed("The patient; null where the header has no PatientID.")
    @leads_to("patient", by="patient_id")
    async def patient(self, info: Info) -> Patient | None:
        if self.patient_key is None:
            return None
        row = await info.context.loaders.entity("patient").load(self.patient_key)
        return Patient.from_row(row) if row is not None else None

    @computed("Whether its study or its patient is missing in the header.")
    def missing_relation(self) -> bool:
        return self.study_key is None or self.patient_key is None

    @computed("Its main volume: the one of the most slices; null with an error where it has none.")
    async def volume(self, info: Info) -> Volume | None:
        found = await volumes_of(info, self)
        return Volume.of(self, found[0], is_only=len(found) == 1)

    @computed("All volumes that its images make, the main one first.")
    async def volumes(self, info: Info) -> list[Volume] | None:
        found = await volumes_of(info, self)
        return [Volume.of(self, each, is_only=len(found) == 1) for each in found]

    @computed("Where all its files are, in a zip archive.")
    def zip_url(self) -> str:
        return file_url("series", self.uid, ".zip")

    images: Connection[Annotated["Image", Lazy("dicom_graph.graph.types.image")]] = related_list(
        "series.images", "The series' images by their number."
    )

    n_images: int = related_count("series.images", "Number of images.")


def _displays(keyword: str, codes: list[str] | None) -> list[str | None] | None:
    return [display_name(keyword, code) for code in codes] if codes is not None else None
