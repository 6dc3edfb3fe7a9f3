"""Every operator of every field's filter, at every level that a list of them has, beside Python."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import get_named_type

from dicom_graph.graph.schema import schema
from dicom_graph.importing.foreground import Report
from tests.graph.test_groups import data_sets
from tests.support.graph import Graph
from tests.support.make import save

pytestmark = pytest.mark.slow
TYPES = schema._schema.type_map
LISTS = {"Patient": "patients", "Study": "studies", "Series": "series", "Image": "images"}
LEVELS = {
    "Patient": "studies { nodes { uid patients(filter: $f, first: 50) { nodes { uid } } } }",
    "Study": "patients { nodes { uid studies(filter: $f, first: 50) { nodes { uid } } } }",
    "Series": "studies { nodes { uid series(filter: $f, first: 50) { nodes { uid } } } }",
    "Image": "patients { nodes { uid images(filter: $f, first: 50) { nodes { uid } } } }",
}
"""Below each of other objects."""
READ: dict[str, Callable[[str], Any]] = {
    "DateFilter": dt.date.fromisoformat, "TimeFilter": dt.time.fromisoformat,
    "DateTimeFilter": dt.datetime.fromisoformat,
}  # fmt: skip
TEXTS: dict[str, Callable[[str, Any], bool]] = {
    "ieq": lambda v, g: v.lower() == g.lower(), "contains": lambda v, g: g in v,
    "iin": lambda v, g: v.lower() in [each.lower() for each in g],
    "icontains": lambda v, g: g.lower() in v.lower(), "startsWith": str.startswith,
    "istartsWith": lambda v, g: v.lower().startswith(g.lower()), "endsWith": str.endswith,
    "regex": lambda v, g: re.search(g, v) is not None,
}  # fmt: skip
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda v, g: v > g, "gte": lambda v, g: v >= g, "lt": lambda v, g: v < g,
    "lte": lambda v, g: v <= g, "between": lambda v, g: g[0] <= v <= g[1],
    "in": lambda v, g: v in g, "eq": lambda v, g: v == g,
}  # fmt: skip
MEMBERS: dict[str, Callable[[Any, Any], bool]] = {
    "exactly": lambda v, g: set(v) == set(g), "containsAll": lambda v, g: set(g) <= set(v),
    "containsAny": lambda v, g: bool(set(g) & set(v)),
    "length": lambda v, g: len(v) == g["eq"],
    "any": lambda v, g: any(each == g["eq"] for each in v),
}  # fmt: skip


@pytest.fixture
def archive(tmp_path: Path, import_files: Callable[..., Report]) -> None:
    for number, data_set in enumerate(data_sets()):
        data_set.SeriesDescription = ["Köpf", "KÖPF t2", "a\\b", None, "t2", ""][number]
        save(data_set, tmp_path / f"{number}.dcm")
    assert not import_files(tmp_path).failures


def operands(operator: str, values: list[Any]) -> Iterator[Any]:
    """What an operator is asked with: of what is there, and what is not."""
    there = [value for value in values if value is not None][:2]
    if operator == "isNull":
        yield from (True, False)
        return
    for value in there:
        if operator in ("in", "iin"):
            yield [value, *there[-1:]]
        elif operator == "between":
            yield sorted([value, there[0]])
        elif operator == "regex":
            yield "(?i)" + re.escape(value[:2]) if value else "^$"
        elif operator in ("length", "any"):
            yield {"eq": len(value) if operator == "length" else value[0]}
        elif operator in ("contains", "startsWith", "icontains", "istartsWith"):
            yield from (value[:3], value[:3].upper())
        elif operator in ("ieq",):
            yield value.upper()
        elif operator in ("exactly", "containsAll"):
            yield value[::-1]
        else:
            yield value[-1:] if operator == "endsWith" else value


def holds(kind: str, operator: str, value: Any, given: Any) -> bool:
    if operator == "isNull":
        return bool((value is None) == given)
    if operator == "ne":
        return bool(value != given)
    if value is None:
        return False
    read = READ.get(kind)
    if read is not None:
        value = read(value)
        given = [read(each) for each in given] if isinstance(given, list) else read(given)
    return bool({**ORDERED, **TEXTS, **MEMBERS}[operator](value, given))


@pytest.mark.parametrize("name", LISTS)
async def test_every_clause_finds_what_python_does(name: str, archive: None, graph: Graph) -> None:
    clauses: Any = TYPES[f"{name}Filter"]
    shown: Any = TYPES[name]
    kinds = {field: get_named_type(given.type) for field, given in clauses.fields.items()}
    fields = [
        field
        for field, kind in kinds.items()
        if field in shown.fields and field != "id" and "eq" in getattr(kind, "fields", ())
    ]
    data = await graph(f"{{ {LISTS[name]}(first: 50) {{ nodes {{ {' '.join(fields)} }} }} }}")
    objects = data[LISTS[name]]["nodes"]
    query = f"""query ($f: {name}Filter, $n: {name}Filter) {{
        {LISTS[name]}(filter: $f, first: 50) {{ nodes {{ uid }} }}
        none: {LISTS[name]}(filter: $n, first: 50) {{ nodes {{ uid }} }}
        below: {LEVELS[name]} }}"""
    asked = 0
    for field in fields:
        kind = kinds[field]
        values = [one[field] for one in objects]
        for operator in kind.fields:
            for given in operands(operator, values):
                clause = {field: {operator: given}}
                found = await graph(query, f=clause, n={"not": clause})
                right = {
                    one["uid"] for one in objects if holds(kind.name, operator, one[field], given)
                }
                uids = {one["uid"] for one in found[LISTS[name]]["nodes"]}
                assert uids == right, clause
                rest = {one["uid"] for one in found["none"]["nodes"]}
                assert rest == {one["uid"] for one in objects} - right, clause
                (inner,) = set(found["below"]["nodes"][0]) - {"uid"}
                nested = [n["uid"] for o in found["below"]["nodes"] for n in o[inner]["nodes"]]
                assert set(nested) == right, clause
                asked += 1
    assert asked > 60, asked
