"""BIDS data sets: names against BIDS' own schema, data sets against its validator."""

import csv
import datetime as dt
import fcntl
import gzip
import io
import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from dicom_graph.access.principal import Principal, Role
from dicom_graph.cli.app import app
from dicom_graph.dicom.volume import read_geometries, read_volume
from dicom_graph.errors import BadInput
from dicom_graph.exports.bids.entities import ENTITIES, SUFFIXES
from dicom_graph.exports.bids.field_maps import field_map_metadata
from dicom_graph.exports.bids.label_words import harmless_words, name_parts
from dicom_graph.exports.bids.metadata import REQUIRED
from dicom_graph.exports.bids.planned_volume import PlannedVolume, key_of
from dicom_graph.exports.bids.spreadsheets import decoded
from dicom_graph.exports.bids.table import plan_lines, read_plan
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from dicom_graph.store.migrate import upgrade
from tests.support.data import needs_shared, shared_files
from tests.support.graph import Graph
from tests.support.slices import make_slices

SIEMENS = {"Manufacturer": "SIEMENS", "MagneticFieldStrength": 3.0, "FlipAngle": 9.0}
T1W = {
    "ScanningSequence": ["GR", "IR"], "SequenceVariant": ["SP", "MP"], "InversionTime": 900.0,
    "EchoTime": 3.0, "RepetitionTime": 2300.0, "SequenceName": "*tfl3d1_16",
}  # fmt: skip
BOLD = {
    "ScanningSequence": "EP", "EchoTime": 30.0, "RepetitionTime": 2000.0, "FlipAngle": 80.0,
    "SequenceName": "epfid2d1_64",
}  # fmt: skip
FIELD_MAP = {"SequenceName": "*fm2d2r", "ScanningSequence": "GR", "RepetitionTime": 400.0}
DWI = {
    "SequenceName": "ep_b1000#1", "ScanningSequence": "EP", "RepetitionTime": 4000.0,
    "EchoTime": 80.0,
}  # fmt: skip
NAMES = ("smith", "john", "id-4711", "4711", "1980", "2020-", "20200", "1.2.34")
"""What must not be in a data set: of the patient, dates, and UIDs."""


def make_session(folder: Path) -> dict[str, list[Path]]:
    """The series of a session of one subject, by their UIDs."""
    made: dict[str, list[Path]] = {}

    def add(number: int, time: str, description: str, positions: Any, **elements: Any) -> None:
        uid = f"1.2.34.{number}"
        shared = {
            "SeriesInstanceUID": uid, "StudyInstanceUID": "1.2.34", "SeriesNumber": number,
            "PatientID": "ID-4711", "PatientName": "Smith^John", "StudyDate": "20200102",
            "SeriesDate": "20200102", "SeriesTime": time, "SeriesDescription": description,
            "ProtocolName": None, "ImageComments": "of John",
        }  # fmt: skip
        made[uid] = make_slices(folder / uid, positions, **(SIEMENS | shared | elements))

    def times(index: int) -> dict[str, Any]:
        at = index // 2
        return {
            "AcquisitionNumber": at + 1, "TemporalPositionIdentifier": at + 1,
            "AcquisitionTime": f"1010{2 * at:02}", "AcquisitionDate": "20200102",
        }  # fmt: skip

    def echoes(index: int) -> dict[str, Any]:
        return {"EchoNumbers": index // 2 + 1, "EchoTime": (4.92, 7.38)[index // 2]}

    def weighted(index: int) -> dict[str, Any]:
        b_value = (0.0, 1000.0, 1000.0)[index // 2]
        direction = ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.6, 0.8])[index // 2]
        return {
            "AcquisitionNumber": index // 2 + 1, "DiffusionBValue": b_value,
            "DiffusionGradientOrientation": direction,
        }  # fmt: skip

    twice, thrice = [0.0, 2.0] * 2, [0.0, 2.0] * 3
    add(1, "100000", "localizer", [0.0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    add(3, "100500", "t1 again", [0.0, 2.0], ContrastBolusAgent="NONE", **T1W)
    add(12, "100600", "t1 after", [0.0, 2.0], ContrastBolusAgent="Gadovist 1.0", **T1W)
    add(2, "100100", "t1", [0.0, 2.0], **T1W)
    add(4, "101000", "fmri task-nback John", thrice, each=times, **BOLD)
    add(5, "101500", "words Smith 20200102", thrice, each=times, **BOLD)
    add(6, "100700", "fieldmap", twice, each=echoes, **FIELD_MAP)
    add(7, "100700", "fieldmap", [0.0, 2.0], EchoTime=7.38,
        ImageType=["ORIGINAL", "PRIMARY", "P"], **FIELD_MAP)  # fmt: skip
    diffusion = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    add(8, "102000", "dwi", thrice, each=weighted, ImageType=diffusion, **DWI)
    add(9, "102100", "adc", [0.0, 2.0], ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], **DWI)
    add(10, "103000", "one moment", [0.0, 2.0], **(BOLD | {"SequenceName": "epfid2d1_32"}))
    add(11, "104000", "ct", [0.0, 2.0], Modality="CT")
    return made


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that the commands find by its variable, with its tables."""
    url = f"sqlite:///{tmp_path}/database.sqlite3"
    monkeypatch.setenv("DICOM_GRAPH_DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    upgrade(Database(url))
    return url


def import_folder(url: str, *folders: Path) -> None:
    database = Database(url)
    request = JobRequest(tuple(map(str, folders)), Mode.FULL)
    run_import(database, request)
    database.close_writer()


def bids(*arguments: str | Path, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["bids", *map(str, arguments)], input=given)


def rows_of(plan: str) -> list[dict[str, str]]:
    return list(csv.DictReader(plan.splitlines(), delimiter="\t"))


def edited(plan: str, **cells: dict[int, str]) -> str:
    """The plan with other cells: by column, then by line."""
    lines = [line.split("\t") for line in plan.splitlines()]
    for column, changes in cells.items():
        for line, value in changes.items():
            lines[line - 1][lines[0].index(column)] = value
    return "".join("\t".join(line) + "\n" for line in lines)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(f.relative_to(folder)): sha256(f.read_bytes()).hexdigest() for f in files}


def program(name: str) -> str | None:
    """A program that a package of the environment brought."""
    return shutil.which(name, path=os.pathsep.join([sysconfig.get_path("scripts"), os.defpath]))


def errors_of(folder: Path) -> list[str]:
    """What BIDS' validator has against a data set."""
    validator = program("bids-validator-deno")
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    with tempfile.TemporaryDirectory(dir="/tmp") as elsewhere:
        # Deno reads nothing below /dev, where these tests may write.
        copy = shutil.copytree(folder, Path(elsewhere) / "data_set")
        command = [validator, str(copy), "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [f"{i['code']} {i.get('location')}" for i in issues if i["severity"] == "error"]


def identities_in(folder: Path) -> list[tuple[str, str]]:
    """What of the made patient is in the names of files or in them."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        text = f"{path.relative_to(folder)}\n{content.decode('latin-1')}".casefold()
        found += [(path.name, name) for name in NAMES if name in text]
    return found


def truth(paths: list[Path], index: int | None = None) -> Any:
    array = read_volume(read_geometries(paths)[0]).array
    return array if index is None else array[..., index]


@pytest.mark.slow
def test_a_session(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_session(tmp_path / "files")
    import_folder(url, tmp_path / "files")
    planned = bids("plan")
    assert planned.exit_code == 0, planned.stderr
    rows = rows_of(planned.stdout)
    sub = rows[0]["sub"]
    assert {row["sub"] for row in rows} == {sub}
    names = {
        (row["series"], row["index"]): row["name"].removeprefix(f"sub-{sub}/ses-01/")
        for row in rows
        if row["included"] == "yes"
    }
    stem = f"sub-{sub}_ses-01"
    assert names == {
        ("1.2.34.2", ""): f"anat/{stem}_run-1_T1w",
        ("1.2.34.3", ""): f"anat/{stem}_run-2_T1w",
        ("1.2.34.12", ""): f"anat/{stem}_ce-Gadovist10_T1w",
        ("1.2.34.4", ""): f"func/{stem}_task-nback_bold",
        ("1.2.34.5", ""): f"func/{stem}_task-words_bold",
        ("1.2.34.6", "0"): f"fmap/{stem}_magnitude1",
        ("1.2.34.6", "1"): f"fmap/{stem}_magnitude2",
        ("1.2.34.7", ""): f"fmap/{stem}_phasediff",
        ("1.2.34.8", ""): f"dwi/{stem}_dwi",
        ("1.2.34.10", ""): f"func/{stem}_task-onemoment_bold",
    }
    notes = {row["series"]: row["notes"] for row in rows if row["included"] == "no"}
    assert notes.keys() == {"1.2.34.1", "1.2.34.9", "1.2.34.11"}
    assert "--derived" in notes["1.2.34.9"]
    derived = rows_of(bids("plan", "--derived").stdout)
    assert [r["suffix"] for r in derived if r["included"] == "yes" and "ADC" in r["suffix"]]

    (tmp_path / "plan.tsv").write_text(planned.stdout)
    data_set = tmp_path / "data set"
    done = bids("export", "plan.tsv", "--to", data_set)
    assert done.exit_code == 0, done.stderr
    assert "Faces are not removed" in done.stderr
    folder = data_set / f"sub-{sub}" / "ses-01"
    for (series, index), name in names.items():
        nifti = nibabel.load(folder / f"{name}.nii.gz")
        expected = truth(made[series], int(index) if index else None)
        is_one_moment = series == "1.2.34.10"
        expected = expected[..., None] if is_one_moment else expected
        np.testing.assert_array_equal(np.asarray(nifti.dataobj), expected)
        if "bold" in name:
            assert nifti.header.get_zooms()[3] == 2.0
    told = {name: json.loads((folder / f"{name}.json").read_text()) for name in names.values()}
    difference = told[f"fmap/{stem}_phasediff"]
    assert (difference["EchoTime1"], difference["EchoTime2"]) == (0.00492, 0.00738)
    source = difference["B0FieldIdentifier"]
    corrected = sorted(name for name in names.values() if name.startswith(("func", "dwi")))
    prefix = f"bids::sub-{sub}/ses-01/"
    for name in (f"fmap/{stem}_phasediff", f"fmap/{stem}_magnitude1", f"fmap/{stem}_magnitude2"):
        assert told[name]["B0FieldIdentifier"] == source
        assert sorted(told[name]["IntendedFor"]) == [f"{prefix}{n}.nii.gz" for n in corrected]
    assert {told[name]["B0FieldSource"] for name in corrected} == {source}
    assert told[f"func/{stem}_task-nback_bold"]["TaskName"] == "nback"
    np.testing.assert_array_equal(np.loadtxt(folder / f"dwi/{stem}_dwi.bval"), [0, 1000, 1000])
    scans = rows_of((folder / f"{stem}_scans.tsv").read_text())
    assert {row["filename"] for row in scans} == {f"{name}.nii.gz" for name in names.values()}
    moments = {row["filename"]: row["acq_time"] for row in scans}
    assert moments[f"anat/{stem}_run-1_T1w.nii.gz"].endswith("T10:01:00")
    assert max(moment[:4] for moment in moments.values()) < "1926"
    (participant,) = rows_of((data_set / "participants.tsv").read_text())
    assert participant == {"participant_id": f"sub-{sub}", "age": "39", "sex": "F"}
    assert identities_in(data_set) == []

    # The same by dcm2niix, whose rows are turned over.
    theirs = tmp_path / "theirs"
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"), prepend=os.pathsep)
    by_dcm2niix = bids("export", "plan.tsv", "--to", theirs, "--converter", "dcm2niix")
    assert by_dcm2niix.exit_code == 0, by_dcm2niix.stderr
    for name in names.values():
        one, other = (
            nibabel.as_closest_canonical(nibabel.load(f"{of}/sub-{sub}/ses-01/{name}.nii.gz"))
            for of in (theirs, data_set)
        )
        np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))
        assert one.header["descrip"] == b"", "the time of day"
    assert identities_in(theirs) == []
    sidecar = json.loads((theirs / f"sub-{sub}/ses-01/fmap/{stem}_phasediff.json").read_text())
    assert sidecar.items() >= {"EchoTime2": 0.00738, "B0FieldIdentifier": source}.items()

    # Again: nothing changes, neither by what else is imported nor by another plan of the same.
    before = digests(data_set)
    assert bids("export", "plan.tsv", "--to", data_set).exit_code == 0
    assert digests(data_set) == before
    with (data_set / "participants.tsv").open("a") as file:
        file.write("sub-other\t5\tM\n")
    before = digests(data_set)
    another = {"SeriesInstanceUID": "1.2.99", "StudyInstanceUID": "1.2.98", "PatientID": "another"}
    make_slices(tmp_path / "more/a", [0.0, 2.0], **SIEMENS, **T1W, **another)
    repeat = {
        "SeriesInstanceUID": "1.2.34.13", "StudyInstanceUID": "1.2.34", "SeriesNumber": 13,
        "PatientID": "ID-4711", "SeriesDescription": "task-nback", "SeriesTime": "110000",
    }  # fmt: skip
    make_slices(tmp_path / "more/b", [0.0, 2.0], **(SIEMENS | BOLD), **repeat)
    import_folder(url, tmp_path / "more")
    again = bids("export", "-", "--to", data_set, given=bids("plan").stdout)
    assert again.exit_code == 0, again.stderr
    after = digests(data_set)
    tables = {"participants.tsv", f"sub-{sub}/ses-01/{stem}_scans.tsv"}
    tables |= {"code/dicom-graph/volumes.tsv"}
    assert {name for name in before if after[name] != before[name]} == tables
    assert len(after) > len(before)
    assert errors_of(data_set) == []


@pytest.mark.slow
def test_a_plan_that_cannot_be_exported(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    for number in (1, 2):
        uid, time = f"1.2.34.{number}", f"10000{number}"
        make_slices(folder / uid, [0.0, 2.0], **SIEMENS, **T1W, SeriesInstanceUID=uid,
                    StudyInstanceUID="1.2.34", SeriesTime=time)  # fmt: skip
    import_folder(url, folder)
    plan = bids("plan").stdout
    assert [row["run"] for row in rows_of(plan)] == ["1", "2"]
    out = tmp_path / "out"
    for text, told in (
        (edited(plan, run={3: "1"}), "line 3: the name"),
        (edited(plan, run={2: "", 3: ""}), "line 3: the name"),
        (edited(plan, sub={3: "A b"}), "line 3: sub is letters and digits"),
        (edited(plan, run={3: "x"}), "line 3: run is a number"),
        (edited(plan, sub={2: ""}), "line 2: T1w in anat must have a sub"),
        (edited(plan, datatype={2: "fmap"}), "line 2: fmap has no suffix 'T1w'"),
        (edited(plan, datatype={2: "x"}), "line 2: there is no datatype 'x'"),
        (edited(plan, dir={2: "AP"}), "line 2: T1w in anat has no dir"),
        (edited(plan, part={2: "both"}), "line 2: part is one of"),
        (edited(plan, suffix={2: "bold"}, datatype={2: "func"}), "line 2: bold in func must have"),
        (edited(plan, included={2: "maybe"}), "line 2: included is yes or no"),
        (edited(plan, stack={2: "1"}), "line 2: the series has 1 volumes"),
        (edited(plan, stack={2: "-1"}), "line 2: stack is a number"),
        (edited(plan, index={2: "0"}), "line 2: the fourth axis has no index 0"),
        (edited(plan, series={2: "9.9"}), "line 2: no series has the UID '9.9'"),
        (edited(plan, series={3: "1.2.34.1"}, run={3: "2"}), "line 3: the same volume as line 2"),
        (edited(plan, acq_time={2: "yesterday"}), "line 2: acq_time"),
        (edited(plan, metadata={2: "[1]"}), "line 2: metadata"),
        (edited(plan, datatype={2: "dwi"}, suffix={2: "dwi"}), "line 2: BIDS requires bval"),
        (plan.replace("included\t", "in\t", 1), "line 1"),
        (plan.replace("suffix\t", "sufix\t", 1), "suffix"),
        ("", "line 1"),
    ):
        refused = bids("export", "-", "--to", out, given=text)
        assert (refused.exit_code, told in refused.stderr) == (2, True), (told, refused.stderr)
        assert not out.exists()

    # What a person may write: in other words, another subject, a longer sidecar, a blank line.
    changed = edited(plan, included={2: "1", 3: "No"}, sub={2: "sub-01"}, ses={2: ""})
    changed = edited(changed, metadata={2: '{"RepetitionTime": 2.5}'}, run={2: ""})
    changed = ("\ufeff" + changed + "\n\n").replace("\n", "\r\n")
    done = bids("export", "-", "--to", out, "--name", "Mine", given=changed)
    assert done.exit_code == 0, done.stderr
    assert json.loads((out / "sub-01/anat/sub-01_T1w.json").read_text())["RepetitionTime"] == 2.5
    assert json.loads((out / "dataset_description.json").read_text())["Name"] == "Mine"

    # The names that are there: of the same volume, of another, of somebody else's file.
    before = digests(out)
    renamed = bids("export", "-", "--to", out, given=edited(changed, acq={2: "x"}))
    assert (renamed.exit_code, "1 under other names" in renamed.stderr) == (0, True)
    taken = edited(plan, included={2: "no"}, sub={3: "01"}, ses={3: ""}, run={3: ""})
    other = bids("export", "-", "--to", out, given=taken)
    assert (other.exit_code, "of another volume" in other.stderr) == (2, True), other.stderr
    (out / "sub-01/anat/sub-01_acq-y_T1w.nii.gz").touch()
    foreign = bids("export", "-", "--to", out, given=edited(taken, acq={3: "y"}))
    assert (foreign.exit_code, "not of an export" in foreign.stderr) == (2, True), foreign.stderr
    (out / "sub-01/anat/sub-01_acq-y_T1w.nii.gz").unlink()
    assert digests(out) == before

    # One that fails stops no other, and the same command goes on.
    gone = next((folder / "1.2.34.1").iterdir())
    away = gone.rename(tmp_path / "away")
    one = bids("export", "-", "--to", tmp_path / "two", given=plan)
    assert (one.exit_code, "line 2, " in one.stderr, "1 volumes written" in one.stderr) == (
        1, True, True,
    )  # fmt: skip
    away.rename(gone)
    assert bids("export", "-", "--to", tmp_path / "two", given=plan).exit_code == 0
    assert len(list((tmp_path / "two").rglob("*.nii.gz"))) == 2


@pytest.mark.slow
def test_subjects_and_dates(url: str, tmp_path: Path) -> None:
    for number in (1, 2):
        make_slices(tmp_path / f"files/{number}", [0.0], **SIEMENS, **T1W, PatientID=f"P-{number}")
    import_folder(url, tmp_path / "files")
    table = tmp_path / "subjects.csv"
    table.write_text("patient_id,participant_id\nP-1,sub-A1\n")
    lacking = bids("plan", "--subjects", table)
    assert (lacking.exit_code, "'P-2'" in lacking.stderr) == (2, True)
    table.write_text("patient_id,participant_id\nP-1,sub-A1\nP-2,B2\n")
    planned = rows_of(bids("plan", "--subjects", table, "--dates", "keep").stdout)
    assert [row["sub"] for row in planned] == ["A1", "B2"]
    assert {row["acq_time"] for row in planned} == {"2020-01-02T03:04:05"}
    assert {r["acq_time"] for r in rows_of(bids("plan", "--dates", "none").stdout)} == {""}
    table.write_bytes("patient_id;participant_id\r\nP-1;A1\r\nP-2;A1\r\n".encode("utf-16"))
    of_one = rows_of(bids("plan", "--subjects", table).stdout)
    assert len({row["acq_time"][:10] for row in of_one}) == 1
    table.write_text("patient_id,participant_id\nP-1,A 1\n")
    assert "line 2" in bids("plan", "--subjects", table).stderr
    wrong = bids("plan", "--filter", '{"modalit": 1}')
    assert (wrong.exit_code, "modality" in wrong.stderr) == (2, True)


@pytest.mark.slow
def test_a_plan_goes_on_with_a_data_set(url: str, tmp_path: Path) -> None:
    def add(number: int, study: str, time: str, date: str = "20200102", **elements: Any) -> None:
        told = {
            "SeriesInstanceUID": f"1.2.34.{number}", "StudyInstanceUID": study, "PatientID": "P-1",
            "SeriesTime": time, "StudyDate": date, "SeriesDate": date,
        }  # fmt: skip
        make_slices(tmp_path / f"files/{number}", [0.0], **(SIEMENS | T1W | told | elements))

    add(1, "1.2.1", "100000")
    add(2, "1.2.1", "100100")
    import_folder(url, tmp_path / "files")
    out = tmp_path / "out"
    out.mkdir()
    (out / "dataset_description.json").write_text('{"Name": "mine", "BIDSVersion": "1.9.0"}')
    others = b'participant_id\thand\r\nsub-x\t"R\r\n'
    (out / "participants.tsv").write_bytes(others)
    plan = edited(bids("plan").stdout, sub={2: "01", 3: "01"})

    # Somebody else exports there at the same time; a table that cannot be added to.
    descriptor = os.open(out, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    refused = bids("export", "-", "--to", out, given=plan)
    assert (refused.exit_code, "another export writes" in refused.stderr) == (2, True)
    os.close(descriptor)
    for wrong in (b"", b"id\tage\n", b"participant_id\tn\nsub-x\t\xe9\n"):
        (out / "participants.tsv").write_bytes(wrong)
        refused = bids("export", "-", "--to", out, given=plan)
        assert (refused.exit_code, "participants.tsv" in refused.stderr) == (2, True), wrong
        assert not list(out.glob("sub-*"))
    (out / "participants.tsv").write_bytes(others)
    done = bids("export", "-", "--to", out, given=plan)
    assert done.exit_code == 0, done.stderr
    table = (out / "participants.tsv").read_bytes()
    assert table == others + b"sub-01\tn/a\r\n"

    # Another suffix, or a session that a spreadsheet took the zero from.
    before = digests(out)
    other = edited(plan, suffix={2: "T2w"}, run={2: ""})
    renamed = bids("export", "-", "--to", out, given=other)
    assert (renamed.exit_code, "1 under other names" in renamed.stderr) == (0, True)
    assert digests(out) == before
    add(3, "1.2.1", "110000")
    add(4, "1.2.2", "100000", "20190101")
    import_folder(url, tmp_path / "files")
    of_new = {"study": {"uid": {"eq": "1.2.2"}}}
    alone = bids("plan", "--filter", json.dumps(of_new)).stdout
    shortened = edited(alone, sub={2: "01"}, ses={2: "1"})
    refused = bids("export", "-", "--to", out, given=shortened)
    assert (refused.exit_code, "ses-1 beside sub-01/ses-01" in refused.stderr) == (2, True)
    copy = shutil.copytree(out, tmp_path / "copy")
    doubtful = bids("export", "-", "--to", copy, given=edited(alone, sub={2: "01"}, acq={2: "x"}))
    assert (doubtful.exit_code, "another study" in doubtful.stderr) == (0, True)

    # It goes on: the subject, the sessions and the runs; also where the filter has the new alone.
    planned = bids("plan", "--to", out)
    named = {row["series"]: (row["name"], row["notes"]) for row in rows_of(planned.stdout)}
    there = "it is in the data set"
    assert named == {
        "1.2.34.1": ("sub-01/ses-01/anat/sub-01_ses-01_run-1_T1w", there),
        "1.2.34.2": ("sub-01/ses-01/anat/sub-01_ses-01_run-2_T1w", there),
        "1.2.34.3": ("sub-01/ses-01/anat/sub-01_ses-01_run-3_T1w", ""),
        "1.2.34.4": ("sub-01/ses-02/anat/sub-01_ses-02_T1w", ""),
    }
    assert "2 of them to be exported, 2 are in" in planned.stderr
    filtered = rows_of(bids("plan", "--to", out, "--filter", json.dumps(of_new)).stdout)
    assert [row["name"] for row in filtered] == [named["1.2.34.4"][0]]
    done = bids("export", "-", "--to", out, given=planned.stdout)
    assert (done.exit_code, "2 volumes written, 2 were there, 0" in done.stderr) == (0, True)
    after = digests(out)
    assert {name for name in before if after[name] != before[name]} == {
        "code/dicom-graph/volumes.tsv", "sub-01/ses-01/sub-01_ses-01_scans.tsv",
        "sub-01/sub-01_sessions.tsv",
    }  # fmt: skip
    assert errors_of(out) == []


ASL = {
    "aslcontext.tsv": ["control", "label"], "ArterialSpinLabelingType": "PASL",
    "PostLabelingDelay": 1.8, "BackgroundSuppression": False, "M0Type": "Absent",
    "TotalAcquiredPairs": 1, "RepetitionTimePreparation": 2.0, "BolusCutOffFlag": False,
    "MRAcquisitionType": "3D",
}  # fmt: skip
MP2RAGE = {
    "RepetitionTimeExcitation": 0.006, "RepetitionTimePreparation": 5.0, "NumberShots": 176,
}  # fmt: skip


@pytest.mark.slow
def test_what_only_a_person_knows(url: str, tmp_path: Path) -> None:
    """Labelling, and the shots of MP2RAGE: a plan says what lacks, its metadata tell it."""
    turbo = {**T1W, "PulseSequenceName": "mp2rage"}
    labelled = ["ORIGINAL", "PRIMARY", "ASL"]
    for number, time in ((1, 2500.0), (2, 700.0)):
        uid = f"1.2.34.{number}"
        inverted = {"InversionTime": time, "SeriesInstanceUID": uid, "StudyInstanceUID": "1.2.34"}
        make_slices(tmp_path / f"files/{number}", [0.0], **(SIEMENS | turbo | inverted))
    at = {"SeriesInstanceUID": "1.2.34.3", "StudyInstanceUID": "1.2.34", "ImageType": labelled}
    make_slices(
        tmp_path / "files/3", [0.0, 0.0], **(SIEMENS | BOLD | at),
        each=lambda index: {"AcquisitionNumber": index + 1, "AcquisitionTime": f"10100{index}"},
    )  # fmt: skip
    import_folder(url, tmp_path / "files")
    plan = bids("plan").stdout
    rows = rows_of(plan)
    assert {row["included"] for row in rows} == {"no"}
    assert all("the column metadata can" in row["notes"] for row in rows)
    assert {row["series"]: row["inv"] for row in rows} == {
        "1.2.34.1": "2", "1.2.34.2": "1", "1.2.34.3": "",
    }  # fmt: skip

    def said(asl: dict[str, Any]) -> str:
        texts = {n: asl if r["suffix"] == "asl" else MP2RAGE for n, r in enumerate(rows, 2)}
        lines = {number: json.dumps(text) for number, text in texts.items()}
        return edited(plan, metadata=lines, included=dict.fromkeys(lines, "yes"))

    out = tmp_path / "out"
    for wrong, told in (
        ({"aslcontext.tsv": ["control"]}, "aslcontext.tsv with a list of 2"),
        ({"BolusCutOffFlag": True}, "BIDS requires BolusCutOffDelayTime, BolusCutOffTechnique"),
        ({"MRAcquisitionType": "2D"}, "BIDS requires SliceTiming"),
    ):
        refused = bids("export", "-", "--to", out, given=said(ASL | wrong))
        assert (refused.exit_code, told in refused.stderr) == (2, True), refused.stderr
    done = bids("export", "-", "--to", out, given=said(ASL))
    assert done.exit_code == 0, done.stderr
    (context,) = out.glob("sub-*/ses-*/perf/*_aslcontext.tsv")
    assert context.read_text() == "volume_type\ncontrol\nlabel\n"
    assert len(list(out.glob("sub-*/ses-*/anat/*_inv-?_MP2RAGE.nii.gz"))) == 2
    assert errors_of(out) == []


def volume(uid: str, time: int, datatype: str, suffix: str, **entities: str) -> PlannedVolume:
    moment = dt.datetime(1900, 1, 1, 10, time)
    return PlannedVolume(uid, included=True, datatype=datatype, suffix=suffix, acquired=moment,
                         entities={"sub": "01", **entities}, line=time)  # fmt: skip


def test_a_plan_as_spreadsheets_save_it() -> None:
    """Read as it was written, whatever its texts are; by the dialect of `csv` for Excel."""
    texts = ['"quoted', 'said "so"', "a\u2028b", "a\x0bb\x85c\x1cd", "=1", "\u4e2d", '{"a": "b"}']
    made = [
        replace(
            volume(f"1.{n}", n, "anat", "T1w", run=str(n)),
            metadata={"a": text},
            series=SimpleNamespace(number=n, description=text),
        )
        for n, text in enumerate(texts)
    ]
    plan = "".join(plan_lines(made))
    cells = list(csv.reader(io.StringIO(plan), delimiter="\t"))
    assert [len(row) for row in cells] == [len(cells[0])] * (len(texts) + 1)
    saved = io.StringIO()
    turned = [[*reversed(row), "", ""] for row in cells]
    csv.writer(saved, dialect="excel-tab").writerows([*turned, [""] * 40])
    for content in (
        plan.encode(), saved.getvalue().encode("utf-8-sig"), saved.getvalue().encode("utf-16"),
        saved.getvalue().replace("\r\n", "\r").encode(),
    ):  # fmt: skip
        read = read_plan(decoded(content, "plan"))
        assert [(r.series_uid, r.name, r.metadata) for r in read] == [
            (m.series_uid, m.name, m.metadata) for m in made
        ]
    head = "included\tdatatype\tsuffix\tsub\trun\tseries\tstack\tmetadata\n"
    row = "yes\tanat\tT1w\t01\t{}\t{}\t0\t{}\n"
    for text, told in (
        (row.format("1", "1.1", "") + row.format("01", "1.2", ""), "line 3: the name"),
        (row.format("", "1.1", '{"a": NaN}'), "line 2: metadata"),
        (row.format("", '"1.1', ""), "quotation mark"),
        (row.format("", "1.1", "x" * 200_000), "line 2"),
    ):
        with pytest.raises(BadInput, match=told):
            read_plan(head + text)
    with pytest.raises(BadInput, match="save it"):
        decoded("é".encode("cp1252"), "plan")


def test_labels_have_no_names_and_no_dates() -> None:
    names = name_parts("Müller-Øst^Jürgen", "SUBJ004711")
    for text in (
        "2020-01-02", "02.01.2020", "2Jan2020", "March 3, 2020", "20200102", "_20200102",
        "Mueller", "MULLER", "Jürgen", "Juergen", "oest", "subj004711", "4711", "2020",
    ):  # fmt: skip
        assert harmless_words(f"n-back {text} words", names) == ["n", "back", "words"], text
    assert harmless_words("Größe 2x2 TR1500", names) == ["Große", "2x2", "TR1500"]


def test_maps_of_opposite_phase_encoding() -> None:
    """Those that follow each other are one, however often one was repeated; a lone one is one
    with the first image of the other way.
    """
    made = [
        volume("1", 1, "fmap", "epi", dir="AP", run="1"),
        volume("2", 2, "fmap", "epi", dir="AP", run="2"),
        volume("3", 3, "fmap", "epi", dir="PA"),
        volume("4", 4, "func", "bold", task="a", dir="AP"),
        volume("5", 5, "fmap", "epi", acq="b", dir="PA"),
        volume("6", 6, "func", "bold", task="b", dir="AP"),
        volume("7", 7, "func", "bold", task="c", dir="AP"),
    ]
    told = field_map_metadata(made)
    found = {each.series_uid: told.get(key_of(each), {}) for each in made}
    pair, alone = found["3"]["B0FieldIdentifier"], found["5"]["B0FieldIdentifier"]
    assert found["2"]["B0FieldIdentifier"] == pair != found["1"]["B0FieldIdentifier"]
    assert found["4"] == {"B0FieldSource": pair}
    assert found["6"] == {"B0FieldSource": alone, "B0FieldIdentifier": alone}
    assert found["7"] == {"B0FieldSource": alone}
    assert (
        found["2"]["IntendedFor"] == found["3"]["IntendedFor"] == [f"bids::{made[3].name}.nii.gz"]
    )
    assert len(found["5"]["IntendedFor"]) == 2
    assert "IntendedFor" not in found["1"]


PLAN = """query($filter: SeriesFilter) { bidsPlan(filter: $filter) {
  name stack index isIncluded datatype suffix confidence evidence acquisitionTime notes
  series { uid description } entities { key value } } }"""


async def test_the_plan_as_a_query(
    database: Database, graph: Graph, import_files: Any, tmp_path: Path
) -> None:
    """The same for all, without what a de-identified or limited user may not see."""
    make_slices(tmp_path / "a", [0.0], **SIEMENS, **T1W, PatientID="ID-4711",
                PatientName="Smith^John")  # fmt: skip
    import_files(tmp_path)
    (seen,) = (await graph(PLAN))["bidsPlan"]
    entities = {each["key"]: each["value"] for each in seen["entities"]}
    assert entities.keys() == {"sub", "ses"}
    sub = entities["sub"]
    assert seen["name"] == f"sub-{sub}/ses-01/anat/sub-{sub}_ses-01_T1w"
    assert (seen["isIncluded"], seen["confidence"], seen["notes"]) == (True, "HIGH", [])
    assert seen["acquisitionTime"] < "1926"
    everyone = graph.store
    graph.principal = Principal("reader", Role.VIEWER, deidentified=True)
    graph.store = everyone
    (shown,) = (await graph(PLAN))["bidsPlan"]
    assert (shown["name"], shown["acquisitionTime"]) == (seen["name"], None)
    assert shown["series"]["description"] is None
    assert shown["series"]["uid"] != seen["series"]["uid"]
    graph.principal = Principal("reader", Role.VIEWER, groups=(1,))
    assert (await graph(PLAN))["bidsPlan"] == []
    graph.principal = Principal("reader", Role.VIEWER)
    none = {"modality": {"eq": "CT"}}
    assert (await graph(PLAN, filter=none))["bidsPlan"] == []


async def test_volumes_tell_what_the_first_image_does_not(
    graph: Graph, import_files: Any, tmp_path: Path
) -> None:
    """Diffusion behind a b value of 0; a contrast agent that passes is no functional series."""

    def each(index: int) -> dict[str, Any]:
        direction = [0.0, 0.0, 0.0] if index < 2 else [1.0, 0.0, 0.0]
        return {
            "AcquisitionNumber": index // 2 + 1, "AcquisitionTime": f"10100{index // 2}",
            "DiffusionBValue": 0.0 if index < 2 else 1000.0,
            "DiffusionGradientOrientation": direction,
        }  # fmt: skip

    planar = SIEMENS | BOLD | {"SequenceName": None, "SeriesDescription": "run"}
    make_slices(tmp_path / "a", [0.0, 2.0] * 2, each=each, **planar)
    agent = {"ContrastBolusAgent": "Gadovist", "SequenceName": "epfid2d1_64"}
    for name, more in (("b", agent), ("c", {})):
        make_slices(tmp_path / name, [0.0, 2.0] * 2, **(planar | more), each=lambda index: {
            "AcquisitionNumber": index // 2 + 1, "AcquisitionTime": f"10100{index // 2}",
        })  # fmt: skip
    import_files(tmp_path)
    found = (await graph(PLAN))["bidsPlan"]
    assert sorted((row["suffix"] or "", row["isIncluded"]) for row in found) == [
        ("", False), ("bold", True), ("dwi", True),
    ]  # fmt: skip


def schema_rules() -> Iterator[tuple[tuple[str, str], Any]]:
    """BIDS' own rules of names of NIfTI files, by datatype and suffix."""
    bidsschematools = pytest.importorskip("bidsschematools.schema")
    schema = bidsschematools.load_schema()
    short = {entity: schema.objects.entities[entity].name for entity in schema.objects.entities}
    for datatype in {datatype for datatype, _ in SUFFIXES}:
        for rule in schema.rules.files.raw[datatype].values():
            if ".nii.gz" in rule.extensions:
                levels = {
                    short[name]: level if isinstance(level, str) else level["level"]
                    for name, level in rule.entities.items()
                }
                for suffix in rule.suffixes:
                    yield (datatype, suffix), levels


def test_names_are_those_of_the_schema_of_bids() -> None:
    rules = dict(schema_rules())
    for key, ours in SUFFIXES.items():
        levels = rules[key]
        assert ours.required | {"sub"} == {e for e in levels if levels[e] == "required"}, key
        known = {entity for entity in levels if entity in ENTITIES}
        assert ours.required | ours.optional | {"sub"} == known, key


def test_what_is_required_is_what_the_schema_of_bids_requires() -> None:
    """By rules for a suffix alone; those for others, and of other fields, are not looked at."""
    rules = pytest.importorskip("bidsschematools.schema").load_schema().rules.sidecars
    for (datatype, suffix), ours in REQUIRED.items():
        groups = (rules.fmap, rules.qmri, rules.pet, rules.asl, rules.mri)
        for rule in (rule for group in groups for rule in group.values()):
            selectors = list(rule.selectors)
            is_of_it = any(each.startswith(f'suffix == "{suffix}"') for each in selectors)
            of_other = any((each.startswith("datatype") and datatype not in each) or
                           "sidecar." in each for each in selectors)  # fmt: skip
            if not is_of_it or of_other:
                continue
            for name, field in rule.fields.items():
                level = field if isinstance(field, str) else field["level"]
                assert level != "required" or name.removesuffix("__fmap") in ours, (suffix, name)


@needs_shared
@pytest.mark.slow
def test_the_shared_archive_is_valid(url: str, tmp_path: Path) -> None:
    """And has at least as many volumes of each datatype as dcm2niix makes."""
    root = Path(os.path.commonpath(list(map(str, shared_files()))))
    import_folder(url, root)
    plan = bids("plan").stdout
    data_set = tmp_path / "data_set"
    done = bids("export", "-", "--to", data_set, given=plan)
    assert done.exit_code == 0, done.stderr
    before = digests(data_set)
    assert bids("export", "-", "--to", data_set, given=plan).exit_code == 0
    assert digests(data_set) == before
    dcm2niix = program("dcm2niix")
    assert dcm2niix is not None
    (tmp_path / "theirs").mkdir()
    command = [dcm2niix, "-z", "n", "-f", "%s_%j", "-o", str(tmp_path / "theirs"), str(root)]
    subprocess.run(command, capture_output=True, check=False)
    for datatype in ("anat", "func", "dwi", "fmap", "perf"):
        ours = list(data_set.glob(f"sub-*/ses-*/{datatype}/*.nii.gz"))
        told = [json.loads(path.read_text()) for path in (tmp_path / "theirs").glob("*.json")]
        theirs = [each for each in told if each.get("BidsGuess", [""])[0] == datatype]
        assert len(ours) >= len(theirs), datatype
    assert errors_of(data_set) == []
