"""Elements, shared sets and entities as batches of files write them."""

import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import Table

from dicom_graph.importing.foreground import Report
from dicom_graph.importing.reader import FileReader
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import BatchWriter, FileRecord, Mode, Outcome, ReadFile
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.tables.headers import DataElementDefinition
from tests.support.contents import Tables, assert_consistent, contents
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, make_series, save

Import = Callable[..., Report]


def read(path: Path, mode: Mode = Mode.FULL) -> ReadFile:
    status = path.stat()
    record = FileRecord(str(path.parent), path.name, status.st_size, status.st_mtime_ns)
    result = FileReader(mode).read(record)
    assert isinstance(result, ReadFile)
    return result


def write(
    database: Database, paths: Sequence[Path], writer: BatchWriter | None = None
) -> list[Outcome]:
    with database.writer.begin() as connection:
        return (writer or BatchWriter()).write(connection, [read(path) for path in paths], None)


def digests_of(paths: Sequence[Path], mode: Mode = Mode.FULL) -> dict[str, list[str]]:
    files = [read(path, mode) for path in paths]
    return {
        file.entities.image.uid: sorted(element.digest.hex() for element in file.elements)
        for file in files
    }


def image_header(tables: Tables, path: Path) -> dict[str, Any]:
    uid = read(path).entities.image.uid
    image_id = next(id for id, known in tables.uids("image").items() if known == uid)
    return next(header for header in tables["header"] if header["image_id"] == image_id)


def with_sequence_and_private(**elements: Any) -> Dataset:
    data_set = make_data_set(**elements)
    code = Dataset()
    code.CodeValue = "T-A0100"
    code.CodeMeaning = "Brain"
    step = Dataset()
    step.ScheduledProcedureStepID = "step"
    step.ScheduledProtocolCodeSequence = [code]
    data_set.RequestAttributesSequence = [step, code]
    data_set.private_block(0x0029, "A VENDOR", create=True).add_new(1, "LO", "private")
    return data_set


def make_uneven_series(folder: Path) -> list[Path]:
    """A series in which images have more, fewer and other elements than their neighbours."""
    shared = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    extra: list[dict[str, Any]] = [
        {}, {}, {}, {"EchoTime": None}, {"EchoTime": 5.0, "FlipAngle": 90.0}, {"ImageType": None},
        {"Rows": 4, "Columns": 4}, {}, {"PatientSex": None, "SeriesDescription": None}, {},
    ]  # fmt: skip
    return [
        save(
            with_sequence_and_private(**shared, **elements, InstanceNumber=number),
            folder / f"{number}.dcm",
        )
        for number, elements in enumerate(extra)
    ]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_headers_hold_exactly_the_elements_of_their_files(
    database: Database, tmp_path: Path, batch_size: int
) -> None:
    paths = make_uneven_series(tmp_path)
    writer = BatchWriter()
    for start in range(0, len(paths), batch_size):
        write(database, paths[start : start + batch_size], writer)
    tables = assert_consistent(database)
    assert tables.headers_by_uid() == digests_of(paths)
    members = {row["id"]: row["members"] for row in tables["element_set"]}
    assert 1 <= len(members) < len(paths)
    assert all(image_header(tables, path)["shared_set_id"] in members for path in paths)


async def test_elements_come_back_through_the_schema(
    import_files: Import, graph: Graph, tmp_path: Path
) -> None:
    paths = make_uneven_series(tmp_path / "a")
    import_files(tmp_path / "a")
    data = await graph("{ images { nodes { uid header { elements { tag } } } } }")
    found = {
        image["uid"]: sorted(element["tag"] for element in image["header"]["elements"])
        for image in data["images"]["nodes"]
    }
    expected = {}
    for file in map(read, paths):
        tags = [f"{element.tag >> 16:04X},{element.tag & 0xFFFF:04X}" for element in file.elements]
        expected[file.entities.image.uid] = sorted(tags)
    assert {uid: [tag.strip("()") for tag in tags] for uid, tags in found.items()} == expected


def test_an_image_alone_reuses_the_shared_set_that_fits(database: Database, tmp_path: Path) -> None:
    *first, alone = make_series(tmp_path, 4)
    write(database, first)
    (shared,) = Tables(database)["element_set"]
    write(database, [alone])
    tables = assert_consistent(database)
    assert [row["id"] for row in tables["element_set"]] == [shared["id"]]
    assert image_header(tables, alone)["shared_set_id"] == shared["id"]
    assert tables.headers_by_uid() == digests_of([*first, alone])


def test_an_image_alone_that_fits_no_set_makes_one_that_the_next_one_uses(
    database: Database, tmp_path: Path
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    first = make_series(tmp_path / "a", 3, **uids)
    odd = make_series(tmp_path / "b", 2, **uids, EchoTime=None)
    write(database, first)
    write(database, odd[:1])
    tables = assert_consistent(database)
    assert len(tables["element_set"]) == 2
    odd_set = image_header(tables, odd[0])["shared_set_id"]
    write(database, odd[1:])
    tables = assert_consistent(database)
    assert len(tables["element_set"]) == 2
    assert image_header(tables, odd[1])["shared_set_id"] == odd_set
    assert tables.headers_by_uid() == digests_of([*first, *odd])


def test_equal_elements_are_stored_once_over_files_and_sequences(
    database: Database, tmp_path: Path
) -> None:
    paths = [
        save(with_sequence_and_private(PatientID=f"p{n}"), tmp_path / f"{n}.dcm") for n in range(6)
    ]
    for path in paths:
        write(database, [path])
    tables = assert_consistent(database)
    per_file = [set(digests) for digests in digests_of(paths).values()]
    # Own in each file: SOPInstanceUID, StudyInstanceUID, SeriesInstanceUID and PatientID. Beside
    # them: what is in the items of the one sequence.
    everything = set().union(*per_file)
    assert len(everything) == len(per_file[0]) + 5 * 4
    nested = {"CodeValue", "CodeMeaning", "ScheduledProcedureStepID",
              "ScheduledProtocolCodeSequence"}  # fmt: skip
    assert len(tables["data_element"]) == len(everything) + len(nested)
    # RequestAttributesSequence has two items; the code is an item of the inner sequence too.
    items = [header for header in tables["header"] if header["element_id"] is not None]
    assert len(items) == 3
    assert len(tables["header"]) == len(items) + len(paths)


def test_reverse_tables_agree_after_modes_and_rewrites(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    paths = make_uneven_series(folder)
    for mode in (Mode.NORMAL, Mode.MINIMAL, Mode.FULL):
        import_files(folder, mode=mode, pattern="[0-4].dcm")
        assert_consistent(database)
    import_files(folder, mode=Mode.MINIMAL)
    make_file(paths[1], SOPInstanceUID=read(paths[1]).entities.image.uid, EchoTime=77.0)
    import_files(folder)
    tables = assert_consistent(database)
    assert tables.headers_by_uid() == digests_of(paths)


def test_modes_add_up_and_a_lesser_one_changes_nothing(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    path = save(with_sequence_and_private(), folder / "1.dcm")
    counts = import_files(folder, mode=Mode.MINIMAL).counts
    assert (counts.created, counts.updated) == (1, 0)
    assert Tables(database).headers_by_uid() == {}
    for mode in (Mode.NORMAL, Mode.FULL):
        counts = import_files(folder, mode=mode).counts
        assert (counts.created, counts.updated, counts.existing) == (0, 1, 0)
        assert assert_consistent(database).headers_by_uid() == digests_of([path], mode)
    before = contents(database)
    for mode in (Mode.NORMAL, Mode.MINIMAL):
        counts = import_files(folder, mode=mode).counts
        assert (counts.created, counts.updated, counts.existing) == (0, 0, 1)
        assert contents(database) == before


def test_normal_mode_keeps_sequences_and_no_private_element(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    data_set = with_sequence_and_private()
    block = data_set.RequestAttributesSequence[0].private_block(0x0029, "A VENDOR", create=True)
    block.add_new(1, "LO", "nested private")
    save(data_set, tmp_path / "a" / "1.dcm")
    import_files(tmp_path / "a", mode=Mode.NORMAL)
    definitions = Tables(database)["data_element_definition"]
    assert "RequestAttributesSequence" in {row["keyword"] for row in definitions}
    assert [row for row in definitions if row["tag"] >> 16 & 1] == []


def test_one_uid_twice_in_a_batch_is_one_image_of_two_files(
    database: Database, tmp_path: Path
) -> None:
    uid = generate_uid()
    first = make_file(tmp_path / "1.dcm", SOPInstanceUID=uid, EchoTime=1.0)
    second = make_file(tmp_path / "2.dcm", SOPInstanceUID=uid, EchoTime=2.0)
    assert write(database, [first, second]) == [Outcome.CREATED, Outcome.EXISTING]
    tables = assert_consistent(database)
    assert tables.headers_by_uid() == digests_of([first])
    assert [(row["name"], row["image_id"]) for row in tables["file"]] == [
        ("1.dcm", tables["image"][0]["id"]),
        ("2.dcm", tables["image"][0]["id"]),
    ]


def warnings_of(database: Database, path: Path) -> list[str]:
    images = contents(database)["image"]
    return images[read(path).entities.image.uid]["warnings"] or []


def test_an_image_that_contradicts_its_series_gets_warnings(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    first = make_file(tmp_path / "a" / "1.dcm", **uids)
    other = make_file(
        tmp_path / "a" / "2.dcm", **(uids | {"StudyInstanceUID": generate_uid()}),
        PatientID="somebody else", Modality="CT",
    )  # fmt: skip
    import_files(tmp_path / "a")
    assert warnings_of(database, first) == []
    warnings = "\n".join(warnings_of(database, other))
    assert all(word in warnings for word in ("PatientID", "StudyInstanceUID", "Modality"))
    assert len(warnings_of(database, other)) == 3
    assert contents(database)["series"][uids["SeriesInstanceUID"]]["modality"] == "MR"


def test_another_file_of_an_image_with_another_patient_gives_one_warning(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    uid = generate_uid()
    path = make_file(tmp_path / "a" / "1.dcm", SOPInstanceUID=uid)
    import_files(tmp_path / "a")
    make_file(tmp_path / "b" / "1.dcm", SOPInstanceUID=uid, PatientID="somebody else")
    for _ in range(2):
        import_files(tmp_path / "b")
    found = [w for w in warnings_of(database, path) if "PatientID" in w]
    assert len(found) == 1
    assert "somebody else" not in found[0]


async def test_images_without_a_patient_id_belong_to_no_patient(
    import_files: Import, graph: Graph, tmp_path: Path
) -> None:
    make_file(tmp_path / "a" / "1.dcm", PatientID=None, PatientName="One")
    make_file(tmp_path / "a" / "2.dcm", PatientID="", PatientName="Two")
    assert import_files(tmp_path / "a").counts.created == 2
    data = await graph("{ patients { totalCount } series { nodes { patient { uid } nImages } } }")
    assert data["patients"]["totalCount"] == 0
    assert data["series"]["nodes"] == [{"patient": None, "nImages": 1}] * 2


async def test_images_without_series_or_study_uid_are_kept(
    import_files: Import, graph: Graph, tmp_path: Path
) -> None:
    make_file(tmp_path / "a" / "1.dcm", SOPInstanceUID="1.1", SeriesInstanceUID=None)
    make_file(tmp_path / "a" / "2.dcm", SOPInstanceUID="1.2", StudyInstanceUID=None)
    assert import_files(tmp_path / "a").counts.created == 2
    data = await graph(
        """{ a: imageByUid(uid: "1.1") { series { uid } header { element(keyword: "EchoTime") {
               tag } } }
             b: imageByUid(uid: "1.2") { series { study { uid } patient { uid } } } }"""
    )
    assert data["a"]["series"] is None
    assert data["a"]["header"]["element"] is not None
    assert data["b"]["series"] == {"study": None, "patient": {"uid": "patient-1"}}


def make_overlapping_tree(folder: Path) -> list[Path]:
    """Series that share patients, studies and elements, and an image that lies there twice."""
    study = generate_uid()
    for number in range(6):
        make_series(
            folder / str(number), 8, PatientID=f"patient-{number % 2}", StudyInstanceUID=study,
            SeriesInstanceUID=f"1.2.{number}", SeriesNumber=number,
        )  # fmt: skip
    shutil.copy(folder / "0" / "0001.dcm", folder / "0" / "copy.dcm")
    return sorted(path for path in folder.rglob("*.dcm"))


def write_all(url: str, paths: Sequence[Path], start: threading.Barrier) -> None:
    database = Database(url)
    writer = BatchWriter()
    start.wait(timeout=30)
    for first in range(0, len(paths), 5):
        write(database, paths[first : first + 5], writer)
    database.close_writer()


def test_two_writers_of_the_same_files_at_once_end_in_the_content_of_one(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    paths = make_overlapping_tree(tmp_path / "tree")
    start = threading.Barrier(2)
    failures: list[BaseException] = []

    def run(order: Sequence[Path]) -> None:
        try:
            write_all(database_url, order, start)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(p,)) for p in (paths, paths[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)
    assert_consistent(database)
    alone = Database(f"sqlite:///{tmp_path / 'alone.sqlite3'}")
    upgrade(alone)
    write(alone, paths)
    assert contents(database) == contents(alone)
    alone.close_writer()


def test_a_definition_that_an_older_dictionary_named_otherwise_is_renamed(
    database: Database, import_files: Import, tmp_path: Path
) -> None:
    def made(name: str, speed: str) -> Path:
        data_set = make_data_set()
        data_set.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x23, "DS", speed)
        return save(data_set, tmp_path / name)

    def names() -> list[str]:
        rows = Tables(database)["data_element_definition"]
        return [row["name"] for row in rows if row["tag"] == 0x00190023]

    import_files(made("first.dcm", "1.5"))
    with database.writer.begin() as connection:
        table: Table = DataElementDefinition.__table__  # type: ignore[assignment]
        connection.execute(
            table.update().where(table.c.tag == 0x00190023).values(name="Table Speed [mm/rotation")
        )
    # A value that is not known yet, and one that is.
    report = import_files(made("second.dcm", "2.5"), made("third.dcm", "1.5"))
    assert (report.counts.failed, names()) == (0, ["Table Speed [mm/rotation]"])
