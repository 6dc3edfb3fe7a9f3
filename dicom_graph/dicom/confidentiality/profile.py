"""What is withheld of a header so that it names nobody: PS3.15 Annex E, without any option.

`profile.csv` is the column Basic Profile of Table E.1-1 of PS3.15, edition 2026c,
as version 2.1.0 of the package dicom-anonymizer has it. Its actions: D (a dummy), Z (nothing, or a
dummy), X (remove), K (keep), C (clean), U (another UID); X/Z and the like leave a choice.

Here D, Z, X and C are all withheld. So is what the profile does not know: private and retired
elements, overlays and curves, tags or VRs that PS3.6 does not have, what by its VR is a name, a
date, a time, an address or prose, whatever its tag, and what `person_like` adds. A sequence is
withheld with all that is in it.
"""

import csv
from collections.abc import Mapping, Set
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary
from pydicom.uid import UID_dictionary

from dicom_graph.dicom.confidentiality.person_like import is_person_like
from dicom_graph.dicom.dictionary import keyword_tag

PATIENT_ID = 0x00100020
_TELLING_VRS = frozenset({"AE", "DA", "DT", "LT", "PN", "ST", "TM", "UC", "UN", "UR", "UT"})


class Treatment(Enum):
    """What becomes of an element."""

    KEEP = "keep"
    REPLACE = "replace"
    """Each value becomes a pseudonym, but for UIDs of the standard's registry."""
    WITHHOLD = "withhold"


class Identifiers(NamedTuple):
    """What is replaced: UIDs, and PatientIDs."""

    uids: Set[str]
    patients: Set[str]


class Replacements(NamedTuple):
    """By what: the pseudonym of each."""

    uids: Mapping[str, str]
    patients: Mapping[str, str]


@cache
def profile() -> dict[int, str]:
    """The actions of the Basic Profile by tag, such as X/Z/D."""
    table = files("dicom_graph.dicom.confidentiality").joinpath("profile.csv")
    rows = csv.DictReader(table.read_text(encoding="ascii").splitlines())
    return {int(row["tag"], 16): row["action"] for row in rows}


@lru_cache(maxsize=65_536)
def treatment(tag: int, private_creator: str, vr: str) -> Treatment:
    """What becomes of elements of a tag, private creator (empty for none) and VR."""
    known = DicomDictionary.get(tag)
    if private_creator or known is None or known[3] or vr not in known[0].split(" or "):
        return Treatment.WITHHOLD
    if tag == PATIENT_ID:
        return Treatment.REPLACE
    action = profile().get(tag, "K")
    if action == "K" and is_person_like(tag, known[4], vr):
        return Treatment.WITHHOLD
    if vr == "UI":
        return Treatment.REPLACE if action in ("K", "U") else Treatment.WITHHOLD
    is_kept = action == "K" and vr not in _TELLING_VRS
    return Treatment.KEEP if is_kept else Treatment.WITHHOLD


def is_kept(keyword: str) -> bool:
    """Whether elements of a standard keyword keep their values."""
    tag = keyword_tag(keyword)
    vrs = DicomDictionary[tag][0].split(" or ") if tag in DicomDictionary else ()
    return bool(vrs) and all(treatment(tag or 0, "", vr) is Treatment.KEEP for vr in vrs)


def is_pseudonymous(keyword: str | None, tag: int | None) -> bool:
    """Whether an element, by its keyword or tag, holds what is an identifier of somebody's own."""
    found = keyword_tag(keyword) if keyword is not None else tag
    return found == PATIENT_ID or profile().get(found or 0) == "U"


def is_registered(uid: str) -> bool:
    """Whether a UID is the standard's own (PS3.6 Annex A): it names nothing of anybody's."""
    return uid in UID_dictionary


def registered_uids() -> tuple[str, ...]:
    """All UIDs of the standard's registry that pydicom knows."""
    return tuple(UID_dictionary)
