"""Order and pages: lists come as Python sorts the facts that the files were made of."""

import base64
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from graphql import GraphQLEnumType

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.graph.schema import schema
from dicom_graph.store.engine import Database
from tests.graph.ordered_archive import (
    IDENTITY,
    ROOTS,
    Facts,
    fill,
    objects,
    sequence_type,
    syntax_of,
)
from tests.support.graph import Graph

__all__ = ["fill"]

Key = Callable[[list[Facts]], Any]


def text(keyword: str) -> Key:
    """An empty element has no text."""
    return lambda files: files[0].get(keyword) or None


def value(keyword: str) -> Key:
    return lambda files: files[0].get(keyword)


def time(keyword: str) -> Key:
    """As fraction follows second, the texts of DICOM sort like the times."""
    return lambda files: files[0].get(keyword)


def first(keyword: str) -> Key:
    return lambda files: (files[0].get(keyword) or [None])[0]


def count(entity: str) -> Key:
    return lambda files: len({f[IDENTITY[entity]] for f in files} - {None})


def name_part(place: int) -> Key:
    def part(files: list[Facts]) -> str | None:
        name = files[0]["PatientName"]
        parts = name.split("^") if name else []
        return parts[place] or None if len(parts) > place else None

    return part


def name(files: list[Facts]) -> str | None:
    """The whole name; what ends it without a meaning is no part of it."""
    return files[0]["PatientName"]


def joined(keyword: str) -> Key:
    """Several values as the file has them."""

    def values(files: list[Facts]) -> str | None:
        found = files[0].get(keyword)
        return "\\".join(found) if isinstance(found, list) else found

    return values


def latest_study(files: list[Facts]) -> Any:
    """The date and time of the patient's latest study."""
    dated = [f for f in files if f["StudyInstanceUID"] and f.get("StudyDate")]
    return max(((f["StudyDate"], f["StudyTime"] or "") for f in dated), default=None)


KEYS: dict[str, dict[str, Key]] = {
    "Patient": {
        "UID": value("PatientID"), "FAMILY_NAME": name_part(0), "GIVEN_NAME": name_part(1),
        "NAME": name, "MIDDLE_NAME": name_part(2), "NAME_PREFIX": name_part(3),
        "NAME_SUFFIX": name_part(4),
        "SEX": value("PatientSex"), "DATE_OF_BIRTH": value("PatientBirthDate"),
        "LATEST_STUDY_TIME": latest_study, "N_STUDIES": count("Study"),
        "N_SERIES": count("Series"), "N_IMAGES": count("Image"),
    },
    "Study": {
        "UID": value("StudyInstanceUID"), "DATE": value("StudyDate"), "TIME": time("StudyTime"),
        "DESCRIPTION": text("StudyDescription"), "N_PATIENTS": count("Patient"),
        "N_SERIES": count("Series"), "N_IMAGES": count("Image"),
    },
    "Series": {
        "UID": value("SeriesInstanceUID"), "STUDY": value("StudyInstanceUID"),
        "PATIENT": value("PatientID"), "NUMBER": value("SeriesNumber"),
        "DATE": value("SeriesDate"), "TIME": time("SeriesTime"),
        "DESCRIPTION": text("SeriesDescription"), "MODALITY": value("Modality"),
        "PROTOCOL_NAME": text("ProtocolName"), "SCANNING_SEQUENCE": value("ScanningSequence"),
        "SEQUENCE_VARIANT": value("SequenceVariant"), "PIXEL_SPACING": first("PixelSpacing"),
        "SLICE_THICKNESS": value("SliceThickness"), "ECHO_TIME": value("EchoTime"),
        "INVERSION_TIME": value("InversionTime"), "REPETITION_TIME": value("RepetitionTime"),
        "FLIP_ANGLE": value("FlipAngle"), "MANUFACTURER": text("Manufacturer"),
        "MANUFACTURER_MODEL_NAME": text("ManufacturerModelName"),
        "MAGNETIC_FIELD_STRENGTH": value("MagneticFieldStrength"),
        "DEVICE_SERIAL_NUMBER": text("DeviceSerialNumber"),
        "INSTITUTION_NAME": text("InstitutionName"), "SEQUENCE_TYPE": sequence_type,
        "N_IMAGES": count("Image"), "BODY_PART_EXAMINED": value("BodyPartExamined"),
        "PATIENT_POSITION": value("PatientPosition"), "OPERATORS_NAME": joined("OperatorsName"),
        "ECHO_TRAIN_LENGTH": value("EchoTrainLength"), "SEQUENCE_NAME": value("SequenceName"),
        "PULSE_SEQUENCE_NAME": value("PulseSequenceName"),
        "MR_ACQUISITION_TYPE": value("MRAcquisitionType"),
    },
    "Image": {
        "UID": value("SOPInstanceUID"), "NUMBER": value("InstanceNumber"),
        "DATE": value("InstanceCreationDate"), "TIME": time("InstanceCreationTime"),
        "SOP_CLASS_UID": value("SOPClassUID"), "ROWS": value("Rows"), "COLUMNS": value("Columns"),
        "TRANSFER_SYNTAX_UID": lambda files: syntax_of(files[0]),
        "NUMBER_OF_FRAMES": value("NumberOfFrames"),
    },
}  # fmt: skip
OF_THE_DATABASE = {"ID", "CREATED", "MODIFIED", "SERIES", "MISSING_SINCE"}
"""Fields that no file has: the database made them."""


def members(entity: str) -> list[str]:
    """What the schema says a list can be sorted by."""
    names = schema._schema.type_map[f"{entity}OrderField"]
    assert isinstance(names, GraphQLEnumType)
    return list(names.values)


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


def query_of(entity: str) -> str:
    """A page of a list in an order."""
    more = "series { id } missingSince" if entity == "Image" else ""
    return f"""
      query ($order: [{entity}Order!], $first: Int, $after: String, $last: Int, $before: String) {{
        page: {ROOTS[entity]}(
          orderBy: $order, first: $first, after: $after, last: $last, before: $before
        ) {{
          nodes {{ id uid created modified {more} }}
          pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
        }}
      }}
    """


Node = dict[str, Any]


def key_of(global_id: str) -> int:
    """The number in a global id: it grows with each object that comes into the database."""
    return int(base64.b64decode(global_id).decode().partition(":")[2])


def sort_key(entity: str, field: str, node: Node) -> tuple[bool, Any]:
    """What an object is sorted by; a missing value is the smallest."""
    if field == "ID":
        found: Any = key_of(node["id"])
    elif field in ("CREATED", "MODIFIED"):
        found = dt.datetime.fromisoformat(node[field.lower()])
    elif field == "MISSING_SINCE":
        found = node["missingSince"]
    elif field == "SERIES":
        found = key_of(node["series"]["id"])
    else:
        files = objects(entity)[node["uid"]]
        found = KEYS[entity][field](files)
    return found is not None, found if found is not None else 0


Order = list[tuple[str, bool]]
"""Fields, each with whether it descends."""


def as_input(order: Order) -> list[dict[str, str]]:
    return [{"field": field, "direction": "DESC" if down else "ASC"} for field, down in order]


def in_python(entity: str, nodes: list[Node], order: Order) -> list[str]:
    """The uids as Python sorts them; ties go by id, in the direction of the last field."""
    in_order = list(nodes)
    for field, down in reversed([*order, ("ID", order[-1][1])]):
        in_order.sort(key=lambda node, name=field: sort_key(entity, name, node), reverse=down)
        # A sort in reverse keeps the order of ties, as is wanted.
    return [node["uid"] for node in in_order]


async def forwards(graph: Graph, entity: str, order: Order, size: int) -> list[str]:
    """All uids, page after page."""
    uids: list[str] = []
    after = None
    while True:
        page = (await graph(query_of(entity), order=as_input(order), first=size, after=after))[
            "page"
        ]
        uids += [node["uid"] for node in page["nodes"]]
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return uids


async def backwards(graph: Graph, entity: str, order: Order, size: int) -> list[str]:
    """All uids, page before page from the end."""
    uids: list[str] = []
    before = None
    while True:
        page = (await graph(query_of(entity), order=as_input(order), last=size, before=before))[
            "page"
        ]
        uids = [node["uid"] for node in page["nodes"]] + uids
        assert page["pageInfo"]["hasNextPage"] == (before is not None)
        before = page["pageInfo"]["startCursor"]
        if not page["pageInfo"]["hasPreviousPage"]:
            return uids


async def all_nodes(graph: Graph, entity: str) -> list[Node]:
    nodes: list[Node] = (await graph(query_of(entity), first=1000))["page"]["nodes"]
    assert {node["uid"] for node in nodes} == objects(entity).keys()
    return nodes


@pytest.mark.parametrize("entity", ROOTS)
def test_every_field_has_its_sort_here(entity: str) -> None:
    """What is described later on is sorted in test_attributes."""
    described = {attribute.name.upper() for attribute in DESCRIBED[entity.lower()].attributes}
    assert set(members(entity)) - OF_THE_DATABASE - KEYS[entity].keys() <= described
    assert KEYS[entity].keys() | described <= set(members(entity))
    assert {"ID", "CREATED", "MODIFIED", "UID"} <= set(members(entity))


@pytest.mark.parametrize(
    ("entity", "field"),
    [
        (e, field)
        for e in ROOTS
        for field in members(e)
        if field in KEYS[e].keys() | OF_THE_DATABASE
    ],
)
async def test_the_order_is_that_of_python(entity: str, field: str, graph: Graph) -> None:
    nodes = await all_nodes(graph, entity)
    keys = {sort_key(entity, field, node) for node in nodes if field not in LISTS}
    assert len(keys) != 1 or field in OF_THE_DATABASE
    for down in (False, True):
        order = [(field, down)]
        expected = in_python(entity, nodes, order)
        assert await forwards(graph, entity, order, 7) == expected
        assert await backwards(graph, entity, order, 11) == expected


LISTS = {"SCANNING_SEQUENCE", "SEQUENCE_VARIANT"}
SEVERAL: list[tuple[str, Order]] = [
    ("Series", [("MODALITY", False), ("NUMBER", True)]),
    ("Series", [("MODALITY", True), ("DATE", False), ("ECHO_TIME", True)]),
    ("Series", [("PATIENT", False), ("STUDY", True), ("N_IMAGES", False), ("UID", True)]),
    ("Series", [("SCANNING_SEQUENCE", True), ("PIXEL_SPACING", False)]),
    ("Series", [("NUMBER", False), ("ID", True)]),
    ("Patient", [("SEX", False), ("LATEST_STUDY_TIME", True)]),
    ("Patient", [("N_STUDIES", True), ("FAMILY_NAME", False)]),
    ("Study", [("N_PATIENTS", True), ("DATE", True), ("TIME", False)]),
    ("Image", [("NUMBER", True), ("DATE", False), ("TIME", True)]),
    ("Image", [("SERIES", True), ("NUMBER", False)]),
    ("Image", [("SOP_CLASS_UID", True), ("TRANSFER_SYNTAX_UID", False), ("ROWS", True)]),
    ("Patient", [("NAME_PREFIX", True), ("MIDDLE_NAME", False)]),
]


@pytest.mark.parametrize(("entity", "order"), SEVERAL)
async def test_several_fields(entity: str, order: Order, graph: Graph) -> None:
    expected = in_python(entity, await all_nodes(graph, entity), order)
    assert await forwards(graph, entity, order, 3) == expected
    assert await backwards(graph, entity, order, 4) == expected


async def test_a_field_that_is_given_again_changes_nothing(graph: Graph) -> None:
    order = [("MODALITY", False), ("NUMBER", True)]
    expected = in_python("Series", await all_nodes(graph, "Series"), order)
    assert await forwards(graph, "Series", [*order, ("MODALITY", True)], 5) == expected


@pytest.mark.parametrize("entity", ROOTS)
async def test_the_default_order(entity: str, graph: Graph) -> None:
    """Images by series and number, series and studies the latest first, patients by name."""
    default: dict[str, Order] = {
        "Patient": [("FAMILY_NAME", False), ("GIVEN_NAME", False), ("ID", False)],
        "Study": [("DATE", True), ("TIME", True), ("ID", True)],
        "Series": [("DATE", True), ("TIME", False), ("NUMBER", False), ("ID", False)],
        "Image": [("SERIES", False), ("NUMBER", False), ("ID", False)],
    }
    nodes = await all_nodes(graph, entity)
    assert [node["uid"] for node in nodes] == in_python(entity, nodes, default[entity])


CURSOR_ORDERS: list[Order] = [
    [("NUMBER", True)],
    [("ECHO_TIME", False)],
    [("NUMBER", False), ("ECHO_TIME", False)],
    [("DESCRIPTION", False)],
    [("N_IMAGES", False)],
]


@pytest.mark.parametrize("order", CURSOR_ORDERS)
async def test_a_cursor_is_good_for_its_own_order_only(order: Order, graph: Graph) -> None:
    given = await graph(query_of("Series"), order=as_input([("NUMBER", False)]), first=3)
    cursor = given["page"]["pageInfo"]["endCursor"]
    for arguments in ({"after": cursor}, {"before": cursor, "last": 2}):
        result = await graph.execute(query_of("Series"), order=as_input(order), **arguments)
        assert [error.extensions for error in result.errors] == [{"code": "BAD_CURSOR"}]


def _forged(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "é", "AAAA", _forged("{}"), _forged("[]"), _forged("null"), _forged("[" * 9999),
        _forged('["number,id"]'), _forged('["number,id",1]'), _forged('["number,id","one",1]'),
        _forged('["number,id",1,null]'), _forged('["number,id",1,true]'),
        _forged('["number,id",1e400,1]'), _forged(f'["number,id",1,{10**30}]'),
    ],
)  # fmt: skip
async def test_a_cursor_that_nobody_gave(cursor: str, graph: Graph) -> None:
    order = as_input([("NUMBER", False)])
    result = await graph.execute(query_of("Series"), order=order, first=3, after=cursor)
    assert [error.extensions for error in result.errors] == [{"code": "BAD_CURSOR"}]


@pytest.mark.parametrize("text", ["a\\u0000b", "\\u0000", "\\ud800"])
async def test_a_cursor_with_a_text_that_no_database_holds(text: str, graph: Graph) -> None:
    cursor = _forged(f'["description,id","{text}",1]')
    order = as_input([("DESCRIPTION", False)])
    result = await graph.execute(query_of("Series"), order=order, first=3, after=cursor)
    assert [error.extensions for error in result.errors] == [{"code": "BAD_CURSOR"}]


NESTED = """
query ($series: [SeriesOrder!], $studies: [StudyOrder!], $after: String) {
  patients(first: 100) { nodes { uid
    series(orderBy: $series, first: 2, after: $after) {
      totalCount nodes { id uid } pageInfo { hasNextPage endCursor } }
    studies(orderBy: $studies) { nodes { id uid } } } }
}
"""


def of_patient(entity: str, patient: str, nodes: list[Node]) -> list[Node]:
    """The objects of a kind that have files of the patient."""
    uids = {f[IDENTITY[entity]] for f in objects("Patient")[patient]}
    return [node for node in nodes if node["uid"] in uids]


@pytest.mark.parametrize(
    ("series", "studies"),
    [
        ([("ECHO_TIME", True)], [("DESCRIPTION", False)]),
        ([("STUDY", False), ("NUMBER", True)], [("N_IMAGES", True), ("UID", False)]),
        ([("N_IMAGES", True)], [("TIME", False)]),
        ([("SCANNING_SEQUENCE", False)], [("N_PATIENTS", False), ("DATE", True)]),
    ],
)
async def test_nested_lists_in_order(series: Order, studies: Order, graph: Graph) -> None:
    all_series, all_studies = await all_nodes(graph, "Series"), await all_nodes(graph, "Study")
    data = await graph(NESTED, series=as_input(series), studies=as_input(studies))
    assert len(graph.statements) == 4
    for patient in data["patients"]["nodes"]:
        mine = of_patient("Series", patient["uid"], all_series)
        page = patient["series"]
        assert [n["uid"] for n in page["nodes"]] == in_python("Series", mine, series)[:2]
        assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (len(mine), len(mine) > 2)
        mine = of_patient("Study", patient["uid"], all_studies)
        uids = [n["uid"] for n in patient["studies"]["nodes"]]
        assert uids == in_python("Study", mine, studies)


async def test_the_next_page_of_a_nested_list(graph: Graph) -> None:
    order: Order = [("DESCRIPTION", True), ("NUMBER", False)]
    all_series = await all_nodes(graph, "Series")
    patients = (await graph(NESTED, series=as_input(order)))["patients"]["nodes"]
    for patient in patients:
        after = patient["series"]["pageInfo"]["endCursor"]
        data = await graph(NESTED, series=as_input(order), after=after)
        again = {node["uid"]: node for node in data["patients"]["nodes"]}[patient["uid"]]
        mine = of_patient("Series", patient["uid"], all_series)
        uids = [node["uid"] for node in again["series"]["nodes"]]
        assert uids == in_python("Series", mine, order)[2:4]
