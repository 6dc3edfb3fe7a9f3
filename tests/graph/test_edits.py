"""Editing the fields that describe entities."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.valuerep import PersonName

from dicom_graph.graph.node import global_id
from dicom_graph.importing.foreground import Report
from dicom_graph.store.ingest import Mode
from tests.support.graph import Graph
from tests.support.make import make_file

Import = Callable[..., Report]
IDENTITY = {"SOPInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}
VALUES: dict[str, dict[str, Any]] = {
    "patient": {
        "namePrefix": "Prof", "givenName": "Zoë", "middleName": "山田", "familyName": "O'Neil",
        "nameSuffix": "III", "sex": "O", "dateOfBirth": "1901-02-03",
    },
    "study": {"description": "knee, left", "date": "2001-02-03", "time": "04:05:06.789000"},
    "series": {
        "number": -7, "description": "edited", "date": "2001-02-03", "time": "04:05:06",
        "modality": "CT", "bodyPartExamined": "KNEE", "patientPosition": "HFS",
        "protocolName": "a", "manufacturer": "b", "manufacturerModelName": "c",
        "deviceSerialNumber": "d", "institutionName": "e", "operatorsName": "f\\g",
        "magneticFieldStrength": 6.98, "echoTime": 1.25, "echoTrainLength": 3,
        "inversionTime": 0, "repetitionTime": 1e4, "flipAngle": -12.5, "sliceThickness": 0.1,
        "pixelSpacing": [0.5, 0.25], "scanningSequence": ["SE", "IR"], "sequenceVariant": ["SK"],
        "sequenceName": "*se2d1", "pulseSequenceName": "fse", "mrAcquisitionType": "3D",
        "sequenceType": "FLAIR",
    },
    "image": {"number": 99, "date": "2001-02-03", "time": "04:05:06"},
}  # fmt: skip
ENTITIES = list(VALUES)


async def update(
    graph: Graph, entity: str, changes: dict[str, Any], id: str | None = None
) -> dict[str, Any]:
    """The payload of an update of the one entity of its kind."""
    name = entity.capitalize()
    mutation = f"""mutation ($input: Update{name}Input!) {{ update{name}(input: $input) {{
        {entity} {{ id editedFields modified {" ".join(VALUES[entity])} }}
        errors {{ field code message }} }} }}"""
    given = {"id": id or await the_id(graph, entity)} | changes
    payload: dict[str, Any] = (await graph(mutation, input=given))[f"update{name}"]
    return payload


def enum_name(field: str) -> str:
    """A field's name in enums: echoTime is ECHO_TIME."""
    return re.sub("[A-Z]", lambda match: f"_{match[0]}", field).upper()


async def the_id(graph: Graph, entity: str) -> str:
    return str((await fields_of(graph, entity))["id"])


async def fields_of(graph: Graph, entity: str, *more: str) -> dict[str, Any]:
    """The fields of the first entity of a kind."""
    plural = {"patient": "patients", "study": "studies", "series": "series", "image": "images"}
    wanted = " ".join(["id editedFields modified", *VALUES[entity], *more])
    data = await graph(
        f"{{ {plural[entity]}(orderBy: [{{field: ID}}]) {{ nodes {{ {wanted} }} }} }}"
    )
    node: dict[str, Any] = data[plural[entity]]["nodes"][0]
    return node


@pytest.fixture
def path(tmp_path: Path, import_files: Import) -> Path:
    """One imported image."""
    made = make_file(tmp_path / "1.dcm", **IDENTITY)
    import_files(tmp_path)
    return made


@pytest.mark.parametrize("entity", ENTITIES)
async def test_every_field_can_be_set_and_removed(entity: str, path: Path, graph: Graph) -> None:
    before = await fields_of(graph, entity, "uid created")
    payload = await update(graph, entity, VALUES[entity])
    assert payload["errors"] == []
    after = await fields_of(graph, entity, "uid created")
    given = VALUES[entity]
    assert {name: after[name] for name in given} == given | {
        name: f"{value}" for name, value in given.items() if name == "time"
    }
    assert set(after["editedFields"]) == set(map(enum_name, given))
    assert after["modified"] > before["modified"]
    assert [after[name] for name in ("id", "uid", "created")] == [
        before[name] for name in ("id", "uid", "created")
    ]
    assert payload[entity] == {name: after[name] for name in payload[entity]}
    payload = await update(graph, entity, dict.fromkeys(given))
    assert [payload[entity][name] for name in given] == [None] * len(given)
    assert set(payload[entity]["editedFields"]) == set(map(enum_name, given))


@pytest.mark.parametrize("entity", ENTITIES)
async def test_a_field_that_is_not_given_stays(entity: str, path: Path, graph: Graph) -> None:
    before = await fields_of(graph, entity)
    first, *others = VALUES[entity]
    payload = await update(graph, entity, {first: VALUES[entity][first]})
    assert payload[entity][first] == VALUES[entity][first]
    assert [payload[entity][name] for name in others] == [before[name] for name in others]
    assert payload[entity]["editedFields"] == [enum_name(first)]
    second = others[-1]
    payload = await update(graph, entity, {second: None})
    assert payload[entity][first] == VALUES[entity][first]
    assert set(payload[entity]["editedFields"]) == {enum_name(first), enum_name(second)}
    unchanged = await update(graph, entity, {})
    assert unchanged == payload


async def test_a_changed_file_leaves_what_was_edited_and_renews_the_rest(
    path: Path, import_files: Import, graph: Graph
) -> None:
    await update(graph, "patient", {"sex": "O", "givenName": "Edited"})
    await update(graph, "study", {"description": "edited"})
    await update(graph, "series", {"echoTime": 99.5, "description": None})
    await update(graph, "image", {"number": 77})
    make_file(
        path, **IDENTITY, PatientSex="M", PatientBirthDate="19990101", PatientName="New^Other^M",
        StudyDescription="renewed", StudyDate="20220202", EchoTime=3.5, SeriesDescription="renewed",
        SeriesNumber=12, InstanceNumber=2, InstanceCreationDate="20200202", Rows=7,
    )  # fmt: skip
    assert import_files(path.parent).counts.updated == 1
    patient = await fields_of(graph, "patient", "name")
    assert (patient["sex"], patient["dateOfBirth"]) == ("O", "1999-01-01")
    assert patient["name"] == "New^Edited^M"
    study = await fields_of(graph, "study")
    assert (study["description"], study["date"]) == ("edited", "2022-02-02")
    series = await fields_of(graph, "series")
    assert (series["echoTime"], series["description"], series["number"]) == (99.5, None, 12)
    image = await fields_of(graph, "image", "rows warnings")
    assert (image["number"], image["date"], image["rows"]) == (77, "2020-02-02", 7)
    assert image["warnings"] == []
    assert image["editedFields"] == ["NUMBER"]
    assert set(series["editedFields"]) == {"ECHO_TIME", "DESCRIPTION"}


async def test_a_fuller_import_keeps_what_was_edited(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_file(tmp_path / "1.dcm", **IDENTITY)
    import_files(tmp_path, mode=Mode.MINIMAL)
    await update(graph, "image", {"number": 77})
    assert import_files(tmp_path, mode=Mode.FULL).counts.updated == 1
    image = await fields_of(
        graph, "image", 'header { element(keyword: "InstanceNumber") { value } }'
    )
    assert image["number"] == 77
    assert image["header"]["element"]["value"] == 1


@pytest.mark.parametrize("name", ["Yamada^Tarou=山田^太郎=やまだ^たろう", "Doe^Jo^^^Jr", "X", ""])
async def test_the_whole_name_follows_its_parts(
    tmp_path: Path, import_files: Import, graph: Graph, name: str
) -> None:
    make_file(tmp_path / "1.dcm", PatientName=name, SpecificCharacterSet="ISO_IR 192")
    import_files(tmp_path)
    await update(graph, "patient", {"givenName": "Given", "nameSuffix": None})
    found = PersonName((await fields_of(graph, "patient", "name"))["name"])
    file = PersonName(name)
    assert (found.family_name, found.given_name, found.name_suffix) == (
        file.family_name, "Given", "",
    )  # fmt: skip
    assert found.ideographic == file.ideographic
    assert found.phonetic == file.phonetic
    parts = ("familyName", "givenName", "middleName", "namePrefix", "nameSuffix")
    await update(graph, "patient", dict.fromkeys(parts))
    emptied = (await fields_of(graph, "patient", "name"))["name"]
    assert (PersonName(emptied).ideographic if emptied else "") == file.ideographic


BAD = [
    ("patient", "sex", "m", "BAD_CODE"),
    ("patient", "familyName", "A^B", "BAD_TEXT"),
    ("patient", "familyName", "A=B", "BAD_TEXT"),
    ("patient", "familyName", "A\\B", "BAD_TEXT"),
    ("patient", "givenName", "x" * 65, "TOO_LONG"),
    ("patient", "givenName", " ", "BAD_TEXT"),
    ("study", "description", "a\x00b", "BAD_TEXT"),
    ("study", "description", "a\ud800b", "BAD_TEXT"),
    ("study", "description", "a\nb", "BAD_TEXT"),
    ("study", "description", "x" * 65, "TOO_LONG"),
    ("study", "description", "a\\b", "BAD_TEXT"),
    ("series", "sequenceName", "x" * 17, "TOO_LONG"),
    ("series", "pulseSequenceName", "x" * 17, "TOO_LONG"),
    ("series", "institutionName", "ä" * 65, "TOO_LONG"),
    ("series", "operatorsName", "A\\" + "x" * 65, "TOO_LONG"),
    ("series", "operatorsName", "Aé=" + "x" * 65, "TOO_LONG"),
    ("series", "mrAcquisitionType", "4D", "BAD_CODE"),
    ("series", "scanningSequence", ["NOPE"], "BAD_CODE"),
    ("series", "scanningSequence", ["SE", "SK"], "BAD_CODE"),
    ("series", "sequenceVariant", ["SPOILED"], "BAD_CODE"),
    ("series", "patientPosition", "HEAD", "BAD_CODE"),
    ("series", "modality", "MRI", "BAD_CODE"),
    ("study", "description", "", "BAD_TEXT"),
    ("study", "time", "10:00:00+02:00", "BAD_TIME"),
    ("series", "modality", "magnetic", "BAD_CODE"),
    ("series", "modality", "X" * 17, "BAD_CODE"),
    ("series", "modality", "", "BAD_CODE"),
    ("series", "pixelSpacing", [1.0], "BAD_LENGTH"),
    ("series", "pixelSpacing", [1.0, 1.0, 1.0], "BAD_LENGTH"),
    ("series", "pixelSpacing", [1.0, 0.0], "BAD_NUMBER"),
    ("series", "scanningSequence", [], "BAD_LENGTH"),
    ("series", "scanningSequence", ["SE", "\ud800"], "BAD_CODE"),
    ("series", "sequenceVariant", ["SK"] * 17, "BAD_LENGTH"),
    ("series", "echoTime", -1.0, "BAD_NUMBER"),
    ("series", "echoTrainLength", -1, "BAD_NUMBER"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("entity", "field", "value", "code"), BAD)
async def test_bad_values_are_errors_and_change_nothing(
    path: Path, graph: Graph, entity: str, field: str, value: Any, code: str
) -> None:
    before = await fields_of(graph, entity)
    good = next(name for name in VALUES[entity] if name != field)
    payload = await update(graph, entity, {good: VALUES[entity][good], field: value})
    (error,) = payload["errors"]
    assert (error["field"], error["code"]) == (field, code)
    assert field in error["message"]
    assert payload[entity] == before
    assert await fields_of(graph, entity) == before


async def test_all_that_is_wrong_is_named_at_once(path: Path, graph: Graph) -> None:
    changes = {"modality": "?", "pixelSpacing": [], "echoTime": 1.0}
    payload = await update(graph, "series", changes)
    assert [error["field"] for error in payload["errors"]] == ["modality", "pixelSpacing"]


@pytest.mark.parametrize("value", ["1e999", "-1e999"])
async def test_numbers_without_end_never_reach_the_database(
    path: Path, graph: Graph, value: str
) -> None:
    id = await the_id(graph, "series")
    result = await graph.execute(
        f'mutation {{ updateSeries(input: {{id: "{id}", flipAngle: {value}}}) '
        "{ errors { code } } }"
    )
    assert result.errors or result.data["updateSeries"]["errors"] == [{"code": "BAD_NUMBER"}]
    assert (await fields_of(graph, "series"))["editedFields"] == []


@pytest.mark.parametrize("entity", ENTITIES)
async def test_ids_of_nothing_or_of_something_else(entity: str, path: Path, graph: Graph) -> None:
    other = "study" if entity == "patient" else "patient"
    for id, code in (
        (global_id(entity.capitalize(), 123456), "NOT_FOUND"),
        (await the_id(graph, other), "BAD_ID"),
        ("nonsense", "BAD_ID"),
    ):
        payload = await update(graph, entity, {}, id=id)
        assert payload[entity] is None
        assert [(error["field"], error["code"]) for error in payload["errors"]] == [("id", code)]


async def test_mutations_of_one_operation_see_each_other(path: Path, graph: Graph) -> None:
    id = await the_id(graph, "study")
    mutation = """mutation ($id: ID!) {
        a: updateStudy(input: {id: $id, description: "first"}) { study { description date } }
        b: updateStudy(input: {id: $id, date: null}) { study { description date } } }"""
    data = await graph(mutation, id=id)
    assert data["a"]["study"] == {"description": "first", "date": "2020-01-02"}
    assert data["b"]["study"] == {"description": "first", "date": None}


@pytest.mark.parametrize("entity", ENTITIES)
async def test_edited_entities_can_be_asked_for(
    entity: str, tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    for number in range(3):
        make_file(tmp_path / f"{number}.dcm", PatientID=f"p{number}")
    import_files(tmp_path)
    id = await the_id(graph, entity)
    name = next(iter(VALUES[entity]))
    await update(graph, entity, {name: None})
    plural = {"patient": "patients", "study": "studies", "series": "series", "image": "images"}
    data = await graph(f"""{{
        yes: {plural[entity]}(filter: {{edited: true}}) {{ nodes {{ id }} }}
        no: {plural[entity]}(filter: {{edited: false}}) {{ nodes {{ id }} }} }}""")
    assert [node["id"] for node in data["yes"]["nodes"]] == [id]
    assert len(data["no"]["nodes"]) == 2
    assert id not in [node["id"] for node in data["no"]["nodes"]]


async def test_what_was_edited_says_nothing_against_a_file(
    path: Path, import_files: Import, graph: Graph
) -> None:
    await update(graph, "patient", {"familyName": "Edited", "dateOfBirth": "1900-01-01"})
    await update(graph, "series", {"modality": "CT"})
    more = IDENTITY | {"SOPInstanceUID": "1.2.3.5"}
    make_file(path.parent / "2.dcm", **more)
    more = IDENTITY | {"SOPInstanceUID": "1.2.3.6"}
    make_file(path.parent / "3.dcm", **more, PatientSex="M")
    import_files(path.parent)
    data = await graph("{ images { nodes { uid warnings } } }")
    assert {image["uid"]: image["warnings"] for image in data["images"]["nodes"]} == {
        "1.2.3.4": [],
        "1.2.3.5": [],
        "1.2.3.6": ["PatientSex differs from that of the patient"],
    }


async def test_a_name_of_all_its_parts_has_64_characters_at_most(path: Path, graph: Graph) -> None:
    """PS3.5 table 6.2-1: 64 characters in each component group of PN, the delimiters too."""
    parts = {"familyName": "f" * 40, "givenName": "g" * 23, "middleName": None, "namePrefix": None,
             "nameSuffix": None}  # fmt: skip
    payload = await update(graph, "patient", parts)
    assert payload["errors"] == []
    payload = await update(graph, "patient", {"givenName": "g" * 24})
    assert [(e["field"], e["code"]) for e in payload["errors"]] == [("givenName", "TOO_LONG")]
    assert payload["patient"]["givenName"] == "g" * 23


async def test_known_codes_have_names(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    make_file(
        tmp_path / "1.dcm", MRAcquisitionType="3D", ScanningSequence="SE",
        SequenceVariant=["SK", "SP"], PatientPosition="HFS",
    )  # fmt: skip
    import_files(tmp_path)
    wanted = """{ series { nodes { mrAcquisitionTypeDisplay sequenceTypeDisplay
      sampleHeader { element(keyword: "ImageType") { vrName definition { vrName } }
                     table { keyword vr vrName } } } } }"""
    (found,) = (await graph(wanted))["series"]["nodes"]
    assert found["mrAcquisitionTypeDisplay"] == "3D: frequency x phase x phase"
    assert found["sequenceTypeDisplay"] == "T2 weighted"
    header = found["sampleHeader"]
    assert header["element"] == {"vrName": "Code String", "definition": {"vrName": "Code String"}}
    names = {row["vr"]: row["vrName"] for row in header["table"]}
    assert (names["UI"], names["PN"]) == ("Unique Identifier (UID)", "Person Name")
    assert None not in names.values()
