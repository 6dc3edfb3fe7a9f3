"""Plans as tables of tab separated values, which people edit, and back."""

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dicom_graph.errors import BadInput, nearest
from dicom_graph.exports.bids.entities import ENTITIES, folded, problems
from dicom_graph.exports.bids.planned_volume import PlannedVolume, key_of
from dicom_graph.exports.bids.spreadsheets import rows

_BEFORE = ("included", "name", "datatype", "suffix")
_AFTER = (
    "acq_time", "metadata", "confidence", "evidence", "notes", "series_number",
    "series_description", "series", "stack", "index",
)  # fmt: skip
COLUMNS = (*_BEFORE, *ENTITIES, *_AFTER)
_READ = ("included", "datatype", "suffix", "sub", "series", "stack")
"""The columns that a plan must have."""
_YES, _NO = frozenset(("yes", "y", "true", "1")), frozenset(("no", "n", "false", "0", ""))
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SHOWN = 20


def plan_lines(planned: Iterable[PlannedVolume]) -> Iterator[str]:
    """The lines of a plan, the head first."""
    yield "\t".join(COLUMNS) + "\n"
    for each in planned:
        cells = _cells(each)
        yield "\t".join(_cell(cells.get(name, "")) for name in COLUMNS) + "\n"


def _cell(text: str) -> str:
    """On one line; a cell that begins with a quotation mark is quoted, as readers expect it."""
    line = _BREAKS.sub(" ", text).strip()
    return '"' + line.replace('"', '""') + '"' if line.startswith('"') else line


def _cells(each: PlannedVolume) -> dict[str, str]:
    number = each.series.number
    return {
        "included": "yes" if each.included else "no",
        "name": each.name,
        "datatype": each.datatype,
        "suffix": each.suffix,
        **each.entities,
        "acq_time": "" if each.acquired is None else each.acquired.isoformat(),
        "metadata": json.dumps(each.metadata) if each.metadata else "",
        "confidence": each.confidence,
        "evidence": ", ".join(each.evidence),
        "notes": "; ".join(each.notes),
        "series_number": "" if number is None else str(number),
        "series_description": each.series.description or "",
        "series": each.series_uid,
        "stack": str(each.stack),
        "index": "" if each.index is None else str(each.index),
    }


def read_plan(text: str) -> list[PlannedVolume]:
    """The volumes of a plan that are to be exported. Raises BadInput with the lines that are wrong.

    `name` is not read: it follows from the entities.
    """
    lines = rows(text, "\t")
    head = next(lines, (1, []))[1]
    _require_columns(head)
    wrong: list[str] = []
    planned: list[PlannedVolume] = []
    for line, cells in lines:
        if not cells:
            continue
        if len(cells) > len(head):
            wrong.append(f"line {line}: it has {len(cells)} cells, the head {len(head)}")
            continue
        row = dict(zip(head, cells, strict=False))
        try:
            each = _volume(row, line)
        except ValueError as error:
            wrong.append(f"line {line}: {error}")
            continue
        if each is not None:
            wrong += [f"line {line}: {told}" for told in _problems_of(each)]
            planned.append(each)
    wrong += _twice(planned)
    if wrong:
        raise bad_lines(wrong)
    return planned


def bad_lines(wrong: Sequence[str]) -> BadInput:
    """The error of lines, of which the first are shown."""
    more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
    return BadInput("\n  ".join(["the plan cannot be exported:", *wrong[:_SHOWN], *more]))


def _require_columns(head: Sequence[str]) -> None:
    missing = [name for name in _READ if name not in head]
    if missing:
        raise BadInput(
            f"line 1: a plan has the columns {', '.join(_READ)}, separated by tabs; this one lacks "
            f"{', '.join(missing)}"
        )
    for name in head:
        if name not in COLUMNS:
            raise BadInput(f"line 1: a plan has no column {name[:40]!r}{nearest(name, COLUMNS)}")
        if head.count(name) > 1:
            raise BadInput(f"line 1: the column {name!r} is there twice")


def _volume(row: Mapping[str, str], line: int) -> PlannedVolume | None:
    """The volume of a line, None where it is left out. Raises ValueError."""
    included = row.get("included", "").casefold()
    if included in _NO:
        return None
    if included not in _YES:
        raise ValueError(f"included is yes or no, not {row['included'][:40]!r}")
    if not row.get("series"):
        raise ValueError("it names no series")
    entities = {key: row[key] for key in ENTITIES if row.get(key)}
    return PlannedVolume(
        row["series"],
        stack=_number(row, "stack") or 0,
        index=_number(row, "index"),
        included=True,
        datatype=row.get("datatype", ""),
        suffix=row.get("suffix", ""),
        entities={key: _without_key(key, value) for key, value in entities.items()},
        acquired=_moment(row.get("acq_time", "")),
        metadata=_metadata(row.get("metadata", "")),
        line=line,
    )


def _without_key(key: str, value: str) -> str:
    """Who writes `sub-01` in the column `sub` means 01."""
    return value.removeprefix(f"{key}-")


def _number(row: Mapping[str, str], name: str) -> int | None:
    text = row.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ValueError(f"{name} is a number from 0, not {text[:40]!r}")
    return int(text)


def _moment(text: str) -> dt.datetime | None:
    if text in ("", "n/a"):
        return None
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"acq_time is such as 1903-04-05T06:07:08, not {text[:40]!r}") from None


def _metadata(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError('metadata is an object of JSON, such as {"TaskName": "rest"}')
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"JSON has no {text}")


def _problems_of(each: PlannedVolume) -> Iterator[str]:
    return problems(each.datatype, each.suffix, each.entities)


def _twice(planned: Iterable[PlannedVolume]) -> Iterator[str]:
    """Volumes that stand there twice, and names that several would have."""
    volumes: dict[Any, int] = {}
    names: dict[str, int] = {}
    for each in planned:
        first = volumes.setdefault(key_of(each), each.line)
        if first != each.line:
            yield f"line {each.line}: the same volume as line {first}"
        elif each.name:
            first = names.setdefault(folded(each.name), each.line)
            if first != each.line:
                yield f"line {each.line}: the name {each.name} is that of line {first}, too"
