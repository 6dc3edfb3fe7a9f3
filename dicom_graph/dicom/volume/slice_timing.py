"""When the slices of a volume were acquired."""

from collections.abc import Mapping

from pydicom.dataset import Dataset

from dicom_graph.dicom.csa.header import CsaTag
from dicom_graph.dicom.volume.ge import ge_slice_times
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from dicom_graph.dicom.volume.mosaic import csa_numbers


def read_slice_timing(
    header: Dataset,
    csa: Mapping[str, CsaTag],
    geometry: VolumeGeometry,
    repetition: float | None,
) -> tuple[float, ...] | None:
    """Of each slice, s after the first of its volume: as Siemens' mosaics say, by the times of the
    slices, or constructed from GE's protocol. None where nothing tells.
    """
    return (
        _mosaic_timing(csa, geometry)
        or _timing_of_slices(geometry, repetition)
        or _timing_by_ge(header, geometry, repetition)
    )


def _mosaic_timing(csa: Mapping[str, CsaTag], geometry: VolumeGeometry) -> tuple[float, ...] | None:
    """MosaicRefAcqTimes, ms, of the tiles in their order; a volume may have them turned over."""
    times = csa_numbers(csa, "MosaicRefAcqTimes")
    planes = geometry.grid[0]
    if len(times) < len(planes) or any(plane.tile is None for plane in planes):
        return None
    order = sorted(plane.tile for plane in planes if plane.tile is not None)
    of_tile = dict(zip(order, times, strict=False))
    found = [of_tile[plane.tile] for plane in planes if plane.tile is not None]
    return tuple(round((time - min(found)) / 1000, 6) for time in found)


def _timing_of_slices(
    geometry: VolumeGeometry, repetition: float | None
) -> tuple[float, ...] | None:
    """By the times at which the slices of the first volume were acquired, where they differ, and
    where they lie within one repetition.
    """
    times = [plane.labels.acquired for plane in geometry.grid[0]]
    known = [time for time in times if time is not None]
    if len(known) < len(times) or len(set(known)) < 2 or geometry.n_volumes < 2:
        return None
    if repetition is None or max(known) - min(known) >= repetition:
        return None
    return tuple(round(time - min(known), 6) for time in known)


def _timing_by_ge(
    header: Dataset, geometry: VolumeGeometry, repetition: float | None
) -> tuple[float, ...] | None:
    """Of a time series; slices are acquired in the order of their numbers. The protocol does not
    tell the order of diffusion.
    """
    planes = geometry.grid[0]
    numbers = [plane.labels.instance for plane in planes]
    known = [each for each in numbers if each is not None]
    is_diffusion = any(volume[0].labels.b_value for volume in geometry.grid)
    is_series = geometry.n_volumes > 1 and not is_diffusion
    if repetition is None or not is_series or len(set(known)) < len(planes):
        return None
    times = ge_slice_times(header, len(planes), repetition)
    if times is None:
        return None
    turn = {each: index for index, each in enumerate(sorted(known))}
    return tuple(round(times[turn[each]], 6) for each in known)
