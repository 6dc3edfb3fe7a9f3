"""Series."""

import datetime as dt
import os
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from dicom_graph.dicom.coded import display_name
from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.graph.computed import computed
from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Info
from dicom_graph.graph.fields import columns, combined, edited_fields, related_count, related_list
from dicom_graph.graph.imaging import volumes_of
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.types.sequence_type import SequenceType
from dicom_graph.graph.types.study import Study
from dicom_graph.graph.types.volume import Volume
from dicom_graph.graph.urls import file_url
from dicom_graph.store.read import PageRequest, Parent
from dicom_graph.store.read.relations import DEFAULT_ORDERS
from dicom_graph.store.read.summary import Varying

if TYPE_CHECKING:
    from dicom_graph.graph.types.element import DataElement, DataElementDefinition
    from dicom_graph.graph.types.header import Header
    from dicom_graph.graph.types.image import Image

Lazy = strawberry.lazy
_COLUMNS = (
    "uid", "number", "description", "date", "time", "modality", "body_part_examined",
    "patient_position", "protocol_name", "manufacturer", "manufacturer_model_name",
    "device_serial_number", "institution_name", "operators_name", "magnetic_field_strength",
    "echo_time", "echo_train_length", "inversion_time", "repetition_time", "flip_angle",
    "slice_thickness", "pixel_spacing", "scanning_sequence", "sequence_variant",
    "sequence_name", "pulse_sequence_name", "mr_acquisition_type", "created", "modified",
)  # fmt: skip
_field = strawberry.field


@strawberry.type(description="Elements of one definition that differ among a series' headers.")
class VaryingElement:
    tag: str = _field(description="(gggg,eeee) as in the files.")
    definition: Annotated["DataElementDefinition", Lazy("dicom_graph.graph.types.element")] = (
        _field(description="What kind of element it is.")
    )
    n_distinct: int = _field(description="How many distinct contents the headers hold of it.")
    n_missing: int = _field(description="How many headers do not hold it at all.")

    @classmethod
    def from_row(cls, row: Varying, n_headers: int) -> "VaryingElement":
        """What varies, of so many headers."""
        from dicom_graph.graph.types.element import DataElementDefinition

        return cls(
            tag=format_tag(row.tag),
            definition=DataElementDefinition.from_row(row.definition),
            n_distinct=row.n_distinct,
            n_missing=n_headers - row.n_headers,
        )


@strawberry.type(
    description="Images acquired together, known by SeriesInstanceUID (0020,000E). The fields "
    "are those of the first header that was imported."
)
class Series(Node):
    key: strawberry.Private[int]
    study_key: strawberry.Private[int | None]
    patient_key: strawberry.Private[int | None]
    uid: str = _field(description="SeriesInstanceUID (0020,000E).")
    number: int | None = _field(description="SeriesNumber (0020,0011).")
    description: str | None = _field(description="SeriesDescription (0008,103E).")
    date: dt.date | None = _field(description="SeriesDate (0008,0021).")
    time: dt.time | None = _field(description="SeriesTime (0008,0031).")
    modality: str | None = _field(description="Modality (0008,0060), the code as in the file.")
    body_part_examined: str | None = _field(description="BodyPartExamined (0018,0015).")
    patient_position: str | None = _field(description="PatientPosition (0018,5100), the code.")
    protocol_name: str | None = _field(description="ProtocolName (0018,1030).")
    manufacturer: str | None = _field(description="Manufacturer (0008,0070).")
    manufacturer_model_name: str | None = _field(description="ManufacturerModelName (0008,1090).")
    device_serial_number: str | None = _field(description="DeviceSerialNumber (0018,1000).")
    institution_name: str | None = _field(description="InstitutionName (0008,0080).")
    operators_name: str | None = _field(
        description="OperatorsName (0008,1070); several are separated by a backslash."
    )
    magnetic_field_strength: float | None = _field(
        description="MagneticFieldStrength (0018,0087) in tesla."
    )
    echo_time: float | None = _field(description="EchoTime (0018,0081) in ms.")
    echo_train_length: int | None = _field(description="EchoTrainLength (0018,0091).")
    inversion_time: float | None = _field(description="InversionTime (0018,0082) in ms.")
    repetition_time: float | None = _field(description="RepetitionTime (0018,0080) in ms.")
    flip_angle: float | None = _field(description="FlipAngle (0018,1314) in degrees.")
    slice_thickness: float | None = _field(description="SliceThickness (0018,0050) in mm.")
    pixel_spacing: list[float] | None = _field(
        description="PixelSpacing (0028,0030) in mm: between rows, then between columns."
    )
    scanning_sequence: list[str] | None = _field(
        description="ScanningSequence (0018,0020), the codes as in the file."
    )
    sequence_variant: list[str] | None = _field(
        description="SequenceVariant (0018,0021), the codes as in the file."
    )
    sequence_name: str | None = _field(description="SequenceName (0018,0024).")
    pulse_sequence_name: str | None = _field(
        description="GE's (0019,xx9C) of GEMS_ACQU_01, else PulseSequenceName (0018,9005)."
    )
    mr_acquisition_type: str | None = _field(description="MRAcquisitionType (0018,0023): 2D or 3D.")
    sequence_type: SequenceType | None = _field(
        description="What an MR sequence is for, told from its codes; null where no rule matches."
    )
    created: dt.datetime = _field(description="When it came into the database, UTC.")
    modified: dt.datetime = _field(description="When its row last changed, UTC.")
    edited_fields: list[str] = _field(
        description="The fields that a person has set; no import changes them."
    )

    @classmethod
    def from_row(cls, row: Any, origin: object = None) -> "Series":
        """The series of a row."""
        return cls(
            id=global_id("Series", row.id),
            key=row.id,
            study_key=row.study_id,
            patient_key=row.patient_id,
            sequence_type=SequenceType(row.sequence_type) if row.sequence_type else None,
            edited_fields=edited_fields(row),
            **columns(row, _COLUMNS),
        )

    def as_parent(self) -> Parent:
        """As a parent of lists."""
        return Parent(self.key)

    @computed("SeriesDate and SeriesTime in one; null where either is missing.")
    def datetime(self) -> dt.datetime | None:
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

    @computed("The paths of all files of its images, in order.")
    async def file_paths(self, info: Info) -> list[str]:
        return await info.context.loaders.files_of_series.load(self.key) or []

    @computed("The folder that holds all files of its images; null where it has none.")
    async def path(self, info: Info) -> str | None:
        paths = await info.context.loaders.files_of_series.load(self.key)
        return os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else None

    @computed("The header of its first image by number.")
    async def sample_header(
        self, info: Info
    ) -> Annotated["Header", Lazy("dicom_graph.graph.types.header")] | None:
        from dicom_graph.graph.types.header import Header

        request = PageRequest(DEFAULT_ORDERS["image"], first=1)
        loaders = info.context.loaders
        page = await loaders.pages("series.images", request).load(self.as_parent())
        if not page.rows:
            return None
        row = await loaders.header_of_image.load(page.rows[0].id)
        return Header.from_row(row) if row is not None else None

    @computed("The elements that the headers of all its images hold alike.")
    async def constant_elements(
        self, info: Info
    ) -> list[Annotated["DataElement", Lazy("dicom_graph.graph.types.element")]]:
        from dicom_graph.graph.types.element import DataElement

        contents = await info.context.loaders.series_contents.load(self.key)
        return [DataElement.made_once(info, row) for row in contents.constant]

    @computed("What differs among the headers of its images, or is missing in some.")
    async def varying_elements(self, info: Info) -> list[VaryingElement]:
        contents = await info.context.loaders.series_contents.load(self.key)
        return [VaryingElement.from_row(row, contents.n_headers) for row in contents.varying]

    @computed("The study it belongs to; null where the header names none.")
    async def study(self, info: Info) -> Study | None:
        if self.study_key is None:
            return None
        row = await info.context.loaders.entity("study").load(self.study_key)
        return Study.from_row(row) if row is not None else None

    @computed("The patient; null where the header has no PatientID.")
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
        return Volume.of(self.uid, found[0], is_only=len(found) == 1)

    @computed("All volumes that its images make, the main one first.")
    async def volumes(self, info: Info) -> list[Volume] | None:
        found = await volumes_of(info, self)
        return [Volume.of(self.uid, each, is_only=len(found) == 1) for each in found]

    @computed("Where all its files are, in a zip archive.")
    def zip_url(self) -> str:
        return file_url("series", self.uid, ".zip")

    images: Connection[Annotated["Image", Lazy("dicom_graph.graph.types.image")]] = related_list(
        "series.images", "The series' images by their number."
    )

    n_images: int = related_count("series.images", "Number of images.")


def _displays(keyword: str, codes: list[str] | None) -> list[str | None] | None:
    return [display_name(keyword, code) for code in codes] if codes is not None else None
