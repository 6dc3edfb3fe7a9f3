"""Where a page of all images lies that are sorted by an element: told by the index of its values.

Sorting 200,000 images to show 25 takes seconds. The images that hold the least values of the
element are the first 25, if they are as many; one value may be held by thousands, so the limit is
drawn behind the first value, then behind more and more.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from dicom_graph.store.read.conditions import Condition, HasElement, Not, Or, Test
from dicom_graph.store.read.element_orders import ElementOrders
from dicom_graph.store.read.pages import Keys, PageRequest, position_of_cursor
from dicom_graph.store.tables.columns import DATA_ELEMENT_VALUE


@dataclass(frozen=True, slots=True)
class IndexRange:
    """The images that fulfil `condition` and have a first key that `holds` are the nearest ones
    to the page's start; they are all that follow it where there is no `limit`.
    """

    condition: Condition
    limit: Any
    ascending: bool

    def holds(self, key: Any) -> bool:
        """Whether the key is not beyond the limit."""
        if self.limit is None:
            return True
        if key is None:
            return self.ascending
        return bool(key <= self.limit if self.ascending else key >= self.limit)


async def growing_ranges(
    orders: ElementOrders, request: PageRequest, keys: Keys
) -> AsyncIterator[IndexRange]:
    """Larger and larger ones; none where no index tells: of texts, and of what is not one
    standard element. Raises CursorError.
    """
    order, column = request.order[0], keys[0].name
    definitions = orders.called(order.path[-1]) if len(order.path) == 1 else []
    tags = {definition.tag for definition in definitions}
    if len(tags) != 1 or definitions[0].private_creator or column == "text":
        return
    ascending = order.descending == request.backwards
    cursor = request.before if request.backwards else request.after
    start = position_of_cursor(keys, request, cursor)[0] if cursor is not None else None
    only_missing = cursor is not None and start is None and not ascending
    needed = request.offset + request.size + 1
    values = [] if only_missing else await _values(
        orders, [d.id for d in definitions], column, start, ascending, needed
    )  # fmt: skip
    is_end = len(values) < needed
    for limit in _limits(values, is_end):
        parts: list[Condition] = []
        if values:
            low, high = (start, limit) if ascending else (limit, start)
            parts.append(replace(order.path[0], values=_range(column, low, high)))
        if limit is None if not ascending else start is None:
            parts += _missing(order.path[0], column)
        yield IndexRange(Or(tuple(parts)), limit, ascending)


def _limits(values: Sequence[Any], is_end: bool) -> list[Any]:
    """The 1st value, the 8th, the 64th, …, the last; or none, where they are the last there are."""
    places = [8**power - 1 for power in range(6) if 8**power < len(values)]
    limits = [values[place] for place in places]
    limits.append(None if is_end else values[-1])
    return list(dict.fromkeys(limits))


async def _values(
    orders: ElementOrders,
    definitions: Sequence[int],
    name: str,
    start: Any,
    ascending: bool,
    count: int,
) -> list[Any]:
    """The first values of elements from the start on, in order; equal ones as often as they are."""
    value = DATA_ELEMENT_VALUE[name]
    statement = select(value).where(
        DATA_ELEMENT_VALUE.definition_id.in_(definitions),
        DATA_ELEMENT_VALUE.index == 0,
        value.is_not(None),
    )
    if start is not None:
        statement = statement.where(value >= start if ascending else value <= start)
    statement = statement.order_by(value if ascending else value.desc()).limit(count)
    return list((await orders.connection.execute(statement)).scalars())


def _range(column: str, low: Any, high: Any) -> tuple[tuple[str, Test], ...]:
    bounds = [("gte", low), ("lte", high)]
    tests = [Test(operator, bound) for operator, bound in bounds if bound is not None]  # type: ignore[arg-type]
    return tuple((column, test) for test in tests or [Test("is_null", False)])


def _missing(name: HasElement, column: str) -> list[Condition]:
    """Headers without the element, and those in which it may be that it cannot be read."""
    readable = replace(name, values=((column, Test("is_null", False)),))
    unreadable = replace(name, values=((column, Test("is_null", True)),))
    return [Not(readable), unreadable]
