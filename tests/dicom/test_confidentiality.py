"""The profile is that of PS3.15, and what it does not know is withheld."""

import pytest
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.datadict import dictionary_has_tag, dictionary_keyword, tag_for_keyword

from dicom_graph.dicom.confidentiality.profile import Treatment, profile, treatment

KEEP, REPLACE, WITHHOLD = Treatment.KEEP, Treatment.REPLACE, Treatment.WITHHOLD


def test_the_table_has_actions_of_the_standard_for_tags_of_the_standard() -> None:
    table = profile()
    assert len(table) > 600
    assert set(table.values()) <= {"D", "Z", "X", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}
    known = [tag for tag in table if dictionary_has_tag(tag)]
    assert len(known) > 600
    assert {dictionary_keyword(t) for t in known if DicomDictionary[t][0] == "PN"} > {
        "PatientName", "ReferringPhysicianName", "OperatorsName", "PerformingPhysicianName",
    }  # fmt: skip


# As PS3.15 2024 prints them.
@pytest.mark.parametrize(
    ("keyword", "action"),
    [
        ("AccessionNumber", "Z"), ("AcquisitionDate", "X/Z"), ("AcquisitionDateTime", "X/Z/D"),
        ("ContentSequence", "D"), ("DeviceSerialNumber", "X/Z/D"), ("DeviceUID", "U"),
        ("OperatorsName", "X/Z/D"), ("PatientAge", "X"), ("PatientBirthDate", "Z"),
        ("PatientName", "Z"), ("PatientSex", "Z"), ("ProtocolName", "X/D"),
        ("ReferencedImageSequence", "X/Z/U*"), ("SOPInstanceUID", "U"), ("StudyID", "Z"),
    ],
)  # fmt: skip
def test_actions(keyword: str, action: str) -> None:
    assert profile()[tag_for_keyword(keyword) or 0] == action


@pytest.mark.parametrize(
    ("tag", "creator", "vr", "expected"),
    [
        (0x00180081, "", "DS", KEEP),  # EchoTime
        (0x00180081, "", "LO", WITHHOLD),  # of a VR that it does not have
        (0x00180081, "", "UN", WITHHOLD),
        (0x00280106, "", "US", KEEP), (0x00280106, "", "SS", KEEP),  # US or SS
        (0x00080018, "", "UI", REPLACE), (0x00080016, "", "UI", REPLACE),
        (0x00001000, "", "UI", WITHHOLD),  # AffectedSOPInstanceUID is X
        (0x00100020, "", "LO", REPLACE),
        (0x00100010, "", "PN", WITHHOLD),
        (0x00081140, "", "SQ", WITHHOLD), (0x00081115, "", "SQ", KEEP),
        (0x00190010, "", "LO", WITHHOLD), (0x0019009C, "GEMS_ACQU_01", "LO", WITHHOLD),
        (0x60003000, "", "OW", WITHHOLD), (0x50003000, "", "OW", WITHHOLD),
        (0x00189999, "", "LO", WITHHOLD),  # unknown
        (0x00080001, "", "UL", WITHHOLD),  # retired
        (0x00080000, "", "UL", WITHHOLD),  # group length
        (0x7FE00010, "", "OW", KEEP),
    ],
)  # fmt: skip
def test_treatments(tag: int, creator: str, vr: str, expected: Treatment) -> None:
    assert treatment(tag, creator, vr) is expected


def test_no_name_date_time_or_prose_is_kept_and_no_overlay() -> None:
    for tag, entry in DicomDictionary.items():
        for vr in entry[0].split(" or "):
            if vr in ("PN", "DA", "TM", "DT", "LT", "ST", "UT", "UC", "UR", "AE"):
                assert treatment(tag, "", vr) is WITHHOLD
            if profile().get(tag, "U") != "U" and entry[4] != "PatientID":
                assert treatment(tag, "", vr) is WITHHOLD, entry
    assert RepeatersDictionary
    for group in range(0x5000, 0x6100, 2):
        assert treatment(group << 16 | 0x3000, "", "OW") is WITHHOLD
