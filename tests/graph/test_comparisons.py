"""Filters that compare, held against plain Python over what the files were made of."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.access.principal import Principal, Role
from dicom_graph.store.engine import Database
from tests.support.graph import Graph
from tests.support.make import make_file

PROTOCOLS = ("T1", "T2", "tied", None)
SERIES: list[dict[str, Any]] = [
    {
        "SeriesInstanceUID": f"1.2.{number}", "ProtocolName": PROTOCOLS[number % 4],
        "RepetitionTime": (2000, 2000, 100 * (number // 4), None)[number % 4],
        "EchoTime": 30 if number != 4 else 31, "FlipAngle": 30 if number < 8 else 90,
        "NumberOfSeriesRelatedInstances": 2 if number != 7 else 3,
        "SequenceName": "epi" if number != 9 else "gre",
        "SeriesDate": "20200101", "StudyDate": "20200101" if number else "20200102",
    }
    for number in range(16)
]  # fmt: skip
SERIES[0]["RepetitionTime"], SERIES[5]["RepetitionTime"] = 1999, None
LENGTHS = [1 if number in (3, 7) else 2 for number in range(16)]


def fill(folder: Path) -> None:
    for number, elements in enumerate(SERIES):
        for image in range(LENGTHS[number]):
            make_file(
                folder / f"{number}-{image}.dcm", **elements, InstanceNumber=image,
                StudyInstanceUID=f"1.3.{number}", SOPInstanceUID=f"1.2.{number}.{image}",
            )  # fmt: skip


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


async def found(graph: Graph, wanted: str, entity: str = "series") -> set[str]:
    data = await graph(f"{{ {entity}(filter: {wanted}, first: 100) {{ nodes {{ uid }} }} }}")
    return {node["uid"] for node in data[entity]["nodes"]}


def outliers(within: list[str], of: list[str], some: list[dict[str, Any]] = SERIES) -> set[str]:
    """Those that differ from the most frequent of their group, if that is only one."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for each in some:
        groups.setdefault(tuple(each.get(key) for key in within), []).append(each)
    told = set()
    for members in groups.values():
        counts = Counter(tuple(each.get(key) for key in of) for each in members)
        (value, n), *others = counts.most_common(2)
        if not others or others[0][1] < n:
            told |= {
                each["SeriesInstanceUID"]
                for each in members
                if tuple(each.get(key) for key in of) != value
            }
    return told


async def test_fields_beside_fields(graph: Graph) -> None:
    expected = {n: each["NumberOfSeriesRelatedInstances"] for n, each in enumerate(SERIES)}
    for operator, holds in (
        ("eq", lambda a, b: a == b), ("ne", lambda a, b: a != b), ("lt", lambda a, b: a < b),
        ("gte", lambda a, b: a >= b),
    ):  # fmt: skip
        wanted = f"{{ fields: [{{ field: N_IMAGES, {operator}: IMAGES_EXPECTED }}] }}"
        assert await found(graph, wanted) == {
            f"1.2.{n}" for n in range(16) if holds(LENGTHS[n], expected[n])
        }, operator
    # What is missing is neither equal nor another.
    pair = "{ field: REPETITION_TIME, gt: FLIP_ANGLE, ne: ECHO_TIME }"
    assert await found(graph, f"{{ fields: [{pair}] }}") == {
        each["SeriesInstanceUID"]
        for each in SERIES
        if each["RepetitionTime"] is not None
        and each["RepetitionTime"] > each["FlipAngle"]
        and each["RepetitionTime"] != each["EchoTime"]
    }
    short = "images: { some: { series: { fields: [{ field: N_IMAGES, ne: IMAGES_EXPECTED }] } } }"
    assert await found(graph, f"{{ not: {{ {short} }} }}") == {
        f"1.2.{n}" for n in range(16) if LENGTHS[n] == expected[n]
    }


async def test_who_differs_from_the_majority(graph: Graph) -> None:
    names = {
        "PROTOCOL_NAME": "ProtocolName", "REPETITION_TIME": "RepetitionTime",
        "ECHO_TIME": "EchoTime", "FLIP_ANGLE": "FlipAngle",
    }  # fmt: skip
    for within, of in (
        (["PROTOCOL_NAME"], ["REPETITION_TIME"]),
        (["PROTOCOL_NAME"], ["REPETITION_TIME", "ECHO_TIME"]),
        ([], ["ECHO_TIME"]),
        (["PROTOCOL_NAME", "ECHO_TIME"], ["REPETITION_TIME"]),
        ([], ["FLIP_ANGLE"]),  # As many of the one as of the other.
    ):
        keys = [", ".join(f"{{ field: {name} }}" for name in some) for some in (within, of)]
        wanted = f"{{ differsFromMajority: {{ within: [{keys[0]}], of: [{keys[1]}] }} }}"
        truth = outliers([names[n] for n in within], [names[n] for n in of])
        assert await found(graph, wanted) == truth, (within, of)
        assert bool(truth) == (of != ["FLIP_ANGLE"])
    element = '{ element: { keyword: "SequenceName" } }'
    wanted = f"differsFromMajority: {{ within: [], of: [{element}, {{ field: ECHO_TIME }}] }}"
    assert await found(graph, f"{{ {wanted} }}") == {"1.2.4", "1.2.9"}
    assert await found(graph, f"{{ {wanted}, echoTime: {{ eq: 31 }} }}") == {"1.2.4"}
    assert len(await found(graph, f"{{ not: {{ {wanted} }} }}")) == 14
    images = f"{{ differsFromMajority: {{ within: [], of: [{element}] }} }}"
    assert await found(graph, images, "images") == {"1.2.9.0", "1.2.9.1"}
    # More images than most of their protocol have.
    wanted = (
        "{ differsFromMajority: { within: [{ field: PROTOCOL_NAME }], of: [{ field: N_IMAGES }] } }"
    )
    truth = outliers(
        ["ProtocolName"], ["n"], [each | {"n": LENGTHS[n]} for n, each in enumerate(SERIES)]
    )
    assert await found(graph, wanted) == truth


async def test_groups_without_a_majority_are_told(graph: Graph) -> None:
    keys = "within: [{ field: PROTOCOL_NAME }], of: [{ field: REPETITION_TIME }]"
    members = {f"1.2.{n}" for n in range(16) if SERIES[n]["ProtocolName"] == "tied"}
    differs, tied = f"differsFromMajority: {{ {keys} }}", f"hasNoMajority: {{ {keys} }}"
    assert await found(graph, f"{{ {tied} }}") == members
    some = f'{{ {tied}, or: [{{ uid: {{ eq: "1.2.2" }} }}, {{ not: {{ {tied} }} }}] }}'
    assert await found(graph, some) == {"1.2.2"}
    all_differ = outliers(["ProtocolName"], ["RepetitionTime"])
    both = f"{{ or: [{{ {differs} }}, {{ {tied} }}] }}"
    assert await found(graph, both) == all_differ | members
    studies = f"{{ series: {{ some: {{ {differs} }} }} }}"
    expected = {uid.replace("1.2.", "1.3.", 1) for uid in all_differ}
    assert await found(graph, studies, "studies") == expected
    few = f"{{ series: {{ {tied} }} }}"
    assert {uid.rpartition(".")[0] for uid in await found(graph, few, "images")} == members

    async def warnings(wanted: str, entity: str = "series") -> list[str]:
        data = await graph(f"{{ {entity}(filter: {wanted}) {{ warnings }} }}")
        told: list[str] = data[entity]["warnings"]
        return told

    (told,) = await warnings(f"{{ not: {{ {differs} }} }}")
    assert "REPETITION_TIME within PROTOCOL_NAME: 1 group of 4 series have no majority" in told
    assert await warnings(studies, "studies") == [told]
    (alone,) = await warnings(
        "{ differsFromMajority: { within: [], of: [{ field: FLIP_ANGLE }] } }"
    )
    assert "1 group of 16 series" in alone
    assert await warnings(f"{{ {tied} }}") == []
    assert (
        await warnings("{ differsFromMajority: { within: [], of: [{ field: ECHO_TIME }] } }") == []
    )
    element = '{ element: { keyword: "SequenceName" } }'
    none = f"{{ differsFromMajority: {{ within: [{element}], of: [{element}] }} }}"
    assert await warnings(none, "images") == []


@pytest.mark.parametrize(
    "wanted",
    [
        "{ fields: [{ field: N_IMAGES }] }",
        "{ fields: [{ field: N_IMAGES, eq: MODALITY }] }",
        "{ fields: [{ field: PIXEL_SPACING, eq: PIXEL_SPACING }] }",
        "{ fields: [{ field: N_STUDIES, eq: N_IMAGES }] }",
        "{ differsFromMajority: { within: [], of: [] } }",
        "{ differsFromMajority: { within: [{ field: N_STUDIES }], of: [{ field: MODALITY }] } }",
    ],
)
async def test_what_cannot_be_compared(graph: Graph, wanted: str) -> None:
    result = await graph.execute(f"{{ series(filter: {wanted}) {{ totalCount }} }}")
    assert [error.extensions["code"] for error in result.errors] == ["BAD_INPUT"]


async def test_the_deidentified_view_compares_what_it_shows(graph: Graph) -> None:
    graph.principal = Principal("blind", Role.VIEWER, deidentified=True)
    data = await graph("""{
      few: series(filter: { fields: [{ field: N_IMAGES, lt: IMAGES_EXPECTED }] }) { totalCount }
      odd: series(filter: { differsFromMajority: { within: [], of: [{ field: ECHO_TIME }] } }) {
        totalCount } }""")
    assert (data["few"]["totalCount"], data["odd"]["totalCount"]) == (2, 1)
    for key in ("{ field: PROTOCOL_NAME }", '{ element: { keyword: "PatientName" } }'):
        wanted = f"{{ differsFromMajority: {{ within: [{key}], of: [{{ field: ECHO_TIME }}] }} }}"
        for asked in ("totalCount", "warnings"):
            result = await graph.execute(f"{{ series(filter: {wanted}) {{ {asked} }} }}")
            assert [error.extensions["code"] for error in result.errors] == ["BAD_FILTER"]
