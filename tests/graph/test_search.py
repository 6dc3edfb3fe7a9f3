"""Searching everything: what is found, and in which text, against what pydicom reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from sqlalchemy import event

from dicom_graph.access.principal import Principal, Role
from tests.support.graph import Graph
from tests.support.make import make_data_set, save

QUESTION = """query ($text: String!, $first: Int! = 100) { search(text: $text, first: $first) {
  patients { node { uid } texts { of field text word start } }
  studies { node { uid } texts { of field text word start } }
  series { node { uid } texts { of field text word start } }
  definitions { node { tag keyword } texts { of field text word start } }
  values { node { __typename raw } element { tag values { raw } } definition { tag }
    texts { of field text word start } } } }"""
LOOKED_INTO = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}


def _write(folder: Path) -> list[Path]:
    paths = []
    for number, (name, study, series) in enumerate(
        [
            ("Müller^Ida", "Knie links", "t1_KNEE"),
            ("Ohm^Georg", "Head", "t2 knie"),
            ("Ohm^Georg", "Head", "pd"),
        ]
    ):
        item = Dataset()
        item.CodeMeaning = f"Kniegelenk {number}"
        data_set = make_data_set(
            PatientID=f"P{number}", PatientName=name, StudyDescription=study,
            SeriesDescription=series, SpecificCharacterSet="ISO_IR 192",
            ImageType=["ORIGINAL", "PRIMARY", f"X{number}"],
            ProcedureCodeSequence=[item], ImageComments="ein langer Text vom Knie " * 20,
        )  # fmt: skip
        block = data_set.private_block(0x0019, "KNIE WORKS", create=True)
        block.add_new(0x9C, "LO", "privat")
        paths.append(save(data_set, folder / f"{number}.dcm"))
    return paths


def _texts(data_set: Dataset) -> Iterator[tuple[str, str]]:
    """Tag and text of each value that a search looks into, nested ones too."""
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        elif element.VR in LOOKED_INTO and element.value:
            values = [element.value] if element.VM == 1 else element.value
            tag = f"({element.tag.group:04X},{element.tag.element:04X})"
            if element.tag.is_private and element.tag.element > 0xFF:
                tag = f"({element.tag.group:04X},xx{element.tag.element & 0xFF:02X})"
            yield from ((tag, str(value)) for value in values)


async def test_every_kind_is_found_with_its_texts(
    graph: Graph, import_files: Any, tmp_path: Path
) -> None:
    paths = _write(tmp_path / "files")
    import_files(tmp_path / "files")
    truth = {pair for path in paths for pair in _texts(dcmread(path))}

    for text in (
        "knie",
        "KNIE",
        "müller",
        "Original",
        "knie text",
        "privat",
        "e",
        "nothing at all",
    ):
        found = (await graph(QUESTION, text=text))["search"]
        words = text.lower().split()
        wanted = {(tag, value) for tag, value in truth if all(w in value.lower() for w in words)}
        values = [(each["definition"]["tag"], each["texts"][0]["text"]) for each in found["values"]]
        assert set(values) == wanted, text
        assert len(values) == len(wanted)
        assert [len(value) for _, value in values] == sorted(len(value) for _, value in values)
        for kind in found.values():
            for match in kind:
                assert {each["word"].lower() for each in match["texts"]} == set(words)
                for each in match["texts"]:
                    end = each["start"] + len(each["word"])
                    assert each["text"][each["start"] : end].lower() == each["word"].lower()
        for match in found["values"]:
            assert match["texts"][0]["text"] == match["node"]["raw"]
            assert match["node"]["raw"] in [value["raw"] for value in match["element"]["values"]]

    found = (await graph(QUESTION, text="knie"))["search"]
    assert {each["node"]["uid"] for each in found["patients"]} == set()
    assert [each["texts"][0]["text"] for each in found["studies"]] == ["Knie links"]
    in_series = [[(t["of"], t["field"]) for t in each["texts"]] for each in found["series"]]
    assert sorted(in_series) == [[("SERIES", "DESCRIPTION")], [("STUDY", "DESCRIPTION")]]
    assert [each["texts"][0]["field"] for each in found["definitions"]] == ["PRIVATE_CREATOR"]
    uid = str(dcmread(paths[0]).SeriesInstanceUID)
    found = (await graph(QUESTION, text=f"MÜLLER {uid} t1"))["search"]
    assert [each["node"]["uid"] for each in found["series"]] == [uid]
    of = {(t["of"], t["field"]) for t in found["series"][0]["texts"]}
    assert of == {
        ("PATIENT", "NAME"),
        ("PATIENT", "FAMILY_NAME"),
        ("SERIES", "UID"),
        ("SERIES", "DESCRIPTION"),
    }

    for tag in ("0019,xx9C", "(0019,109C)", "0019109c"):
        found = (await graph(QUESTION, text=tag))["search"]["definitions"]
        assert [each["node"]["tag"] for each in found] == ["(0019,xx9C)"]
        assert [(t["field"], t["text"]) for t in found[0]["texts"]] == [("TAG", "(0019,xx9C)")]
    found = (await graph(QUESTION, text="echo time"))["search"]["definitions"]
    assert [each["node"]["keyword"] for each in found] == ["EchoTime"]
    found = (await graph(QUESTION, text=uid[:20]))["search"]["values"]
    assert uid in [each["texts"][0]["text"] for each in found]
    assert all(each["texts"][0]["text"].startswith(uid[:20]) for each in found)
    assert (await graph(QUESTION, text=uid[1:20]))["search"]["values"] == []

    assert not any((await graph(QUESTION, text="  "))["search"].values())
    found = (await graph(QUESTION, text="e", first=1))["search"]
    assert {len(kind) for kind in found.values()} == {1}
    for bad in ({"text": "a", "first": 101}, {"text": "a", "first": -1}, {"text": "a " * 21}):
        result = await graph.execute(QUESTION, **bad)
        assert result.data == {"search": None}
        assert result.errors[0].extensions["code"] == "BAD_INPUT"


async def test_only_values_that_are_found_are_looked_at_without_identities(
    graph: Graph, import_files: Any, tmp_path: Path
) -> None:
    _write(tmp_path / "files")
    import_files(tmp_path / "files")
    graph.principal = Principal("blind", Role.VIEWER, deidentified=True)
    asked: list[tuple[str, Any]] = []
    event.listen(
        graph.database.reader.sync_engine, "before_cursor_execute",
        lambda _c, _cursor, statement, values, *_: asked.append((statement, values)),
    )  # fmt: skip
    for text, texts in (("original", {"ORIGINAL"}), ("privat", set()), ("müller", set())):
        values = (await graph(QUESTION, text=text))["search"]["values"]
        assert {each["texts"][0]["text"] for each in values} == texts
    if graph.database.is_sqlite:
        statement, given = next(each for each in asked if "same_text" in each[0])
        async with graph.database.read() as connection:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
            assert not any("SCAN main.data_element" in row[3] for row in plan)
