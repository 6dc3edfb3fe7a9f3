"""Operations made at random from the schema: `python -m tests.fuzz_schema --operations 2000`.

hypothesis-graphql makes queries and mutations, valid ones and ones with a mistake; their ids, UIDs,
dates and names are often those of the real files that the server holds. None may end in a status
of 500 or more, an internal error or a trace, or take longer than the server's limit; every error
has a code. Prints how the operations ended, and each that ended wrongly.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
from graphql import (
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    is_required_argument,
    print_ast,
    visit,
)
from graphql.language import ast
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, mutations, queries

from dicom_graph.graph.schema import schema_text
from dicom_graph.importing.foreground import run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode as ImportMode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.conftest import running_server
from tests.data import is_image, pydicom_files
from tests.kills import databases

MAX_SECONDS = 10
_SCHEMA = build_schema(schema_text())
_KEPT = 0.3
_GRACE = 5.0
_FILES = 20
_KNOWN = """{ patients(first: 50) { nodes { id uid name } } studies(first: 50) { nodes { id uid } }
series(first: 50) { nodes { id uid description date time protocolName } }
images(first: 50) { nodes { id uid header { id elements { id keyword tag } } } }
dataElementDefinitions(first: 50) { nodes { id keyword name } } }"""


@dataclass
class Result:
    """How the operations ended: by code, or `data`; and what was wrong with some."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def take(self, operation: str, answer: httpx.Response, seconds: float) -> None:
        """Judge an answer."""
        self.slowest = max(self.slowest, (seconds, operation))
        found = _codes(answer)
        self.ends.update(found)
        reasons = [code for code in found if code in ("INTERNAL", "no code", "no JSON")]
        if answer.status_code >= 500:
            reasons.append(f"status {answer.status_code}")
        if "Traceback" in answer.text:
            reasons.append("a trace")
        if seconds > MAX_SECONDS + _GRACE:
            reasons.append(f"{seconds:.0f} s")
        if reasons:
            self.wrong.append(f"{', '.join(reasons)}\n{operation}\n{answer.text[:2000]}")


def _codes(answer: httpx.Response) -> set[str]:
    try:
        errors = answer.json().get("errors", ())
    except (ValueError, AttributeError):
        return {"no JSON"}
    return {error.get("extensions", {}).get("code", "no code") for error in errors} or {"data"}


def run(count: int, number: int, url: str, *, known: bool = True) -> Result:
    """Ask a server so many operations, always the same for a seed."""
    result = Result()
    with httpx.Client(timeout=60) as client:
        words = _words(client, url) if known else []

        @seed(number)
        @settings(
            max_examples=count, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(_operations(words))
        def ask(operation: str) -> None:
            began = time.monotonic()
            answer = client.post(url, json={"query": operation})
            result.take(operation, answer, time.monotonic() - began)

        ask()
    return result


def _words(client: httpx.Client, url: str) -> list[str]:
    """Texts that the server holds."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict | list):
            for each in value.values() if isinstance(value, dict) else value:
                walk(each)
        elif isinstance(value, str):
            found.add(value)

    walk(client.post(url, json={"query": _KNOWN}).json()["data"])
    return sorted(found)


def _operations(words: list[str]) -> st.SearchStrategy[str]:
    """Of ten operations six are valid queries, two have a mistake, and two are mutations."""
    texts = st.text(max_size=20)
    some = st.one_of(st.sampled_from(words), st.sampled_from(words), texts) if words else texts
    scalars = {
        "ID": some.map(_string),
        "String": some.map(_string),
        "Int": _mostly(st.integers(1, 50), st.integers(-(2**31), 2**31 - 1)).map(_int),
        "BigInt": _mostly(st.integers(0, 2**53), st.integers(-(2**65), 2**65)).map(_text),
        "Date": _mostly(st.dates(), some).map(_text),
        "Time": _mostly(st.times(), some).map(_text),
        "DateTime": _mostly(st.datetimes(), some).map(_text),
        "JSON": some.map(_string),
        "Upload": some.map(_string),
    }
    text = schema_text()
    make = partial(queries, text, custom_scalars=scalars, print_ast=_thinned)
    valid, mistaken = make(), make(mode=Mode.NEGATIVE)
    changing = mutations(text, custom_scalars=scalars)
    kinds = (valid,) * 6 + (mistaken,) * 2 + (changing,) * 2
    return st.sampled_from(range(10)).flatmap(lambda kind: kinds[kind])


def _mostly(good: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 30).flatmap(lambda number: good if number else other)


def _thinned(document: ast.DocumentNode) -> str:
    """The operation without most of the arguments that it needs not: no page has them all."""
    info = TypeInfo(_SCHEMA)
    random = Random(print_ast(document))

    class Thin(Visitor):
        def enter_field(self, node: ast.FieldNode, *_: Any) -> ast.FieldNode:
            field = info.get_field_def()
            kept = [
                argument
                for argument in node.arguments
                if field is None
                or (found := field.args.get(argument.name.value)) is None
                or is_required_argument(found)
                or random.random() < _KEPT
            ]
            return replace(node, arguments=tuple(kept))

    return print_ast(visit(document, TypeInfoVisitor(info, Thin())))


def _string(text: str) -> ast.StringValueNode:
    return ast.StringValueNode(value=text.encode("utf-8", "replace").decode())


def _text(value: object) -> ast.StringValueNode:
    return _string(str(value))


def _int(number: int) -> ast.IntValueNode:
    return ast.IntValueNode(value=str(number))


@contextmanager
def served(folder: Path, database_url: str) -> Iterator[str]:
    """A server over some of pydicom's files."""
    database = Database(database_url)
    upgrade(database)
    paths = tuple(str(path) for path in pydicom_files() if is_image(path))[:_FILES]
    run_import(database, JobRequest(paths, ImportMode.FULL, origin=JobOrigin.PYTHON))
    database.close_writer()
    given = Settings(
        database_url=database_url, import_roots=[folder], max_seconds=MAX_SECONDS, _env_file=None
    )
    with running_server(given) as server:
        yield f"{server.url}/graphql"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--operations", type=int, default=2000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="dicom-graph-fuzz-") as name,
        databases(options.database) as new_database,
        new_database(Path(name)) as database_url,
        served(Path(name), database_url) as url,
    ):
        result = run(options.operations, options.seed, url)
    for wrong in result.wrong:
        print(f"-- {wrong}")
    print(json.dumps(dict(result.ends.most_common())))
    seconds, slowest = result.slowest
    print(f"{options.operations} operations, {len(result.wrong)} wrong, at most {seconds:.1f} s:")
    print(slowest)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
