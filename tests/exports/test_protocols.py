"""Protocols: rules held against dicompare's words, compliance against pydicom's values."""

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from typer.testing import CliRunner

from dicom_graph.access.principal import Principal, Role
from dicom_graph.cli.app import app
from dicom_graph.dicom.protocols import Finding, ProtocolError, parse_protocol
from dicom_graph.exports.compliance import compliance
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from tests.support.graph import Graph
from tests.support.make import make_file

OK, BAD, WARN, MISSING = Finding.COMPLIANT, Finding.DEVIATING, Finding.WARNING, Finding.MISSING


def protocol(*fields: dict[str, Any], **more: Any) -> str:
    return json.dumps({"name": "p", "acquisitions": {"a": {"fields": fields, **more}}})


@pytest.mark.parametrize(
    ("given", "values", "finding"),
    [
        ({"value": 30}, [30.0], OK),
        ({"value": "30"}, [30.0], OK),
        ({"value": 30}, [30.0, 31.0], BAD),
        ({"value": [0.97656, 0.97656]}, [(0.976562, 0.976562)], OK),
        ({"value": 0.97656}, [0.97657], BAD),
        ({"max": 0.97656}, [0.976562], OK),
        ({"value": "epi"}, ["EPI "], OK),
        ({"value": "epi"}, ["ep"], BAD),
        ({"value": "SE"}, [("SE",)], OK),
        ({"value": ["SE", "IR"]}, [("IR", "SE")], OK),
        ({"value": ["SE", "IR"]}, [("SE",)], BAD),
        ({"value": ["SE", "IR"]}, ["SE", "IR"], OK),
        ({"value": 30, "tolerance": 1}, [29.0, 31.0], OK),
        ({"value": 30, "tolerance": 1}, [28.9], BAD),
        ({"value": [1, 2], "tolerance": 0.1}, [(1.05, 2.0)], OK),
        ({"value": [1, 2], "tolerance": 0.1}, [(1.2, 2.0)], BAD),
        ({"value": [1, 2], "tolerance": 0.1}, [(1.0,)], BAD),
        ({"value": 30, "tolerance": 1}, ["text"], BAD),
        ({"min": 1, "max": 2}, [(1.0, 2.0)], OK),
        ({"min": 1}, [0.5], BAD),
        ({"max": 2}, [2.5], BAD),
        ({"contains": "mprage"}, ["T1_MPRAGE_sag"], OK),
        ({"contains": "M"}, [("ORIGINAL", "M")], OK),
        ({"contains": "x"}, [30.0], BAD),
        ({"contains_any": ["a", "b"]}, ["xBx"], OK),
        ({"contains_any": ["OR", "P"]}, [("ORIGINAL", "P")], OK),
        ({"contains_any": ["OR"]}, [("ORIGINAL", "P")], BAD),
        ({"contains_all": ["M", "ORIGINAL"]}, [("ORIGINAL", "P", "M")], OK),
        ({"contains_all": ["M", "D"]}, [("ORIGINAL", "P", "M")], BAD),
        ({"value": 30, "severity": "warning"}, [31.0], WARN),
        ({"value": 30, "tolerance": 1, "errorTolerance": 3}, [32.0], WARN),
        ({"value": 30, "tolerance": 1, "errorTolerance": 3}, [34.0], BAD),
        ({"min": 5, "errorMin": 3}, [4.0], WARN),
        ({"min": 5, "errorMin": 3}, [2.0], BAD),
        ({"min": 5, "max": 9, "errorMin": 3}, [20.0], WARN),
        ({}, ["anything"], OK),
        ({"value": 30}, [], MISSING),
    ],
)
def test_what_comes_of_a_rule(given: dict[str, Any], values: list[Any], finding: Finding) -> None:
    acquisition = parse_protocol(protocol({"field": "EchoTime", **given})).chosen(None)
    (rule,) = acquisition.rules
    assert rule.finding(values) is finding
    try:
        from dicompare.validation import helpers
    except ImportError:
        return
    # Where dicompare is installed, its own words decide.
    if not values:
        return
    told = [list(value) if isinstance(value, tuple) else value for value in values]
    if helpers.field_has_graded_edges(given):
        expected, _, _ = helpers.validate_field_graded("EchoTime", told, given)
    else:
        keys = {"min": "min_value", "max": "max_value", "value": "expected_value"}
        named = {keys.get(k, k): v for k, v in given.items() if k != "severity"}
        passed, _, _ = helpers.validate_field_values("EchoTime", told, **named)
        failed = "warning" if given.get("severity") else "error"
        expected = "ok" if passed else failed
    assert {"ok": OK, "warning": WARN, "error": BAD}[expected] is finding


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "`acquisitions`"),
        ('{"acquisitions": {}}', "no acquisition"),
        ('{"acquisitions": {"a": []}}', "a is no object"),
        (protocol({"value": 1}), r"fields\[0\]: `field` is missing"),
        (protocol({"field": "EchoTime", "min": "1"}), "`min` is a number"),
        (protocol({"field": "EchoTime", "tolerance": 1}), "`tolerance` goes with"),
        (protocol({"field": "EchoTime", "contains_any": "x"}), "contains_any is no list"),
        (protocol({"field": "EchoTime", "value": "x", "errorTolerance": 1}), "goes with a `value`"),
        (protocol({"field": "EchoTime", "contains": "x", "errorTolerance": 1}), "goes with"),
        (protocol({"field": "EchoTime", "min": 10**400}), "no double"),
        (protocol({"field": "EchoTime", "value": [1, -(10**400)], "tolerance": 1}), "no double"),
        ('{"acquisitions": {"a": {"fields": [{"field": "E", "value": 1e400}]}}}', "no double"),
        ('{"x": [NaN], "acquisitions": {"a": {}}}', "no double"),
        ('{"acquisitions": {"a": {"note": -Infinity}}}', "no double"),
        (protocol({"field": "EchoTime", "value": "\0"}), "NUL"),
        (protocol({"field": "EchoTime", "\0": 1}), "NUL"),
        (protocol({"field": "EchoTime", "contains": "\ud800"}), "half a character"),
        ('{"acquisitions": {"\\udfff": {}}}', "half a character"),
        (protocol(note=json.loads("[" * 40 + "]" * 40)), "32 levels"),
        ("[" * 100_000, "no JSON"),
        (f'{{"x": {"9" * 5000}}}', "no JSON"),
        (protocol(*[{"field": "EchoTime"}] * 2001), "2,000 rules"),
        (protocol(series=[{"fields": [{"field": "EchoTime"}]}] * 2001), "2,000 rules"),
        (json.dumps({"acquisitions": {str(n): {} for n in range(2001)}}), "2,000 rules"),
    ],
)
def test_what_is_no_protocol(text: str, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        parse_protocol(text)


SERIES: list[dict[str, Any]] = [
    {"EchoTime": [30, 30], "FlipAngle": [90, 90], "ImageType": ["ORIGINAL", "PRIMARY", "M"]},
    {"EchoTime": [30, 31], "FlipAngle": [90, 90], "ImageType": ["ORIGINAL", "PRIMARY", "P"]},
    {"EchoTime": [30, 30], "FlipAngle": [None, None], "ImageType": ["DERIVED", "PRIMARY", "X"]},
    {"EchoTime": [60, 60], "FlipAngle": [80, 85], "ImageType": ["ORIGINAL", "PRIMARY", "M"]},
]
RULES = (
    {"field": "EchoTime", "tag": "0018,0081", "value": 30, "tolerance": 0.5},
    {"field": "Flip Angle", "min": 85, "max": 95},
    {"field": "ProtocolName", "tag": "0018,1030", "contains": "T1", "severity": "warning"},
    {"field": "ACME Thing", "tag": "0019,1010", "value": "x"},
    {"field": "MultibandFactor", "tag": "derived", "value": 4},
)
IN_SERIES = [
    {"name": "magnitude", "fields": [{"field": "ImageType", "contains_any": ["M"]}]},
    {"name": "phase", "fields": [{"field": "ImageType", "contains_any": ["P"]}]},
]
PROGRAMS = [{"id": "r", "name": "r", "implementation": "raise SystemExit", "fields": ["EchoTime"]}]


def fill(folder: Path) -> None:
    for number, elements in enumerate(SERIES):
        for image in range(2):
            path = make_file(
                folder / f"{number}{image}.dcm", SeriesInstanceUID=f"1.2.{number}",
                EchoTime=elements["EchoTime"][image], FlipAngle=elements["FlipAngle"][image],
                ImageType=elements["ImageType"], ProtocolName="t1_mprage" if number else "other",
            )  # fmt: skip
            data_set = pydicom.dcmread(path)
            block = data_set.private_block(0x0019, "ACME", create=True)
            block.add_new(0x10, "LO", "x" if number != 3 else "y")
            data_set.save_as(path)


async def test_series_are_held_against_a_protocol(archive_database: Database) -> None:
    text = protocol(*RULES, series=IN_SERIES, rules=PROGRAMS)
    found = await compliance(Store(archive_database), parse_protocol(text).chosen("a"), None)
    told = {
        each.row.uid: {
            d.rule.name: (d.finding, sorted(d.found))
            for d in each.deviations
            if d.finding is not Finding.UNKNOWN
        }
        for each in found
    }
    assert told == {
        "1.2.0": {"ProtocolName": (WARN, ["other"])},
        "1.2.1": {"EchoTime": (BAD, [30.0, 31.0])},
        "1.2.2": {
            "Flip Angle": (MISSING, []),
            "ImageType": (BAD, [("DERIVED", "PRIMARY", "X")]),
        },
        "1.2.3": {
            "EchoTime": (BAD, [60.0]), "Flip Angle": (BAD, [80.0, 85.0]),
            "ACME Thing": (BAD, ["y"]),
        },
    }  # fmt: skip
    assert [each.is_compliant for each in found] == [True, False, False, False]
    unknown = {d.rule.name for d in found[0].deviations if d.finding is Finding.UNKNOWN}
    assert unknown == {"MultibandFactor"}


def test_the_command(archive_url: str, tmp_path: Path) -> None:
    path = tmp_path / "protocol.json"
    path.write_text(protocol(*RULES, series=IN_SERIES, rules=PROGRAMS))

    def check(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["check", *arguments, "--database", archive_url])

    done = check(str(path))
    assert done.exit_code == 1
    assert "1.2.3\n  deviates: EchoTime should be 30 ± 0.5, found 60\n" in done.stdout
    assert "missing: Flip Angle should be 85 to 95\n" in done.stdout
    assert "not checked, since they are no elements: MultibandFactor, 1 programs" in done.stdout
    assert done.stdout.splitlines()[-1] == "a: 1 series comply, 3 deviate"
    path.write_text(path.read_text(), encoding="utf-8-sig")  # As editors of Windows save it.
    good = check(str(path), "--filter", '{"uid": {"eq": "1.2.0"}}')
    assert (good.exit_code, good.stdout.splitlines()[-1]) == (0, "a: 1 series comply, 0 deviate")
    none = check(str(path), "--filter", '{"uid": {"eq": "9.9"}}')
    assert none.exit_code == 0
    assert "nothing was checked" in none.stdout
    for arguments in (
        (str(path), "--acquisition", "b"), (str(path), "--filter", "x"),
        (str(tmp_path / "none.json"),),
    ):  # fmt: skip
        assert check(*arguments).exit_code == 2


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


async def test_protocols_are_kept_and_asked(database: Database, graph: Graph) -> None:
    create = """mutation ($input: CreateProtocolInput!) { createProtocol(input: $input) {
        protocol { id name json acquisitions } errors { field code } } }"""
    content = json.loads(protocol(*RULES, series=IN_SERIES, rules=PROGRAMS))
    made = (await graph(create, input={"name": "Head", "json": content}))["createProtocol"]
    assert made["errors"] == []
    assert (made["protocol"]["name"], made["protocol"]["acquisitions"]) == ("Head", ["a"])
    assert made["protocol"]["json"] == content
    for given, field, code in (
        ({"name": "Head", "json": content}, "name", "BAD_TEXT"),
        ({"name": " ", "json": content}, "name", "BAD_TEXT"),
        ({"name": "x", "json": {}}, "json", "BAD_INPUT"),
        ({"name": "x"}, None, "BAD_INPUT"),
        ({"name": "x", "majority": {}}, "elements", "BAD_INPUT"),
        (
            {"name": "x", "majority": {}, "elements": ["ProcedureCodeSequence"]},
            "elements",
            "BAD_FILTER",
        ),
    ):
        refused = (await graph(create, input=given))["createProtocol"]
        assert refused == {"protocol": None, "errors": [{"field": field, "code": code}]}, given
    compliance = """query ($id: ID!, $filter: SeriesFilter) { node(id: $id) { ... on Protocol {
        compliance(filter: $filter) { acquisition compliant deviating notChecked
        nodes { series { uid } element outcome expected found } } } } }"""
    found = (await graph(compliance, id=made["protocol"]["id"]))["node"]["compliance"]
    assert (found["compliant"], found["deviating"]) == (1, 3)
    assert found["notChecked"] == ["MultibandFactor", "1 programs"]
    assert {
        "series": {"uid": "1.2.3"}, "element": "EchoTime", "outcome": "DEVIATING",
        "expected": "30 ± 0.5", "found": ["60"],
    } in found["nodes"]  # fmt: skip
    only = {"uid": {"eq": "1.2.0"}}
    found = (await graph(compliance, id=made["protocol"]["id"], filter=only))["node"]["compliance"]
    assert (found["compliant"], found["deviating"]) == (1, 0)

    data = await graph('{ series(filter: { uid: { eq: "1.2.0" } }) { nodes { id } } }')
    (series,) = data["series"]["nodes"]
    elements = ["EchoTime", "FlipAngle", "ImageType", "InversionTime"]
    given = {"name": "ref", "seriesId": series["id"], "elements": elements, "tolerance": 0.1}
    made = (await graph(create, input=given))["createProtocol"]["protocol"]
    assert made["json"]["acquisitions"]["ref"]["fields"] == [
        {"field": "EchoTime", "value": 30, "tolerance": 0.1},
        {"field": "FlipAngle", "value": 90, "tolerance": 0.1},
        {"field": "ImageType", "value": ["ORIGINAL", "PRIMARY", "M"]},
    ]
    found = (await graph(compliance, id=made["id"]))["node"]["compliance"]
    assert (found["compliant"], found["deviating"]) == (1, 3)
    given = {"name": "most", "majority": {}, "elements": ["ProtocolName", "FlipAngle", "ImageType"]}
    most = (await graph(create, input=given))["createProtocol"]["protocol"]
    assert most["json"]["acquisitions"]["most"]["fields"] == [
        {"field": "ProtocolName", "value": "t1_mprage"},
        {"field": "FlipAngle", "value": 90},
        {"field": "ImageType", "value": ["ORIGINAL", "PRIMARY", "M"]},
    ]
    given = {"name": "typo", "majority": {}, "elements": ["FlipAngle", "EchoTim"]}
    refused = (await graph(create, input=given))["createProtocol"]
    assert refused["protocol"] is None
    assert [error["code"] for error in refused["errors"]] == ["BAD_INPUT"]
    update = """mutation ($input: UpdateProtocolInput!) { updateProtocol(input: $input) {
        protocol { name json } errors { code } } }"""
    done = (await graph(update, input={"id": most["id"], "name": "renamed"}))["updateProtocol"]
    assert done == {"protocol": {"name": "renamed", "json": most["json"]}, "errors": []}
    delete = """mutation ($id: ID!) { deleteProtocol(input: { id: $id }) {
        deletedId errors { code } } }"""
    for kept in (most, made):
        assert (await graph(delete, id=kept["id"]))["deleteProtocol"]["deletedId"] == kept["id"]
    again = (await graph(delete, id=most["id"]))["deleteProtocol"]
    assert again == {"deletedId": None, "errors": [{"code": "NOT_FOUND"}]}
    listed = await graph("{ protocols { nodes { id name } } }")
    assert [each["name"] for each in listed["protocols"]["nodes"]] == ["Head"]
    graph.principal = Principal("blind", Role.ADMIN, deidentified=True)
    head = listed["protocols"]["nodes"][0]["id"]
    for asked in ("{ protocols { nodes { id } } }", f'{{ node(id: "{head}") {{ id }} }}'):
        result = await graph.execute(asked)
        assert [error.extensions["code"] for error in result.errors] == ["FORBIDDEN"]


async def test_what_has_no_values_is_not_checked(archive_database: Database) -> None:
    """Sequences and pixels, by keyword or tag; the other rules are."""
    names = ["ReferencedImageSequence", "PixelData"]
    rules = [{"field": name, "value": 1} for name in names]
    rules += [
        {"field": "by tag", "tag": "0008,1140", "value": 1},
        {"field": "EchoTime", "value": 30},
    ]
    chosen = parse_protocol(protocol(*rules)).chosen("a")
    assert chosen.not_checked == [*names, "by tag"]
    found = await compliance(Store(archive_database), chosen, None)
    assert any(not each.is_compliant for each in found)
