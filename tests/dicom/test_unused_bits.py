"""What a file without identities keeps of pixel data: the samples (PS3.5 8.1.1), nothing beside."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_graph.dicom.confidentiality.deidentify import (
    Replacements,
    identifiers_of,
    write_deidentified,
)
from tests.support.make import make_data_set, save

LAYOUTS = {
    "overlay in the highest bits": (12, 11, 0, 0x0FFF),
    "overlay in one bit": (15, 14, 0, 0x7FFF),
    "sample at the top": (12, 15, 0, 0xFFF0),
    "sample in the middle": (8, 11, 0, 0x0FF0),
    "nothing to clear": (16, 15, 0, 0xFFFF),
}


def deidentified(path: Path, **pixels: Any) -> Any:
    syntax = pixels.pop("syntax", ExplicitVRLittleEndian)
    made = make_data_set(
        SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", BitsAllocated=16, **pixels
    )
    source = save(made, path / "source.dcm", syntax)
    found = identifiers_of(source)
    names = Replacements(
        uids={text: f"2.25.{number}" for number, text in enumerate(found.uids)},
        patients=dict.fromkeys(found.patients, "someone"),
    )
    write_deidentified(source, str(path / "target.dcm"), names)
    return dcmread(path / "target.dcm")


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bits_beside_the_samples_are_cleared(tmp_path: Path, layout: str, syntax: str) -> None:
    stored, high, sign, mask = LAYOUTS[layout]
    words = np.array([0xFFFF, 0xA5A5, 0x1234, 0x8001], "<u2")
    made = deidentified(
        tmp_path, BitsStored=stored, HighBit=high, PixelRepresentation=sign,
        PixelData=words.tobytes(), syntax=syntax,
    )  # fmt: skip
    assert made.PixelData == (words & mask).tobytes()


def test_a_big_endian_file(tmp_path: Path) -> None:
    words = np.array([0xFABC, 0x8001, 0x1FFF, 0x0000], ">u2")
    made = deidentified(
        tmp_path, BitsStored=12, HighBit=11, PixelRepresentation=0,
        PixelData=words.tobytes(), syntax=ExplicitVRBigEndian,
    )  # fmt: skip
    assert made.PixelData == (words & 0x0FFF).astype(">u2").tobytes()


def test_signed_samples_keep_their_value(tmp_path: Path) -> None:
    values = np.array([-2048, -1, 0, 2047], "<i2")
    noisy = (values.view("<u2") & 0x0FFF) | 0x5000
    made = deidentified(
        tmp_path, BitsStored=12, HighBit=11, PixelRepresentation=1, PixelData=noisy.tobytes()
    )
    assert np.frombuffer(made.PixelData, "<i2").tolist() == values.tolist()


def test_bytes_after_the_last_frame_are_left_out(tmp_path: Path) -> None:
    pixels = bytes(range(8))
    made = deidentified(
        tmp_path, BitsStored=16, HighBit=15, PixelRepresentation=0,
        PixelData=pixels + b"a name of somebody",
    )  # fmt: skip
    assert made.PixelData == pixels
