"""Reading the files of an entity again."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.foreground import Report
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from tests.graph.test_edits import ENTITIES, VALUES, enum_name, fields_of, the_id, update
from tests.support.contents import Tables, assert_consistent, contents
from tests.support.graph import Graph
from tests.support.make import make_file, make_series
from tests.support.waiting import until

Import = Callable[..., Report]
IDENTITY = {"SOPInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}


async def ask(graph: Graph, entity: str, **options: Any) -> dict[str, Any]:
    """The payload of a refresh of the first entity of a kind."""
    given = {"id": await the_id(graph, entity)} | options
    mutation = """mutation ($input: RefreshInput!) { refresh(input: $input) {
        job { id paths } errors { field code message } } }"""
    payload: dict[str, Any] = (await graph(mutation, input=given))["refresh"]
    return payload


def run_jobs(database: Database, *roots: Path, storage_root: Path | None = None) -> dict[str, Any]:
    """Run the waiting imports as a server with these roots does; returns the last one's row."""
    options = ImportOptions(storage_root=storage_root)
    runner = JobRunner(database, roots=tuple(roots), options=options)
    runner.start()
    try:
        until(lambda: Tables(database, "import_job")["import_job"][-1]["finished_at"])
    finally:
        runner.stop()
    return Tables(database, "import_job")["import_job"][-1]


async def refresh(graph: Graph, entity: str, *roots: Path, **options: Any) -> dict[str, Any]:
    """Refresh to the end; returns the job's row."""
    payload = await ask(graph, entity, **options)
    assert payload["errors"] == []
    job = run_jobs(graph.database, *roots)
    assert job["paths"] == payload["job"]["paths"]
    assert (job["status"], job["verify"]) == ("COMPLETED", True)
    return job


def change_in_secret(path: Path, **elements: Any) -> None:
    """Other content of the same size and modification time."""
    before = path.stat()
    make_file(path, **elements)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_refresh_reads_what_neither_size_nor_time_betrays(
    entity: str, tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = make_file(tmp_path / "1.dcm", **IDENTITY, SeriesDescription="before")
    import_files(tmp_path)
    change_in_secret(path, **IDENTITY, SeriesDescription="after ")
    assert import_files(tmp_path).counts.updated == 0
    job = await refresh(graph, entity, tmp_path)
    assert (job["found"], job["images_updated"], job["failed"]) == (1, 1, 0)
    assert (await fields_of(graph, "series"))["description"] == "after"
    question = '{ images { nodes { header { element(keyword: "SeriesDescription") { value } } } } }'
    (image,) = (await graph(question))["images"]["nodes"]
    assert image["header"]["element"]["value"] == "after"
    assert_consistent(graph.database)


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_refresh_of_unchanged_files_changes_nothing(
    mode: Mode, tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_series(tmp_path / "a", 3)
    make_series(tmp_path / "b", 2)
    import_files(tmp_path, mode=mode)
    before = contents(graph.database)
    job = await refresh(graph, "patient", tmp_path)
    assert (job["found"], job["images_existing"], job["images_updated"]) == (5, 5, 0)
    assert contents(graph.database) == before
    assert_consistent(graph.database)


@pytest.mark.parametrize("entity", ENTITIES)
async def test_edits_stay_until_they_are_discarded(
    entity: str, tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_series(tmp_path, 3)
    import_files(tmp_path)
    before = contents(graph.database)
    first, *others = VALUES[entity]
    await update(graph, entity, VALUES[entity])
    edited = await fields_of(graph, entity)
    await refresh(graph, entity, tmp_path)
    assert await fields_of(graph, entity) == edited | {
        "modified": (await fields_of(graph, entity))["modified"]
    }
    await refresh(graph, entity, tmp_path, discardEdits=True, fields=[enum_name(first)])
    half = await fields_of(graph, entity)
    assert half["editedFields"] == [
        name for name in edited["editedFields"] if name != enum_name(first)
    ]
    assert half[first] != edited[first]
    assert [half[name] for name in others] == [edited[name] for name in others]
    await refresh(graph, entity, tmp_path, discardEdits=True)
    assert contents(graph.database) == before


async def test_excluded_fields_stay_as_they_are(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    before = {"SeriesDescription": "before", "EchoTime": 1.5, "InstanceNumber": 1}
    path = make_file(tmp_path / "1.dcm", **IDENTITY, PatientName="A^B", **before)
    import_files(tmp_path)
    await update(graph, "series", {"bodyPartExamined": "KNEE"})
    after = {"SeriesDescription": "after ", "EchoTime": 2.5, "InstanceNumber": 2}
    change_in_secret(path, **IDENTITY, PatientName="C^D", **after)
    excluded = ["DESCRIPTION", "BODY_PART_EXAMINED"]
    await refresh(graph, "series", tmp_path, exclude=excluded, discardEdits=True)
    series = await fields_of(graph, "series")
    found = series["description"], series["echoTime"], series["bodyPartExamined"]
    assert found == ("before", 2.5, "KNEE")
    assert series["editedFields"] == ["BODY_PART_EXAMINED"]
    # Fields of other objects that the same files speak of are written.
    assert (await fields_of(graph, "image"))["number"] == 2
    assert (await fields_of(graph, "patient", "name"))["name"] == "C^D"
    # Once only: the next one writes them, and so it is with each kind of object.
    await refresh(graph, "image", tmp_path)
    assert (await fields_of(graph, "series"))["description"] == "after"
    change_in_secret(path, **IDENTITY, PatientName="E^F", **after | {"InstanceNumber": 3})
    await refresh(graph, "image", tmp_path, exclude=["NUMBER"])
    assert (await fields_of(graph, "image"))["number"] == 2
    await refresh(graph, "image", tmp_path)
    assert (await fields_of(graph, "image"))["number"] == 3
    change_in_secret(path, **IDENTITY, PatientName="G^H", **after)
    await refresh(graph, "patient", tmp_path, exclude=["FAMILY_NAME"])
    patient = await fields_of(graph, "patient", "name")
    assert (patient["name"], patient["givenName"]) == ("E^H", "H")
    wrong = await ask(graph, "series", exclude=["FAMILY_NAME"])
    assert [(e["field"], e["code"]) for e in wrong["errors"]] == [("exclude", "BAD_FIELD")]
    assert "FAMILY_NAME" in wrong["errors"][0]["message"]
    assert_consistent(graph.database)


async def test_the_first_image_decides_although_the_last_is_read_first(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    uids = {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}
    make_file(tmp_path / "z" / "1.dcm", **uids, EchoTime=1.0)
    import_files(tmp_path)
    make_file(tmp_path / "a" / "2.dcm", **uids, EchoTime=2.0, InstanceNumber=2)
    import_files(tmp_path)
    before = contents(graph.database)
    assert before["series"]["1.2.3"]["echo_time"] == 1.0
    await update(graph, "series", {"echoTime": 50.0})
    await refresh(graph, "series", tmp_path, discardEdits=True)
    assert contents(graph.database) == before


async def test_a_copy_with_other_content_does_not_take_over(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_file(tmp_path / "z" / "1.dcm", **IDENTITY, EchoTime=1.0)
    import_files(tmp_path / "z")
    make_file(tmp_path / "a" / "1.dcm", **IDENTITY, EchoTime=2.0)
    import_files(tmp_path / "a")
    before = contents(graph.database)
    assert before["image"]["1.2.3.4"]["warnings"]
    for _ in range(2):
        await refresh(graph, "image", tmp_path)
        assert contents(graph.database) == before
    (tmp_path / "z" / "1.dcm").unlink()
    payload = await ask(graph, "image", discardEdits=True)
    assert [error["code"] for error in payload["errors"]] == ["NO_FILES"]


async def test_files_that_are_listed_may_lie_outside_the_import_roots(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    path = make_file(tmp_path / "elsewhere" / "1.dcm", **IDENTITY, SeriesDescription="before")
    import_files(path.parent)
    change_in_secret(path, **IDENTITY, SeriesDescription="after ")
    job = await refresh(graph, "series", root)
    assert (job["images_updated"], job["failed"]) == (1, 0)
    assert (await fields_of(graph, "series"))["description"] == "after"


async def test_a_link_laid_in_place_of_a_listed_file_leads_nowhere(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    root = tmp_path / "root"
    path = make_file(root / "1.dcm", **IDENTITY, SeriesDescription="before")
    secret = make_file(tmp_path / "elsewhere" / "1.dcm", **IDENTITY, SeriesDescription="secret")
    import_files(root)
    path.unlink()
    path.symlink_to(secret)
    job = await refresh(graph, "series", root)
    assert (job["images_updated"], job["failed"]) == (0, 1)
    assert (await fields_of(graph, "series"))["description"] == "before"


async def test_what_cannot_be_refreshed_is_told_and_stays(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = make_file(tmp_path / "1.dcm", **IDENTITY)
    import_files(tmp_path)
    await update(graph, "series", {"echoTime": 50.0})
    before = contents(graph.database)
    path.unlink()
    gone = await ask(graph, "series", discardEdits=True)
    assert [(e["field"], e["code"]) for e in gone["errors"]] == [("id", "NO_FILES")]
    assert str(path) in gone["errors"][0]["message"]
    unknown = await ask(graph, "series", discardEdits=True, fields=["FAMILY_NAME"])
    assert [(e["field"], e["code"]) for e in unknown["errors"]] == [("fields", "BAD_FIELD")]
    assert "FAMILY_NAME" in unknown["errors"][0]["message"]
    alone = await ask(graph, "series", fields=["ECHO_TIME"])
    assert [(e["field"], e["code"]) for e in alone["errors"]] == [("fields", "BAD_FIELD")]
    job = (await graph("{ importJobs { nodes { id } } }"))["importJobs"]["nodes"][0]["id"]
    for id, code in ((job, "BAD_ID"), ("U3R1ZHk6OTk=", "NOT_FOUND")):
        payload = await ask(graph, "series", id=id)
        assert [(e["field"], e["code"]) for e in payload["errors"]] == [("id", code)]
    assert contents(graph.database) == before
    assert len(Tables(graph.database, "import_job")["import_job"]) == 1
    assert (await ask(graph, "series"))["errors"] == []
    job_row = run_jobs(graph.database, tmp_path)
    assert (job_row["status"], job_row["failed"]) == ("COMPLETED", 1)
    assert contents(graph.database) == before


@pytest.mark.parametrize("storage", ["COPY", "MOVE"])
async def test_files_are_taken_into_the_storage_root_after_their_import(
    storage: str, tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    sources = [*make_series(tmp_path / "a", 3, PatientID="P"), *make_series(tmp_path / "b", 1)]
    import_files(tmp_path / "a", tmp_path / "b", mode=Mode.NORMAL)
    before, wanted = contents(graph.database), {path: path.read_bytes() for path in sources[:3]}
    root = graph.storage_root = tmp_path / "root"
    root.mkdir()
    mutation = """mutation ($input: StoreFilesInput!) { storeFiles(input: $input) {
        job { id } errors { field code message } } }"""
    data = await graph('{ patients(filter: {uid: {eq: "P"}}) { nodes { id } } }')
    given = {"id": data["patients"]["nodes"][0]["id"], "storage": storage}
    assert (await graph(mutation, input=given))["storeFiles"]["errors"] == []
    job = run_jobs(graph.database, tmp_path, storage_root=root)
    assert (job["status"], job["found"], job["failed"]) == ("COMPLETED", 3, 0)
    after = contents(graph.database)
    for name in ("patient", "study", "series", "image", "headers", "elements"):
        assert after[name] == before[name], name
    stored = [Path(folder) / name for folder, name in after["files"]]
    inside = [path for path in stored if path.is_relative_to(root)]
    assert sorted(path.read_bytes() for path in inside) == sorted(wanted.values())
    assert [path for path in stored if path not in inside] == [sources[3]]
    assert [path.exists() for path in sources] == [storage == "COPY"] * 3 + [True]
    for changed, code in (
        ({}, "NO_FILES"),
        ({"storage": "IN_PLACE"}, "BAD_INPUT"),
        ({"id": "UGF0aWVudDo5OQ=="}, "NOT_FOUND"),
    ):
        payload = (await graph(mutation, input=given | changed))["storeFiles"]
        assert [error["code"] for error in payload["errors"]] == [code]
    graph.storage_root = None
    payload = (await graph(mutation, input=given))["storeFiles"]
    assert [error["code"] for error in payload["errors"]] == ["CANNOT_STORE"]
    assert_consistent(graph.database)
