"""Files with distinctive identities in many places, and what identifies somebody in any file.

What counts as an identity is told here by pydicom and the tags of the profile alone, by none of the
code that withholds it.
"""

import csv
import io
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import MRImageStorage, UID_dictionary

import dicom_graph.dicom
from dicom_graph.graph.schema import schema
from tests.support.csa import csa
from tests.support.data import file_bytes
from tests.support.make import make_data_set, put_raw, save

SERIES, STUDY, PATIENT = "1.3.777.20", "1.3.777.10", "Zaphod-4711"
IMAGES = ("1.3.777.30", "1.3.777.31")
_TEXTS = ("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT")


def profile() -> dict[int, str]:
    """The table as it stands in its file."""
    path = Path(dicom_graph.dicom.__file__).parent / "confidentiality" / "profile.csv"
    rows = csv.DictReader(io.StringIO(path.read_text()))
    return {int(row["tag"], 16): row["action"] for row in rows}


PROFILE = profile()


def make_planted(folder: Path) -> list[Path]:
    """Two images of a series of "Zaphod", with something of his in every element of the profile, at
    the top and in items of sequences that are kept; in private elements, overlays and CSA headers;
    in what cannot be read, and in the warnings of the second, whose name is another.
    """
    return [_make(folder / "Zaphod^Beeblebrox" / f"zaphod-{n}.dcm", n) for n in (0, 1)]


def _make(path: Path, number: int) -> Path:
    data_set = make_data_set(
        SOPInstanceUID=IMAGES[number], SeriesInstanceUID=SERIES, StudyInstanceUID=STUDY,
        PatientID=PATIENT, PatientName=f"Beeblebrox^Zaphod^Quentin^Sir^Esq.{number}",
        PatientBirthDate="19111203", StudyDate="19341105", StudyTime="231517",
        StudyDescription="zaphods-study",
        SeriesDescription="zaphods-series", InstanceNumber=number + 1, Rows=4, Columns=5,
        EchoTime=2.5 + number, BitsAllocated=16, BitsStored=16, HighBit=15, PixelRepresentation=0,
        SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", PixelSpacing=[1, 1],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=[0, 0, number],
        SliceThickness=1, ManufacturerModelName="Kept Model",
    )  # fmt: skip
    data_set.PixelData = np.arange(20, dtype=np.uint16).tobytes()
    _plant(data_set, f"zq{number}t")
    item = Dataset()
    _plant(item, f"zq{number}n")
    item.ReferencedInstanceSequence = [_reference(IMAGES[1 - number]), _reference("1.3.777.999")]
    item.SeriesInstanceUID = SERIES
    deep = Dataset()
    _plant(deep, f"zq{number}d")
    item.PurposeOfReferenceCodeSequence = [deep]
    data_set.ReferencedSeriesSequence = [item]
    block = data_set.private_block(0x0019, "ZAPHODS CREATOR", create=True)
    block.add_new(1, "LO", "zaphods private text")
    block.add_new(2, "SQ", [_coded("zaphods private item")])
    headers = data_set.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    headers.add_new(0x10, "OB", csa([("ImaComments", "LT", 1, ["zaphods csa"])]))
    data_set.add_new(0x60003000, "OW", b"zaphods overlay ")
    data_set.add_new(0x60004000, "LT", "zaphods overlay comment")
    data_set.add_new(0x00189999, "LO", "zaphods unknown element")
    put_raw(data_set, 0x00180080, "DS", b"zaphods TR")
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return save(data_set, path)


def _reference(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = MRImageStorage
    item.ReferencedSOPInstanceUID = uid
    return item


def _coded(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = "1"
    item.CodeMeaning = meaning
    return item


def _plant(data_set: Dataset, name: str) -> None:
    """An element of each tag of the profile that is not there, with a text like no other's."""
    for place, tag in enumerate(sorted(PROFILE)):
        if tag >> 16 in (0, 2, 4, 0xFFFA, 0xFFFC) or not dictionary_has_tag(tag) or tag in data_set:
            continue
        value = _value(dictionary_VR(tag), f"{name}{place}", place)
        if value is not None:
            data_set.add_new(tag, dictionary_VR(tag).split(" or ")[0], value)


def _value(vr: str, name: str, place: int) -> Any:
    if vr in _TEXTS:
        return name.upper() if vr in ("AE", "CS") else name
    if vr == "PN":
        return f"{name}^Given{name}"
    if vr == "SQ":
        return Sequence([_coded(f"{name}inside")])
    if vr == "UI":
        return f"1.3.777.5.{int.from_bytes(name.encode(), 'big')}"
    if vr in ("OB", "OW", "OB or OW", "UN"):
        return f"{name}bytes".encode().ljust(16)
    day = f"18{place % 90 + 10}0{place % 9 + 1}1{place % 9}"
    return {"DA": day, "TM": f"1{place % 9}3{place % 9}47.123", "DT": f"{day}112233.456"}.get(vr)


def identities(paths: Iterable[Path]) -> set[str]:
    """All texts of four or more characters that identify somebody, and stand nowhere else."""
    found: set[str] = set()
    kept: set[str] = set()
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = io.BytesIO(file_bytes(path))
            header = pydicom.dcmread(raw, stop_before_pixels=True, force=True)
            _collect(header, False, found, kept)
    everything = "\n".join([*sorted(kept), *_vocabulary()]).casefold()
    return {text for text in found if text.casefold() not in everything}


def _vocabulary() -> Iterator[str]:
    """What is said of any header: the standard's names and UIDs, and those of the schema."""
    yield from (f"{entry[2]} {entry[4]}" for entry in DicomDictionary.values())
    yield from UID_dictionary
    yield schema.as_str()


def _collect(data_set: Dataset, inside: bool, found: set[str], kept: set[str]) -> None:
    for tag in list(data_set.keys()):
        try:
            element = data_set[tag]
            value = element.value
        except Exception:
            continue
        is_foreign = tag.is_private or tag.group >> 8 in (0x50, 0x60)
        is_identity = inside or is_foreign or int(tag) in PROFILE
        if element.VR == "SQ":
            for item in value:
                _collect(item, is_identity, found, kept)
            continue
        is_number = element.VR in ("DS", "IS", "FL", "FD", "US", "SS", "UL", "SL", "AS")
        if is_number and is_identity:
            continue
        target = found if is_identity or _is_own_uid(element.VR, value) else kept
        target.update(_texts(element.VR, value))


def _is_own_uid(vr: str, value: Any) -> bool:
    return vr == "UI" and isinstance(value, str) and value not in UID_dictionary


def _texts(vr: str, value: Any) -> Iterator[str]:
    values = [value] if isinstance(value, str | bytes) or not hasattr(value, "__iter__") else value
    for one in values:
        if isinstance(one, bytes):
            printable = re.findall(rb"[A-Za-z][A-Za-z0-9 ^_.-]{7,60}", one) if vr != "UN" else []
            yield from (text.decode().strip() for text in printable[:20])
            continue
        text = str(one).strip("\0 ")
        parts = re.split("[=^]", text) if vr == "PN" else []
        for each in (text, *parts):
            if len(each) >= 4 and not re.fullmatch(r"[0-9.]{1,5}", each):
                yield each
        if vr == "DA" and re.fullmatch(r"\d{8}", text):
            yield f"{text[:4]}-{text[4:6]}-{text[6:]}"
        if vr == "TM" and re.match(r"\d{6}", text):
            yield f"{text[:2]}:{text[2:4]}:{text[4:6]}"


class Leaks:
    """Looks for identities in answers; remembers what was found, and where."""

    def __init__(self, identities: Iterable[str]) -> None:
        self._identities = sorted(identities)
        self._texts: dict[str, str] = {}

    def add(self, data: Any, where: str) -> None:
        """All texts in an answer, of JSON or plain."""
        if isinstance(data, dict):
            for key, value in data.items():
                self.add(key, where)
                self.add(value, where)
        elif isinstance(data, list):
            for value in data:
                self.add(value, where)
        elif data is not None and not isinstance(data, bool | int | float):
            self._texts.setdefault(str(data), where)

    def count(self) -> int:
        """How many identities stand anywhere in the texts."""
        whole = "\n".join(self._texts).casefold()
        return sum(identity.casefold() in whole for identity in self._identities)

    def check(self) -> None:
        """Fails where an identity stands in one of the texts, as a word or words of its own."""
        found = []
        folded = "\n".join(self._texts).casefold()
        for identity in self._identities:
            if identity.casefold() not in folded:
                continue
            word = re.compile(rf"(?<![0-9A-Za-z.]){re.escape(identity)}(?![0-9A-Za-z])", re.I)
            for text, where in self._texts.items():
                if word.search(text):
                    found.append((identity, text[:100], where))
                    break
        assert not found, f"{len(found)} leaks: {found[:20]}"
