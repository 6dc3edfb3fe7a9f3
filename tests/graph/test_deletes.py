"""Deleting entities, and what of them nothing holds any more."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from sqlalchemy import event

from dicom_graph.graph.node import global_id
from dicom_graph.importing.entities import NoSuchEntityError, delete_entity
from dicom_graph.importing.foreground import Report
from dicom_graph.store.edit.prune import prune
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import BatchWriter
from dicom_graph.store.migrate import upgrade
from tests.store.test_ingest import write
from tests.support.contents import Tables, assert_consistent, contents
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, make_series, save
from tests.support.samples import mostly_slow

Import = Callable[..., Report]
PAYLOAD = "deletedId nStudies nSeries nImages nFiles errors { field code message }"


def with_nested(**elements: Any) -> Dataset:
    """A header whose sequence holds a sequence, with values of its own in both."""
    inner, outer = Dataset(), Dataset()
    inner.CodeMeaning = f"inner of {elements['SOPInstanceUID']}"
    outer.ScheduledProcedureStepID = elements["SOPInstanceUID"][-16:]
    outer.ScheduledProtocolCodeSequence = [inner]
    data_set = make_data_set(**elements)
    data_set.RequestAttributesSequence = [outer]
    data_set.private_block(0x0029, elements["PatientID"], create=True).add_new(1, "LO", "private")
    return data_set


def make_archive(folder: Path) -> dict[str, Path]:
    """Two patients of two studies of two series of three images each, and a study they share."""
    series = {}
    for patient in "12":
        for study in (f"1.{patient}.1", f"1.{patient}.2", "1.9"):
            for number in (1, 2):
                uid = f"{study}.{patient}.{number}"
                place = series[uid] = folder / f"p{patient}" / uid
                for image in range(3):
                    data_set = with_nested(
                        PatientID=f"p{patient}", StudyInstanceUID=study, SeriesInstanceUID=uid,
                        SOPInstanceUID=f"{uid}.{image}", InstanceNumber=image,
                    )  # fmt: skip
                    save(data_set, place / f"{image}.dcm")
    return series


def key_of(database: Database, entity: str, uid: str) -> int:
    return next(id for id, known in Tables(database).uids(entity).items() if known == uid)


async def remove(
    graph: Graph, entity: str, uid: str, *, delete_files: bool = False
) -> dict[str, Any]:
    name = entity.capitalize()
    mutation = f"mutation ($in: DeleteInput!) {{ delete{name}(input: $in) {{ {PAYLOAD} }} }}"
    id = global_id(name, key_of(graph.database, entity, uid))
    data = await graph(mutation, **{"in": {"id": id, "deleteFiles": delete_files}})
    payload: dict[str, Any] = data[f"delete{name}"]
    assert payload["deletedId"] in (id, None)
    return payload


def imported(folder: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """What a new database holds after it took these files at once."""
    database = Database(f"sqlite:///{folder / 'alone.sqlite3'}")
    upgrade(database)
    write(database, paths)
    found = contents(database)
    database.close_writer()
    return found


CASES = [
    ("patient", "p1", "p1/", (2, 6, 18)),
    ("study", "1.1.1", "/1.1.1.", (1, 2, 6)),
    ("study", "1.9", "/1.9.", (1, 4, 12)),
    ("series", "1.1.1.1.2", "/1.1.1.1.2/", (0, 1, 3)),
    ("image", "1.1.1.1.2.0", "/1.1.1.1.2/0.dcm", (0, 0, 1)),
]


@pytest.mark.parametrize(("entity", "uid", "part", "counts"), mostly_slow(CASES, 2))
async def test_deleted_and_pruned_is_as_never_imported(
    entity: str, uid: str, part: str, counts: tuple[int, int, int],
    tmp_path: Path, import_files: Import, graph: Graph, database: Database,
) -> None:  # fmt: skip
    make_archive(tmp_path / "a")
    import_files(tmp_path / "a")
    payload = await remove(graph, entity, uid)
    assert payload["errors"] == []
    assert (payload["nStudies"], payload["nSeries"], payload["nImages"]) == counts
    assert payload["nFiles"] == 0
    assert_consistent(database)
    prune(database)
    assert_consistent(database)
    every = sorted((tmp_path / "a").rglob("*.dcm"))
    left = [path for path in every if part not in f"{path}"]
    assert len(every) == 36
    assert len(every) - len(left) == counts[2]
    assert contents(database) == imported(tmp_path, left)


async def test_what_is_left_empty_stays_unless_its_parent_goes(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_series(tmp_path / "a", 2, SeriesInstanceUID="1.2.3", StudyInstanceUID="1.2")
    import_files(tmp_path / "a")
    question = "{ patients { nodes { uid nSeries } } studies { nodes { uid nImages } } }"
    payload = await remove(graph, "series", "1.2.3")
    assert (payload["nSeries"], payload["nImages"]) == (1, 2)
    left = {
        "patients": {"nodes": [{"uid": "patient-1", "nSeries": 0}]},
        "studies": {"nodes": [{"uid": "1.2", "nImages": 0}]},
    }
    assert await graph(question) == left
    await remove(graph, "study", "1.2")
    assert await graph(question) == left | {"studies": {"nodes": []}}
    await remove(graph, "patient", "patient-1")
    assert await graph(question) == {"patients": {"nodes": []}, "studies": {"nodes": []}}
    assert import_files(tmp_path / "a").counts.created == 2


async def test_an_image_without_a_series_can_be_deleted(
    tmp_path: Path, import_files: Import, graph: Graph, database: Database
) -> None:
    make_file(tmp_path / "a" / "1.dcm", SeriesInstanceUID=None, SOPInstanceUID="1.2")
    import_files(tmp_path / "a")
    assert (await remove(graph, "image", "1.2"))["nImages"] == 1
    prune(database)
    tables = assert_consistent(database)
    for name in ("image", "header", "header_element", "data_element", "file", "directory"):
        assert tables[name] == []


async def test_ids_that_name_nothing(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    make_file(tmp_path / "a" / "1.dcm")
    import_files(tmp_path / "a")
    before = contents(graph.database)
    mutation = f"mutation ($id: ID!) {{ deleteStudy(input: {{id: $id}}) {{ {PAYLOAD} }} }}"
    wrong = (
        (global_id("Study", 99), "NOT_FOUND"),
        (global_id("Series", 1), "BAD_ID"),
        ("", "BAD_ID"),
    )
    for id, code in wrong:
        payload = (await graph(mutation, id=id))["deleteStudy"]
        assert payload["deletedId"] is None
        assert [(e["field"], e["code"]) for e in payload["errors"]] == [("id", code)]
    assert contents(graph.database) == before


def test_a_deletion_takes_as_many_statements_for_60_images_as_for_6(
    tmp_path: Path, import_files: Import, database: Database
) -> None:
    statements: list[str] = []
    for number, size in enumerate((6, 60)):
        make_series(tmp_path / "a" / str(size), size, SeriesInstanceUID=f"1.{number}")
    import_files(tmp_path / "a")
    event.listen(
        database.writer, "before_cursor_execute", lambda *event: statements.append(event[2])
    )
    counted = []
    for number in (0, 1):
        key = key_of(database, "series", f"1.{number}")
        statements.clear()
        delete_entity(database, "series", key)
        counted.append(len(statements))
    assert counted[0] == counted[1]


@pytest.mark.parametrize("entity", mostly_slow(["series", "image", "study", "patient"], 4))
@pytest.mark.parametrize("pruned", [False, True])
def test_a_writer_forgets_what_was_deleted_meanwhile(
    entity: str, pruned: bool, tmp_path: Path, database: Database
) -> None:
    uids = {"image": "1.1.1.1.1.0", "series": "1.1.1.1.1", "study": "1.1.1", "patient": "p1"}
    make_archive(tmp_path / "a")
    paths = sorted((tmp_path / "a").rglob("*.dcm"))
    writer = BatchWriter()
    write(database, paths[::2], writer)
    delete_entity(database, entity, key_of(database, entity, uids[entity]))
    if pruned:
        prune(database)
    write(database, paths[1::2], writer)
    assert_consistent(database)
    write(database, paths, writer)
    prune(database)
    assert_consistent(database)
    assert contents(database) == imported(tmp_path, paths)


def test_prune_leaves_nothing_of_an_empty_archive(
    tmp_path: Path, import_files: Import, database: Database
) -> None:
    make_archive(tmp_path / "a")
    import_files(tmp_path / "a")
    before = Tables(database)
    none = prune(database)
    assert (none.elements, none.sets, none.definitions, none.directories) == (0, 0, 0, 0)
    for uid in ("p1", "p2"):
        delete_entity(database, "patient", key_of(database, "patient", uid))
    pruned = prune(database)
    assert pruned.elements == len(before["data_element"])
    assert pruned.values == len(before["data_element_value"])
    assert pruned.items == len([h for h in before["header"] if h["element_id"] is not None])
    assert pruned.definitions == len(before["data_element_definition"])
    assert pruned.directories == len(before["directory"])
    tables = Tables(database)
    kept = {"import_job", "generation", "secret", "image_format", "reading_version"}
    assert {name for name, rows in tables.rows.items() if rows} <= kept


@pytest.mark.slow
def test_imports_deletions_and_prunes_at_once(
    tmp_path: Path, database: Database, database_url: str
) -> None:
    make_archive(tmp_path / "a")
    paths = sorted((tmp_path / "a").rglob("*.dcm"))
    ended = threading.Event()
    failures: list[BaseException] = []

    def guarded(work: Callable[[Database], None]) -> threading.Thread:
        def run() -> None:
            own = Database(database_url)
            try:
                work(own)
            except BaseException as error:
                failures.append(error)
            own.close_writer()

        return threading.Thread(target=run)

    def imports(order: Sequence[Path]) -> Callable[[Database], None]:
        def work(own: Database) -> None:
            writer = BatchWriter()
            for _ in range(3):
                for start in range(0, len(order), 4):
                    write(own, order[start : start + 4], writer)

        return work

    def deletes(own: Database) -> None:
        while not ended.is_set():
            for entity in ("image", "series", "study", "patient"):
                for key in sorted(Tables(own, entity).uids(entity))[::3]:
                    try:
                        delete_entity(own, entity, key)
                    except NoSuchEntityError:
                        continue
            prune(own)

    importers = [guarded(imports(order)) for order in (paths, paths[::-1])]
    deleter = guarded(deletes)
    for thread in (*importers, deleter):
        thread.start()
    for thread in importers:
        thread.join(timeout=120)
    ended.set()
    deleter.join(timeout=60)
    assert failures == []
    assert_consistent(database)
    write(database, paths)
    prune(database)
    assert_consistent(database)
    expected = imported(tmp_path, paths)
    found = contents(database)
    assert found["headers"] == expected["headers"]
    assert found["elements"] == expected["elements"]


async def test_an_element_that_was_pruned_is_gone_from_the_servers_memory(
    tmp_path: Path, import_files: Import, graph: Graph, database: Database
) -> None:
    make_file(tmp_path / "a" / "1.dcm", StudyInstanceUID="1.2", ProtocolName="only here")
    make_file(tmp_path / "a" / "2.dcm")
    import_files(tmp_path / "a")
    (element,) = (
        await graph('{ dataElements(filter: {text: {eq: "only here"}}) { nodes { id value } } }')
    )["dataElements"]["nodes"]
    question = "query ($id: ID!) { node(id: $id) { ... on DataElement { value } } }"
    assert (await graph(question, id=element["id"]))["node"] == {"value": "only here"}
    await remove(graph, "study", "1.2")
    assert (await graph(question, id=element["id"]))["node"] == {"value": "only here"}
    prune(database)
    assert (await graph(question, id=element["id"]))["node"] is None


async def test_files_are_deleted_only_inside_the_storage_root(
    tmp_path: Path, import_files: Import, graph: Graph, database: Database
) -> None:
    stored, elsewhere = tmp_path / "stored", tmp_path / "elsewhere"
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
    inside = make_series(stored, 3, **uids)
    outside = make_file(elsewhere / "9.dcm", **uids)
    import_files(stored, elsewhere)
    before = contents(database)
    for root in (None, stored):
        graph.storage_root = root
        payload = await remove(graph, "study", "1.2", delete_files=True)
        assert payload["deletedId"] is None
        (error,) = payload["errors"]
        assert (error["field"], error["code"]) == ("deleteFiles", "OUTSIDE_STORAGE_ROOT")
        assert contents(database) == before
    assert all(path.exists() for path in (*inside, outside))
    uid = next(u for u, image in before["image"].items() if image["number"] == 2)
    payload = await remove(graph, "image", uid, delete_files=True)
    assert (payload["nImages"], payload["nFiles"], payload["errors"]) == (1, 1, [])
    assert [path.exists() for path in inside] == [True, False, True]
    assert (await remove(graph, "study", "1.2"))["nImages"] == 3
    assert [path.exists() for path in (*inside, outside)] == [True, False, True, True]


async def test_a_link_out_of_the_storage_root_is_outside(
    tmp_path: Path, import_files: Import, graph: Graph, database: Database
) -> None:
    stored, elsewhere = tmp_path / "stored", tmp_path / "elsewhere"
    stored.mkdir()
    uids = {"StudyInstanceUID": "1.2"}
    targets = [make_file(elsewhere / f"{n}.dcm", **uids, SOPInstanceUID=f"1.{n}") for n in (1, 2)]
    (stored / "link.dcm").symlink_to(targets[0])
    (elsewhere / "sub").mkdir()
    targets[1] = targets[1].rename(elsewhere / "sub" / "2.dcm")
    (stored / "sub").symlink_to(elsewhere / "sub")
    import_files(stored)
    graph.storage_root = stored
    for uid in ("1.1", "1.2"):
        payload = await remove(graph, "image", uid, delete_files=True)
        assert [error["code"] for error in payload["errors"]] == ["OUTSIDE_STORAGE_ROOT"]
    assert all(path.exists() for path in targets)
    assert len(contents(database)["image"]) == 2


async def test_a_file_that_is_gone_already_does_not_hinder(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = make_file(tmp_path / "1.dcm", SOPInstanceUID="1.1")
    import_files(tmp_path)
    path.unlink()
    graph.storage_root = tmp_path
    payload = await remove(graph, "image", "1.1", delete_files=True)
    assert (payload["nImages"], payload["nFiles"], payload["errors"]) == (1, 0, [])
