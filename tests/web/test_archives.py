"""Zip archives and tables of series, made while they are sent."""

import csv
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import numpy as np
import psutil
import pytest

from tests.support.make import make_file
from tests.support.served_archive import ODD_PATIENT, Archive, served
from tests.support.slices import make_image
from tests.support.waiting import until


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with served(tmp_path_factory.mktemp("archive")) as made:
        yield made


def contents(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
        assert zipped.testzip() is None
        assert len(set(zipped.namelist())) == len(zipped.namelist())
        return {name: zipped.read(name) for name in zipped.namelist()}


def bytes_of(archive: Archive, *names: str) -> list[bytes]:
    return sorted(archive.files[name].read_bytes() for name in names)


VOLUME = tuple(f"slice{number}" for number in range(5))


def test_a_series_in_a_zip(archive: Archive) -> None:
    uid = archive.series("slice0")
    answer = archive.get(f"/series/{uid}.zip")
    assert answer.headers["content-disposition"] == f'attachment; filename="{uid}.zip"'
    found = contents(answer)
    assert sorted(found.values()) == bytes_of(archive, *VOLUME)
    assert {Path(name).stem for name in found} == {archive.uid(name) for name in VOLUME}
    assert all(uid in name and not name.startswith("/") for name in found)


def test_a_study_a_list_and_a_patient(archive: Archive) -> None:
    study = archive.uid("slice0", "StudyInstanceUID")
    assert len(contents(archive.get(f"/studies/{study}.zip"))) == 5
    uids = [archive.series("grey"), archive.series("slice0"), archive.series("grey")]
    listed = contents(archive.get(f"/series.zip?{'&'.join(f'uid={uid}' for uid in uids)}"))
    assert sorted(listed.values()) == bytes_of(archive, "grey", *VOLUME)
    others = contents(archive.get("/patients/patient-1.zip"))
    every = [name for name in archive.files if name != "frames"]
    assert sorted(others.values()) == bytes_of(archive, *every)


def test_what_a_filter_and_a_search_find(archive: Archive) -> None:
    uid = archive.series("slice0")
    filters = quote(json.dumps({"uid": {"in": [uid, archive.series("grey")]}}))
    found = contents(archive.get(f"/series.zip?filter={filters}"))
    assert sorted(found.values()) == bytes_of(archive, "grey", *VOLUME)
    assert sorted(contents(archive.get(f"/series.zip?search={uid}")).values()) == bytes_of(
        archive, *VOLUME
    )
    none = contents(archive.get(f"/series.zip?filter={filters}&search=nowhere"))
    assert none == {}
    table = archive.get(f"/series.csv?search={uid}").text.splitlines()
    assert len(table) == 2
    assert uid in table[1]
    for wrong in (f"filter={filters}&uid={uid}", "filter=x", "filter=%7B%22no%22:1%7D"):
        assert archive.get(f"/series.zip?{wrong}").status_code == 400, wrong


def test_a_patient_by_any_id(archive: Archive) -> None:
    answer = archive.get(f"/patients/{quote(ODD_PATIENT, safe='')}.zip")
    found = contents(answer)
    assert list(found.values()) == bytes_of(archive, "frames")
    (name,) = found
    assert ".." not in Path(name).parts
    plain, _, full = answer.headers["content-disposition"].partition("; filename*=UTF-8''")
    assert plain == 'attachment; filename="_a_b c_#%_;&+.zip"'
    assert unquote(full) == "_a_b c_#%ü;&+.zip"


def test_a_file_that_is_gone_is_listed(tmp_path: Path) -> None:
    with served(tmp_path) as archive:
        gone, changed = archive.uid("slice0"), archive.uid("slice1")
        series, grey = archive.series("slice0"), archive.uid("grey")
        archive.files["slice0"].unlink()
        make_file(archive.files["slice1"], PatientID="other")
        found = contents(archive.get(f"/series/{series}.zip"))
        told = found.pop("MISSING.txt").decode()
        assert sorted(found.values()) == bytes_of(archive, *VOLUME[2:])
        assert gone in told
        assert changed in told
        archive.files["grey"].unlink()
        addresses = [f"/images/{gone}.dcm", f"/images/{changed}.dcm", f"/images/{grey}/preview.png"]
        for address in [*addresses, f"/images/{grey}.npy", f"/series/{series}/volume.npy"]:
            answer = archive.get(address)
            assert answer.status_code == 410, address
            assert answer.json()["errors"][0]["code"] == "FILE_GONE"
            assert "import or sync again" in answer.json()["errors"][0]["message"]
        assert archive.get(f"/images/{grey}/header.json").status_code == 200


def large_file(folder: Path) -> dict[str, Path]:
    path = make_image(folder / "large.dcm", np.zeros((8, 8), np.uint16))
    os.truncate(path, 300_000_000)
    return {"large": path}


def test_a_client_that_vanishes_leaves_nothing_open(tmp_path: Path) -> None:
    with served(tmp_path, make=large_file) as archive:
        path = str(archive.files["large"])
        address = f"{archive.server.url}/series/{archive.series('large')}.zip"
        head = httpx.head(address)
        assert (head.status_code, head.headers["content-type"]) == (200, "application/zip")
        with httpx.stream("GET", address) as answer:
            # An iterator that is dropped closes its connection.
            chunks = answer.iter_raw()
            next(chunks)
            until(lambda: path in open_files(), 20)
        until(lambda: path not in open_files(), 20)


def open_files() -> set[str]:
    return {file.path for file in psutil.Process().open_files()}


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="series.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_series_as_a_table(archive: Archive) -> None:
    rows = rows_of(archive.get("/series.csv"))
    assert len(rows) == len({archive.series(name) for name in archive.files})
    (row,) = [row for row in rows if row["SeriesInstanceUID"] == archive.series("slice0")]
    assert row["EchoTime"] == "-2.5"
    assert row["PixelSpacing"] == "2\\1.5"
    assert row["StudyDate"] == "2020-01-02"
    assert row["StudyDescription"] == "study"
    assert row["Manufacturer"] == "'=cmd()"
    assert row["InversionTime"] == ""


def test_a_filter_and_elements_as_columns(archive: Archive) -> None:
    parameters = {
        "filter": json.dumps({"nImages": {"gte": 3}, "modality": {"eq": "MR"}}),
        "column": ["ImageType", "(0008,103E)", "Rows", "PixelData", "AnatomicRegionSequence"],
    }
    (row,) = rows_of(archive.get("/series.csv", params=parameters))
    assert row["SeriesInstanceUID"] == archive.series("slice0")
    assert row["ImageType"] == "ORIGINAL\\PRIMARY\\M"
    assert row["(0008,103E)"] == "'=1+1"
    assert row["Rows"] == "4"
    assert row["AnatomicRegionSequence"] == ""
    none = json.dumps({"modality": {"eq": "XX"}})
    assert rows_of(archive.get("/series.csv", params={"filter": none})) == []


@pytest.mark.parametrize(
    ("wanted", "is_allowed"),
    [
        ({"or": [{"modality": {"eq": "MR"}}] * 250}, True),
        ({"or": [{"modality": {"eq": "MR"}}] * 251}, False),
        ({"modality": {"eq": "MR", "in": ["MR"] * 5000}, "or": [{}] * 220}, False),
        ({"images": {"some": {"header": {"elements": [{"exists": True}] * 300}}}}, False),
        ({"not": {"and": [{"uid": {"contains": "1" * 20_000}}] * 2, "or": [{}] * 220}}, False),
    ],
)
def test_the_conditions_of_a_filter_are_counted(
    archive: Archive, wanted: dict[str, Any], is_allowed: bool
) -> None:
    answer = archive.get(
        "/series.csv", params={"filter": json.dumps(wanted, separators=(",", ":"))}
    )
    assert answer.status_code == (200 if is_allowed else 400)
    assert is_allowed or "at most 250 are allowed" in answer.json()["errors"][0]["message"]
