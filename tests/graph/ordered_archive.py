"""Files of 18 series, made of facts that lists are sorted and searched by."""

import random
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

from tests.support.make import make_data_set, save

Facts = dict[str, Any]
ROOTS = {"Patient": "patients", "Study": "studies", "Series": "series", "Image": "images"}
TEXTS = ["", "a", "A", "B", "Ångström", "ångström", "z", "10", "9", None]
FAMILIES = ["Ångström", "berg", "Berg", None, "Adams"]
MORE_NAMES = ["", "M", "m", "^Dr", "M^^Jr", "^Prof^jr", "", "M^Dr^Jr"]
"""Middle name, prefix and suffix of each patient."""
CODES = [None, ["GR"], ["GR", "IR"], ["GR", "IR", "SE"], ["EP"], ["SE"], ["GR2"]]
DATES = [None, "20190101", "20190102", "20200229"]
TIMES = ["000001", "120000", "120000.5", None]


@cache
def facts() -> tuple[Facts, ...]:
    """The elements of every file, by their keywords; 40 images of 18 series."""
    dice = random.Random(7)
    made = []
    for number in range(18):
        of_series = _series_facts(dice, number)
        for place in range(dice.randint(1, 4)):
            made.append(of_series | _image_facts(dice, f"1.3.{number}.{place}"))
    return tuple(made)


def _series_facts(dice: random.Random, number: int) -> Facts:
    study, patient = (number * 7) % 5, number % 8 if number < 12 else 3
    # A study belongs to whatever patients its series say; some series lack one or the other.
    return {
        **_patient_facts(patient if number % 9 else None),
        **_study_facts(study if number % 8 else None),
        "SeriesInstanceUID": f"1.3.{number}",
        "SeriesNumber": dice.choice([None, 1, 2, 10, -3]),
        "SeriesDate": dice.choice(DATES),
        "SeriesTime": dice.choice(TIMES),
        "SeriesDescription": dice.choice(TEXTS),
        "Modality": dice.choice(["MR", "CT", None]),
        "ProtocolName": dice.choice(TEXTS),
        "ScanningSequence": dice.choice(CODES),
        "SequenceVariant": dice.choice(CODES),
        "PixelSpacing": dice.choice([None, [0.5, 2], [0.5, 1], [10, 1], [2, 2]]),
        "Manufacturer": dice.choice(TEXTS),
        "ManufacturerModelName": dice.choice(TEXTS),
        "DeviceSerialNumber": dice.choice(TEXTS),
        "InstitutionName": dice.choice(TEXTS),
        **{keyword: dice.choice([None, 0, 2.5, 10, 9.75]) for keyword in _NUMBERS},
        **dice.choice(_TYPED),
        **_more_series_facts(random.Random(number)),
    }


def _more_series_facts(dice: random.Random) -> Facts:
    return {
        "BodyPartExamined": dice.choice(["HEAD", "KNEE", None]),
        "PatientPosition": dice.choice(["HFS", "FFS", None]),
        "OperatorsName": dice.choice([None, "A^B", ["A^B", "C"], "B"]),
        "EchoTrainLength": dice.choice([None, 1, 2, 10]),
        "SequenceName": dice.choice(["*se2d1", "*SE2d1", None]),
        "PulseSequenceName": dice.choice(["fse", "FSE", "epi", None]),
        "MRAcquisitionType": dice.choice(["2D", "3D", None]),
    }


_NUMBERS = (
    "SliceThickness", "EchoTime", "InversionTime", "RepetitionTime", "FlipAngle",
    "MagneticFieldStrength",
)  # fmt: skip
_TYPED: list[Facts] = [
    {},
    {"ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK", "SP", "MP"], "Modality": "MR"},
    {"ScanningSequence": ["SE"], "SequenceVariant": ["SK", "SP"], "Modality": "MR"},
]
"""Nothing, the codes of a flair, and those of a t2w."""


def _patient_facts(patient: int | None) -> Facts:
    if patient is None:
        return {"PatientID": None, "PatientName": None}
    family = FAMILIES[patient % len(FAMILIES)]
    return {
        "PatientID": f"p{patient * 37 % 101}",
        "PatientName": f"{family}^{'AbC'[patient % 3]}^{MORE_NAMES[patient]}" if family else None,
        "PatientSex": ["F", "M", None][patient % 3],
        "PatientBirthDate": DATES[patient % 4],
    }


def _study_facts(study: int | None) -> Facts:
    if study is None:
        return {"StudyInstanceUID": None}
    return {
        "StudyInstanceUID": f"1.2.{study * 37 % 11}",
        "StudyDate": DATES[study % 4],
        "StudyTime": TIMES[study % 3],
        "StudyDescription": TEXTS[study * 3 % 10],
    }


def _image_facts(dice: random.Random, uid: str) -> Facts:
    return {
        "SOPInstanceUID": uid,
        "InstanceNumber": dice.choice([None, 1, 2, 3]),
        "InstanceCreationDate": dice.choice(DATES),
        "InstanceCreationTime": dice.choice(TIMES),
        **_format_facts(random.Random(uid)),
    }


def _format_facts(dice: random.Random) -> Facts:
    return {
        "SOPClassUID": dice.choice([MRImageStorage, CTImageStorage]),
        "NumberOfFrames": dice.choice([None, 1, 3]),
        "Rows": dice.choice([None, 2, 10]),
        "Columns": dice.choice([None, 4, 30]),
    }


def syntax_of(elements: Facts) -> str:
    """The transfer syntax of a file."""
    is_even = int(elements["SOPInstanceUID"][-1]) % 2 == 0
    return ExplicitVRLittleEndian if is_even else ImplicitVRLittleEndian


def fill(folder: Path) -> None:
    for elements in facts():
        path = folder / f"{elements['SOPInstanceUID']}.dcm"
        save(make_data_set(**elements), path, syntax_of(elements))


IDENTITY = {
    "Patient": "PatientID", "Study": "StudyInstanceUID", "Series": "SeriesInstanceUID",
    "Image": "SOPInstanceUID",
}  # fmt: skip


@cache
def objects(entity: str) -> dict[str, list[Facts]]:
    """The files of each object of a kind, by its uid."""
    found: dict[str, list[Facts]] = {}
    for elements in facts():
        if elements[IDENTITY[entity]] is not None:
            found.setdefault(elements[IDENTITY[entity]], []).append(elements)
    return found


def sequence_type(files: list[Facts]) -> str | None:
    codes = (files[0].get("ScanningSequence"), files[0].get("SequenceVariant"))
    types = {(("SE", "IR"), ("SK", "SP", "MP")): "flair", (("SE",), ("SK", "SP")): "t2w"}
    if None in codes or files[0]["Modality"] != "MR":
        return None
    return types.get(tuple(map(tuple, codes)))  # type: ignore[call-overload, no-any-return]
