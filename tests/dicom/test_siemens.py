import io
import json
import struct

import pydicom
import pytest
from pydicom.datadict import private_dictionary_description, private_dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_graph.dicom.siemens import (
    SIEMENS_MR_CREATOR,
    SIEMENS_MR_ELEMENTS,
    SiemensValueError,
    siemens_value,
)
from tests.data import (
    NIBABEL_DATA,
    SHARED,
    file_bytes,
    needs_shared,
    nibabel_dicom_files,
    read_header,
    shared_files,
)

# The creator is at (0019,0010) in all of these files.
BLOCK = 0x00191000


def has_known_elements(path):
    if SIEMENS_MR_CREATOR.encode() not in file_bytes(path):
        return False
    header = read_header(path)
    return any(BLOCK + low_byte in header for low_byte in SIEMENS_MR_ELEMENTS)


FILES = [path for path in (*shared_files(), *nibabel_dicom_files()) if has_known_elements(path)]
DWI_1000 = NIBABEL_DATA / "siemens_dwi_1000.dcm.gz"


def values_by_pydicom(value):
    return list(value) if hasattr(value, "__iter__") else [value]


@pytest.mark.parametrize("low_byte", SIEMENS_MR_ELEMENTS)
def test_vr_and_keyword_are_those_of_pydicom(low_byte):
    element = SIEMENS_MR_ELEMENTS[low_byte]
    assert private_dictionary_VR(BLOCK + low_byte, SIEMENS_MR_CREATOR) == element.vr
    assert private_dictionary_description(BLOCK + low_byte, SIEMENS_MR_CREATOR) == element.keyword


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_elements_are_read_as_pydicom_reads_them(path):
    header = read_header(path)
    for low_byte in SIEMENS_MR_ELEMENTS:
        raw = header.get_item(BLOCK + low_byte) if BLOCK + low_byte in header else None
        if raw is None or not raw.value:
            continue
        expected = values_by_pydicom(header[BLOCK + low_byte].value)
        for vr in (raw.VR, "UN", "OB", None, ""):
            assert siemens_value(low_byte, vr, raw.value, raw.is_little_endian) == expected


@needs_shared
def test_both_ways_of_writing_the_elements_occur_in_the_files():
    raw = [read_header(path).get_item(BLOCK + 0x0A) for path in FILES]
    assert {element.VR for element in raw if element is not None} == {"US", None}


def test_the_diffusion_elements_of_a_real_file():
    header = read_header(DWI_1000)
    raw = {low_byte: header.get_item(BLOCK + low_byte).value for low_byte in (0x0C, 0x0E, 0x27)}
    [b_value] = siemens_value(0x0C, "UN", raw[0x0C])
    direction = siemens_value(0x0E, "UN", raw[0x0E])
    b_matrix = siemens_value(0x27, "UN", raw[0x27])
    assert b_value == 1000
    assert sum(component**2 for component in direction) == pytest.approx(1)
    # The trace of the B matrix is the b value, as the unit vector's outer product has trace 1.
    assert b_matrix[0] + b_matrix[3] + b_matrix[5] == pytest.approx(b_value, rel=0.01)


@needs_shared
@pytest.mark.parametrize(
    ("path", "converted"),
    [
        ("mr_0003/epi_pe_ap-00001.dcm", "EPI_PE=AP_3.json"),
        ("mr_0004/epi_pe_pa-00001.dcm", "EPI_PE=PA_4.json"),
        ("mr_0005/epi_pe_rl-00001.dcm", "EPI_PE=RL_5.json"),
        ("mr_0006/epi_pe_lr-00001.dcm", "EPI_PE=LR_6.json"),
    ],
)
def test_units_are_those_that_dcm2niix_found(path, converted):
    header = read_header(SHARED / "nih/dicom/20180918Si" / path)
    sidecar = json.loads((SHARED / "nih/reference" / converted).read_text())
    [hertz] = siemens_value(0x28, "UN", header.get_item(BLOCK + 0x28).value)
    milliseconds = siemens_value(0x29, "UN", header.get_item(BLOCK + 0x29).value)
    assert hertz == pytest.approx(sidecar["BandwidthPerPixelPhaseEncode"])
    # dcm2niix knows the times to 2.5 ms only.
    assert [time / 1000 for time in milliseconds] == pytest.approx(
        sidecar["SliceTiming"], abs=0.0026
    )
    assert siemens_value(0x0A, "UN", header.get_item(BLOCK + 0x0A).value) == [len(milliseconds)]


def test_elements_written_as_un_in_an_explicit_vr_file():
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.add_new(0x00190010, "LO", SIEMENS_MR_CREATOR)
    header.add_new(BLOCK + 0x0A, "UN", b"\x24\x00")
    header.add_new(BLOCK + 0x0B, "UN", b"22.5")
    written = io.BytesIO()
    header.save_as(written)
    written.seek(0)
    read = pydicom.dcmread(written, force=True)
    assert [read.get_item(BLOCK + low_byte).VR for low_byte in (0x0A, 0x0B)] == ["UN", "UN"]
    assert siemens_value(0x0A, "UN", read.get_item(BLOCK + 0x0A).value) == [36]
    assert siemens_value(0x0B, "UN", read.get_item(BLOCK + 0x0B).value) == [22.5]


def test_big_endian_bytes():
    assert siemens_value(0x0A, "US", struct.pack(">H", 36), little_endian=False) == [36]
    raw = struct.pack(">3d", 1.0, 0.0, -0.5)
    assert siemens_value(0x0E, "UN", raw, little_endian=False) == [1.0, 0.0, -0.5]


@pytest.mark.parametrize("low_byte", SIEMENS_MR_ELEMENTS)
def test_no_bytes_are_no_values(low_byte):
    assert siemens_value(low_byte, "UN", b"") == []


def test_what_is_not_known_is_left_to_others():
    assert siemens_value(0x08, "UN", b"IMAGE NUM 4 ") is None
    assert siemens_value(0x0C, "LO", b"1000") is None


@pytest.mark.parametrize(
    ("low_byte", "raw", "message"),
    [
        (0x0A, b"\x01", "NumberOfImagesInMosaic: not a value of US"),
        (0x0A, b"\x01\x00\x02\x00", "NumberOfImagesInMosaic: 2 values, where VM 1"),
        (0x0B, b"fast", "SliceMeasurementDuration: not a value of DS"),
        (0x0B, b"NaN ", "SliceMeasurementDuration: not a value of DS"),
        (0x0B, b"1E999 ", "SliceMeasurementDuration: not a value of DS"),
        (0x0B, b"1_0 ", "SliceMeasurementDuration: not a value of DS"),
        (0x0C, b"\xff\xfe", "B_value: not a value of IS"),
        (0x0C, b"1.5 ", "B_value: not a value of IS"),
        (0x0E, bytes(16), "DiffusionGradientDirection: 2 values, where VM 3"),
        (0x27, bytes(47), "B_matrix: not a value of FD"),
        (0x29, bytes(9), "MosaicRefAcqTimes: not a value of FD"),
    ],
)
def test_malformed_bytes_are_an_error_that_names_the_element(low_byte, raw, message):
    with pytest.raises(SiemensValueError, match=f"^{message}$"):
        siemens_value(low_byte, "UN", raw)
