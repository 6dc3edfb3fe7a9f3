"""Prints all that is known of the entities' fields, to compare two versions of the code.

    python -m tests.entity_facts > before.txt

Columns and indexes of both databases; what the de-identified view shows of each column; the fields
that are read, each with the element that it comes from; filters, orders and searches with the SQL
that they become; what an edit takes and refuses; facets, statistics, columns of the CSV file; and
the codes of errors. It asks the schema and the tables, not the code that makes them: what it prints
stays comparable when that code is another.
"""

import asyncio
import base64
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
)
from sqlalchemy import MetaData, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from dicom_graph.access.principal import EVERYONE
from dicom_graph.dicom.dictionary import dictionary_vr
from dicom_graph.error_codes import ErrorCode
from dicom_graph.exports.columns import entity_columns
from dicom_graph.exports.csv_lines import entity_csv
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.foreground import run_import
from dicom_graph.services import Services
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.read import Store
from dicom_graph.store.tables.base import Base
from dicom_graph.store.views.definitions import DefinitionRow
from dicom_graph.store.views.deidentified import shown_columns, shown_rows
from dicom_graph.store.views.deidentified_columns import DeidentifiedTable
from dicom_graph.store.views.visible_definitions import FIELD_TAGS, VisibleDefinitions
from tests.support.all_keywords import of_a_sequence, of_all_keywords
from tests.support.make import save

ROOTS = {
    "Patient": "patients", "Study": "studies", "Series": "series", "Image": "images",
    "ImportJob": "importJobs", "AuditEntry": "auditEntries",
}  # fmt: skip
EDITED = ("Patient", "Study", "Series", "Image")
DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}
TYPES = schema._schema.type_map
_BLANKS = re.compile(r"\s+")


def main() -> None:
    """Print one fact a line, section by section."""
    logging.disable(logging.WARNING)
    for line in (
        *columns(),
        *deidentified(),
        *asyncio.run(_asked()),
        *map("error code | {}".format, ErrorCode),
    ):
        print(line)


def columns() -> Iterator[str]:
    """The tables and indexes as the metadata makes them."""
    for table in Base.metadata.sorted_tables:
        for name, dialect in DIALECTS.items():
            yield f"column | {table.name} | {name} | {_flat(CreateTable(table), dialect)}"
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                yield f"index | {table.name} | {name} | {_flat(CreateIndex(index), dialect)}"


def deidentified() -> Iterator[str]:
    """What a user who sees no identities gets of each column."""
    tags = sorted(FIELD_TAGS)
    rows = [DefinitionRow(id, tag, "", dictionary_vr(tag)) for id, tag in enumerate(tags, 1)]
    visible = VisibleDefinitions.of(True, rows)
    metadata = MetaData()
    copies = {table.name: table.to_metadata(metadata) for table in Base.metadata.sorted_tables}
    for name, table in sorted(copies.items()):
        shown = DeidentifiedTable(visible, table, copies.__getitem__)
        for column, what in zip(table.c, shown_columns(shown), strict=True):
            text = _flat(select(what), DIALECTS["sqlite"])
            yield f"de-identified | {name}.{column.name} | {text}"
        yield f"de-identified | {name} | rows | {_flat(shown_rows(shown), DIALECTS['sqlite'])}"


def _flat(clause: Any, dialect: Any) -> str:
    if isinstance(clause, CreateTable | CreateIndex):
        return _BLANKS.sub(" ", str(clause.compile(dialect=dialect))).strip()
    options = {"literal_binds": True}
    return _BLANKS.sub(" ", str(clause.compile(dialect=dialect, compile_kwargs=options))).strip()


class Asked:
    """Asks the schema, and keeps the statements that the database got."""

    def __init__(self, database: Database) -> None:
        self.store = Store(database)
        self._services = Services(store=self.store, runner=JobRunner(database, roots=()))
        self.statements: list[str] = []
        event.listen(database.reader.sync_engine, "before_cursor_execute", self._record)

    def _record(self, _c: Any, _cu: Any, statement: str, parameters: Any, *_: Any) -> None:
        self.statements.append(f"{_BLANKS.sub(' ', statement)} {parameters}")

    async def __call__(self, query: str, **variables: Any) -> Any:
        self.statements.clear()
        context = Context.of(self._services, EVERYONE)
        return await schema.execute(query, variable_values=variables, context_value=context)


@asynccontextmanager
async def _archive() -> AsyncIterator[Asked]:
    """A database of two images: one of all keywords, and one of an MR sequence."""
    with tempfile.TemporaryDirectory(prefix="dicom-graph-facts-") as name:
        folder = Path(name)
        save(of_all_keywords(), folder / "files" / "all.dcm")
        save(of_a_sequence(), folder / "files" / "sequence.dcm")
        database = Database(f"sqlite:///{folder / 'facts.sqlite3'}")
        upgrade(database)
        request = JobRequest((str(folder / "files"),), Mode.FULL, origin=JobOrigin.PYTHON)
        report = run_import(database, request)
        assert not report.failures, report.failures
        yield Asked(database)
        await database.close()


async def _asked() -> list[str]:
    async with _archive() as ask:
        return [
            *[line async for line in _read(ask)],
            *[line async for line in _filtered(ask)],
            *[line async for line in _sorted(ask)],
            *[line async for line in _searched(ask)],
            *[line async for line in _facets(ask)],
            *[line async for line in _csv(ask)],
            *[line async for line in _edited(ask)],
        ]


def _fields(name: str) -> dict[str, Any]:
    found = TYPES[name]
    assert isinstance(found, GraphQLObjectType | GraphQLInputObjectType)
    return found.fields


def _leaves(type_name: str) -> list[str]:
    """The fields of a type that need no arguments and have no parts."""
    leaves = [n for n, f in _fields(type_name).items() if is_leaf_type(get_named_type(f.type))]
    return [n for n in leaves if n not in ("created", "modified", "path", "filePaths", "volumes")]


async def _read(ask: Asked) -> AsyncIterator[str]:
    for type_name in ROOTS:
        for name, field in _fields(type_name).items():
            yield f"field | {type_name}.{name} | {field.type}"
    for type_name in EDITED:
        wanted = " ".join(_leaves(type_name))
        query = (
            f"{{ page: {ROOTS[type_name]}(orderBy: [{{field: ID}}]) {{ nodes {{ {wanted} }} }} }}"
        )
        result = await ask(query)
        assert not result.errors, result.errors
        for node in result.data["page"]["nodes"]:
            for name, value in node.items():
                yield f"read | {type_name}.{name} | {value!r}"


async def _filtered(ask: Asked) -> AsyncIterator[str]:
    for type_name, root in ROOTS.items():
        for name, field in _fields(f"{type_name}Filter").items():
            yield f"filter | {type_name}.{name} | {field.type}"
            for condition in _conditions(type_name, field.type):
                result = await ask(
                    f"{{ {root}(filter: {{{name}: {condition}}}) {{ totalCount }} }}"
                )
                codes = [error.extensions for error in result.errors or ()]
                text = _after("WHERE", ask.statements)
                yield f"filter | {type_name}.{name} | {condition} | {codes or text}"


def _conditions(type_name: str, kind: Any) -> list[str]:
    """Some values of an input type, in GraphQL's own language."""
    named = get_named_type(kind)
    if named.name == "Boolean":
        return ["true", "false"]
    if named.name == "IdFilter":
        id = base64.b64encode(f"{type_name}:7".encode()).decode()
        wrong = base64.b64encode(b"Header:7").decode()
        return [f'{{eq: "{id}"}}', f'{{in: ["{id}"]}}', f'{{eq: "{wrong}"}}']
    fields = _fields(named.name)
    if "some" in fields:
        return ["{some: {}}", "{none: {}}", "{every: {}}"]
    if "isNull" in fields:
        return ["{isNull: true}"]
    if "eq" in fields:
        enum = get_named_type(fields["eq"].type)
        assert isinstance(enum, GraphQLEnumType)
        return [f"{{eq: {next(iter(enum.values))}}}"]
    return ["[{}]" if str(kind).startswith("[") else "{}"]


async def _sorted(ask: Asked) -> AsyncIterator[str]:
    for type_name, root in ROOTS.items():
        enum = TYPES[f"{type_name}OrderField"]
        assert isinstance(enum, GraphQLEnumType)
        for name in sorted(enum.values):
            query = f"{{ {root}(first: 1, orderBy: [{{field: {name}}}]) {{ nodes {{ id }} }} }}"
            result = await ask(query)
            assert not result.errors, result.errors
            keys = re.search(r", ([^,]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^,]*)* AS key_0.*?) FROM",
                             ask.statements[0])  # fmt: skip
            text = keys[1] if keys else ask.statements[0]
            yield f"sort | {type_name}.{name} | {text} | {_after('ORDER BY', ask.statements)}"


async def _searched(ask: Asked) -> AsyncIterator[str]:
    for type_name, root in ROOTS.items():
        result = await ask(f'{{ {root}(search: "x") {{ totalCount }} }}')
        found = "refused" if result.errors else _after("WHERE", ask.statements)
        yield f"search | {type_name} | {found}"


def _after(word: str, statements: list[str]) -> str:
    return " ; ".join(s.partition(f" {word} ")[2] or s for s in statements)


def upper(name: str) -> str:
    """echoTime as ECHO_TIME."""
    return "".join(f"_{c}" if c.isupper() else c.upper() for c in name)


async def _facets(ask: Asked) -> AsyncIterator[str]:
    names = {camel(column.name) for table in Base.metadata.sorted_tables for column in table.c}
    for type_name in ROOTS:
        names |= set(_fields(type_name)) | set(_fields(f"{type_name}Filter"))
    for type_name, root in ROOTS.items():
        for name in sorted(names):
            query = f"{{ {root} {{ aggregate(field: {upper(name)}) {{ count min max }} }} }}"
            result = await ask(query)
            if not result.errors:
                shown = "" if name in _MOMENTS else result.data[root]["aggregate"]
                yield f"statistics | {type_name}.{name} | {shown}"
    for type_name in EDITED:
        for name in sorted(names):
            query = (
                f"{{ facet(entity: {type_name.upper()}, field: {upper(name)}) {{ value count }} }}"
            )
            result = await ask(query)
            if not result.errors:
                shown = "" if name in _MOMENTS else result.data["facet"]
                yield f"facet | {type_name}.{name} | {shown}"


_MOMENTS = (
    "created", "modified", "startedAt", "finishedAt", "createdAt", "resumedAt", "heartbeatAt",
)  # fmt: skip


def camel(name: str) -> str:
    """echo_time as echoTime."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


async def _csv(ask: Asked) -> AsyncIterator[str]:
    async for text in entity_csv(ask.store, "series", None, entity_columns("series", [])):
        for line in text.splitlines():
            yield f"csv | {line}"


_PROBES: dict[str, list[Any]] = {
    "String": ["x", " x ", "CODE", "M", "a^b", "", "a\nb", "x" * 65, "x" * 1025],
    "Int": [-1, 5],
    "Float": [-1.0, 1.5],
    "Date": ["2020-01-02"],
    "Time": ["01:02:03", "01:02:03+01:00"],
    "[Float!]": [[], [1.0], [1.0, 2.0], [0.0, 1.0]],
    "[String!]": [[], ["SE"], ["bad code"], ["A"] * 17],
    "SequenceType": ["FLAIR"],
}


async def _edited(ask: Asked) -> AsyncIterator[str]:
    for type_name in EDITED:
        found = await ask(
            f"{{ {ROOTS[type_name]}(orderBy: [{{field: ID}}]) {{ nodes {{ id }} }} }}"
        )
        id = found.data[ROOTS[type_name]]["nodes"][0]["id"]
        for name, field in _fields(f"Update{type_name}Input").items():
            yield f"edit | {type_name}.{name} | {field.type}"
            for probe in [*_PROBES.get(str(field.type), []), None]:
                if name != "id":
                    outcome = await _edit(ask, type_name, id, name, probe)
                    shown = repr(probe) if len(repr(probe)) < 40 else f"{len(probe)} of them"
                    yield f"edit | {type_name}.{name} | {shown} | {outcome}"


async def _edit(ask: Asked, type_name: str, id: str, name: str, value: Any) -> str:
    thing = type_name[0].lower() + type_name[1:]
    query = f"""mutation ($input: Update{type_name}Input!) {{
      update{type_name}(input: $input) {{ {thing} {{ {name} editedFields }}
        errors {{ code field message }} }} }}"""
    result = await ask(query, input={"id": id, name: value})
    assert not result.errors, result.errors
    payload = result.data[f"update{type_name}"]
    if payload["errors"]:
        return " ".join(f"{e['code']} {e['field']}: {e['message']}" for e in payload["errors"])
    return f"{payload[thing][name]!r} edited={upper(name) in payload[thing]['editedFields']}"


if __name__ == "__main__":
    main()
