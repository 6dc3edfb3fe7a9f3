"""How volumes were acquired: against dcm2niix, and against plain arithmetic."""

import json
import subprocess
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_graph.dicom.nifti import nifti_header
from dicom_graph.dicom.sidecar import b_values_text, b_vectors_text, sidecar
from dicom_graph.dicom.volume import read_geometries
from dicom_graph.dicom.volume.acquisition import Acquisition, read_acquisition
from tests.support.data import SHARED, needs_shared
from tests.support.slices import make_slices

TURNED = {"j": "j-", "j-": "j"}
"""dcm2niix turns the rows over."""


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize(
    "folder",
    [
        *(f"nih/dicom/20180918GE/mr_000{number}" for number in (4, 5, 6, 7)),
        *(f"nih/dicom/20180918Si/mr_000{number}" for number in (3, 4, 5, 6)),
        "siemens/files/rsfmri",
        "enhanced/dicom/Siemens/XA10",
    ],
)
def test_as_dcm2niix_says(tmp_path: Path, folder: str) -> None:
    assert SHARED is not None
    root = SHARED / folder
    command = [dcm2niix.bin, "-b", "o", "-f", "out", "-o", str(tmp_path), str(root)]
    subprocess.run(command, check=True, capture_output=True)
    expected = json.loads((tmp_path / "out.json").read_text())
    paths = sorted(
        path for path in root.rglob("*") if path.suffix in ("", ".dcm") and path.is_file()
    )
    found = read_acquisition(read_geometries(paths)[0])
    for name, value in (
        ("EchoTime", found.echo_time),
        ("RepetitionTime", found.repetition_time),
        ("FlipAngle", found.flip_angle),
        ("EffectiveEchoSpacing", found.effective_echo_spacing),
        ("TotalReadoutTime", found.total_readout_time),
    ):
        assert value == pytest.approx(expected[name], rel=2e-3), name
    direction = expected["PhaseEncodingDirection"]
    assert found.phase_encoding_direction == TURNED.get(direction, direction)
    assert found.slice_timing == pytest.approx(expected["SliceTiming"], abs=5e-3)


def diffusion(folder: Path, orientation: list[float], directions: list[Any]) -> Acquisition:
    """Of a volume for each direction of the gradient, None for b = 0; two slices each."""

    def each(index: int) -> dict[str, Any]:
        direction = directions[index // 2]
        told = {
            "DiffusionBValue": 1000.0 if direction else 0.0,
            "AcquisitionNumber": index // 2 + 1,
        }
        return told | ({"DiffusionGradientOrientation": direction} if direction else {})

    normal = np.cross(orientation[:3], orientation[3:])
    positions = [list(3.0 * k * normal) for _ in directions for k in range(2)]
    paths = make_slices(
        folder, positions, each=each, ImageOrientationPatient=orientation, EchoTime=80,
        ScanningSequence=["EP", "SE"], RepetitionTime=5000, InPlanePhaseEncodingDirection="COL",
    )  # fmt: skip
    (geometry,) = read_geometries(paths)
    return read_acquisition(geometry)


def test_diffusion_by_the_convention_of_fsl(tmp_path: Path) -> None:
    """An axial volume: i is to the left (LPS), j to the back, k to the head."""
    directions = [None, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.6, 0.8]]
    found = diffusion(tmp_path / "axial", [1, 0, 0, 0, 1, 0], directions)
    assert found.b_values == (0, 1000, 1000, 1000)
    # i and j as they are in LPS+. Their RAS+ axes (-x, -y, z) have a positive determinant, so the
    # first is turned over.
    assert found.b_vectors == ((0, 0, 0), (-1, 0, 0), (0, 1, 0), (0, 0.6, 0.8))
    # A coronal one: i is to the left, j to the feet, k to the back.
    found = diffusion(tmp_path / "coronal", [1, 0, 0, 0, 0, -1], directions)
    assert found.b_vectors is not None
    np.testing.assert_allclose(
        found.b_vectors, [(0, 0, 0), (-1, 0, 0), (0, 0, 1), (0, -0.8, 0.6)], atol=1e-6
    )
    assert b_values_text(found) == "0 1000 1000 1000\n"
    assert b_vectors_text(found) == "0 -1 0 0\n0 0 0 -0.8\n0 0 1 0.6\n"


def test_what_is_not_said_is_not_there(tmp_path: Path) -> None:
    paths = make_slices(tmp_path, [0.0, 3.0], EchoTime=None)
    found = read_acquisition(read_geometries(paths)[0])
    assert found == Acquisition()
    assert json.loads(sidecar(found)) == {}
    assert (b_values_text(found), b_vectors_text(found)) == (None, None)
    # Philips writes a b value of 0 into all images; without weighting are some of diffusion, too.
    for codes, told in (("M", (None, None)), ("DIFFUSION", ((0.0,), ((0.0, 0.0, 0.0),)))):
        kind = ["ORIGINAL", "PRIMARY", codes]
        made = make_slices(tmp_path / codes, [0.0], DiffusionBValue=0.0, ImageType=kind)
        found = read_acquisition(read_geometries(made)[0])
        assert (found.b_values, found.b_vectors) == told


def test_slices_that_tell_their_time(tmp_path: Path) -> None:
    """Interleaved: 0.5 s, 0 s, 1 s after the first, of a repetition of 2 s."""
    clock = [1.0, 0.5, 1.5, 3.0, 2.5, 3.5]
    paths = make_slices(
        tmp_path, [0.0, 3.0, 6.0] * 2, RepetitionTime=2000, EchoTime=30,
        each=lambda i: {"AcquisitionTime": f"1200{clock[i]:09.6f}", "AcquisitionNumber": i // 3 + 1,
                        "AcquisitionDate": "20200101"},
    )  # fmt: skip
    found = read_acquisition(read_geometries(paths)[0])
    assert found.slice_timing == pytest.approx((0.5, 0, 1))
    assert json.loads(sidecar(found)) == {
        "RepetitionTime": 2.0, "EchoTime": 0.03, "SliceTiming": pytest.approx([0.5, 0, 1]),
    }  # fmt: skip


def test_an_xa_header(tmp_path: Path) -> None:
    """Siemens XA keeps the bandwidth of phase encoding in a private group of each frame."""
    private = Dataset()
    block = private.private_block(0x0021, "SIEMENS MR SDI 02", create=True)
    block.add_new(0x1C, "IS", 0)
    block.add_new(0x53, "FD", 25.0)
    frame = Dataset()
    frame.private_block(0x0021, "SIEMENS MR SDI 02", create=True).add_new(0xFE, "SQ", [private])
    paths = make_slices(
        tmp_path, [0.0], InPlanePhaseEncodingDirection="ROW",
        PerFrameFunctionalGroupsSequence=[frame], SharedFunctionalGroupsSequence=[Dataset()],
    )  # fmt: skip
    found = read_acquisition(read_geometries(paths)[0])
    assert found.phase_encoding_direction == "i-"
    assert found.effective_echo_spacing == pytest.approx(1 / (25 * 3))
    assert found.total_readout_time == pytest.approx(2 / (25 * 3))


@needs_shared
@pytest.mark.parametrize("number", [3, 5])
def test_nifti_tells_the_order_of_slices(tmp_path: Path, number: int) -> None:
    """As dcm2niix does: five slices, interleaved."""
    assert SHARED is not None
    root = SHARED / f"nih/dicom/20180918Si/mr_000{number}"
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "out", "-o", str(tmp_path), str(root)]
    subprocess.run(command, check=True, capture_output=True)
    expected = nibabel.load(tmp_path / "out.nii").header
    (geometry,) = read_geometries(sorted(path for path in root.rglob("*") if path.is_file()))
    header = nifti_header(geometry, read_acquisition(geometry))
    assert header.get_dim_info() == expected.get_dim_info()
    # dcm2niix leaves slice_end at 0; nibabel needs it.
    for name in ("slice_code", "slice_start"):
        assert int(header[name]) == int(expected[name]), name
    assert float(header["slice_duration"]) == pytest.approx(0.4825, abs=5e-3)
