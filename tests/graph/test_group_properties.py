"""Random groups are those that a plain evaluation in Python over pydicom's data sets makes.

Asked are all who see everything, who are limited to a group of users, and who see no identities. By
default each database answers 10 questions; the 2,000 of a release take some minutes:

    python -m tests.graph.test_group_properties --examples 2000

The evaluation knows nothing of dicom-graph: it is written from the descriptions in the schema.
"""

import argparse
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from dicom_graph.access.principal import EVERYONE, Principal, Role
from dicom_graph.importing.foreground import run_import
from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from tests.graph.filters_in_python import ALL, FIELDS, Filter, Groups, archive, fits
from tests.graph.filters_in_python import groups as objects_of
from tests.graph.groups_in_python import By, Keys, expected, fill, statistics
from tests.graph.test_filter_properties import (
    CSA_PATHS,
    IMAGE_FILTERS,
    PATHS,
    PATIENT_FILTERS,
    SERIES_FILTERS,
)
from tests.support.archive import filled_database
from tests.support.graph import Graph

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("DICOM_GRAPH_TEST_EXAMPLES", "10"))
LIMITED: dict[str, Groups] = {}
PATIENT, STUDY = "p1", "1.4.1"
"""What the group of users is granted."""

# Keys of each kind.

FIELD_NAMES = {
    "image": {"number": ["NUMBER", "ROWS"], "text": ["UID"]},
    "series": {
        "number": ["NUMBER", "ECHO_TIME", "PIXEL_SPACING", "N_IMAGES"], "date": ["DATE"],
        "time": ["TIME"], "text": ["MODALITY", "DESCRIPTION", "SCANNING_SEQUENCE"],
    },
    "patient": {
        "number": ["N_STUDIES", "N_SERIES", "N_IMAGES"], "date": ["DATE_OF_BIRTH"],
        "text": ["SEX", "FAMILY_NAME"],
    },
}  # fmt: skip
ELEMENTS = {
    "number": ["TriggerTime", "SelectorFDValue", "Rows", "EchoTime", "ExposureTimeInms"],
    "date": ["AcquisitionDate", "ContentDate"],
    "time": ["AcquisitionTime"],
    "datetime": ["AcquisitionDateTime", "FrameReferenceDateTime"],
    "text": ["ImageComments", "ImageType", "AccessionNumber", "FrameIncrementPointer", "Modality"],
}
KEPT = {
    "number": ["TriggerTime", "Rows", "EchoTime", "ExposureTimeInms"],
    "text": ["ImageType", "Modality"],
}
"""Elements that the Basic Profile of PS3.15 keeps."""
KEPT_FIELDS = {
    "image": {"number": ["NUMBER", "ROWS"]},
    "series": {
        "number": ["NUMBER", "ECHO_TIME", "PIXEL_SPACING", "N_IMAGES"],
        "text": ["MODALITY", "SCANNING_SEQUENCE"],
    },
    "patient": {"number": ["N_STUDIES", "N_SERIES", "N_IMAGES"]},
}
DAYS = ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY"]
BUCKETS = {
    "number": [
        *({"width": width} for width in (0.1, 0.3, 1.0, 2.5, 1e4, 1e299)),
        *({"bins": bins} for bins in (1, 2, 3, 7)),
    ],
    "date": [{"part": part} for part in DAYS],
    "time": [{"part": "HOUR"}],
    "datetime": [{"part": part} for part in [*DAYS, "HOUR"]],
    "text": [],
}
TAGS = {"TriggerTime": "(0018,1060)", "ImageType": "(0008,0008)"}


def _formed(kind: str, name: By) -> st.SearchStrategy[By]:
    """A key as it is, by its members, or in buckets."""
    forms: list[By] = [{}, {}, {"each": True}, *BUCKETS[kind]]
    return st.sampled_from(forms).map(lambda form: {**name, **form})


def _keys(fields: dict[str, list[str]], elements: dict[str, list[str]]) -> st.SearchStrategy[By]:
    named = [(kind, {"field": name}) for kind, names in fields.items() for name in names]
    for kind, names in elements.items():
        for name in names:
            named.append((kind, {"element": {"keyword": name}}))
            if name in TAGS:
                named.append((kind, {"element": {"path": TAGS[name]}}))
    return st.sampled_from(named).flatmap(lambda one: _formed(*one))


NESTED = st.sampled_from(PATHS).flatmap(
    lambda path: _formed(
        "number" if path.rpartition(".")[2] in ("SliceThickness", "Rows") else "text",
        {"element": {"path": path}},
    )
)
PRIVATE = st.sampled_from(
    [
        {"path": "(0019,xx9C)"}, {"path": "(0019,109C)"},
        *({"path": "(0019,xx9C)", "privateCreator": creator} for creator in
          ("GEMS_ACQU_01", "SOMEONE", "NOBODY")),
    ]
).flatmap(lambda name: _formed("text", {"element": name}))  # fmt: skip
CSA = st.sampled_from([path for path in CSA_PATHS if path != "Nothing"]).flatmap(
    lambda path: st.sampled_from([{}, {}, {"width": 1.0}, {"bins": 3}]).map(
        lambda form: {"csa": path, **form}
    )
)


def _questions(by: dict[str, st.SearchStrategy[By]]) -> st.SearchStrategy[tuple[str, list[By]]]:
    lists = {
        entity: st.lists(one, min_size=1, max_size=3).map(lambda keys, e=entity: (e, keys))
        for entity, one in by.items()
    }
    return st.one_of(*lists.values())


QUESTIONS = _questions(
    {
        entity: st.one_of(_keys(fields, ELEMENTS), _keys(fields, ELEMENTS), NESTED, PRIVATE, CSA)
        for entity, fields in FIELD_NAMES.items()
    }
)
KEPT_QUESTIONS = _questions({entity: _keys(fields, KEPT) for entity, fields in KEPT_FIELDS.items()})
FILTERS = {"image": IMAGE_FILTERS, "series": SERIES_FILTERS, "patient": PATIENT_FILTERS}
HAVING = st.sampled_from([None, None, {"gte": 2}, {"eq": 1}, {"lte": 3}])
ORDERS = st.sampled_from(
    [None, [{"field": "KEY"}], [{"field": "KEY", "direction": "DESC"}],
     [{"field": "COUNT"}, {"field": "KEY", "direction": "DESC"}]]
)  # fmt: skip
MEASURED: list[By] = [
    {"element": {"keyword": "TriggerTime"}}, {"element": {"keyword": "SelectorFDValue"}},
    {"field": "NUMBER"}, {"field": "N_IMAGES"},
]  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def archive_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The archive, imported once into each kind of database."""
    folder = tmp_path_factory.mktemp("groups")
    with filled_database(request, folder, fill) as url:
        database = Database(url)
        paths = (str(folder / "minimal"),)
        run_import(database, JobRequest(paths, Mode.MINIMAL, origin=JobOrigin.PYTHON))
        with database.writer.begin() as connection:
            accounts.add_group(connection, "few")
            accounts.add_grant(connection, "few", "patient", PATIENT)
            accounts.add_grant(connection, "few", "study", STUDY)
        database.close_writer()
        images = archive(folder)
        seen = [
            image
            for image in images
            if image.fields["patient"]["uid"] == PATIENT or image.fields["study"]["uid"] == STUDY
        ]
        ALL.update((entity, objects_of(images, entity)) for entity in FIELDS)
        LIMITED.update((entity, objects_of(seen, entity)) for entity in FIELDS)
        yield url


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


NAMES = {"image": ("images", "Image"), "series": ("series", "Series"),
         "patient": ("patients", "Patient")}  # fmt: skip
QUESTION = """query ($by: [GroupBy!]!, $f: %sFilter, $having: GroupHaving, $order: [GroupOrder!],
    $first: Int, $after: String, $field: FieldName, $element: ElementKey) {
  page: %s(filter: $f) { groups(by: $by, having: $having, orderBy: $order, first: $first,
      after: $after) {
    totalCount countDistinct pageInfo { endCursor hasNextPage }
    nodes { count filter keys { value to }
      aggregate(field: $field, element: $element) { count min max sum distinct } } } } }"""


async def all_groups(graph: Graph, entity: str, **asked: Any) -> tuple[list[Any], dict[str, Any]]:
    """The groups of two pages and of one with all others, and the last page."""
    many, one = NAMES[entity]
    found: list[Any] = []
    for first in (asked["first"], asked["first"], 10_000):
        asked["first"] = first
        data = await graph(QUESTION % (one, many), **asked)
        is_deidentified = graph.principal.deidentified
        # Beside those that find out what may be seen.
        statements = [s for s in graph.statements if not is_deidentified or s.startswith("WITH")]
        assert len(statements) <= 3, statements
        page = data["page"]["groups"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        asked["after"] = page["pageInfo"]["endCursor"]
    return found, page


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


async def check(
    graph: Graph, entity: str, by: list[By], objects: Groups, *, wanted: Filter | None = None,
    having: Filter | None = None, order: list[Filter] | None = None, first: int = 7,
    of: By | None = None,
) -> None:  # fmt: skip
    """Ask a question, and compare all of its answer."""
    if wanted is not None:
        objects = {uid: images for uid, images in objects.items() if fits(entity, images, wanted)}
    of = of if of is not None and (entity, of.get("field")) not in NO_FIELDS else MEASURED[0]
    right = {
        keys: uids
        for keys, uids in expected(entity, objects, by).items()
        if having is None or _has(having, len(uids))
    }
    try:
        found, last = await all_groups(
            graph, entity, by=by, f=wanted, order=order, first=first, **of,
            having=None if having is None else {"count": having},
        )  # fmt: skip
    except AssertionError as error:
        # The steps of a width that is far smaller than the numbers are no numbers any more.
        assume("too small for the greatest" not in str(error))
        raise
    counts = {tuple(_hashable(k["value"]) for k in g["keys"]): g["count"] for g in found}
    assert counts == {keys: len(uids) for keys, uids in right.items()}
    assert last["totalCount"] == len(found) == len(counts)
    assert last["countDistinct"] == len(set().union(*right.values()))
    event(f"{entity}: {min(len(right), 5)} groups")
    _check_order(order, found)
    for group in found:
        keys = tuple(_hashable(k["value"]) for k in group["keys"])
        told = group["aggregate"]
        measured = statistics(entity, objects, right[keys], of)
        assert told.pop("sum") == pytest.approx(measured.pop("sum"))
        assert told == measured
    await _check_filters(graph, entity, found, right, wanted)


NO_FIELDS = {("image", "N_IMAGES"), ("patient", "NUMBER")}


def _has(having: Filter, count: int) -> bool:
    return {
        "gte": lambda n: count >= n, "lte": lambda n: count <= n, "eq": lambda n: count == n
    }[next(iter(having))](next(iter(having.values())))  # fmt: skip


def _check_order(order: list[Filter] | None, found: list[Any]) -> None:
    by_count = order is None or order[0]["field"] == "COUNT"
    if by_count:
        counts = [group["count"] for group in found]
        assert counts == sorted(counts, reverse=order is None)
        return
    firsts = [group["keys"][0]["value"] for group in found]
    if not any(isinstance(value, list) for value in firsts) and len(_kinds(firsts)) < 2:
        down = order is not None and order[0].get("direction") == "DESC"
        nulls = [value for value in firsts if value is None]
        there = sorted((value for value in firsts if value is not None), reverse=down)
        assert firsts == (there + nulls if down else nulls + there)


def _kinds(values: list[Any]) -> set[bool]:
    return {isinstance(value, str) for value in values if value is not None}


async def _check_filters(
    graph: Graph, entity: str, found: list[Any], right: dict[Keys, set[str]], wanted: Filter | None
) -> None:
    """The filter of a group selects its objects and no others: of the null group, and some."""
    many, one = NAMES[entity]
    found = sorted(found, key=lambda group: all(k["value"] is not None for k in group["keys"]))
    chosen = found[:: max(1, len(found) // 4)][:5]
    if not chosen:
        return
    given = ", ".join(f"$f{n}: {one}Filter" for n in range(len(chosen)))
    fields = " ".join(
        f"g{n}: {many}(filter: $f{n}, first: 100) {{ nodes {{ uid }} }}" for n in range(len(chosen))
    )
    filters = {
        f"f{n}": {"and": [group["filter"], *([wanted] if wanted else [])]}
        for n, group in enumerate(chosen)
    }
    data = await graph(f"query ({given}) {{ {fields} }}", **filters)
    for n, group in enumerate(chosen):
        uids = {node["uid"] for node in data[f"g{n}"]["nodes"]}
        members = right[tuple(_hashable(k["value"]) for k in group["keys"])]
        if graph.principal.deidentified:
            assert len(uids) == len(members), group
        else:
            assert uids == members, group


def sampled(question: Any, share: float, **more: Any) -> Any:
    """The settings of a test of so many of the examples, and what is drawn."""

    def decorate(test: Any) -> Any:
        drawn = given(
            question=question, having=HAVING, order=ORDERS, first=st.integers(2, 50),
            of=st.sampled_from(MEASURED), **more,
        )(test)  # fmt: skip
        return settings(
            max_examples=math.ceil(EXAMPLES * share), deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        )(drawn)  # fmt: skip

    return decorate


def _with_filter(question: tuple[str, list[By]]) -> st.SearchStrategy[Any]:
    plain = st.none()
    return st.tuples(st.just(question), st.one_of(plain, plain, FILTERS[question[0]]))


@sampled(QUESTIONS.flatmap(_with_filter), 1)
async def test_groups_are_those_of_python(graph: Graph, question: Any, **asked: Any) -> None:
    (entity, by), wanted = question
    await check(graph, entity, by, ALL[entity], wanted=wanted, **asked)


@sampled(QUESTIONS, 0.4)
async def test_groups_of_what_a_user_may_see(graph: Graph, question: Any, **asked: Any) -> None:
    graph.principal = Principal("limited", Role.VIEWER, groups=(1,))
    entity, by = question
    await check(graph, entity, by, LIMITED[entity], **asked)
    graph.principal = EVERYONE


@sampled(KEPT_QUESTIONS, 0.4)
async def test_groups_without_identities(graph: Graph, question: Any, **asked: Any) -> None:
    graph.principal = Principal("blind", Role.VIEWER, deidentified=True)
    entity, by = question
    asked["of"] = MEASURED[0]
    await check(graph, entity, by, readable(ALL[entity]), **asked)
    graph.principal = EVERYONE


def readable(objects: Groups) -> Groups:
    """The objects without elements that could not all be read: nobody knows what they hold."""
    return {
        uid: [
            image._replace(header=[e for e in image.header if not _is_doubtful(e)])
            for image in images
        ]
        for uid, images in objects.items()
    }


def _is_doubtful(element: Any) -> bool:
    numbers = [value.number for value in element.values if value.number is not None]
    unfit = any(value.unreadable for value in element.values)
    return unfit or not all(map(math.isfinite, numbers))


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser("python -m tests.graph.test_group_properties")
    parser.add_argument("--examples", type=int, default=2000)
    options = parser.parse_args()
    variables = {**os.environ, "DICOM_GRAPH_TEST_EXAMPLES": str(options.examples)}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--all", __file__]
    sys.exit(subprocess.run(command, env=variables, check=False).returncode)


if __name__ == "__main__":
    main()
