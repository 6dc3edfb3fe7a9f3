"""Volumes of a series as files, each there only once it is whole; what a worker process does."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dicom_graph.dicom.nifti import write_nifti, write_npy
from dicom_graph.dicom.sidecar import b_values_text, b_vectors_text, sidecar
from dicom_graph.dicom.stored_file import FileState
from dicom_graph.dicom.volume import VolumeGeometry
from dicom_graph.dicom.volume.acquisition import Acquisition, read_acquisition
from dicom_graph.imaging.worker import geometries

Progress = Callable[[int], None]


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
        write_volume_files(geometry, own, ending, has_sidecars=has_sidecars)
    return [warning for geometry in found for warning in geometry.warnings]


def write_volume_files(
    geometry: VolumeGeometry,
    stem: str,
    ending: str,
    *,
    has_sidecars: bool = True,
    sidecar_text: Callable[[Acquisition], str] = sidecar,
) -> None:
    """Write a volume and, with `has_sidecars`, what BIDS wants beside it; the volume comes last.

    Raises PixelError, OSError.
    """
    acquisition = read_acquisition(geometry, diffusion=has_sidecars)
    if has_sidecars:
        texts = {
            ".json": sidecar_text(acquisition),
            ".bval": b_values_text(acquisition),
            ".bvec": b_vectors_text(acquisition),
        }
        for suffix, text in texts.items():
            if text is not None:
                with replaced(Path(stem + suffix)) as partial:
                    partial.write_text(text, encoding="utf-8")
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
