"""Volumes as NIfTI and as npy files, written slice by slice: no more than a few slices in memory.

The header is nibabel's. Voxels follow in the order of NIfTI (columns fastest, then rows, slices,
the fourth axis), which is the order in which slices are decoded. Colours are NIfTI's RGB24.
"""

import gzip
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from typing import Any, Protocol

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from dicom_graph.dicom.errors import VolumeError
from dicom_graph.dicom.volume.acquisition import Acquisition
from dicom_graph.dicom.volume.fourth_axis import AxisName
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from dicom_graph.dicom.volume.reading import iter_slices, read_volume

try:
    _gzip: Any = import_module("isal.igzip").IGzipFile
except ImportError:
    # Where there is no wheel of it: the same in seven times the time.
    _gzip = gzip.GzipFile
_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


class Writable(Protocol):
    """What can be written to; it need not seek."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""


_MAX_SIDE = 32_767
_VOXELS_START = 352
_SCANNER = 1
_NOT_SET = 0


def nifti_header(
    geometry: VolumeGeometry, acquisition: Acquisition | None = None
) -> nibabel.Nifti1Header:
    """The header of a volume as NIfTI-1.

    pixdim holds the spacing in mm and the step of the fourth axis: s for time, which is the
    repetition time of an acquisition, else 1. sform is
    the affine, with code 1 (scanner); qform is the same with code 1, or with code 0 where the
    affine has a shear, which it cannot hold. Where the headers have no position, both codes are 0.
    Of an acquisition it has the axis of phase encoding, and the order of slices where NIfTI has a
    code for it.
    Raises VolumeError for a type or a size that NIfTI-1 cannot hold.
    """
    header = nibabel.Nifti1Header()
    shape = geometry.shape[:-1] if geometry.has_colours else geometry.shape
    if max(shape) > _MAX_SIDE:
        raise VolumeError(f"NIfTI-1 holds up to {_MAX_SIDE} voxels along an axis")
    if geometry.has_colours and geometry.dtype != np.uint8:
        raise VolumeError("NIfTI-1 holds colours of 8 bits only")
    header.set_data_shape(shape)
    header.set_data_dtype(_RGB if geometry.has_colours else geometry.dtype)
    is_time = geometry.fourth_axis is not None and geometry.fourth_axis.name is AxisName.TIME
    header.set_xyzt_units("mm", "sec" if is_time else "unknown")
    if geometry.fourth_axis is not None:
        step = geometry.fourth_axis.step if is_time else 1.0
        if is_time and acquisition is not None and acquisition.repetition_time is not None:
            step = acquisition.repetition_time
        header.set_zooms((*geometry.spacing, step))
    code = _SCANNER if geometry.has_positions else _NOT_SET
    axes = geometry.affine[:3, :3] / geometry.spacing
    has_shear = not np.allclose(axes.T @ axes, np.eye(3), atol=1e-4)
    header.set_qform(geometry.affine, code=_NOT_SET if has_shear else code)
    header.set_sform(geometry.affine, code=code)
    header.set_slope_inter(1.0, 0.0)
    header["descrip"] = b"dicom-graph"
    header["vox_offset"] = _VOXELS_START
    if acquisition is not None:
        _tell_acquisition(header, acquisition)
    return header


def _tell_acquisition(header: nibabel.Nifti1Header, acquisition: Acquisition) -> None:
    phase = {"i": 0, "j": 1}.get(acquisition.phase_encoding_axis or "")
    header.set_dim_info(freq=None if phase is None else 1 - phase, phase=phase, slice=2)
    times = acquisition.slice_timing
    if times is None or len(times) < 2:
        return
    step = min(abs(one - another) for one, another in pairwise(sorted(times)))
    # Clocks tick: what nibabel compares exactly is rounded to whole steps.
    try:
        header.set_slice_duration(step)
        header.set_slice_times([round(time / step) * step for time in times] if step else times)
    except HeaderDataError:
        # Several slices at a time, or an order without a code.
        header.set_slice_duration(0)


def write_nifti(
    geometry: VolumeGeometry,
    file: Writable,
    *,
    acquisition: Acquisition | None = None,
    compress: bool = True,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write a volume as `.nii.gz` (or `.nii`), decoding as it goes; `file` need not seek.

    `progress` is called after each slice with how many are written, of `n_slices(geometry)`. The
    same volume gives the same bytes in the same installation. Raises PixelError; what was written
    is then no whole file.
    """
    header = nifti_header(geometry, acquisition)
    if not compress:
        _write_nifti(geometry, header, file, progress)
        return
    # Fast and close to the best: noise, which most of an image is, does not shrink.
    with _gzip("", "wb", 1, file, mtime=0) as packed:
        _write_nifti(geometry, header, packed, progress)


def write_npy(
    geometry: VolumeGeometry, file: Writable, *, progress: Callable[[int], None] | None = None
) -> None:
    """Write a volume as `.npy` of the geometry's shape and type; as `write_nifti` otherwise.

    It is in Fortran order; colours are in C order with axes turned, so they need the whole volume.
    """
    fortran = not geometry.has_colours
    description = {
        "descr": np.lib.format.dtype_to_descr(geometry.dtype.newbyteorder("<")),
        "fortran_order": fortran,
        "shape": geometry.shape,
    }
    np.lib.format.write_array_header_1_0(file, description)
    if fortran:
        _write_voxels(geometry, file, geometry.dtype, progress)
        return
    for block in _colour_blocks(geometry):
        file.write(block)


def n_slices(geometry: VolumeGeometry) -> int:
    """How many slices a volume has, over its fourth axis."""
    return geometry.shape[2] * geometry.n_volumes


def _write_nifti(
    geometry: VolumeGeometry,
    header: nibabel.Nifti1Header,
    out: Writable,
    progress: Callable[[int], None] | None,
) -> None:
    out.write(header.binaryblock)
    # Four zeros: no extensions.
    out.write(bytes(_VOXELS_START - len(header.binaryblock)))
    _write_voxels(geometry, out, header.get_data_dtype(), progress)


def _write_voxels(
    geometry: VolumeGeometry,
    out: Writable,
    dtype: np.dtype[Any],
    progress: Callable[[int], None] | None,
) -> None:
    little = dtype if dtype.names else dtype.newbyteorder("<")
    for number, values in enumerate(iter_slices(geometry), 1):
        kept = np.ascontiguousarray(values) if dtype.names else values.astype(little, copy=False)
        out.write(kept.tobytes())
        if progress is not None:
            progress(number)


def _colour_blocks(geometry: VolumeGeometry) -> Iterator[bytes]:
    for plane in read_volume(geometry).array:
        yield np.ascontiguousarray(plane).tobytes()
