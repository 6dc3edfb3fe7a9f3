"""`python -m tests.against_dcm2niix`: all MR, CT and PET series of the shared data beside dcm2niix.

A row for each series, a column for each property: `=` where both say the same, `-` where neither
says anything, `ours` or `theirs` where one says it alone, `≠` where they differ. Exit status 1
where any differs that is not explained.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel
import numpy as np
from pydicom import dcmread

from dicom_graph.dicom.errors import PixelError
from dicom_graph.dicom.volume import read_geometries, read_volume
from dicom_graph.dicom.volume.acquisition import Acquisition, read_acquisition
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from tests.support.data import shared_files

_MODALITIES = {"MR", "CT", "PT", "OT", "SC"}
_TURNED = {"j": "j-", "j-": "j"}
_SIDECAR: dict[str, tuple[str, float]] = {
    "TR": ("RepetitionTime", 1e-3), "TE": ("EchoTime", 1e-5), "TI": ("InversionTime", 1e-4),
    "flip": ("FlipAngle", 1e-3), "timing": ("SliceTiming", 5e-3),
    "spacing": ("EffectiveEchoSpacing", 2e-6), "readout": ("TotalReadoutTime", 1e-4),
}  # fmt: skip
_OURS: dict[str, Callable[[Acquisition], Any]] = {
    "TR": lambda a: a.repetition_time, "TE": lambda a: a.echo_time,
    "TI": lambda a: a.inversion_time, "flip": lambda a: a.flip_angle,
    "timing": lambda a: a.slice_timing, "spacing": lambda a: a.effective_echo_spacing,
    "readout": lambda a: a.total_readout_time,
}  # fmt: skip
COLUMNS = ("voxels", "affine", "pixdim", *_SIDECAR, "phase", "bval", "bvec")


_EXPLAINED = {
    "gantrytilting": "it writes the voxels without the shear, and a resampled copy; our affine "
    "has the tilt, so that each slice is where its header says",
    "002_non_isotropic": "slices of different slopes: with `-p n` it applies the first to all",
}


def _series() -> dict[tuple[str, str], list[Path]]:
    """The files of each series that may be a volume, by folder and UID."""
    found = defaultdict(list)
    for path in shared_files():
        try:
            header = dcmread(
                path,
                stop_before_pixels=True,
                specific_tags=["SeriesInstanceUID", "Modality", "Rows"],
            )
        except Exception:  # whatever is no DICOM file
            continue
        if header.get("Modality") in _MODALITIES and header.get("Rows"):
            found[str(path.parent), str(header.get("SeriesInstanceUID"))].append(path)
    return dict(sorted(found.items()))


def _converted(paths: list[Path], folder: Path) -> list[tuple[Any, dict[str, Any], Path]]:
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    for number, path in enumerate(paths):
        shutil.copy(path, folder / "in" / f"{number:05}.dcm")
    command = [dcm2niix.bin, "-z", "n", "-p", "n", "-b", "y", "-f", "%s_%p_%e"]
    subprocess.run([*command, "-o", folder / "out", folder / "in"], check=False,
                   capture_output=True, timeout=300)  # fmt: skip
    found = []
    for path in sorted((folder / "out").glob("*.nii")):
        described = path.with_suffix(".json")
        told = json.loads(described.read_text()) if described.exists() else {}
        found.append((nibabel.load(path), told, path))
    return found


def _canonical(array: Any, affine: Any) -> tuple[Any, Any]:
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    array = array.reshape(array.shape + (1,) * (3 - array.ndim))
    orientation = nibabel.io_orientation(affine)
    turned = nibabel.apply_orientation(array, orientation)
    return turned, affine @ nibabel.orientations.inv_ornt_aff(orientation, array.shape[:3])


def _told(ours: Any, theirs: Any, tolerance: float) -> str:
    if theirs is None or np.size(theirs) == 0:
        return "-" if ours is None else "ours"
    if ours is None:
        return "theirs"
    a, b = np.atleast_1d(ours), np.atleast_1d(theirs)
    is_same = a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=tolerance)
    return "=" if is_same else "≠"


def _in_patient(vectors: Any, affine: Any) -> Any:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return np.array(vectors) * (-1 if np.linalg.det(axes) > 0 else 1, 1, 1) @ axes.T


def _compare(
    geometry: VolumeGeometry, image: Any, told: dict[str, Any], path: Path
) -> dict[str, str]:
    data = np.asanyarray(image.dataobj)
    if data.dtype.names:
        data = np.stack([data[name] for name in data.dtype.names], axis=-1)
    expected, expected_affine = _canonical(data, image.affine)
    values, affine = _canonical(read_volume(geometry).array, geometry.affine)
    same = values.shape == expected.shape and np.allclose(values, expected, rtol=1e-4, atol=1e-3)
    found = {"voxels": "=" if same else f"≠ {values.shape} {expected.shape}"}
    found["affine"] = "=" if np.allclose(affine, expected_affine, atol=1e-2) else "≠"
    zooms = image.header.get_zooms()
    found["pixdim"] = _told(sorted(geometry.spacing), sorted(map(float, zooms[:3])), 1e-3)
    acquisition = read_acquisition(geometry)
    for column, (name, tolerance) in _SIDECAR.items():
        found[column] = _told(_OURS[column](acquisition), told.get(name), tolerance)
    direction = told.get("PhaseEncodingDirection") or told.get("PhaseEncodingAxis")
    mine = acquisition.phase_encoding_direction or acquisition.phase_encoding_axis
    if direction is None:
        found["phase"] = "-" if mine is None else "ours"
    else:
        has_sign = acquisition.phase_encoding_direction is not None
        turned = _TURNED.get(direction, direction) if has_sign else direction
        found["phase"] = "theirs" if mine is None else ("=" if mine == turned else "≠")
    bval, bvec = path.with_suffix(".bval"), path.with_suffix(".bvec")
    found["bval"] = _told(acquisition.b_values, np.loadtxt(bval) if bval.exists() else None, 1)
    theirs = _in_patient(np.loadtxt(bvec).T, image.affine) if bvec.exists() else None
    vectors = acquisition.b_vectors
    ours = None if vectors is None else _in_patient(vectors, geometry.affine)
    found["bvec"] = _told(ours, theirs, 1e-3)
    return found


def _rows(paths: list[Path], folder: Path) -> list[tuple[str, dict[str, str]]]:
    """One for each volume that dcm2niix makes, beside ours of the same shape and values."""
    theirs = _converted(paths, folder)
    try:
        ours = read_geometries(paths)
    except PixelError as error:
        return [(f"ours: {error}"[:60], {})] if theirs else []
    rows = []
    for image, told, path in theirs:
        candidates = [_compare(geometry, image, told, path) for geometry in ours]
        best = max(candidates, key=lambda row: sum(each in ("=", "-") for each in row.values()))
        rows.append(("", best))
    if len(ours) != len(theirs):
        rows.append((f"volumes: ours {len(ours)}, theirs {len(theirs)}", {}))
    return rows


def main() -> int:
    """Print the table."""
    has_difference = False
    print("series", *COLUMNS, sep=" | ")
    for (folder, _), paths in _series().items():
        with tempfile.TemporaryDirectory() as made:
            for note, row in _rows(paths, Path(made)):
                name = "/".join(Path(folder).parts[-3:])
                print(
                    name,
                    len(paths),
                    note,
                    *(row.get(column, "") for column in COLUMNS),
                    sep=" | ",
                    flush=True,
                )
                is_known = any(word in folder for word in _EXPLAINED)
                has_difference |= not is_known and any(
                    each.startswith("≠") for each in row.values()
                )
    for word, reason in _EXPLAINED.items():
        print(f"{word}: {reason}")
    return int(has_difference)


if __name__ == "__main__":
    sys.exit(main())
