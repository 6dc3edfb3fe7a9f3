"""What vendors write in private elements alone: as dcm2niix reads the same files."""

import gzip
import json
import struct
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import MRImageStorage, generate_uid

from dicom_graph.dicom.volume import read_geometries, read_volume
from dicom_graph.dicom.volume.acquisition import read_acquisition
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from tests.support.slices import make_image

Private = tuple[int, str, int, str, Any]
GE, ACQUISITION, PARAMETERS = "GE MEDICAL SYSTEMS", "GEMS_ACQU_01", "GEMS_PARM_01"
TURNED = {"j": "j-", "j-": "j"}
"""dcm2niix turns the rows over."""
PLANES = {
    "axial": [1, 0, 0, 0, 1, 0], "coronal": [1, 0, 0, 0, 0, -1], "sagittal": [0, 1, 0, 0, 0, -1],
    "oblique": [1, 0, 0, 0, 0.8, 0.6],
}  # fmt: skip
DIRECTIONS = [None, (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0, 0.8)]


def make_volumes(
    folder: Path,
    n_volumes: int,
    private: Callable[[int], list[Private]] = lambda volume: [],
    *,
    n_slices: int = 3,
    plane: str = "axial",
    each: Callable[[int], dict[str, Any]] = lambda volume: {},
    **elements: Any,
) -> list[Path]:
    """A series of EPI volumes of random pixels, one after the other."""
    axes = np.array(PLANES[plane], float)
    normal = np.cross(axes[:3], axes[3:])
    generator = np.random.default_rng(0)
    shared = {
        "SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(), "SOPClassUID": MRImageStorage, "Modality": "MR",
        "ImageOrientationPatient": axes.tolist(), "PixelSpacing": [2.0, 2.0], "SliceThickness": 3.0,
        "SpacingBetweenSlices": 3.0, "SeriesNumber": 5, "RepetitionTime": 3000, "EchoTime": 80,
        "ScanningSequence": ["EP", "SE"], "MRAcquisitionType": "2D", "PatientPosition": "HFS",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"], "InPlanePhaseEncodingDirection": "COL",
        "AcquisitionDate": "20200101", "AcquisitionTime": "120000", "StudyDate": "20200101",
        "StudyTime": "120000",
    } | elements  # fmt: skip
    paths = []
    for number, (volume, k) in enumerate(product(range(n_volumes), range(n_slices)), 1):
        own = {
            "InstanceNumber": number, "TemporalPositionIdentifier": volume + 1,
            "ImagePositionPatient": ([10.0, 20.0, 30.0] + 3.0 * k * normal).round(6).tolist(),
        }  # fmt: skip
        pixels = generator.integers(0, 1000, (6, 8)).astype(np.uint16)
        path = make_image(folder / f"{number:04}.dcm", pixels, **(shared | own | each(volume)))
        header = dcmread(path)
        for group, creator, low, vr, value in private(volume):
            header.private_block(group, creator, create=True).add_new(low, vr, value)
        header.save_as(path)
        paths.append(path)
    return paths


def by_dcm2niix(paths: list[Path]) -> dict[str, tuple[Any, dict[str, Any], Path]]:
    """The images that it makes, their sidecars, and their paths without suffix, by their names."""
    out = paths[0].parent.with_name("out")
    out.mkdir()
    command = [dcm2niix.bin, "-z", "n", "-p", "n", "-f", "%s", "-o", str(out)]
    subprocess.run([*command, str(paths[0].parent)], check=True, capture_output=True)
    return {
        path.stem: (nibabel.load(path.with_suffix(".nii")), json.loads(path.read_text()), path)
        for path in out.glob("*.json")
    }


def in_patient(vectors: Any, affine: Any) -> Any:
    """From FSL's convention to the patient (RAS+)."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    turned = np.array(vectors) * (-1 if np.linalg.det(axes) > 0 else 1, 1, 1)
    return turned @ axes.T


def ge_gradient(volume: int) -> list[Private]:
    direction = DIRECTIONS[volume] or (0, 0, 0)
    along = [
        (0x0019, ACQUISITION, 0xBB + place, "DS", str(each)) for place, each in enumerate(direction)
    ]
    b_value = 1000 if DIRECTIONS[volume] else 0
    return [*along, (0x0043, PARAMETERS, 0x39, "IS", [b_value, 0, 0, 0])]


def philips_gradient(volume: int) -> list[Private]:
    direction = DIRECTIONS[volume] or (0, 0, 0)
    return [
        (0x2001, "Philips Imaging DD 001", 0x03, "FL", 1000.0 if DIRECTIONS[volume] else 0.0),
        *((0x2005, "Philips MR Imaging DD 001", 0xB0 + place, "FL", float(each))
          for place, each in enumerate(direction)),
    ]  # fmt: skip


def uih_gradient(volume: int) -> list[Private]:
    direction = DIRECTIONS[volume] or (0, 0, 0)
    block = (0x0065, "Image Private Header")
    return [(*block, 0x09, "FD", 1000.0 if DIRECTIONS[volume] else 0.0),
            (*block, 0x37, "FD", [float(each) for each in direction])]  # fmt: skip


def canon_comment(volume: int) -> dict[str, Any]:
    direction = DIRECTIONS[volume]
    x, y, z = direction or (0, 0, 0)
    b_value = 1000 if direction else 0
    return {"ImageComments": f"b={b_value}({x:.3f},{y:.3f},{z:.3f})", "DiffusionBValue": b_value}


VENDORS: dict[str, dict[str, Any]] = {
    GE: {"private": ge_gradient},
    "Philips Medical Systems": {"private": philips_gradient},
    "UIH": {"private": uih_gradient, "each": lambda volume: {"AcquisitionNumber": volume + 1}},
    "CANON_MEC": {"each": canon_comment},
}


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("vendor", VENDORS)
def test_gradients(tmp_path: Path, vendor: str, plane: str) -> None:
    for phase in ("COL", "ROW"):
        paths = make_volumes(
            tmp_path / phase / "in", 5, plane=plane, Manufacturer=vendor,
            InPlanePhaseEncodingDirection=phase, **VENDORS[vendor],
        )  # fmt: skip
        ((image, _, path),) = by_dcm2niix(paths).values()
        expected = np.loadtxt(path.with_suffix(".bvec")).T
        (geometry,) = read_geometries(paths)
        found = read_acquisition(geometry)
        assert found.b_values == tuple(np.loadtxt(path.with_suffix(".bval")))
        assert found.b_vectors is not None
        np.testing.assert_allclose(
            in_patient(found.b_vectors, geometry.affine),
            in_patient(expected, image.affine),
            atol=1e-3,
        )


def test_shells_of_ge(tmp_path: Path) -> None:
    """A gradient of half the length is a quarter of the b value."""

    def private(volume: int) -> list[Private]:
        length = (0.0, 1.0, 0.5)[volume]
        return [*ge_gradient(0)[1:3], (0x0019, ACQUISITION, 0xBB, "DS", str(length)),
                (0x0043, PARAMETERS, 0x39, "IS", [1_000_002_000 if volume else 0, 0])]  # fmt: skip

    (geometry,) = read_geometries(make_volumes(tmp_path / "in", 3, private, Manufacturer=GE))
    found = read_acquisition(geometry)
    assert sorted(found.b_values or ()) == [0, 500, 2000]
    assert {tuple(map(abs, vector)) for vector in found.b_vectors or ()} == {(0, 0, 0), (1, 0, 0)}


def test_without_a_known_position_of_the_patient_ge_tells_no_direction(tmp_path: Path) -> None:
    paths = make_volumes(tmp_path / "in", 5, ge_gradient, Manufacturer=GE, PatientPosition="FFS")
    found = read_acquisition(read_geometries(paths)[0])
    assert found.b_values == (0, 1000, 1000, 1000, 1000)
    assert found.b_vectors is None


def ge_protocol(**settings: Any) -> Private:
    text = "".join(f'{name} "{value}"\n' for name, value in settings.items())
    packed = gzip.compress(text.encode())
    raw = struct.pack("<I", len(packed)) + packed
    return (0x0025, "GEMS_SERS_01", 0x1B, "OB", raw + bytes(len(raw) % 2))


@pytest.mark.parametrize("release", ["DV25.0_R01_1451.a", "DV26.0_R02_1810.b", "RX28.0_R04_2020.a"])
@pytest.mark.parametrize(("n_slices", "bands"), [(5, 1), (6, 1), (6, 2), (8, 2), (12, 3)])
def test_slice_timing_of_ge(tmp_path: Path, release: str, n_slices: int, bands: int) -> None:
    for order, delay in ((1, 0.0), (0, 0.6)):
        private = [
            ge_protocol(
                IOPT="EPI, FMRI",
                PLUG=9,
                VIEWORDER=0,
                SLICEORDER=order,
                NOSLC=n_slices,
                MBACCEL=bands,
            ),
            (0x0019, ACQUISITION, 0x9C, "LO", "epiRT"),
            (0x0019, ACQUISITION, 0x9E, "LO", "EPI"),
            (0x0043, PARAMETERS, 0x7C, "FL", delay),
        ]
        paths = make_volumes(
            tmp_path / str(order) / "in", 2, lambda volume, private=private: private,
            n_slices=n_slices, Manufacturer=GE, ScanningSequence=["EP", "GR"],
            SoftwareVersions=["28", "LX", f"MR Software release:{release}"],
        )  # fmt: skip
        ((_, told, _),) = by_dcm2niix(paths).values()
        (geometry,) = read_geometries(paths)
        found = read_acquisition(geometry)
        assert found.repetition_time == pytest.approx(told["RepetitionTime"])
        assert ("SliceTiming" in told) == (found.slice_timing is not None)
        if found.slice_timing is not None:
            assert found.slice_timing == pytest.approx(told["SliceTiming"], abs=1e-3)
        assert found.slice_timing is not None or (release.startswith("DV25") and bands > 1)


def test_a_protocol_of_ge_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    whole = ge_protocol(SLICEORDER=1)[4]
    for number, raw in enumerate((b"\x1f\x8b", whole[:20], whole[:8] + b"x" * 20, b"", b"\0" * 64)):
        paths = make_volumes(
            tmp_path / str(number), 2, Manufacturer=GE,
            private=lambda volume, raw=raw: [(0x0025, "GEMS_SERS_01", 0x1B, "OB", raw)],
        )  # fmt: skip
        assert read_acquisition(read_geometries(paths)[0]).slice_timing is None


@pytest.mark.parametrize("order", ["LINEAR", "REVERSE_LINEAR"])
@pytest.mark.parametrize(
    ("share", "lines", "options"),
    [(1, 8, ["EPI_GEMS"]), (0.5, 8, ["EPI_GEMS"]), (0.5, 12, ["EPI_GEMS", "PFF"])],
)
def test_phase_encoding_of_ge(
    tmp_path: Path, order: str, share: float, lines: int, options: list[str]
) -> None:
    private: list[Private] = [(0x0043, PARAMETERS, 0x2C, "SS", 600),
                              (0x0043, PARAMETERS, 0x83, "DS", [str(share), "1"])]  # fmt: skip
    for phase in ("COL", "ROW"):
        paths = make_volumes(
            tmp_path / phase / "in", 2, lambda volume: private, Manufacturer=GE,
            ScanOptions=options, InPlanePhaseEncodingDirection=phase,
            RectilinearPhaseEncodeReordering=order, AcquisitionMatrix=[8, 0, 0, lines],
        )  # fmt: skip
        ((_, told, _),) = by_dcm2niix(paths).values()
        found = read_acquisition(read_geometries(paths)[0])
        direction = told["PhaseEncodingDirection"]
        assert found.phase_encoding_direction == TURNED.get(direction, direction)
        assert found.effective_echo_spacing == pytest.approx(told["EffectiveEchoSpacing"], rel=1e-5)
        assert found.total_readout_time == pytest.approx(told["TotalReadoutTime"], rel=1e-5)


def test_of_others_the_order_of_lines_is_no_direction(tmp_path: Path) -> None:
    paths = make_volumes(
        tmp_path / "in", 2, Manufacturer="Philips", RectilinearPhaseEncodeReordering="LINEAR"
    )
    found = read_acquisition(read_geometries(paths)[0])
    assert (found.phase_encoding_axis, found.phase_encoding_direction) == ("j", None)


@pytest.mark.parametrize("against", [0, 1])
def test_phase_encoding_of_uih(tmp_path: Path, against: int) -> None:
    for phase in ("COL", "ROW"):
        paths = make_volumes(
            tmp_path / phase / "in", 2, Manufacturer="UIH", InPlanePhaseEncodingDirection=phase,
            private=lambda volume: [(0x0065, "Image Private Header", 0x58, "IS", against)],
            each=lambda volume: {"AcquisitionNumber": volume + 1},
        )  # fmt: skip
        ((_, told, _),) = by_dcm2niix(paths).values()
        direction = told["PhaseEncodingDirection"]
        found = read_acquisition(read_geometries(paths)[0])
        assert found.phase_encoding_direction == TURNED.get(direction, direction)


@pytest.mark.parametrize(("mode", "n_expected"), [(0, 1), (1, 1), (2, 2), (3, 2)])
def test_reversed_volumes_of_ge(tmp_path: Path, mode: int, n_expected: int) -> None:
    """The sequence of the ABCD study writes them upside down, among the others."""
    paths = make_volumes(
        tmp_path / "in", 4, Manufacturer=GE, RectilinearPhaseEncodeReordering="REVERSE_LINEAR",
        private=lambda volume: [
            (0x0019, ACQUISITION, 0x9C, "LO", "research/ABCD/epi_pepolar"),
            (0x0019, ACQUISITION, 0xB3, "DS", str(mode)),
        ],
    )  # fmt: skip
    told = by_dcm2niix(paths)
    found = {of_direction(geometry): geometry for geometry in read_geometries(paths)}
    assert len(found) == len(told) == n_expected
    for image, described, _ in told.values():
        geometry = found[TURNED[described["PhaseEncodingDirection"]]]
        np.testing.assert_array_equal(
            read_volume(geometry).array[:, ::-1], np.asarray(image.dataobj)
        )
        is_reversed = any("reversed" in warning for warning in geometry.warnings)
        assert is_reversed == (described["PhaseEncodingPolarityGE"] == "Flipped")


def of_direction(geometry: VolumeGeometry) -> str | None:
    return read_acquisition(geometry).phase_encoding_direction
