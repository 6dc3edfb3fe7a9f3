"""How a volume was acquired, in the words and units of BIDS: what its sidecar tells.

Times are in s, angles in degrees. Directions are those of the volume's own axes, i along the
columns and j along the rows as they are stored, so `j` is from front to back in an axial slice.
(Converters that turn rows over say `j-` of the same.)
"""

from dataclasses import dataclass

from pydicom.tag import Tag

from dicom_graph.dicom.functional_groups import FUNCTIONAL_GROUP_TAGS, FunctionalGroups
from dicom_graph.dicom.parsing.through_pydicom import quiet_pydicom
from dicom_graph.dicom.pixels.image_file import open_image
from dicom_graph.dicom.volume.diffusion import Vector, read_diffusion
from dicom_graph.dicom.volume.fourth_axis import AxisName
from dicom_graph.dicom.volume.ge import GE_TAGS
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from dicom_graph.dicom.volume.header_values import number, private_tags
from dicom_graph.dicom.volume.mosaic import csa_image_header
from dicom_graph.dicom.volume.phase_encoding import PHASE_ENCODING_KEYWORDS, read_phase_encoding
from dicom_graph.dicom.volume.slice_timing import read_slice_timing

_KEYWORDS = (
    "EchoTime", "InversionTime", "RepetitionTime", "FlipAngle", "MagneticFieldStrength",
    "SoftwareVersions", *PHASE_ENCODING_KEYWORDS,
)  # fmt: skip
_TAGS = (
    FUNCTIONAL_GROUP_TAGS
    | frozenset(int(Tag(keyword)) for keyword in _KEYWORDS)
    | private_tags(((0x0029, 0x10), (0x0065, 0x51), (0x0065, 0x58), *GE_TAGS))
)
_TIMING = "MRTimingAndRelatedParametersSequence"


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What the headers tell; None where they do not.

    `slice_timing`: of each slice, when it was acquired after the first of its volume.
    `phase_encoding_axis`: i or j; `phase_encoding_direction`: the same with a minus where the
    phase runs against it, known only where a vendor says so. `effective_echo_spacing` and
    `total_readout_time` as BIDS has them, from the first to the last line of the image.
    `b_values`: s/mm² of each volume. `b_vectors`: unit vectors by FSL's convention: along the
    volume's axes, the first turned over where the affine's determinant is positive.
    """

    repetition_time: float | None = None
    echo_time: float | None = None
    inversion_time: float | None = None
    flip_angle: float | None = None
    magnetic_field_strength: float | None = None
    slice_timing: tuple[float, ...] | None = None
    phase_encoding_axis: str | None = None
    phase_encoding_direction: str | None = None
    effective_echo_spacing: float | None = None
    total_readout_time: float | None = None
    b_values: tuple[float, ...] | None = None
    b_vectors: tuple[Vector, ...] | None = None


def read_acquisition(geometry: VolumeGeometry, *, diffusion: bool = True) -> Acquisition:
    """How a volume was acquired, of the header of its first slice, and of each volume's for
    `diffusion`. Raises PixelError for a file that is gone or broken.
    """
    first = geometry.grid[0][0]
    with quiet_pydicom(), open_image(first.file.origin, _TAGS) as image:
        header = image.header
        groups = FunctionalGroups(header)
        csa = csa_image_header(header)
        phase = read_phase_encoding(header, groups, first.frame, csa, geometry)
        repetition = _repetition_time(geometry)
        slice_timing = read_slice_timing(header, csa, geometry, repetition)

        def value(group: str, keyword: str, classic: str | None = None) -> float | None:
            own = groups.value(first.frame, group, keyword)
            return number(header.get(classic or keyword) if own is None else own)

        echo = value("MREchoSequence", "EffectiveEchoTime", "EchoTime")
        inversion = value("MRModifierSequence", "InversionTimes", "InversionTime")
        angle = value(_TIMING, "FlipAngle")
        field = number(header.get("MagneticFieldStrength"))
    b_values, b_vectors = read_diffusion(geometry) if diffusion else (None, None)
    lines = None if phase.axis is None else geometry.shape[1 if phase.axis == "j" else 0]
    sign = {True: "", False: "-", None: None}[phase.is_positive]
    spacing = phase.spacing
    return Acquisition(
        repetition_time=repetition,
        echo_time=_seconds(echo),
        inversion_time=_seconds(inversion),
        flip_angle=angle,
        magnetic_field_strength=field,
        slice_timing=slice_timing,
        phase_encoding_axis=phase.axis,
        phase_encoding_direction=f"{phase.axis}{sign}" if phase.axis and sign is not None else None,
        effective_echo_spacing=spacing,
        total_readout_time=spacing * (lines - 1) if spacing is not None and lines else None,
        b_values=b_values,
        b_vectors=b_vectors,
    )


def _seconds(milliseconds: float | None) -> float | None:
    return milliseconds / 1000 if milliseconds is not None and milliseconds > 0 else None


def _repetition_time(geometry: VolumeGeometry) -> float | None:
    """From volume to volume, as BIDS means it. The header's is more exact than the times of
    acquisition, where it says the same.
    """
    said = _seconds(geometry.grid[0][0].labels.repetition_time)
    axis = geometry.fourth_axis
    if axis is None or axis.name is not AxisName.TIME or axis.unit != "s" or not axis.step:
        return said
    return said if said is not None and abs(said - axis.step) <= 0.02 * said else axis.step
