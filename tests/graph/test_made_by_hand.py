"""Patients, studies and series made by a person, and series given to others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dicom_graph.access.principal import Principal, Role
from dicom_graph.importing.foreground import Report
from dicom_graph.store.accounts import add_grant, add_group
from dicom_graph.store.engine import Database
from tests.support.contents import Tables, assert_consistent
from tests.support.graph import Graph
from tests.support.make import make_series

Import = Callable[..., Report]
FIELDS = {
    "patient": "id uid name familyName sex nStudies nSeries nImages editedFields",
    "study": "id uid description date nPatients nSeries nImages editedFields",
    "series": "id uid number description modality editedFields patient { id uid } study { id uid }",
}


async def call(graph: Graph, mutation: str, entity: str, **given: Any) -> dict[str, Any]:
    """The payload of a mutation."""
    kind = mutation[0].upper() + mutation[1:]
    document = f"""mutation ($input: {kind}Input!) {{ {mutation}(input: $input) {{
        {entity} {{ {FIELDS[entity]} }} errors {{ field code message }} }} }}"""
    payload: dict[str, Any] = (await graph(document, input=given))[mutation]
    return payload


async def made(graph: Graph, entity: str, **given: Any) -> dict[str, Any]:
    """An entity made by hand, which must not fail."""
    payload = await call(graph, f"create{entity.capitalize()}", entity, **given)
    assert payload["errors"] == []
    found: dict[str, Any] = payload[entity]
    return found


async def every(graph: Graph, entity: str) -> dict[str, dict[str, Any]]:
    """All entities of a kind by uid."""
    plural = {"patient": "patients", "study": "studies", "series": "series"}[entity]
    data = await graph(f"{{ {plural} {{ nodes {{ {FIELDS[entity]} }} }} }}")
    return {node["uid"]: node for node in data[plural]["nodes"]}


async def test_what_was_made_by_hand_is_filled_by_the_first_file_but_for_what_was_set(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    patient = await made(graph, "patient", uid=" P1 ", familyName="Set", givenName="By^hand"[:2])
    assert (patient["uid"], patient["name"]) == ("P1", "Set^By")
    assert patient["editedFields"] == ["GIVEN_NAME", "FAMILY_NAME"]
    study = await made(graph, "study", uid="1.2.3", description="a study")
    series = await made(
        graph, "series", uid="1.2.3.4", number=7, patientId=patient["id"], studyId=study["id"]
    )
    assert (series["patient"]["uid"], series["study"]["uid"]) == ("P1", "1.2.3")
    assert set(series["editedFields"]) == {"PATIENT", "STUDY", "NUMBER"}
    loose = await made(graph, "series")
    assert loose["uid"].startswith("2.25.")
    assert (loose["patient"], loose["editedFields"]) == (None, [])
    report = import_files(
        *make_series(
            tmp_path, 3, PatientID="P1", StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4",
            PatientName="Of^File", PatientSex="M", SeriesNumber=1, Modality="CT",
        )
    )  # fmt: skip
    assert not report.failures
    patients, studies, all_series = [await every(graph, each) for each in FIELDS]
    assert patients["P1"]["id"] == patient["id"]
    assert [patients["P1"][name] for name in ("name", "sex", "nSeries", "nImages")] == [
        "Set^By", "M", 1, 3,
    ]  # fmt: skip
    assert (studies["1.2.3"]["description"], studies["1.2.3"]["date"]) == ("a study", "2020-01-02")
    assert (all_series["1.2.3.4"]["number"], all_series["1.2.3.4"]["modality"]) == (7, "CT")
    warned = await graph("{ images { nodes { warnings } } }")
    assert {str(node["warnings"]) for node in warned["images"]["nodes"]} == {"[]"}


async def test_wrong_and_used_uids_make_nothing(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(*make_series(tmp_path, 1, PatientID="P1", StudyInstanceUID="1.2"))
    patient, study = (await every(graph, "patient"))["P1"], (await every(graph, "study"))["1.2"]
    gone_id = "U3R1ZHk6OTk5"  # Study:999
    cases: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
        ("patient", {"uid": "P1"}, [("uid", "UID_IN_USE")]),
        ("patient", {"uid": " P1  "}, [("uid", "UID_IN_USE")]),
        ("patient", {"uid": "  "}, [("uid", "BAD_TEXT")]),
        ("patient", {"uid": "A\\B"}, [("uid", "BAD_TEXT")]),
        ("patient", {"uid": "x" * 65, "sex": "X"}, [("uid", "TOO_LONG"), ("sex", "BAD_CODE")]),
        ("study", {"uid": "1.2"}, [("uid", "UID_IN_USE")]),
        ("study", {"uid": "1.02"}, [("uid", "BAD_UID")]),
        ("study", {"uid": "1.2."}, [("uid", "BAD_UID")]),
        ("study", {"uid": "1." + "2" * 63}, [("uid", "TOO_LONG")]),
        ("series", {"patientId": study["id"]}, [("patientId", "BAD_ID")]),
        ("series", {"studyId": gone_id}, [("studyId", "NOT_FOUND")]),
        ("series", {"uid": "one", "number": 2}, [("uid", "BAD_UID")]),
    ]
    for entity, given, wrong in cases:
        payload = await call(graph, f"create{entity.capitalize()}", entity, **given)
        assert payload[entity] is None
        assert [(error["field"], error["code"]) for error in payload["errors"]] == wrong, given
    assert [len(await every(graph, entity)) for entity in FIELDS] == [1, 1, 1]
    (series,) = (await every(graph, "series")).values()
    for given, code in (({"studyId": gone_id}, "NOT_FOUND"), ({"patientId": gone_id}, "BAD_ID")):
        payload = await call(graph, "moveSeries", "series", id=series["id"], **given)
        assert [error["code"] for error in payload["errors"]] == [code]
    assert (await every(graph, "series"))[series["uid"]] == series
    assert patient["nImages"] == 1


async def test_a_series_goes_to_another_study_and_patient_and_stays_there(
    tmp_path: Path, import_files: Import, graph: Graph, database: Database
) -> None:
    of_a = {"PatientID": "A", "StudyInstanceUID": "1.1"}
    import_files(*make_series(tmp_path / "a", 2, SeriesInstanceUID="1.1.1", **of_a))
    import_files(*make_series(tmp_path / "b", 2, PatientID="B", StudyInstanceUID="1.2"))
    patients, studies = await every(graph, "patient"), await every(graph, "study")
    moved = await call(
        graph, "moveSeries", "series", id=(await every(graph, "series"))["1.1.1"]["id"],
        patientId=patients["B"]["id"], studyId=studies["1.2"]["id"],
    )  # fmt: skip
    assert moved["errors"] == []
    assert (moved["series"]["patient"]["uid"], moved["series"]["study"]["uid"]) == ("B", "1.2")
    assert moved["series"]["editedFields"] == ["STUDY", "PATIENT"]
    # A writer that remembers nothing, and a further file of the series.
    (more,) = make_series(tmp_path / "c", 1, SeriesInstanceUID="1.1.1", **of_a)
    import_files(more)
    patients, studies = await every(graph, "patient"), await every(graph, "study")
    counts = ("nStudies", "nSeries", "nImages")
    assert [[patients[uid][n] for n in counts] for uid in "AB"] == [[0, 0, 0], [1, 2, 5]]
    assert [studies[uid]["nImages"] for uid in ("1.1", "1.2")] == [0, 5]
    warned = await graph("{ images { nodes { warnings } } }")
    assert {str(node["warnings"]) for node in warned["images"]["nodes"]} == {"[]"}
    assert_consistent(database)
    named = [row["header_patient_id"] is not None for row in Tables(database)["image"]]
    assert sorted(named) == [False, False, True, True, True]
    # And back again: the headers name whom they belong to.
    back = await call(
        graph, "moveStudy", "study", id=studies["1.2"]["id"], patientId=patients["A"]["id"]
    )
    assert (back["errors"], back["study"]["nPatients"]) == ([], 1)
    await call(
        graph, "moveSeries", "series", id=moved["series"]["id"], studyId=studies["1.1"]["id"]
    )
    rows = Tables(database)["image"]
    series = Tables(database).uids("series")
    for row in rows:
        is_named = row["header_patient_id"] is not None or row["header_study_id"] is not None
        assert is_named == (series[row["series_id"]] != "1.1.1")
    nobody = await call(graph, "moveSeries", "series", id=moved["series"]["id"], patientId=None)
    assert nobody["series"]["patient"] is None


async def test_who_sees_but_the_new_owner_is_not_given_headers_that_name_the_old_one(
    tmp_path: Path, import_files: Import, graph: Graph, database: Database
) -> None:
    import_files(*make_series(tmp_path / "a", 2, PatientID="A", SeriesInstanceUID="1.1"))
    import_files(*make_series(tmp_path / "b", 1, PatientID="B"))
    patients = await every(graph, "patient")
    series = (await every(graph, "series"))["1.1"]
    await call(graph, "moveSeries", "series", id=series["id"], patientId=patients["B"]["id"])
    hidden = await made(graph, "patient", uid="hidden", familyName="Hidden")
    with database.writer.begin() as connection:
        group = add_group(connection, "only B")
        add_grant(connection, "only B", "patient", "B")
    graph.principal = Principal("vera", Role.VIEWER, groups=(group,))
    seen = await every(graph, "patient")
    assert set(seen) == {"B"}
    assert (seen["B"]["nSeries"], seen["B"]["nImages"]) == (2, 1)
    refused = await graph.execute(
        'mutation { createPatient(input: {uid: "x"}) { errors { message } } }'
    )
    assert refused.errors[0].extensions["code"] == "FORBIDDEN"
    graph.principal = Principal("vera", Role.VIEWER, deidentified=True)
    (pseudonyms,) = [{node["uid"] for node in (await every(graph, "patient")).values()}]
    assert len(pseudonyms) == 3
    assert not pseudonyms & {"A", "B", hidden["uid"]}
