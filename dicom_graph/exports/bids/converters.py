"""The programs that write the volumes of a data set: this package, or dcm2niix."""

import asyncio
import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import nibabel
import numpy as np

from dicom_graph.dicom.files.stored_file import FileState
from dicom_graph.error_codes import ErrorCode
from dicom_graph.exports.bids.export import sidecar_text
from dicom_graph.exports.bids.metadata import Metadata
from dicom_graph.exports.bids.planned_volume import PlannedVolume
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.pool import DecodePool
from dicom_graph.imaging.volume_files import replaced, write_bids_volume

_NO_LIMIT = 1 << 40
_LONGEST_SECONDS = 24 * 3600.0
_TIME_SERIES = frozenset((("func", "bold"), ("func", "cbv")))
_DIFFUSION = frozenset((("dwi", "dwi"), ("fmap", "epi")))
_OURS = frozenset((
    "TaskName", "Units", "EchoTime1", "EchoTime2", "B0FieldIdentifier", "B0FieldSource",
    "IntendedFor",
))  # fmt: skip
"""What the plan says; all else of a sidecar is dcm2niix's where it converts."""
_THEIRS = frozenset((
    "AcquisitionMatrixPE", "BandwidthPerPixelPhaseEncode", "BaseResolution", "ConversionSoftware",
    "ConversionSoftwareVersion", "DwellTime", "EchoNumber", "EchoTime", "EchoTrainLength",
    "EffectiveEchoSpacing", "FlipAngle", "FrequencyEncodingSteps", "ImageType", "ImagingFrequency",
    "InversionTime", "MRAcquisitionType", "MTState", "MagneticFieldStrength", "Manufacturer",
    "ManufacturersModelName", "Modality", "MultibandAccelerationFactor",
    "NonlinearGradientCorrection", "ParallelReductionFactorInPlane",
    "ParallelReductionFactorOutOfPlane", "PartialFourier", "PercentPhaseFOV", "PercentSampling",
    "PhaseEncodingAxis", "PhaseEncodingDirection", "PhaseEncodingSteps", "PhaseResolution",
    "PhilipsRescaleIntercept", "PhilipsRescaleSlope", "PhilipsScaleSlope", "PixelBandwidth",
    "PulseSequenceType", "ReconMatrixPE", "RepetitionTime", "SAR", "ScanOptions",
    "ScanningSequence", "SequenceName", "SequenceVariant", "SliceThickness", "SliceTiming",
    "SpacingBetweenSlices", "SpoilingState", "TotalReadoutTime", "UsePhilipsFloatNotDisplayScaling",
))  # fmt: skip
"""Of dcm2niix's JSON: no names, identifiers, dates, places or free texts."""
_HEADER_BYTES = 348
_TEXTS = ((10, 14), (18, 32), (80, 228), (24, 252), (16, 344))
"""The sizes and ends of data_type, db_name, descrip, aux_file, intent_name in NIfTI-1."""
_LEVEL, _CHUNK = 6, 1 << 20
_SAME_ECHO = 1e-4


class OwnConverter:
    """Writes volumes in `jobs` processes of its own. To be closed."""

    def __init__(self, jobs: int) -> None:
        self._pool = DecodePool(jobs, _LONGEST_SECONDS, _NO_LIMIT)

    async def __call__(
        self, planned: PlannedVolume, files: Sequence[FileState], stem: Path, metadata: Metadata
    ) -> None:
        kind = planned.datatype, planned.suffix
        await self._pool.run(
            write_bids_volume, files, planned.stack, planned.index, str(stem),
            sidecar_text(metadata), kind in _TIME_SERIES, kind in _DIFFUSION,
        )  # fmt: skip

    def close(self) -> None:
        """End the processes."""
        self._pool.close()


class _Output(NamedTuple):
    """A NIfTI file that dcm2niix wrote, and its JSON."""

    path: Path
    stem: Path
    told: dict[str, Any]
    shape: tuple[int, ...]


class Dcm2niix:
    """Has dcm2niix convert series, and takes of each what a plan names."""

    def __init__(self, program: str) -> None:
        self._program = program

    @classmethod
    def found(cls) -> "Dcm2niix | None":
        """The program on the path, if it is there."""
        program = shutil.which("dcm2niix")
        return None if program is None else cls(program)

    async def __call__(
        self, planned: PlannedVolume, files: Sequence[FileState], stem: Path, metadata: Metadata
    ) -> None:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="dicom-graph-") as folder:
            outputs = await self._convert(files, Path(folder))
            await asyncio.to_thread(_take, planned, outputs, stem, metadata)

    async def _convert(self, files: Sequence[FileState], folder: Path) -> list[_Output]:
        source, target = folder / "in", folder / "out"
        await asyncio.to_thread(_link, files, source)
        target.mkdir()
        command = (self._program, "-z", "y", "-b", "y", "-ba", "y", "-w", "2", "-f", "volume",
                   "-o", str(target), str(source))  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        await process.wait()
        return await asyncio.to_thread(_outputs, target)

    def close(self) -> None:
        """Nothing is left open."""


def _link(files: Sequence[FileState], folder: Path) -> None:
    folder.mkdir()
    for number, file in enumerate(files):
        (folder / f"{number:06}.dcm").symlink_to(os.path.abspath(file))


def _outputs(folder: Path) -> list[_Output]:
    found = []
    for path in sorted(folder.glob("*.nii.gz")):
        stem = path.with_name(path.name.removesuffix(".nii.gz"))
        sidecar = stem.with_name(f"{stem.name}.json")
        told = json.loads(sidecar.read_text(encoding="utf-8")) if sidecar.exists() else {}
        image: Any = nibabel.load(path)
        found.append(_Output(path, stem, told, image.shape))
    return found


def _take(
    planned: PlannedVolume, outputs: Sequence[_Output], stem: Path, metadata: Metadata
) -> None:
    """Put the one output that a plan means into its place."""
    fitting = [each for each in outputs if _fits(each, planned)]
    if len(fitting) > 1:
        fitting = [each for each in fitting if _is_named_so(each, planned)]
    if len(fitting) != 1:
        shapes = ", ".join("×".join(map(str, each.shape)) for each in outputs) or "nothing"
        raise ImagingError(
            f"dcm2niix made {shapes} of the series: {len(fitting)} of it fit the volume",
            ErrorCode.NO_VOLUME,
        )
    (chosen,) = fitting
    told = {name: value for name, value in chosen.told.items() if name in _THEIRS}
    kept = _OURS | planned.metadata.keys()
    told |= {name: value for name, value in metadata.items() if name in kept}
    if "EchoTime1" in told:
        told.pop("EchoTime", None)
    kind = planned.datatype, planned.suffix
    texts = {".json": sidecar_text(told)}
    if kind in _DIFFUSION:
        for ending in (".bval", ".bvec"):
            written = chosen.stem.with_name(chosen.stem.name + ending)
            if written.exists():
                texts[ending] = written.read_text(encoding="utf-8")
    for ending, text in texts.items():
        with replaced(stem.with_name(stem.name + ending)) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")
    with replaced(stem.with_name(f"{stem.name}.nii.gz")) as partial:
        is_one_moment = kind in _TIME_SERIES and len(chosen.shape) == 3
        with _nifti_of(chosen, is_one_moment) as source, partial.open("wb") as file:
            _write_without_texts(source, file)


def _nifti_of(chosen: _Output, is_one_moment: bool) -> IO[bytes]:
    return (
        BytesIO(_time_series(chosen))
        if is_one_moment
        else cast("IO[bytes]", gzip.open(chosen.path))
    )


def _write_without_texts(source: IO[bytes], file: IO[bytes]) -> None:
    """Compress a NIfTI file without the texts of its header: dcm2niix writes the time of day and
    ImageComments there.
    """
    header = bytearray(source.read(_HEADER_BYTES))
    for size, end in _TEXTS:
        header[end - size : end] = bytes(size)
    with gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as target:
        target.write(header)
        shutil.copyfileobj(source, target, _CHUNK)


def _time_series(chosen: _Output) -> bytes:
    """A volume of one moment with a fourth axis, as BIDS wants it of time series."""
    image: Any = nibabel.load(chosen.path)
    header = image.header.copy()
    header.set_data_shape((*chosen.shape, 1))
    header.set_zooms((*image.header.get_zooms()[:3], chosen.told.get("RepetitionTime", 0.0)))
    header.set_xyzt_units("mm", "sec")
    made = nibabel.Nifti1Image(np.asanyarray(image.dataobj)[..., None], image.affine, header)
    return bytes(made.to_bytes())


def _fits(output: _Output, planned: PlannedVolume) -> bool:
    """By size and echo time."""
    assert planned.volume is not None
    summary, acquisition = planned.volume.summary, planned.volume.acquisition
    shape = summary.shape if planned.index is None else summary.shape[:3]
    is_map = planned.suffix == "fieldmap"
    return (
        _is_same_shape(output.shape, shape)
        and (is_map or _is_same_echo(output.told.get("EchoTime"), acquisition.echo_time))
        and not output.stem.name.endswith(("_Eq_1", "_Tilt_1"))
    )


def _is_named_so(output: _Output, planned: PlannedVolume) -> bool:
    """Whether it is a phase or a map, by its name, as the volume is."""
    is_phase = planned.entities.get("part") == "phase" or planned.suffix.startswith("phase")
    is_map = planned.suffix == "fieldmap"
    name = output.stem.name
    return ("_ph" in name) == is_phase and ("_fieldmap" in name) == is_map


def _is_same_shape(one: Sequence[int], other: Sequence[int]) -> bool:
    """dcm2niix turns the axes of what was acquired in three dimensions."""
    return sorted(one[:3]) == sorted(other[:3]) and tuple(one[3:]) == tuple(other[3:])


def _is_same_echo(one: float | None, other: float | None) -> bool:
    return one is None or other is None or abs(one - other) < _SAME_ECHO
