"""Ages and expected images, held against plain arithmetic; what the de-identified view shows."""

from pathlib import Path
from typing import Any

import pytest

from dicom_graph.access.principal import Principal, Role
from tests.support.graph import Graph
from tests.support.make import make_file

NUMBERS = {
    ("age", None, None, None): None,
    ("042Y", "19000101", "20200101", None): 42.0,
    ("006M", "19000101", "20200101", None): 0.5,
    ("old", "19800229", "20200228", None): 39.0,  # The birthday of 29 February is not yet.
    (None, "19800229", "20200229", None): 40.0,
    (None, "20190315", "20200314", None): 11 / 12,
    (None, "20190315", "20200315", None): 1.0,
    (None, "20180315", "20200320", None): 2.0,
    (None, "20200315", "20200314", None): None,
    (None, "18000101", "20200314", None): None,
    (None, "1980", "20200314", None): None,
    ("095Y", None, "20200101", None): 95.0,
    ("101Y", None, "20200101", None): 101.0,
    ("089Y", None, "20200101", None): 89.0,
}
EXPECTED: list[tuple[dict[str, Any], int | None]] = [
    ({"NumberOfSeriesRelatedInstances": 7, "ImagesInAcquisition": 5}, 7),
    ({"ImagesInAcquisition": 15, "NumberOfTemporalPositions": 10}, 150),
    ({"ImagesInAcquisition": 15}, 15),
    ({"ImagesInAcquisition": 0}, None),
    ({"ImagesInAcquisition": 15, "NumberOfFrames": 20}, None),
    ({}, None),
]


@pytest.mark.filterwarnings("ignore:Invalid value")
async def test_ages_and_expected_images(graph: Graph, import_files: Any, tmp_path: Path) -> None:
    ages, counts = {}, {}
    for number, ((age, birth, study, _), expected) in enumerate(NUMBERS.items()):
        uid = f"1.2.1.{number}"
        make_file(
            tmp_path / f"{uid}.dcm", PatientAge=age, PatientBirthDate=birth, StudyDate=study,
            SeriesInstanceUID=uid, PatientID=uid, StudyInstanceUID=f"1.3.{number}",
        )  # fmt: skip
        ages[uid] = expected
    for number, (elements, expected) in enumerate(EXPECTED):
        uid = f"1.2.2.{number}"
        make_file(tmp_path / f"{uid}.dcm", SeriesInstanceUID=uid, **elements)
        counts[uid] = expected
    assert not import_files(tmp_path).failures
    query = (
        "{ series(first: 100, orderBy: { field: ID }) { nodes { uid ageAtStudy imagesExpected } } }"
    )
    found = {node["uid"]: node for node in (await graph(query))["series"]["nodes"]}
    assert {uid: found[uid]["ageAtStudy"] for uid in ages} == ages
    assert {uid: found[uid]["imagesExpected"] for uid in counts} == counts
    whole = [node["ageAtStudy"] for node in (await graph(query))["series"]["nodes"]]
    grouped = await graph("""{ series { groups(by: { field: AGE_AT_STUDY, width: 10 }) {
        nodes { count } } } old: series(filter: { ageAtStudy: { gt: 89 } }) { totalCount } }""")
    assert sum(group["count"] for group in grouped["series"]["groups"]["nodes"]) == len(found)
    assert grouped["old"]["totalCount"] == 2
    graph.principal = Principal("blind", Role.VIEWER, deidentified=True)
    shown = [node["ageAtStudy"] for node in (await graph(query))["series"]["nodes"]]
    assert shown == [None if age in (95.0, 101.0) else age for age in whole]
    assert 95.0 in whole
    await check_ages_without_identities(graph, whole)


async def check_ages_without_identities(graph: Graph, ages: list[float | None]) -> None:
    """Over 89 they are alike, and told from those that nobody knows."""
    unknown = ages.count(None)
    beyond = len([age for age in ages if age is not None and age > 89])
    for wanted, n in (
        ("gt: 89", beyond), ("gte: 90", beyond), ("gt: 90", 0), ("eq: 95", 0),
        ("isNull: true", unknown), ("lte: 89", len(ages) - unknown - beyond),
    ):  # fmt: skip
        data = await graph(
            f"{{ series(filter: {{ ageAtStudy: {{ {wanted} }} }}) {{ totalCount }} }}"
        )
        assert data["series"]["totalCount"] == n, wanted
    oldest = await graph("""{ series(first: 3, orderBy: [
        { field: AGE_AT_STUDY, direction: DESC }]) { nodes { ageAtStudy } } }""")
    assert [node["ageAtStudy"] for node in oldest["series"]["nodes"]] == [None, None, 89]
    groups = """query ($by: [GroupBy!]!, $f: SeriesFilter) { series(filter: $f) { totalCount
        aggregate(field: AGE_AT_STUDY) { max }
        groups(by: $by) { nodes { count filter keys { value } } } } }"""
    for form in ({}, {"width": 10}, {"bins": 3}):
        data = await graph(groups, by=[{"field": "AGE_AT_STUDY", **form}])
        assert data["series"]["aggregate"]["max"] == 90
        (known,) = [node for node in data["series"]["groups"]["nodes"]
                    if node["keys"][0]["value"] is None]  # fmt: skip
        assert known["count"] == unknown
        for node in data["series"]["groups"]["nodes"]:
            selected = await graph(groups, by=[{"field": "MODALITY"}], f=node["filter"])
            assert selected["series"]["totalCount"] == node["count"]
        if not form:
            counts = {n["keys"][0]["value"]: n["count"] for n in data["series"]["groups"]["nodes"]}
            assert counts[90] == beyond
            assert max(age for age in counts if age is not None) == 90
    result = await graph.execute(groups, by=[{"element": {"keyword": "PatientAge"}}])
    assert result.errors[0].extensions["code"] == "BAD_FILTER"
