"""How much one operation may ask for: each limit says the figure and itself."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import get_introspection_query

from dicom_graph.access.principal import EVERYONE
from dicom_graph.cli.demo import QUERY
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.services import Limits, Services
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from tests.support.make import make_file, make_series

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
SMALL = Limits(depth=6, aliases=3, tokens=100, directives=2, selections=8, cost=5000, seconds=30)
Ask = Callable[..., Any]


@pytest.fixture
def ask(database: Database) -> Ask:
    """Execute under limits; returns the whole result."""
    services = Services(store=Store(database), runner=JobRunner(database, roots=()))

    async def ask(query: str, limits: Limits = SMALL, **variables: Any) -> Any:
        context = Context.of(replace(services, limits=limits), EVERYONE)
        return await schema.execute(query, variables, context)

    return ask


@on_sqlite
@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("{ a: __typename b: __typename c: __typename d: __typename }", "MAX_ALIASES",
         ["4 aliases", "at most 3", "DICOM_GRAPH_MAX_ALIASES"]),
        ("{ ...A d: __typename } fragment A on Query { a: __typename b: __typename c: __typename }",
         "MAX_ALIASES", ["4 aliases"]),
        ("{ patients { nodes { studies { nodes { series { nodes { uid } } } } } } }", "MAX_DEPTH",
         ["7 levels", "at most 6", "DICOM_GRAPH_MAX_DEPTH"]),
        ("{ ...A } fragment A on Query { patients { nodes { ...B } } } fragment B on Patient "
         "{ studies { nodes { ... on Study { series { nodes { uid } } } } } }", "MAX_DEPTH",
         ["7 levels"]),
        ("{ __typename @skip(if: false) @skip(if: false) @include(if: true) }", "MAX_DIRECTIVES",
         ["3 directives", "at most 2"]),
        ("{ __typename @aa@aa@aa }", "MAX_DIRECTIVES", ["3 directives"]),
        ("{" + " __typename" * 9 + " }", "MAX_SELECTIONS", ["9 fields", "at most 8"]),
        ("{ images(first: 5001) { totalCount } }", "MAX_COST", ["5,001 objects", "at most 5,000"]),
        ("{ images(last: 5001) { totalCount } }", "MAX_COST", ["5,001 objects"]),
        ("{ patients { nodes { studies(first: 200) { totalCount } } } }", "MAX_COST",
         ["5,025 objects"]),
        ("{ patients { nodes { ...A } } } fragment A on Patient { studies(first: 100) { "
         "totalCount } series(first: 100) { totalCount } }", "MAX_COST", ["5,025 objects"]),
        ("query ($n: Int = 6000) { images(first: $n) { totalCount } }", "MAX_COST",
         ["6,000 objects"]),
        ('{ facet(entity: IMAGE, field: ROWS, first: 5001) { count } }', "MAX_COST", ["5,001"]),
    ],
)  # fmt: skip
async def test_too_much_is_refused(ask: Ask, query: str, code: str, words: list[str]) -> None:
    result = await ask(query)
    (error,) = result.errors
    assert result.data is None
    assert error.extensions["code"] == code
    assert all(word in error.message for word in words), error.message


@on_sqlite
async def test_what_is_just_allowed_is_answered(ask: Ask) -> None:
    for query in (
        "{ a: __typename b: __typename c: __typename }",
        "{ patients { nodes { studies { nodes { series { totalCount } } } } } }".replace(
            "studies {", "studies(first: 3) {"
        ),
        "{ __typename @skip(if: false) @include(if: true) }",
        "{" + " __typename" * 8 + " }",
        "{ images(first: 5000) { totalCount } }",
    ):
        result = await ask(query)
        assert result.errors is None, query


@on_sqlite
async def test_the_cost_is_that_of_the_variables_given(ask: Ask) -> None:
    query = (
        "query ($n: Int, $ids: [ID!]!) { images(first: $n) { totalCount } nodes(ids: $ids) { id } }"
    )
    assert (await ask(query, n=10, ids=[])).errors is None
    assert (await ask(query, ids=[])).errors is None
    for variables in ({"n": 5001, "ids": []}, {"n": 1, "ids": ["UGF0aWVudDox"] * 5000}):
        (error,) = (await ask(query, **variables)).errors
        assert "5,001" in error.message
    assert (await ask(query, n=10, ids=[])).errors is None


@on_sqlite
async def test_too_many_tokens(ask: Ask) -> None:
    (error,) = (await ask("{" + " __typename" * 100 + " }")).errors
    assert "100 tokens" in error.message


@on_sqlite
async def test_a_bomb_of_fragments_is_refused_at_once(ask: Ask) -> None:
    fragments = " ".join(
        f"fragment F{n} on Query {{ x: patients {{ totalCount }} ...F{n + 1} ...F{n + 1} }}"
        for n in range(200)
    )
    start = time.monotonic()
    result = await ask("{ ...F0 } " + fragments, Limits())
    assert [error.extensions["code"] for error in result.errors] == ["MAX_ALIASES"]
    loops = await ask("{ ...A } fragment A on Query { patients { totalCount } ...A }", Limits())
    assert "spread" in loops.errors[0].message
    assert time.monotonic() - start < 60


@on_sqlite
async def test_what_is_nested_beyond_all_is_refused(ask: Ask) -> None:
    limits = Limits(tokens=100_000)
    for depth in (100, 300, 2000):
        (error,) = (await ask("{ a" * depth + " }" * depth, limits)).errors
        assert "levels deep" in error.message or "nested too deeply" in error.message
    for length in (50, 200, 400, 3000):
        chain = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(length))
        query = f"{{ ...F0 }} {chain} fragment F{length} on Query {{ __typename }}"
        result = await ask(query, limits)
        reason = result.errors[0].message if result.errors else ""
        assert reason == "Validation aborted." or "deeply" in reason or not reason, reason


@on_sqlite
async def test_introspection_is_free_or_off(ask: Ask) -> None:
    query = get_introspection_query()
    assert (await ask(query, replace(SMALL, tokens=1000, selections=20))).errors is None
    off = Limits(introspection=False)
    for asked in (query, '{ __type(name: "Patient") { name } }'):
        (error,) = (await ask(asked, off)).errors
        assert error.extensions["code"] == "INTROSPECTION_OFF"
    for asked in (
        "{ patient }",
        "{ patients { totalCoun } }",
        "{ images { aggregate(field: NUMBR) { min } } }",
        "{ images(orderBy: [{ field: NUMBE }]) { totalCount } }",
    ):
        errors = (await ask(asked, off)).errors
        assert errors
        assert not any("ean" in error.message for error in errors)
        assert any("id you mean" in error.message for error in (await ask(asked, Limits())).errors)


@on_sqlite
async def test_counts_are_offered_or_not(ask: Ask) -> None:
    off = Limits(counts=False)
    counted: list[tuple[str, dict[str, Any]]] = [
        ("{ images { totalCount } }", {}),
        ("{ patients { nodes { ...A } } } fragment A on Patient { nStudies }", {}),
        ("{ studies(filter: { not: { nPatients: { gte: 2 } } }) { nodes { uid } } }", {}),
        ("{ series(orderBy: [{ field: N_IMAGES }]) { nodes { uid } } }", {}),
        ("{ series { aggregate(field: N_IMAGES) { max } } }", {}),
    ]
    document = (
        "query($f: SeriesFilter, $o: [StudyOrder!], $n: FieldName) "
        "{ series(filter: $f) { nodes { uid } } studies(orderBy: $o) { nodes { uid } } "
        "patients { aggregate(field: $n) { max } } }"
    )
    plain = {"f": {"number": {"eq": 1}}, "o": [{"field": "DATE"}], "n": "DATE_OF_BIRTH"}
    counting = [
        {"f": {"study": {"nSeries": {"eq": 1}}}}, {"o": [{"field": "N_SERIES"}]}, {"n": "N_SERIES"},
    ]  # fmt: skip
    for query, variables in [*counted, *((document, plain | each) for each in counting)]:
        (error,) = (await ask(query, off, **variables)).errors
        assert error.extensions["code"] == "COUNTS_OFF", query
        assert (await ask(query, Limits(), **variables)).errors is None
    assert (await ask(document, off, **plain)).errors is None
    assert (await ask("{ importJobs { totalCount nodes { nImages: id } } }", off)).errors is None


@on_sqlite
async def test_introspection_that_goes_round_in_circles_is_refused(ask: Ask) -> None:
    inner = "name"
    for _ in range(5):
        inner = f"fields {{ type {{ {inner} }} }}"
    result = await ask("{ __schema { types { " + inner + " } } }", Limits())
    assert "introspection depth" in result.errors[0].message


@on_sqlite
async def test_only_trusted_documents(ask: Ask) -> None:
    limits = Limits(documents=frozenset({"{ __typename }"}))
    assert (await ask("{ __typename }", limits)).data == {"__typename": "Query"}
    (error,) = (await ask("{  __typename }", limits)).errors
    assert error.extensions["code"] == "UNTRUSTED_DOCUMENT"


@on_sqlite
async def test_the_examples_are_allowed(ask: Ask) -> None:
    assert (await ask(QUERY, Limits())).errors is None


SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


async def test_a_statement_ends_when_the_time_is_up(
    database: Database, database_kind: str, tmp_path: Path, import_files: Any
) -> None:
    from sqlalchemy import text

    from dicom_graph.store.deadline import DEADLINE

    token = DEADLINE.set(asyncio.get_running_loop().time() + 0.2)
    with pytest.raises(TimeoutError):
        async with database.read() as connection:
            await connection.execute(text(SLOW[database_kind]))
    with pytest.raises(TimeoutError):
        async with database.read() as connection:
            await connection.execute(text(SLOW[database_kind]))
    DEADLINE.reset(token)
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


async def test_a_request_that_takes_too_long_is_told_so(
    ask: Ask, import_files: Any, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 3)
    import_files(tmp_path / "a")
    query = "{ images { nodes { uid series { uid } header { elements { value } } } } }"
    result = await ask(query, Limits(seconds=-1))
    assert {error.extensions["code"] for error in result.errors} == {"TIMEOUT"}
    assert "DICOM_GRAPH_MAX_SECONDS" in result.errors[0].message
    assert (await ask(query, Limits())).errors is None


@on_sqlite
async def test_an_answer_is_refused_by_its_own_bytes(
    ask: Ask, import_files: Any, tmp_path: Path
) -> None:
    # One character that is no ASCII among many that are, and many that are none.
    names = {"a": "Ünal^" + "A" * 59, "b": "山田^" * 20, "c": "😀" * 30}
    for name, text in names.items():
        make_series(tmp_path / name, 1, SpecificCharacterSet="ISO_IR 192", StudyDescription=text)
    import_files(tmp_path)
    query = "{ images { nodes { header { html json elements { value } } } } }"
    size = len(json.dumps((await ask(query, Limits())).data, separators=(",", ":")))
    assert (await ask(query, Limits(answer_bytes=int(size * 1.1)))).errors is None
    (error,) = (await ask(query, Limits(answer_bytes=int(size * 0.7)))).errors
    assert error.extensions["code"] == "MAX_ANSWER_BYTES"


@on_sqlite
async def test_bytes_that_no_answer_could_hold_are_not_read(
    ask: Ask, import_files: Any, tmp_path: Path
) -> None:
    path = tmp_path / "large.dcm"
    make_file(path, EncapsulatedDocument=b"x" * 300_000)
    import_files(path)
    # Whoever reads them says that the file is gone.
    path.unlink()
    bytes_of = """{ images { nodes { header { element(keyword: "EncapsulatedDocument") {
        bytes(limit: 2000000000) } } } } }"""
    values_of = bytes_of.replace("bytes(", "values { ... on OtherByteValue { bytes(", 1)
    values_of = values_of.replace(") }", ") } } }", 1)
    for query in (bytes_of, values_of):
        for limit, code in ((300_000, "MAX_ANSWER_BYTES"), (500_000, "FILE_GONE")):
            (error,) = (await ask(query, Limits(answer_bytes=limit))).errors
            assert error.extensions["code"] == code
