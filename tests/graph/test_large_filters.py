"""Large filters: nobody else waits for them, and nothing of them stays in memory."""

import asyncio
import gc
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from graphql import (
    GraphQLInputObjectType,
    coerce_input_value,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
)
from graphql.type import GraphQLEnumType, GraphQLScalarType, get_named_type
from pydicom.datadict import DicomDictionary
from sqlalchemy import event
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_argument

from dicom_graph.access.principal import EVERYONE
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.services import Limits, Services
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from dicom_graph.store.sql.large_statements import WrittenStatements
from dicom_graph.web.garbage_collection import Garbage
from tests.support.make import make_series
from tests.support.samples import mostly_slow

T = TypeVar("T")
QUERY = "query ($filter: ImageFilter) { images(filter: $filter) { totalCount nodes { uid } } }"
KEYWORDS = [entry[4] for entry in DicomDictionary.values() if entry[0] in ("LO", "DS") and entry[4]]
LONG = 16_384


def conditions(kind: str, count: int, number: int = 0) -> dict[str, Any]:
    """A filter of so many conditions on elements; another for each number."""
    names = itertools.islice(itertools.cycle(KEYWORDS), number, number + count)
    elements = [{"keyword": name, "text": {"eq": "a"}} for name in names]
    if kind == "in one header":
        return {"header": {"elements": elements}}
    if kind == "of items":
        within = [{"keyword": "CodeValue", "text": {"eq": f"{n}"}} for n in range(count)]
        item = {"or": [{"element": element} for element in within]}
        return {"header": {"element": {"keyword": "ProcedureCodeSequence", "item": item}}}
    if kind == "of others":
        images = [{"header": {"element": element}} for element in elements]
        return {"series": {"study": {"images": {"some": {"or": images}}}}}
    return {"or": [{"header": {"element": element}} for element in elements]}


@pytest.fixture
def ask(database: Database, import_files: Any, tmp_path: Path) -> Callable[..., Any]:
    """Answers that must have no errors, of an archive of three images."""
    make_series(tmp_path / "a", 3, InstitutionName="a", ScanningSequence=["SE", "IR", "GR"])
    import_files(tmp_path / "a")
    services = Services(store=Store(database), runner=JobRunner(database, roots=()))

    async def ask(wanted: dict[str, Any], query: str = QUERY, **limits: Any) -> Any:
        context = Context.of(replace(services, limits=Limits(**limits)), EVERYONE)
        result = await schema.execute(query, {"filter": wanted}, context)
        assert result.errors is None, result.errors
        return result.data

    return ask


async def watched(answer: Awaitable[T]) -> tuple[T, float, float]:
    """An answer, its seconds, and the longest for which nothing else had a turn."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - began)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    longest, began = 0.0, time.perf_counter()
    result = await answer
    seconds = time.perf_counter() - began
    watching.cancel()
    return result, seconds, longest


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", mostly_slow(["in one header", "either", "of items", "of others"], 4)
)
async def test_others_have_their_turns_meanwhile(ask: Callable[..., Any], kind: str) -> None:
    await ask(conditions(kind, 3))
    gc.collect()
    gc.disable()
    try:
        _, seconds, longest = await watched(ask(conditions(kind, 60)))
    finally:
        gc.enable()
    assert longest < seconds / 3


async def test_what_they_find_is_the_same(ask: Callable[..., Any]) -> None:
    place = KEYWORDS.index("InstitutionName")
    for count in (1, 40):
        found = await ask(conditions("either", count, place))
        assert found["images"]["totalCount"] == 3
        assert len(found["images"]["nodes"]) == 3
        found = await ask(conditions("in one header", count, place))
        assert found["images"]["totalCount"] == (3 if count == 1 else 0)


@pytest.mark.slow
async def test_nothing_of_them_is_kept(ask: Callable[..., Any], database: Database) -> None:
    engine = database.reader.sync_engine
    longest = 0

    def note(*given: Any) -> None:
        nonlocal longest
        longest = max(longest, len(given[2]))

    event.listen(engine, "before_cursor_execute", note)
    written = engine.get_execution_options()["compiled_cache"]
    await ask(conditions("either", 2))
    before = written.n_bytes
    for number in range(4):
        for _ in range(7 if number == 0 else 1):  # psycopg prepares what it sees often.
            await ask(conditions("either", 30, number))
            await ask({"uid": {"in": [f"{number}.{n}" for n in range(5000)]}})
    assert longest > LONG
    assert written.n_bytes < before + 100 * LONG
    async with database.reader.connect() as connection:
        assert connection.sync_connection is not None
        driver = connection.sync_connection.connection.driver_connection
        if database.is_sqlite:
            assert not connection.sync_connection.info
        else:
            kept = [*driver._prepared._counts, *driver._prepared._names]  # type: ignore[union-attr]
            assert kept
            assert all(len(text) <= LONG for text, _ in kept)


def test_written_statements_are_bounded_in_bytes() -> None:
    kept = WrittenStatements(10_000_000)
    for number in range(100):
        kept[number] = "x" * 5000
        assert kept.n_bytes <= 10_000_000
    assert 99 in kept
    assert 0 not in kept
    kept["long"] = "x" * 100_000
    assert "long" not in kept
    assert 99 in kept
    kept[99] = "y" * 10
    assert kept[99] == "y" * 10
    del kept[99]
    kept.clear()
    assert kept.n_bytes == 0


def _samples(type_: GraphQLInputObjectType, depth: int = 3) -> list[dict[str, Any]]:
    """Values of an input type: of all fields, of each alone, of none; nulls."""
    fields = {
        name: value
        for name, field in type_.fields.items()
        if (value := _sample(field.type, depth)) is not None
    }
    fields |= {
        name: _sample(field.type, depth + 1)
        for name, field in type_.fields.items()
        if is_required_input_field(field) and name not in fields
    }
    needed = {
        name: fields[name] for name, field in type_.fields.items() if is_required_input_field(field)
    }
    nulls = {name: None for name, each in type_.fields.items() if not is_non_null_type(each.type)}
    return [fields, needed, needed | nulls, *(needed | {name: fields[name]} for name in fields)]


def _sample(type_: Any, depth: int) -> Any:
    named = get_named_type(type_)
    if isinstance(named, GraphQLEnumType):
        value: Any = next(iter(named.values))
    elif isinstance(named, GraphQLScalarType):
        value = {
            "Int": 3, "Float": 0.5, "Boolean": True, "Date": "2020-01-02", "Time": "03:04:05",
            "DateTime": "2020-01-02T03:04:05", "BigInt": "12",
        }.get(named.name, "text")  # fmt: skip
    else:
        value = _samples(named, depth - 1)[0] if depth else None
    is_list = is_list_type(type_) or is_list_type(getattr(type_, "of_type", None))
    return [value, value] if is_list and value is not None else value


@pytest.mark.slow
def test_inputs_are_what_strawberry_makes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(value: Any, of_type: Any) -> Any:
        converter = schema.schema_converter
        return convert_argument(value, of_type, converter.scalar_registry, schema.config)

    inputs = [t for t in schema._schema.type_map.values() if isinstance(t, GraphQLInputObjectType)]
    definitions = [t.extensions[GraphQLCoreConverter.DEFINITION_BACKREF] for t in inputs]
    given = [
        (coerce_input_value(value, named), definition.origin)
        for named, definition in zip(inputs, definitions, strict=True)
        if named.name != "UploadImagesInput"
        for value in _samples(named)
    ]
    assert len(given) > 400
    assert all(isinstance(value, dict) for value, _ in given)
    ours = [make(*each) for each in given]
    for definition in definitions:
        monkeypatch.setattr(definition, "from_input", None)
    assert ours == [make(*each) for each in given]


@pytest.mark.slow
def test_what_lives_long_is_left_out_of_searches_for_garbage() -> None:
    class Thing:
        pass

    now = [0.0]
    garbage = Garbage(lambda: now[0])
    try:
        circle = Thing()
        circle.itself = circle  # type: ignore[attr-defined]
        gc.collect(0)
        gc.collect(1)
        garbage.settle()
        assert gc.get_freeze_count() > 10_000
        is_there = id(circle)
        del circle
        gc.collect()
        assert any(id(thing) == is_there for thing in _frozen(Thing))
        now[0] = 601.0
        gc.collect(0)
        gc.collect(1)
        garbage.settle()
        assert not _frozen(Thing)
    finally:
        gc.unfreeze()


def _frozen(of_type: type) -> list[Any]:
    gc.unfreeze()
    found = [thing for thing in gc.get_objects() if type(thing) is of_type]
    gc.freeze()
    return found


@pytest.mark.parametrize("operator", ["exactly", "containsAll", "containsAny"])
async def test_a_list_of_texts_is_one_part_of_a_statement(
    ask: Callable[..., Any], database: Database, operator: str
) -> None:
    sizes: list[int] = []
    event.listen(
        database.reader.sync_engine,
        "before_cursor_execute",
        lambda *given: sizes.append(len(given[2])),
    )
    for texts in (["GR", "SE", "IR"], [f"a{number}" for number in range(2000)]):
        found = await ask({"series": {"scanningSequence": {operator: texts}}})
        assert found["images"]["totalCount"] == (3 if len(texts) == 3 else 0)
    # A name for each value, maybe twice, and no more.
    assert max(sizes) < min(sizes) + 2000 * 60
