"""What is completed once is what graphql-core completes each time: the same bytes and errors.

The truth is graphql-core's own executor, as Strawberry uses it, on the same operation.
"""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import (
    GraphQLField,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
    parse,
)
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from strawberry.extensions import SchemaExtension
from strawberry.scalars import JSON

from dicom_graph.access.principal import EVERYONE, Principal, Role
from dicom_graph.graph.execution.executor import MemoizingExecutor, PlainExecutor
from dicom_graph.graph.execution.plans import PlanCache, plans_of
from dicom_graph.graph.limits.prepared_documents import PreparedDocument
from dicom_graph.graph.schema import schema
from dicom_graph.store.engine import Database
from tests.support.archive import filled_database
from tests.support.graph import Graph
from tests.support.make import make_data_set, put_raw, save
from tests.support.samples import examples

EXAMPLES = examples(60)
TYPES = schema._schema.type_map
LISTS = {"Patient": "patients", "Study": "studies", "Series": "series", "Image": "images"}
BELOW = {
    "Patient": [("studies", "Study"), ("series", "Series"), ("images", "Image")],
    "Study": [("series", "Series"), ("patients", "Patient")],
    "Series": [("images", "Image")],
    "Image": [],
}
KEYWORDS = [
    "AcquisitionDateTime", "EchoTime", "EncapsulatedDocument", "AcquisitionDuration", "Modality",
    "PatientAge", "PatientName", "PixelSpacing", "ReferencedImageSequence", "SelectorATValue",
    "RedPaletteColorLookupTableData", "SelectorUVValue", "SliceThickness", "StudyDate",
    "StudyDescription", "BeamSequence",
]  # fmt: skip


DRAWN = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)  # fmt: skip


def fill(folder: Path) -> None:
    """Two series whose headers share most: every kind of value, sequences, odd bytes."""
    for number in (1, 2, 3):
        data_set = make_data_set(
            SOPInstanceUID=f"1.2.3.{number}",
            SeriesInstanceUID=f"1.2.4.{number % 2}",
            StudyInstanceUID="1.2.5",
            InstanceNumber=number,
            PixelSpacing=[0.5, 0.25],
            PatientAge="031Y",
            AcquisitionDateTime="20200102030405.5+0100",
            SelectorATValue=[0x00181030, 0x00080060],
            SelectorUVValue=[2**60, 1],
            RedPaletteColorLookupTableData=b"\x01\x02\x03\x04",
            EncapsulatedDocument=bytes(300),
        )
        data_set.ReferencedImageSequence = [_item(uid) for uid in ("1.2.3.9", "1.2.3.8")]
        data_set.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence = [_item("1.2.3.7")]
        put_raw(data_set, 0x00189073, "FD", b"\x00" * 6 + b"\xf8\x7f")
        put_raw(data_set, 0x00180050, "DS", b"thin")
        put_raw(data_set, 0x00081030, "LO", b" padded ")
        block = data_set.private_block(0x0029, "SOMEBODY", create=True)
        block.add_new(0x10, "UN", b"private?")
        save(data_set, folder / f"{number}.dcm")
    source = get_testdata_file("rtplan.dcm")
    assert isinstance(source, str)
    (folder / "plan.dcm").write_bytes(Path(source).read_bytes())


def _item(uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    item.ReferencedSOPInstanceUID = uid
    return item


@pytest.fixture(scope="module", params=["sqlite"])
def archive_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The archive, imported once."""
    with filled_database(request, tmp_path_factory.mktemp("execution"), fill) as url:
        yield url


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


class Selections:
    """Draws selections of the schema's types, and the fragments that they spread."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.fragments: list[str] = []
        self.n_names = 0

    def of(self, type_: Any, depth: int) -> str:
        """A selection on an object or interface type."""
        chosen = [self._selected(type_, depth) for _ in range(self.draw(st.integers(1, 3)))]
        return "{ " + " ".join(chosen) + " }"

    def _selected(self, type_: Any, depth: int) -> str:
        kind = self.draw(st.sampled_from(["field"] * 6 + ["inline", "spread", "__typename"]))
        if kind == "__typename" or not self._fields(type_, depth):
            return "__typename"
        if kind == "field":
            return self._field(type_, depth)
        within = type_
        if is_abstract_type(type_):
            possible = sorted(schema._schema.get_possible_types(type_), key=lambda t: t.name)
            within = self.draw(st.sampled_from(possible))
        if kind == "inline":
            return f"... on {within.name} {self._condition()} {self.of(within, depth)}"
        name = self._name("F")
        self.fragments.append(f"fragment {name} on {within.name} {self.of(within, depth)}")
        return f"...{name} {self._condition()} ...{name}"

    def _field(self, type_: Any, depth: int) -> str:
        name, field = self.draw(st.sampled_from(self._fields(type_, depth)))
        arguments = self._arguments(field)
        of_interface = is_abstract_type(type_)
        alias = "" if of_interface and not arguments else f"{self._name('a')}: "
        if alias and not arguments and "Value" not in type_.name:
            alias = self.draw(st.sampled_from(["", alias]))
        named = get_named_type(field.type)
        inner = "" if is_leaf_type(named) else self.of(named, depth - 1)
        return f"{alias}{name}{arguments} {self._condition()} {inner}"

    def _fields(self, type_: Any, depth: int) -> list[tuple[str, GraphQLField]]:
        return [
            (name, field)
            for name, field in type_.fields.items()
            if (depth > 0 or is_leaf_type(get_named_type(field.type)))
            and not any(map(is_required_argument, field.args.values()))
        ]

    def _arguments(self, field: GraphQLField) -> str:
        """Some that give an error: too few bytes allowed, a page of no size that there is."""
        if "limit" in field.args:
            return self.draw(st.sampled_from(["", "(limit: 0)", "(limit: 10)"]))
        if "size" in field.args:
            return self.draw(st.sampled_from(["", "(size: 2)", "(size: $size)"]))
        if "first" in field.args:
            return self.draw(st.sampled_from(["(first: 2)"] * 8 + ["(first: $size)", "(last: -1)"]))
        return ""

    def _condition(self) -> str:
        directives = ["", "", "", "@skip(if: $yes)", "@include(if: $no)", "@include(if: $yes)"]
        return self.draw(st.sampled_from([*directives, "@skip(if: false)"]))

    def _name(self, prefix: str) -> str:
        self.n_names += 1
        return f"{prefix}{self.n_names}"


@st.composite
def operations(draw: Any) -> str:
    """An operation that reaches the elements of several headers, and asks much of each."""
    selections = Selections(draw)
    element = selections.of(TYPES["DataElement"], 2)
    header = selections.of(TYPES["Header"], 1)
    image = selections.of(TYPES["Image"], 1)
    again = draw(st.sampled_from([element, selections.of(TYPES["DataElement"], 1)]))
    body = (
        f"images(first: 4) {{ nodes {{ ...Image header {{ ...Header "
        f"elements(keywords: {json.dumps(KEYWORDS)}) {element} "
        f'shape: element(keyword: "EchoTime") {again} }} }} }}'
    )
    fragments = [f"fragment Image on Image {image}", f"fragment Header on Header {header}"]
    variables = "($yes: Boolean = true, $no: Boolean = false, $size: Int = 3)"
    used = " ".join([*fragments, *selections.fragments])
    keep = "kept: images(first: $size) { totalCount @skip(if: $yes) nodes { uid @skip(if: $no) } }"
    return f"query {variables} {{ {keep} {body} }} {used}"


@st.composite
def walks(draw: Any) -> str:
    """An operation from lists of entities down several levels, in both forms of a list."""
    selections = Selections(draw)
    bodies = []
    for entity, name in draw(st.permutations(list(LISTS.items())))[:2]:
        node = TYPES[entity]
        first = draw(st.sampled_from(["", "(first: 2)", "(last: 1)", "(first: -1)"]))
        below = [
            f"{alias}: {field}{draw(st.sampled_from(['', '(first: 1)', '(first: $size)']))} "
            f"{{ nodes {selections.of(TYPES[child], 2)} edges {{ cursor "
            f"node {selections.of(TYPES[child], 1)} }} totalCount }}"
            for alias, (field, child) in zip("bcd", BELOW[entity], strict=False)
        ]
        bodies.append(
            f"{name}{first} {{ {draw(st.sampled_from(['nodes', 'n: nodes']))} "
            f"{{ ... on {entity} {selections.of(node, 2)} {' '.join(below)} }} "
            "pageInfo { hasNextPage endCursor } }"
        )
    variables = "($yes: Boolean = true, $no: Boolean = false, $size: Int = 3)"
    used = "used: images(first: $size) { nodes { uid @skip(if: $yes) number @skip(if: $no) } }"
    return f"query {variables} {{ {used} {' '.join(bodies)} }} {' '.join(selections.fragments)}"


class Answers:
    """Executes an operation on a database with one executor or the other."""

    def __init__(self, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
        self._graph = graph
        self._monkeypatch = monkeypatch

    async def of(
        self, executor: type, operation: str, **variables: Any
    ) -> tuple[str, list[Any], int]:
        """The data as JSON, the errors, and the number of SQL statements."""
        self._monkeypatch.setattr(schema, "execution_context_class", executor)
        result = await self._graph.execute(operation, **variables)
        errors = [error.formatted for error in result.errors or ()]
        return json.dumps(result.data), errors, len(self._graph.statements)

    async def both(self, operation: str) -> tuple[Any, Any]:
        """The answers of graphql-core's executor and of ours."""
        expected = await self.of(PlainExecutor, operation)
        return expected, await self.of(MemoizingExecutor, operation)


@pytest.fixture
def answers(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Both executors on the archive."""
    return Answers(graph, monkeypatch)


def nulled(answer: tuple[str, list[Any], int]) -> set[tuple[str, str | None]]:
    """Which places are null by an error, and by which where the field there has failed itself.

    Of several fields below, any may be the one that fails first (GraphQL 6.4.4), and others may
    have failed before they are stopped: how many, depends on what is in memory.
    """
    found = set()
    for error in answer[1]:
        value, place, path = json.loads(answer[0]), [], error.get("path", [])
        for step in path:
            if value is None:
                break
            value = value[step]
            place.append(step)
        assert value is None
        found.add((repr(place), repr(error) if place == path else None))
    return found


@DRAWN
@given(operation=operations())
async def test_any_selection_of_elements_gives_the_same_bytes_and_errors(
    answers: Answers, operation: str
) -> None:
    expected, given = await answers.both(operation)
    assert given[0] == expected[0]
    assert nulled(given) == nulled(expected)
    n_errors = min(len(given[1]), 2)
    event(f"{'no data' if given[0] == 'null' else 'data'}, {n_errors} errors or more")


@DRAWN
@given(operation=walks())
@example("{ series { nodes { images(first: 1) { nodes { id } } sampleHeader { id } } } }")
async def test_any_walk_over_lists_gives_the_same_values_and_errors(
    answers: Answers, operation: str
) -> None:
    expected, given = await answers.both(operation)
    assert json.loads(given[0]) == json.loads(expected[0])
    assert nulled(given) == nulled(expected)
    # Lists of the root wait for each other's statements by chance alone.
    n_lists = len(parse(operation).definitions[0].selection_set.selections)
    assert given[1] or given[2] <= expected[2] + n_lists - 1


@pytest.mark.parametrize(
    "element",
    [
        "tag value",
        "id __typename tag vm warnings definition { id keyword } other: definition { vr }",
        "values { __typename index raw ... on DecimalStringValue { value } rawPeek(size: 2) }",
        "tag bytes(limit: 3)",
        "values { ... on OtherByteValue { bytes(limit: 3) } }",
        "keyword items { index elements { tag items { elements { value } } } }",
        "tag headers(first: 1) { totalCount nodes { id } } images(first: 2) { nodes { uid } }",
    ],
)
async def test_no_statement_more(answers: Answers, element: str) -> None:
    operation = f"{{ images {{ nodes {{ header {{ elements {{ {element} }} }} }} }} }}"
    await answers.both(operation)
    expected, given = await answers.both(operation)
    assert given[:2] == expected[:2]
    # Where an error makes more than its own place null, the list is asked for again.
    assert given[1] or given[2] <= expected[2]
    assert ("limit" in element) == bool(given[1])


class Mood(Enum):
    """Values of an enum."""

    GOOD = "good"


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
    st.binary(max_size=2), st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=3),
    st.sampled_from([Mood.GOOD, "GOOD", ValueError("odd"), math.nan, 2**31, range(2), ("a", 1)]),
)  # fmt: skip
FITTING: dict[str, st.SearchStrategy[Any]] = {
    "number": st.just(3), "maybe": st.sampled_from([None, 4]), "ratio": st.just(0.5),
    "text": st.text(max_size=3), "json": st.just({"a": [1]}), "mood": st.just(Mood.GOOD),
    "texts": st.just(["a", "b"]), "some_texts": st.just(["a", None]), "deep": st.just([[1], []]),
}  # fmt: skip
ATTRIBUTES = st.fixed_dictionaries(FITTING).flatmap(
    lambda thing: st.one_of(
        st.just(thing),
        st.dictionaries(st.sampled_from(sorted(FITTING)), ODD, max_size=2).map(
            lambda odd: thing | odd
        ),
    )
)
THINGS = st.lists(ATTRIBUTES, min_size=1, max_size=3).flatmap(
    # Some occur again: the same values under the same id.
    lambda some: st.lists(
        st.sampled_from([thing | {"id": str(n)} for n, thing in enumerate(some)]),
        min_size=1,
        max_size=5,
    )
)


@strawberry.type
class Thing:
    """An object whose attributes may be anything at all."""

    id: str
    number: int
    maybe: int | None
    ratio: float
    text: str | None
    json: JSON
    mood: strawberry.enum(Mood) | None  # type: ignore[valid-type]
    texts: list[str]
    some_texts: list[str | None] | None
    deep: list[list[int]] | None


@strawberry.type
class Root:
    """The things of the context."""

    @strawberry.field
    def things(self, info: strawberry.Info) -> list[Thing | None]:
        return [Thing(**thing) for thing in info.context["things"]]


@strawberry.type
class Followed:
    """The things of the context, one after another."""

    @strawberry.subscription
    async def thing(self, info: strawberry.Info) -> AsyncGenerator[Thing, None]:
        for thing in info.context["things"]:
            yield Thing(**thing)


def things_schema(executor: type, *extensions: type[SchemaExtension]) -> strawberry.Schema:
    """A schema of things that uses the executor."""
    return strawberry.Schema(
        Root,
        subscription=Followed,
        execution_context_class=executor,
        extensions=extensions,
    )


class ThingsMemoized(MemoizingExecutor):
    """The executor for things, which here never change."""

    immutable = frozenset({Thing})


STANDARD = things_schema(PlainExecutor)
PLANNED = things_schema(MemoizingExecutor)
ONCE = things_schema(ThingsMemoized)
FIELDS = ["number", "maybe", "ratio", "text", "json", "mood", "texts", "someTexts", "deep"]
SELECTED = st.lists(st.sampled_from([*FIELDS, "__typename", "again: number"]), min_size=1)


def plain(result: Any) -> tuple[str, list[Any]]:
    """A result so that two are equal where the client sees the same."""
    return repr(result.data), [error.formatted for error in result.errors or ()]


@settings(max_examples=EXAMPLES, deadline=None)
@given(things=THINGS, fields=SELECTED)
@example(
    things=[dict.fromkeys(["id", *FITTING]) | {"text": ValueError("odd")}] * 2, fields=["text"]
)
@example(things=[dict.fromkeys(["id", *FITTING])] * 2, fields=["number"])
def test_attributes_of_any_value_give_the_same(things: list[Any], fields: list[str]) -> None:
    query = f"{{ things {{ {' '.join(fields)} }} }}"
    expected, planned, once = (
        plain(schema.execute_sync(query, context_value={"things": things}))
        for schema in (STANDARD, PLANNED, ONCE)
    )
    assert planned == expected
    assert once == expected
    event("errors" if expected[1] else "no errors")


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(things=THINGS, fields=SELECTED)
def test_each_event_of_a_subscription_has_its_own_values(
    things: list[Any], fields: list[str]
) -> None:
    async def events(schema: strawberry.Schema) -> list[Any]:
        query = f"subscription {{ thing {{ {' '.join(fields)} }} }}"
        results = await schema.subscribe(query, context_value={"things": things})
        return [plain(result) async for result in results]  # type: ignore[union-attr]

    assert asyncio.run(events(ONCE)) == asyncio.run(events(STANDARD))


def test_an_extension_that_wraps_resolvers_sees_each_call() -> None:
    seen: list[str] = []

    class Watch(SchemaExtension):
        def resolve(self, next_: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(info.field_name)
            return next_(root, info, *args, **kwargs)

    watched = things_schema(ThingsMemoized, Watch)
    thing = dict.fromkeys(["id", *FITTING])
    watched.execute_sync("{ things { text maybe } }", context_value={"things": [thing, thing]})
    assert seen == ["things", "text", "maybe", "text", "maybe"]


KEPT = """query (
  $first: Int! = 2, $after: String, $no: Boolean = false, $yes: Boolean!, $f: ImageFilter) {
  ...Lists @skip(if: $no)
  images(first: $first, after: $after, filter: $f, orderBy: [{field: UID}]) @include(if: $yes) {
    totalCount edges { cursor node { uid number @skip(if: $no) } }
    pageInfo { hasNextPage end: endCursor startCursor hasPreviousPage __typename } } }
fragment Lists on Query {
  series(last: $first) { __typename nodes { ...S @include(if: $yes) nImages } } }
fragment S on Series { uid images(first: $first, offset: 1) {
  totalCount nodes { uid series { uid } } pageInfo { startCursor } } }"""


async def test_a_document_that_is_executed_again_takes_its_new_variables(answers: Answers) -> None:
    cursor = json.loads((await answers.of(PlainExecutor, KEPT, yes=True))[0])
    after = cursor["images"]["pageInfo"]["end"]
    given: list[dict[str, Any]] = [
        {"yes": True}, {"yes": False}, {"yes": True, "no": True}, {"yes": False, "no": None},
        {"yes": True, "first": 1}, {"yes": True, "first": 0}, {"yes": True, "first": -1},
        {"yes": True, "after": after}, {"yes": True, "after": "x"}, {"yes": True, "after": None},
        {"yes": True, "f": {"number": {"eq": 2}}}, {"yes": True, "f": {"uid": {"regex": "("}}},
        {}, {"yes": 1}, {"yes": True, "first": None}, {"yes": True, "first": 2**31},
        {"yes": True, "first": 2.0}, {"yes": True, "after": 5}, {"yes": True, "f": {"x": 1}},
        {"yes": True}, {"yes": True, "more": 1},
    ]  # fmt: skip
    for variables in given:
        expected = await answers.of(PlainExecutor, KEPT, **variables)
        found = await answers.of(MemoizingExecutor, KEPT, **variables)
        assert found[:2] == expected[:2], variables


async def test_a_kept_plan_is_for_whoever_may(graph: Graph) -> None:
    query = "{ auditEntries { totalCount } protocols { nodes { name } } images { nodes { uid } } }"
    limited = Principal("x", Role.VIEWER, user_id=1, groups=(7,))
    nobody = Principal("y", Role.NOBODY)
    for principal, n_errors, n_images in (
        (EVERYONE, 0, 4), (limited, 2, 0), (EVERYONE, 0, 4), (nobody, 3, None),
    ):  # fmt: skip
        graph.principal = principal
        result = await graph.execute(query)
        assert len(result.errors or ()) == n_errors, principal
        images = result.data["images"]
        assert images == (images and {"nodes": images["nodes"]})
        assert n_images == (len(images["nodes"]) if images else None)


async def test_counts_ride_in_the_statement_of_their_page(answers: Answers, graph: Graph) -> None:
    operation = """{ patients { nodes { uid nStudies nSeries nImages
      studies(first: 2) { nodes { nPatients nSeries
        series(first: 1, offset: 1, filter: {modality: {eq: "MR"}}) {
          nodes { uid nImages } } } } } } }"""
    expected, found = await answers.both(operation)
    assert found[0] == expected[0]
    assert found[2] == 3 < expected[2]
    graph.principal = Principal("x", Role.VIEWER, user_id=1, groups=(7,))
    limited, _, n_statements = await answers.of(MemoizingExecutor, operation)
    assert json.loads(limited) == {"patients": {"nodes": []}}
    assert n_statements <= 3


def test_plans_are_kept_as_far_as_their_documents_are_short() -> None:
    cache = PlanCache(max_characters=3200)
    for number in range(100):
        for skipped in (True, False):
            query = f"query ($s: Boolean!) {{ a{number}: patients {{ totalCount @skip(if: $s) }} }}"
            prepared = PreparedDocument(schema._schema, query, 1000)
            plans = plans_of(schema._schema, prepared, None)
            assert plans is not None
            assert cache.get(plans, (skipped,), lambda: None) is None
            assert 0 < cache.n_characters <= 3200
    assert cache.get(plans, (skipped,), pytest.fail) is None
    long = PreparedDocument(schema._schema, query + "#" * 3000, 1000)
    kept = cache.n_characters
    plans = plans_of(schema._schema, long, None)
    assert plans is not None
    cache.get(plans, (True,), lambda: None)
    assert cache.n_characters == kept
