"""What the view without identities shows of the tables is said for each, and said nowhere else."""

import pytest

from dicom_graph.dicom.confidentiality.profile import is_kept
from dicom_graph.store.tables.accounts import Secret
from dicom_graph.store.tables.base import Base
from dicom_graph.store.views.deidentified import COLUMNS, HIDDEN
from dicom_graph.store.views.pseudonyms import KINDS, Pseudonyms

assert Secret.__tablename__ in Base.metadata.tables
ONE, OTHER = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


def test_every_table_has_a_row() -> None:
    assert set(COLUMNS) | HIDDEN == set(Base.metadata.tables)
    assert not set(COLUMNS) & HIDDEN


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_every_column_has_a_row(name: str) -> None:
    assert set(COLUMNS[name]) == set(Base.metadata.tables[name].c.keys())


@pytest.mark.parametrize(
    ("keyword", "kept"),
    [
        ("PatientName", False), ("PatientSex", False), ("StudyDate", False), ("Modality", True),
        ("ProtocolName", False), ("EchoTime", True), ("InstitutionName", False), ("Rows", True),
        ("OverlayData", False), ("NoSuchKeyword", False), ("SOPInstanceUID", False),
    ],
)  # fmt: skip
def test_the_profile_decides_on_columns(keyword: str, kept: bool) -> None:
    assert is_kept(keyword) is kept


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_pseudonym_leads_back_to_its_row_alone(kind: str) -> None:
    ids = [1, 2, 3, 255, 256, 2**31, 2**62]
    found = [ONE.of_row(kind, id) for id in ids]
    assert len(set(found)) == len(found)
    assert [ONE.row_of(kind, uid) for uid in found] == ids
    for other in KINDS - {kind}:
        assert [ONE.row_of(other, uid) for uid in found] == [None] * len(ids)
    assert [OTHER.row_of(kind, uid) for uid in found] == [None] * len(ids)
    assert [ONE.row_of(kind, ONE.of_text(uid)) for uid in found] == [None] * len(ids)


@pytest.mark.parametrize(
    "text", ["", "1", "2.25.", "2.25.1", "2.25.-1", "2.25.x", "2.25." + "9" * 60, "2.25.٣", "1.2.3"]
)
def test_what_is_no_pseudonym_leads_nowhere(text: str) -> None:
    assert all(ONE.row_of(kind, text) is None for kind in KINDS)


def test_a_pseudonym_is_written_in_one_way() -> None:
    uid = ONE.of_row("image", 7)
    assert ONE.row_of("image", uid.replace("2.25.", "2.25.0")) is None
    assert len(uid) <= 64
    assert ONE.of_text("1.2.3") == Pseudonyms(b"1" * 32).of_text("1.2.3") != OTHER.of_text("1.2.3")
