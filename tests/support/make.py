"""DICOM files that the tests make."""

import zlib
from pathlib import Path
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def make_data_set(**elements: Any) -> Dataset:
    """A small MR header of its own patient, study, series and image; None leaves a keyword out."""
    defaults: dict[str, Any] = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "PatientID": "patient-1",
        "PatientName": "Family^Given^Middle^Dr^Jr",
        "PatientSex": "F",
        "PatientBirthDate": "19800229",
        "StudyDate": "20200102",
        "StudyTime": "030405.678900",
        "StudyDescription": "study",
        "Modality": "MR",
        "SeriesNumber": 1,
        "SeriesDescription": "series",
        "InstanceNumber": 1,
        "EchoTime": 2.5,
        "ImageType": ["ORIGINAL", "PRIMARY", "M"],
        "Rows": 2,
        "Columns": 2,
    }
    data_set = Dataset()
    for keyword, value in (defaults | elements).items():
        if value is not None:
            setattr(data_set, keyword, value)
    return data_set


def put_raw(data_set: Dataset, tag: int, vr: str, raw: bytes) -> None:
    """Add an element of these bytes, whatever rules they break, if pydicom can write them."""
    data_set._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(raw), raw, 0, False, True)


def save(data_set: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set as a DICOM file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.file_meta.MediaStorageSOPClassUID = data_set.get("SOPClassUID", MRImageStorage)
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.get("SOPInstanceUID", "1.2.3")
    data_set.save_as(path, enforce_file_format=True)
    return path


def make_file(path: Path, **elements: Any) -> Path:
    """Write a small MR image file."""
    return save(make_data_set(**elements), path)


def deflated(beginning: bytes, repeated: bytes, times: int) -> bytes:
    """Raw deflate (RFC 1951) of a beginning and of what comes so many times after it.

    What is repeated is compressed once: a full flush ends with a whole byte and forgets all.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(beginning) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(repeated) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * times + packer.flush()


def make_series(folder: Path, count: int, **elements: Any) -> list[Path]:
    """Write a series of `count` images that differ in number, position and UID."""
    shared = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()} | elements
    return [
        make_file(
            folder / f"{number:04}.dcm",
            InstanceNumber=number,
            ImagePositionPatient=[0.0, 0.0, float(number)],
            **shared,
        )
        for number in range(1, count + 1)
    ]
