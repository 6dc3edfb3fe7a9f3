"""Operations made at random from the schema: `python -m tests.fuzz_schema --operations 2000`.

hypothesis-graphql makes queries and mutations, valid ones and ones with a mistake; their ids, UIDs,
dates and names are often those of the files that the server holds: some of pydicom's, or with
`--images 10000` so many of 300 elements each, from which lists as long as the limits allow are
asked. None may end in a status of 500 or more, an internal error or a trace, take longer than the
server's limit, have more bytes, or more values than it may cost; every error has a code. Prints
how the operations ended, and each that ended wrongly.
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
    GraphQLObjectType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    print_ast,
    visit,
)
from graphql.language import ast
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, mutations, queries
from pydicom.datadict import DicomDictionary

from dicom_graph.graph.schema import schema_text
from dicom_graph.importing.foreground import run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode as ImportMode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.kills import databases
from tests.support.data import is_image, pydicom_files
from tests.support.make import make_series
from tests.support.server import running_server

MAX_SECONDS = 10
_SCHEMA = build_schema(schema_text())
_KEPT = 0.3
_GRACE = 5.0
_FILES = 20
_OF_SERIES = 500
_SIZES = (1, 5, 25, 100, 1000, 10_000)
_TEXTS = [
    entry[4]
    for tag, entry in DicomDictionary.items()
    if entry[0] == "LO" and not entry[3] and 0x0018 <= tag >> 16 <= 0x0074 and entry[4]
][:280]
_LIMITS = Settings(_env_file=None)
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
    largest: tuple[int, int, str] = (0, 0, "")

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
        if len(answer.content) > _LIMITS.max_answer_bytes:
            reasons.append(f"{len(answer.content):,} bytes")
        n_values = _count(answer.json().get("data")) if "data" in found else 0
        if n_values > _LIMITS.max_cost:
            reasons.append(f"{n_values:,} values")
        self.largest = max(self.largest, (len(answer.content), n_values, operation))
        if reasons:
            self.wrong.append(f"{', '.join(reasons)}\n{operation}\n{answer.text[:2000]}")


def _codes(answer: httpx.Response) -> set[str]:
    try:
        errors = answer.json().get("errors", ())
    except (ValueError, AttributeError):
        return {"no JSON"}
    return {error.get("extensions", {}).get("code", "no code") for error in errors} or {"data"}


def _count(value: Any) -> int:
    """The objects and lists of an answer; of JSON, which is one value of its cost, none."""
    if isinstance(value, dict):
        return 1 + sum(map(_count, value.values()))
    return sum(map(_count, value)) if isinstance(value, list) else 0


def run(count: int, number: int, url: str, *, known: bool = True, longest_list: int = 50) -> Result:
    """Ask a server so many operations, always the same for a seed."""
    result = Result()
    with httpx.Client(timeout=60) as client:
        words = _words(client, url) if known else []

        @seed(number)
        @settings(
            max_examples=count, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(_operations(words, longest_list))
        def ask(operation: str) -> None:
            began = time.monotonic()
            answer = client.post(url, json={"query": operation})
            result.take(operation, answer, time.monotonic() - began)

        ask()
    return result


def _words(client: httpx.Client, url: str) -> list[str]:
    """Texts that the server holds."""
    return sorted(texts_of(client.post(url, json={"query": _KNOWN}).json()["data"]))


def texts_of(answer: Any) -> set[str]:
    """All texts in an answer."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict | list):
            for each in value.values() if isinstance(value, dict) else value:
                walk(each)
        elif isinstance(value, str):
            found.add(value)

    walk(answer)
    return found


def _operations(words: list[str], longest_list: int) -> st.SearchStrategy[str]:
    """Of ten operations six are valid queries, two have a mistake, and two are mutations; where
    lists are long, six are walks through them.
    """
    texts = st.text(max_size=20)
    some = st.one_of(st.sampled_from(words), st.sampled_from(words), texts) if words else texts
    scalars = {
        "ID": some.map(_string),
        "String": some.map(_string),
        "Int": _mostly(st.integers(1, longest_list), st.integers(-(2**31), 2**31 - 1)).map(_int),
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
    if longest_list > _OF_SERIES:
        kinds = (_walks(),) * 6 + (valid,) * 2 + (mistaken, changing)
    return st.sampled_from(range(10)).flatmap(lambda kind: kinds[kind])


def _walk(random: Random, type_: Any, depth: int) -> str:
    """A selection on an object: some fields of it, and of what these lead to, in long lists."""
    names = [
        name for name, field in type_.fields.items()
        if not any(map(is_required_argument, field.args.values()))
    ]  # fmt: skip
    parts = []
    for name in random.sample(names, min(len(names), random.randint(1, 4))):
        field = type_.fields[name]
        below = get_named_type(field.type)
        given = f"(first: {random.choice(_SIZES)})" if "first" in field.args else ""
        if is_leaf_type(below):
            parts.append(f"{name}{given}")
        elif depth and isinstance(below, GraphQLObjectType):
            parts.append(f"{name}{given} {{ {_walk(random, below, depth - 1)} }}")
    return " ".join(parts) or "__typename"


def _walks() -> st.SearchStrategy[str]:
    """Queries of lists of all sizes, which no filter empties."""

    def make(number: int) -> str:
        random = Random(number)
        root: Any = _SCHEMA.query_type
        name = random.choice(["patients", "studies", "series", "images", "dataElements"])
        nodes = get_named_type(get_named_type(root.fields[name].type).fields["nodes"].type)
        inner = _walk(random, nodes, random.randint(1, 6))
        first = random.choice(_SIZES)
        return f"{{ {name}(first: {first}) {{ totalCount nodes {{ {inner} }} }} }}"

    return st.integers(0, 2**32).map(make)


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


def _large_headers(folder: Path, n_images: int) -> tuple[str, ...]:
    """So many images of 300 elements each, in series of 500."""
    for number in range(n_images // _OF_SERIES):
        texts = {name: f"value {number} {place}" for place, name in enumerate(_TEXTS)}
        make_series(folder / f"{number}", _OF_SERIES, PatientID=f"p{number % 7}", **texts)
    return (str(folder),)


@contextmanager
def served(folder: Path, database_url: str, n_images: int = 0) -> Iterator[str]:
    """A server over some of pydicom's files, or over so many images of 300 elements each."""
    database = Database(database_url)
    upgrade(database)
    if n_images:
        paths = _large_headers(folder / "tree", n_images)
    else:
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
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="dicom-graph-fuzz-") as name,
        databases(options.database) as new_database,
        new_database(Path(name)) as database_url,
        served(Path(name), database_url, options.images) as url,
    ):
        longest = _LIMITS.max_page_size if options.images else 50
        result = run(options.operations, options.seed, url, longest_list=longest)
    for wrong in result.wrong:
        print(f"-- {wrong}")
    print(json.dumps(dict(result.ends.most_common())))
    seconds, slowest = result.slowest
    print(f"{options.operations} operations, {len(result.wrong)} wrong, at most {seconds:.1f} s:")
    print(slowest)
    n_bytes, n_values, largest = result.largest
    print(f"the largest answer has {n_bytes:,} bytes and {n_values:,} values:")
    print(largest)
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
