"""Pages of lists that are sorted here and not by the database."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from dicom_graph.store.read.pages import Keys, PageRequest, key_name, position_of_cursor

Values = Sequence[Any]


class Listed(NamedTuple):
    """An object of a list: its id, and what the list is sorted by."""

    id: int
    values: Values


class SortedRow:
    """A row with the keys of its list, as a page holds it."""

    __slots__ = ("_mapping",)

    def __init__(self, row: Any, values: Values) -> None:
        keys = {key_name(place): value for place, value in enumerate(values)}
        self._mapping: dict[str, Any] = {**row._mapping, **keys}

    def __getattr__(self, name: str) -> Any:
        try:
            return self._mapping[name]
        except KeyError:
            raise AttributeError(name) from None


def cut_page(listed: Sequence[Listed], keys: Keys, request: PageRequest) -> list[Listed]:
    """The page and one more, in the order in which `make_page` takes them. Raises CursorError.

    NULL is the smallest value, as in the database.
    """
    objects = list(listed)
    if request.after is not None:
        start = position_of_cursor(keys, request, request.after)
        objects = [one for one in objects if _is_before(start, one.values, request)]
    if request.before is not None:
        end = position_of_cursor(keys, request, request.before)
        objects = [one for one in objects if _is_before(one.values, end, request)]
    # Sorting is stable: from the least important key to the most.
    for place, order in reversed(list(enumerate(request.order))):
        objects.sort(
            key=lambda one: _rank(one.values[place]),
            reverse=order.descending != request.backwards,
        )
    return objects[request.offset : request.offset + request.size + 1]


def _is_before(one: Values, other: Values, request: PageRequest) -> bool:
    for order, mine, theirs in zip(request.order, one, other, strict=True):
        if _rank(mine) != _rank(theirs):
            return (_rank(mine) < _rank(theirs)) != order.descending
    return False


def _rank(value: Any) -> tuple[Any, ...]:
    return (False,) if value is None else (True, value)
