"""Headers in which each standard element has a value of its own."""

import datetime as dt
from typing import Any

from pydicom.datadict import DicomDictionary, keyword_dict
from pydicom.dataset import Dataset


def of_all_keywords() -> Dataset:
    """A value of its own for each standard element, so that a field tells where it is from."""
    made = Dataset()
    for number, (keyword, tag) in enumerate(sorted(keyword_dict.items(), key=lambda kv: kv[1])):
        vr, _, _, retired, _ = DicomDictionary[tag]
        make = _VALUES.get(vr)
        is_left_out = tag >> 16 in (0, 2, 4) or keyword == "SpecificCharacterSet"
        if make is None or retired or is_left_out:
            continue
        setattr(made, keyword, make(tag, number))
    made.PatientSex = "F"
    return made


def of_a_sequence() -> Dataset:
    """An MR header whose sequence type has a rule, with what is read in other ways than most."""
    made = Dataset()
    made.SOPInstanceUID, made.SeriesInstanceUID = "1.2.3.4", "1.2.3"
    made.StudyInstanceUID, made.PatientID, made.Modality = "1.2", "P", "MR"
    made.ScanningSequence, made.SequenceVariant = ["SE", "IR"], ["SK", "SP", "MP"]
    made.PatientName, made.PatientSex = "Family^Given^Middle^Dr^Jr", "X"
    made.PixelSpacing = [0.5, 0.25]
    made.OperatorsName = ["A^B", "C^D"]
    block = made.private_block(0x19, "GEMS_ACQU_01", create=True)
    block.add_new(0x9C, "LO", "of GE")
    return made


_DAY = dt.date(1900, 1, 1)
_VALUES: dict[str, Any] = {
    "CS": lambda tag, _: f"T{tag:08X}",
    "SH": lambda tag, _: f"T{tag:08X}",
    "LO": lambda tag, _: f"T{tag:08X}",
    "LT": lambda tag, _: f"T{tag:08X}",
    "ST": lambda tag, _: f"T{tag:08X}",
    "PN": lambda tag, _: f"Family{tag:08X}^Given^Middle^Dr^Jr",
    "UI": lambda tag, _: f"1.2.{tag}",
    "IS": lambda _, number: number,
    "DS": lambda _, number: number + 0.5,
    "US": lambda _, number: number,
    "FD": lambda _, number: number + 0.25,
    "FL": lambda _, number: number + 0.25,
    "DA": lambda _, number: (_DAY + dt.timedelta(days=number)).strftime("%Y%m%d"),
    "TM": lambda _, number: f"{number // 3600:02}{number // 60 % 60:02}{number % 60:02}",
}
