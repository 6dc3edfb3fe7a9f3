"""Series."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from dicom_graph.graph.computed import computed
from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Info
from dicom_graph.graph.fields import columns, related_count, related_list
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.types.study import Study
from dicom_graph.store.read import Parent

if TYPE_CHECKING:
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
    created: dt.datetime = _field(description="When it came into the database, UTC.")
    modified: dt.datetime = _field(description="When its row last changed, UTC.")

    @classmethod
    def from_row(cls, row: Any, origin: object = None) -> "Series":
        """The series of a row."""
        return cls(
            id=global_id("Series", row.id),
            key=row.id,
            study_key=row.study_id,
            patient_key=row.patient_id,
            **columns(row, _COLUMNS),
        )

    def as_parent(self) -> Parent:
        """As a parent of lists."""
        return Parent(self.key)

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

    images: Connection[Annotated["Image", Lazy("dicom_graph.graph.types.image")]] = related_list(
        "series.images", "The series' images by their number."
    )

    n_images: int = related_count("series.images", "Number of images.")
