"""Volumes: the images of a series as arrays in the patient's space.

`read_geometries(paths)` reads headers and answers with each volume's shape, spacing, affine and
warnings; `read_volume`, `read_slice` and `iter_slices` decode what is wanted of one.
"""

from dicom_graph.dicom.volume.fourth_axis import AxisName, FourthAxis
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from dicom_graph.dicom.volume.planes import Plane, SourceFile, read_planes
from dicom_graph.dicom.volume.reading import (
    Volume,
    geometries_of_headers,
    iter_slices,
    read_geometries,
    read_slice,
    read_volume,
)

__all__ = [
    "AxisName",
    "FourthAxis",
    "Plane",
    "SourceFile",
    "Volume",
    "VolumeGeometry",
    "geometries_of_headers",
    "iter_slices",
    "read_geometries",
    "read_planes",
    "read_slice",
    "read_volume",
]
