"""Data elements as they stand in answers: made, and written, once under a selection.

A data element never changes, so what it was written to is kept across requests, by the store that
showed it: that of the de-identified view has its own. Whether a header may be seen at all, and
which elements it has, the store has decided before.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dicom_graph.graph.execution.scalar_values import reader
from dicom_graph.graph.execution.selection import Selected, Selection
from dicom_graph.graph.types.element import DataElement
from dicom_graph.json_text import JsonList, dumps
from dicom_graph.store.answer_budget import AnswerBudget
from dicom_graph.store.read import Store
from dicom_graph.store.read.elements import ElementRow, HeaderElements

_PLACE = 16
"""The bytes of memory that an object takes that is in the answer already."""


class PlainFields(NamedTuple):
    """The fields of each element that go into an answer: `key` is equal for equal selections."""

    key: tuple[Any, ...]
    reads: tuple[tuple[str, Callable[[Any], Any]], ...]


def plain_fields(selection: Selection) -> PlainFields | None:
    """The fields of a selection on elements; None where it is more than their own fields."""
    key: list[Any] = []
    reads: list[tuple[str, Callable[[Any], Any]]] = []
    for selected in selection.fields:
        read = _reader(selection, selected)
        if read is None:
            return None
        inner, reading = read
        key.append((selected.alias, selected.name, inner))
        reads.append((selected.alias, reading))
    return PlainFields(tuple(key), tuple(reads))


def _reader(selection: Selection, selected: Selected) -> tuple[Any, Callable[[Any], Any]] | None:
    """The key of what is below a field, and how the field is read off an element."""
    if selected.details[0].node.arguments:
        return None
    if selected.field is None:
        return None, lambda source: selection.type.name
    if selected.name == "definition":
        below = plain_fields(selected.selection)
        if below is None:
            return None
        reads = below.reads
        return below.key, lambda source: {n: r(source.definition()) for n, r in reads}
    read = reader(selected.field)
    return (None, read) if read is not None else None


class _Written(NamedTuple):
    row: ElementRow
    value: dict[str, Any]
    json: bytes


class _Many(NamedTuple):
    """What elements were written to that many headers share."""

    values: list[dict[str, Any]]
    parts: list[bytes]
    size: int


async def write_elements(
    store: Store, fields: PlainFields, headers: Sequence[Sequence[ElementRow]], budget: AnswerBudget
) -> list[JsonList]:
    """The elements of each header. Raises ResponseLimitExceeded, or what a value that does not fit
    does.
    """
    known = store.written.of(fields.key)

    def written(row: ElementRow) -> _Written:
        found: _Written | None = known.get(row.id)
        if found is None or found.row is not row:
            found = known[row.id] = _write(fields, row)
            store.written.add(len(found.json))
        return found

    def all_written(rows: Sequence[ElementRow]) -> _Many:
        each = list(map(written, rows))
        parts = [one.json for one in each]
        return _Many([one.value for one in each], parts, sum(map(len, parts)))

    answers: list[JsonList] = []
    shared: dict[int, _Many] = {}  # By the identity of what the headers hold.
    for rows in headers:
        if isinstance(rows, HeaderElements):
            many = shared.get(id(rows.base))
            if many is None:
                many = shared[id(rows.base)] = all_written(rows.base.rows)
            many = _with_added(many, [(at, written(row)) for at, row in rows.added])
        else:
            many = all_written(rows)
        answers.append(JsonList(*many))
        budget.write(answers[-1].n_bytes, _PLACE * len(rows))
        if budget.overrun is not None:
            raise budget.overrun
        if budget.is_turn_over():
            await budget.next_turn()
    store.written.trim()
    return answers


def _with_added(many: _Many, added: Sequence[tuple[int, _Written]]) -> _Many:
    values, parts, size = many.values.copy(), many.parts.copy(), many.size
    for at, one in added:
        values.insert(at, one.value)
        parts.insert(at, one.json)
        size += len(one.json)
    return _Many(values, parts, size)


def _write(fields: PlainFields, row: ElementRow) -> _Written:
    element = DataElement.from_row(row)
    value = {name: read(element) for name, read in fields.reads}
    return _Written(row, value, dumps(value))
