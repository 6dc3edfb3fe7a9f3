"""Downloads of who is limited to groups: what is not granted is not there."""

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pytest

from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from tests.support.people import Person, add_person
from tests.support.served_archive import Archive, served
from tests.support.slices import make_image

LARGE = bytes(range(256)) * 300


class Limited(NamedTuple):
    """An archive, and a person who is granted patient A of it."""

    archive: Archive
    person: Person

    def get(self, address: str) -> httpx.Response:
        return self.archive.get(address, headers=self.person.bearer)


def make(folder: Path) -> dict[str, Path]:
    """Patients A and B share a study; C has one of its own."""
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4)
    studies = {"A": "1.2.10", "B": "1.2.10", "C": "1.2.30"}
    return {
        patient: make_image(
            folder / f"{patient}.dcm", grey, PatientID=patient, StudyInstanceUID=study,
            RedPaletteColorLookupTableData=LARGE,
            SeriesInstanceUID=f"1.2.40.{ord(patient)}", SOPInstanceUID=f"1.2.50.{ord(patient)}",
        )
        for patient, study in studies.items()
    }  # fmt: skip


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    with served(tmp_path_factory.mktemp("archive"), make=make) as archive:
        database = Database(archive.server.settings.database_url)
        person = add_person(database, "reader", limited=True)
        with database.writer.begin() as connection:
            accounts.add_group(connection, "cohort")
            accounts.add_grant(connection, "cohort", "patient", "A")
            accounts.add_member(connection, "cohort", "reader")
        database.close_writer()
        yield Limited(archive, person)


@pytest.mark.parametrize(
    "address",
    [
        "/images/{image}/frames/1.png", "/images/{image}/preview.png", "/images/{image}.dcm",
        "/images/{image}.npy", "/images/{image}/header.json", "/series/{series}/volume.npy",
        f"/images/{{image}}/bulkdata/00281201-{hashlib.sha256(LARGE).hexdigest()}",
        "/series/{series}/volume.nii.gz", "/series/{series}/preview.png",
        "/series/{series}/mosaic.png", "/series/{series}.zip", "/series.zip?uid={series}",
        "/studies/{study}.zip", "/patients/{patient}.zip",
    ],
)  # fmt: skip
def test_only_what_is_granted_is_there(limited: Limited, address: str) -> None:
    for patient, status in (("A", 200), ("C", 404)):
        filled = address.format(
            image=limited.archive.uid(patient), series=limited.archive.series(patient),
            study=limited.archive.uid(patient, "StudyInstanceUID"), patient=patient,
        )  # fmt: skip
        assert limited.get(filled).status_code == status, filled
    assert limited.archive.get(filled).status_code == 401


def test_a_study_has_only_the_series_that_are_granted(limited: Limited) -> None:
    study = limited.archive.uid("A", "StudyInstanceUID")
    content = limited.get(f"/studies/{study}.zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        (name,) = zipped.namelist()
        assert zipped.read(name) == limited.archive.files["A"].read_bytes()
    assert limited.get(f"/studies/{study}.zip?patient=B").status_code == 404
    mixed = f"/series.zip?uid={limited.archive.series('A')}&uid={limited.archive.series('B')}"
    assert limited.get(mixed).status_code == 404


def test_a_table_has_only_the_series_that_are_granted(limited: Limited) -> None:
    text = limited.get("/series.csv?column=PatientID").text
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["PatientID"] == "A"


def test_all_tables_have_only_what_is_granted(limited: Limited) -> None:
    for table in ("patients", "studies", "series", "images", "elements"):
        text = limited.get(f"/{table}.csv").text
        assert len(text.splitlines()) >= 2, table
        told = set(csv.DictReader(io.StringIO(text)).__next__().values())
        assert told & {"A", "1.2.10", f"1.2.40.{ord('A')}", f"1.2.50.{ord('A')}"}
        for patient in "BC":
            assert f"1.2.40.{ord(patient)}" not in text, table
            assert f"1.2.50.{ord(patient)}" not in text, table
            assert re.search(rf"[,\n]{patient}[,\r]", text) is None, table
        assert "1.2.30" not in text
