"""Names of elements, as the dictionaries have them."""

import re

import pytest
from pydicom.datadict import private_dictionaries, private_dictionary_description

from dicom_graph.dicom.dictionary import definition


def test_every_private_name_is_the_dictionarys() -> None:
    tags = {
        (int(tag.replace("xx", "10"), 16), creator)
        for creator, tags in private_dictionaries.items()
        for tag in tags
        if re.fullmatch("[0-9A-F]{3}[13579BDF]xx[0-9A-F]{2}", tag)
    }
    expected = {key: private_dictionary_description(*key) for key in tags}
    assert len(expected) > 5_000
    found = {key: definition(*key, "LO").name for key in expected}
    assert found == {key: name or "Unknown private element" for key, name in expected.items()}


@pytest.mark.parametrize(
    ("tag", "creator", "name"),
    [
        # As DCMTK's private.dic and the vendors' conformance statements have the unit.
        (0x00191023, "GEMS_ACQU_01", "Table Speed [mm/rotation]"),
        (0x00191124, "GEMS_ACQU_01", "Mid Scan Time [sec]"),
        (0x0043101E, "GEMS_PARM_01", "Delta Start Time [msec]"),
    ],
)
def test_a_name_keeps_its_brackets(tag: int, creator: str, name: str) -> None:
    assert definition(tag, creator, "DS").name == name
