"""Series held against an acquisition of a protocol: a statement for each element, not for each
series.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicom_graph.dicom.dictionary import keywords
from dicom_graph.dicom.elements.values import NUMBER_VRS
from dicom_graph.dicom.protocols import (
    FieldRule,
    Finding,
    ProtocolAcquisition,
    Value,
    parse_acquisition,
)
from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput, nearest
from dicom_graph.store.answer_budget import current_budget
from dicom_graph.store.read import Condition, PageRequest, Store
from dicom_graph.store.read.client_errors import answered
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.elements import ElementRow, ValueRow
from dicom_graph.store.read.pages import Order
from dicom_graph.store.read.plain_values import raw_text

Json = dict[str, Any]
_AT_ONCE, _IN_A_TURN = 10_000, 200
_COLUMNS = frozenset({"id", "uid"})


@dataclass(frozen=True, slots=True)
class Deviation:
    """What a rule found in a series; `found`: its different values."""

    rule: FieldRule
    finding: Finding
    found: Sequence[Value]


@dataclass(frozen=True, slots=True)
class SeriesCompliance:
    """A series, and what of it is not as the protocol wants it."""

    row: Any
    deviations: Sequence[Deviation]

    @property
    def is_compliant(self) -> bool:
        """Whether nothing deviates or is missing; warnings and what cannot be checked may be."""
        return not any(
            each.finding in (Finding.DEVIATING, Finding.MISSING) and not each.rule.is_advice
            for each in self.deviations
        )


async def compliance(
    store: Store, acquisition: ProtocolAcquisition, wanted: Condition | None
) -> list[SeriesCompliance]:
    """All series that fulfil a condition, held against an acquisition. Raises BadInput."""
    found: list[SeriesCompliance] = []
    after = None
    while True:
        request = PageRequest((Order("id"),), first=_AT_ONCE, after=after)
        page = await answered(store.page("series", request, wanted, _COLUMNS))
        values = await _values(store, acquisition, [row.id for row in page.rows])
        known: Known = {}
        for start in range(0, len(page.rows), _IN_A_TURN):
            some = page.rows[start : start + _IN_A_TURN]
            found += await asyncio.to_thread(_held_against, acquisition, some, values, known)
            await current_budget().hold_and_share(
                sum(_memory(each) for each in found[-len(some) :])
            )
        if not page.has_next:
            return found
        after = request.cursor(page.rows[-1])


def _held_against(
    acquisition: ProtocolAcquisition, rows: Sequence[Any], values: "Values", known: "Known"
) -> list[SeriesCompliance]:
    """Some series; in a thread, since it is a step for each of them and each rule."""
    return [SeriesCompliance(row, _deviations(acquisition, row.id, values, known)) for row in rows]


def _memory(series: SeriesCompliance) -> int:
    """Bytes, about: most deviations are those of other series too."""
    return 100 + 8 * len(series.deviations)


Values = Mapping[tuple[str | None, int | None], Mapping[int, Sequence[Value]]]
"""The different values that series have of elements, by keyword and tag, and by series."""


Known = dict[tuple[Any, ...], Deviation | None]
"""What came of a rule and values: many series have the same."""


async def _values(store: Store, acquisition: ProtocolAcquisition, ids: Sequence[int]) -> Values:
    found: dict[tuple[str | None, int | None], Mapping[int, Sequence[Value]]] = {}
    for rule in acquisition.all_rules:
        key = (rule.keyword, rule.tag)
        if rule.is_known and key not in found and ids:
            name = HasElement(keyword=rule.keyword, tag=rule.tag)
            found[key] = _by_series(*await answered(store.elements_of_series(name, ids)))
    return found


def _by_series(
    pairs: Iterable[tuple[int, int]], rows: Mapping[int, ElementRow]
) -> dict[int, tuple[Value, ...]]:
    """The different values of each series; most have one element, which many have."""
    alone = {id: (_value(row),) for id, row in rows.items()}
    found: dict[int, tuple[Value, ...]] = {}
    several: dict[int, set[int]] = {}
    first: dict[int, int] = {}
    for series_id, element_id in pairs:
        if series_id in first:
            several.setdefault(series_id, {first[series_id]}).add(element_id)
        elif element_id in alone:
            first[series_id] = element_id
            found[series_id] = alone[element_id]
    for series_id, ids in several.items():
        values = [alone[id][0] for id in sorted(ids) if id in alone]
        found[series_id] = tuple(dict.fromkeys(values))
    return found


def _value(row: ElementRow) -> Value:
    is_number = row.definition.vr in NUMBER_VRS and row.definition.vr not in ("AS", "AT")
    values = tuple(_plain(value, is_number) for value in row.values)
    return values[0] if len(values) == 1 else values


def _plain(value: ValueRow, is_number: bool) -> Value:
    if is_number and value.number is not None:
        return value.number
    return raw_text(value) or ""


def _deviations(
    acquisition: ProtocolAcquisition, id: int, values: Values, known: Known
) -> list[Deviation]:
    own = _failed("", acquisition.rules, id, values, known)
    alternatives = [
        _failed(f"{number} of series", rules, id, values, known)
        for number, (_, rules) in enumerate(acquisition.series)
    ]
    # Of the series of an acquisition it has to be one: told is what it lacks to the nearest.
    nearest = min(alternatives, key=_severity, default=[])
    return own + nearest


def _severity(deviations: Sequence[Deviation]) -> tuple[int, int]:
    wrong = [d for d in deviations if d.finding in (Finding.DEVIATING, Finding.MISSING)]
    return len(wrong), len(deviations)


def _failed(
    name: str, rules: Sequence[FieldRule], id: int, values: Values, known: Known
) -> list[Deviation]:
    """`name`: of the series of the acquisition whose rules they are."""
    found = []
    for number, rule in enumerate(rules):
        told = tuple(values.get((rule.keyword, rule.tag), {}).get(id, ()))
        key = (name, number, told)
        if key not in known:
            known[key] = _deviation(rule, told)
        deviation = known[key]
        if deviation is not None:
            found.append(deviation)
    return found


def _deviation(rule: FieldRule, told: tuple[Value, ...]) -> Deviation | None:
    finding = rule.finding(told) if rule.is_known else Finding.UNKNOWN
    return None if finding is Finding.COMPLIANT else Deviation(rule, finding, told)


def found_texts(values: Sequence[Value]) -> list[str]:
    """Values for a person; several of an element are separated by a backslash."""
    return ["\\".join(map(_text, v)) if isinstance(v, tuple) else _text(v) for v in values]


def _text(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


async def majority_values(
    store: Store, elements: Sequence[str], wanted: Condition | None
) -> dict[str, Sequence[Value]]:
    """Of each element the values that most of the series that fulfil a condition have; none where
    several are as frequent. Raises BadInput.
    """
    given = {"fields": [{"field": name} for name in elements]}
    acquisition = parse_acquisition("", given)
    for rule in acquisition.rules:
        if rule.keyword is None and rule.tag is None:
            hint = nearest(rule.name[:80], keywords())
            raise BadInput(f"{rule.name[:80]!r} is no keyword and no tag of an element{hint}")
        if not rule.is_known:
            message = f"{rule.name} has no values: name an element inside it"
            raise BadInput(message, ErrorCode.BAD_FILTER)
    counts: dict[str, Counter[tuple[Value, ...]]] = {
        rule.name: Counter() for rule in acquisition.rules
    }
    after = None
    while True:
        request = PageRequest((Order("id"),), first=_AT_ONCE, after=after)
        page = await answered(store.page("series", request, wanted, _COLUMNS))
        values = await _values(store, acquisition, [row.id for row in page.rows])
        for rule in acquisition.rules:
            by_series = values.get((rule.keyword, rule.tag), {})
            counts[rule.name].update(tuple(by_series.get(row.id, ())) for row in page.rows)
        if not page.has_next:
            return {name: _majority(counter) for name, counter in counts.items()}
        after = request.cursor(page.rows[-1])


def _majority(counter: Counter[tuple[Value, ...]]) -> tuple[Value, ...]:
    first = counter.most_common(2)
    if not first or (len(first) == 2 and first[0][1] == first[1][1]):
        return ()
    return first[0][0]


def as_fields(values: Mapping[str, Sequence[Value]], tolerance: float | None) -> list[Json]:
    """The fields of a protocol in JSON that wants these values; elements without any are left out.

    `tolerance`: of numbers, in their own unit.
    """
    fields = []
    for name, told in values.items():
        if not told:
            continue
        whole: Any = told if len(told) > 1 else told[0]
        value = list(whole) if isinstance(whole, tuple | list) else whole
        field: Json = {"field": name, "value": value}
        numbers = value if isinstance(value, list) else [value]
        # Several values of images are a set: each to its own goes for one list alone.
        if tolerance is not None and len(told) == 1 and _are_numbers(numbers):
            field["tolerance"] = tolerance
        fields.append(field)
    return fields


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, float) for value in values)
