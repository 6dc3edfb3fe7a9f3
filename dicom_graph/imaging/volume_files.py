"""Volumes of a series as files, each there only once it is whole; what a worker process does."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from dicom_graph.dicom.files.stored_file import FileState
from dicom_graph.dicom.nifti import write_nifti, write_npy
from dicom_graph.dicom.sidecar import b_values_text, b_vectors_text, sidecar
from dicom_graph.dicom.volume import VolumeGeometry
from dicom_graph.dicom.volume.acquisition import Acquisition, read_acquisition
from dicom_graph.dicom.volume.fourth_axis import AxisName, FourthAxis
from dicom_graph.imaging.worker import chosen_stack, geometries


def write_series(
    files: Sequence[FileState], stem: str, ending: str, has_sidecars: bool
) -> list[str]:
    """Write all volumes of a series as `stem` + `ending`, `stem_stack1` …; returns what is doubtful
    about them. `ending`: .nii.gz, .nii or .npy. The main volume is the last to get its name.

    Raises PixelError, OSError.
    """
    found = geometries(files)
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    for stack, geometry in reversed(list(enumerate(found))):
        own = stem if stack == 0 else f"{stem}_stack{stack}"
        acquisition = read_acquisition(geometry, diffusion=has_sidecars)
        text = sidecar(acquisition) if has_sidecars else None
        _write_volume(geometry, acquisition, own, ending, text)
    return [warning for geometry in found for warning in geometry.warnings]


def write_bids_volume(
    files: Sequence[FileState],
    stack: int,
    index: int | None,
    stem: str,
    text: str,
    is_time_series: bool,
    has_diffusion: bool,
) -> None:
    """Write a volume of a series, or one index of its fourth axis, as NIfTI with a sidecar `text`.

    `is_time_series`: with a fourth axis also where it is of one moment. Raises PixelError, OSError.
    """
    geometry = chosen_stack(geometries(files), stack)
    if index is not None:
        geometry = _at(geometry, index)
    elif is_time_series and geometry.fourth_axis is None:
        moment = FourthAxis(AxisName.TIME, (0.0,), "s")
        geometry = replace(geometry, fourth_axis=moment, shape=(*geometry.shape[:3], 1))
    acquisition = read_acquisition(geometry, diffusion=has_diffusion)
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    _write_volume(geometry, acquisition, stem, ".nii.gz", text)


def _at(geometry: VolumeGeometry, index: int) -> VolumeGeometry:
    """One volume of several along the fourth axis."""
    shape = (*geometry.shape[:3], *geometry.shape[4:])
    return replace(geometry, grid=[geometry.grid[index]], fourth_axis=None, shape=shape)


def _write_volume(
    geometry: VolumeGeometry,
    acquisition: Acquisition,
    stem: str,
    ending: str,
    sidecar_text: str | None,
) -> None:
    """Write a volume and, with a sidecar, what belongs beside it; the volume comes last."""
    texts = {".json": sidecar_text}
    if sidecar_text is not None:
        texts |= {".bval": b_values_text(acquisition), ".bvec": b_vectors_text(acquisition)}
    for suffix, text in texts.items():
        if text is not None:
            with replaced(Path(stem + suffix)) as partial:
                partial.write_text(text, encoding="utf-8", newline="\n")
    with replaced(Path(stem + ending)) as partial, partial.open("wb") as file:
        if ending == ".npy":
            write_npy(geometry, file)
        else:
            write_nifti(geometry, file, acquisition=acquisition, compress=ending == ".nii.gz")


@contextmanager
def replaced(to: Path) -> Iterator[Path]:
    """A name beside the file; the file is there only when it is whole.

    What a process left behind that was killed meanwhile is removed.
    """
    for left in to.parent.glob(f".{to.name}.*.partial"):
        if not _is_running(left.name.split(".")[-2]):
            left.unlink(missing_ok=True)
    partial = to.with_name(f".{to.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, to)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:
        return True
    return True
