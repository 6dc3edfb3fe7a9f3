"""Volumes of a series."""

from enum import Enum
from typing import Annotated, Any

import strawberry

from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.imaging import SizeArgument, WindowArgument, WindowInput, acquisition_of
from dicom_graph.graph.urls import file_url
from dicom_graph.imaging.worker import VolumeSummary

_field = strawberry.field
_value = strawberry.enum_value


@strawberry.enum(
    description="What a picture of a volume is across: the voxel axis nearest to an anatomical "
    "one, drawn by the radiological convention, or an axis of the array."
)
class PreviewAxis(Enum):
    SAGITTAL = _value("sagittal", description="From the left of the patient to the right.")
    CORONAL = _value("coronal", description="From the back of the patient to the front.")
    AXIAL = _value("axial", description="From the feet of the patient to the head.")
    I = _value("i", description="The columns of the array.")  # noqa: E741
    J = _value("j", description="The rows of the array.")
    K = _value("k", description="The slices of the array, as they were acquired.")


def _acquired(kind: Any, description: str) -> Any:
    """A field of how the volume was acquired, which its own name says; null where no header does.

    All of them are read together, from the headers of the files.
    """

    async def resolve(self: "Volume", info: Info) -> Any:
        acquisition = await acquisition_of(info, self.series, self.stack)
        found = getattr(acquisition, info.python_name)
        return _as_list(found) if isinstance(found, tuple) else found

    resolve.__annotations__ = {"info": Info, "return": kind | None}
    return strawberry.field(resolver=resolve, description=description)


def _as_list(found: tuple[Any, ...]) -> list[Any]:
    return [_as_list(each) if isinstance(each, tuple) else each for each in found]


VolumeIndex = Annotated[
    int, strawberry.argument(description="The index on the fourth axis, from 0.")
]


@strawberry.type(
    description="Images of a series as one array in the patient's space. Its geometry is read from "
    "headers that the index holds, of those that it does not hold in full from the files; nothing "
    "is decoded."
)
class Volume:
    series: strawberry.Private[Any]
    is_only: strawberry.Private[bool]
    stack: int = _field(description="Its number among the volumes of the series, from 0.")
    shape: list[int] = _field(
        description="(columns, rows, slices), then the length of a fourth axis, then 3 for colour."
    )
    dtype: str = _field(description="The type of the array, as numpy names it.")
    spacing: list[float] = _field(description="mm along columns, rows and slices.")
    affine: list[list[float]] = _field(
        description="4 × 4: from the indexes of a voxel (column, row, slice, 1) to mm in the "
        "patient, RAS+ as NIfTI has it: to the right, the front, the head."
    )
    axes: list[str] = _field(
        description="What each axis of `shape` is: column, row, slice, then time, echo, b value …"
    )
    orientation: str = _field(
        description="Where columns, rows and slices grow to, of R or L, A or P, S or I."
    )
    fourth_axis_values: list[float] | None = _field(
        description="The value at each index of the fourth axis; null where there is none."
    )
    fourth_axis_unit: str | None = _field(description="The unit of `fourthAxisValues`: s, ms …")
    label: str = _field(description="What kind of image it is, for people.")
    warnings: list[str] = _field(
        description="What is doubtful: slices that are missing, uneven, tilted, left over …"
    )

    @classmethod
    def of(cls, series: Any, summary: VolumeSummary, *, is_only: bool) -> "Volume":
        """The volume of a summary, of a series."""
        values = summary.fourth_axis_values
        return cls(
            series=series,
            is_only=is_only,
            stack=summary.stack,
            shape=list(summary.shape),
            dtype=summary.dtype,
            spacing=list(summary.spacing),
            affine=[list(row) for row in summary.affine],
            axes=list(summary.axes),
            orientation=summary.orientation,
            fourth_axis_values=None if values is None else list(values),
            fourth_axis_unit=summary.fourth_axis_unit,
            label=summary.label,
            warnings=list(summary.warnings),
        )

    @computed("Where what its acquisition tells is as a BIDS sidecar.")
    def sidecar_url(self) -> str:
        return file_url("series", self.series.uid, "/volume.json", stack=self._stack)

    @computed("Where the array is in numpy's format.")
    def npy_url(self) -> str:
        return file_url("series", self.series.uid, "/volume.npy", stack=self._stack)

    @computed("Where the volume is as compressed NIfTI-1.")
    def nifti_url(self) -> str:
        return file_url("series", self.series.uid, "/volume.nii.gz", stack=self._stack)

    @computed("Where a picture across the volume is, as PNG.")
    def preview_url(
        self,
        axis: Annotated[
            PreviewAxis, strawberry.argument(description="What the picture is across.")
        ] = PreviewAxis.K,
        index: Annotated[
            int | None,
            strawberry.argument(description="The place on the axis, from 0; else the middle."),
        ] = None,
        volume: VolumeIndex = 0,
        window: WindowArgument = None,
        size: SizeArgument = None,
    ) -> str:
        return file_url(
            "series",
            self.series.uid,
            "/preview.png",
            axis=axis.value,
            index=index,
            volume=volume or None,
            stack=self._stack,
            window=_text(window),
            size=size,
        )

    @computed("Where many slices of the volume are on one sheet, as PNG.")
    def mosaic_url(
        self,
        tiles: Annotated[
            int, strawberry.argument(description="The most slices that are shown, up to 400.")
        ] = 25,
        volume: VolumeIndex = 0,
        window: WindowArgument = None,
        size: SizeArgument = None,
    ) -> str:
        return file_url(
            "series",
            self.series.uid,
            "/mosaic.png",
            tiles=tiles,
            volume=volume or None,
            stack=self._stack,
            window=_text(window),
            size=size,
        )

    repetition_time: float | None = _acquired(float, "From volume to volume, in s.")
    echo_time: float | None = _acquired(float, "In s.")
    inversion_time: float | None = _acquired(float, "In s.")
    flip_angle: float | None = _acquired(float, "In degrees.")
    slice_timing: list[float] | None = _acquired(
        list[float], "When each slice was acquired, in s after the first of its volume."
    )
    phase_encoding_axis: str | None = _acquired(str, "i along the columns, or j along the rows.")
    phase_encoding_direction: str | None = _acquired(
        str,
        "The axis, with a minus where the phase runs against it; j is from front to back in an "
        "axial slice. Null where no element of a vendor says which way it runs.",
    )
    effective_echo_spacing: float | None = _acquired(float, "Between two lines of the image, in s.")
    total_readout_time: float | None = _acquired(
        float, "From the first line of the image to the last, in s."
    )
    b_values: list[float] | None = _acquired(list[float], "Of each volume, in s/mm².")
    b_vectors: list[list[float]] | None = _acquired(
        list[list[float]],
        "The direction of the gradient of each volume as FSL wants it: along the axes of the "
        "volume, the first turned over where the affine's determinant is positive.",
    )

    @property
    def _stack(self) -> int | None:
        return None if self.is_only else self.stack


def _text(window: WindowInput | None) -> str | None:
    return window.text() if window is not None else None
