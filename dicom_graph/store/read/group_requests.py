"""What is asked of the groups of a list, and what is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from dicom_graph.store.read.conditions import Condition, HasElement, Test
from dicom_graph.store.read.elements import DefinitionRow

Part = Literal["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR"]
PARENT = ("parent", "patient")
"""The columns that name whose list a row is of: the parent, and of which patient."""


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What a list is grouped by: a field by `name`, the element at the end of a `path`, or what
    Siemens CSA headers have at the path `csa`. `holds`: of a field that tells whether a condition
    holds, this.

    `each`: by every member of a list, not by the whole list. `width`: of buckets of numbers, one of
    which begins at 0; `bins`: how many buckets there are from the least number to the greatest.
    `part`: of a date or time.
    """

    name: str | None = None
    path: tuple[HasElement, ...] = ()
    csa: str | None = None
    each: bool = False
    width: float | None = None
    bins: int | None = None
    part: Part | None = None
    holds: Condition | None = None

    @property
    def is_numeric(self) -> bool:
        """Whether its numbers are put into buckets."""
        return self.width is not None or self.bins is not None

    @property
    def is_bucketed(self) -> bool:
        """Whether its values are put together."""
        return self.is_numeric or self.part is not None

    @property
    def is_whole(self) -> bool:
        """Whether all values of a list or an element are one key."""
        return not self.each and not self.is_bucketed and self.csa is None


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """A page of groups. `having`: tests of how many objects a group has; `order`: of `count` and
    `key`, each with whether it descends. `has_distinct`: whether to tell how many different objects
    the groups of all pages hold.
    """

    keys: tuple[GroupKey, ...]
    having: tuple[Test, ...] = ()
    order: tuple[tuple[str, bool], ...] = (("count", True),)
    first: int = 100
    offset: int = 0
    has_distinct: bool = False


class Bounds(NamedTuple):
    """Of the numbers of a list: the least, the greatest, and the width of a bucket."""

    least: float
    greatest: float
    width: float


class GroupRow(NamedTuple):
    """A group: its keys as the database has them, and how many objects it has.

    `bounds`: of each key, where it is in `bins` and the list has numbers.
    """

    keys: tuple[Any, ...]
    n_objects: int
    bounds: tuple[Bounds | None, ...]


class GroupPage(NamedTuple):
    """A page of groups, and how many there are in all.

    `columns`: of each key that is an element, the column that its values have. `definitions`: of
    elements, as they were then. `n_objects`: how many different objects they hold, if asked.
    """

    rows: list[GroupRow]
    total: int = 0
    n_objects: int = 0
    columns: tuple[str | None, ...] = ()
    definitions: Mapping[int, DefinitionRow] | None = None
