"""How much arguments hold: the conditions of filters, searches and orders, and values of lists.

Counted are the values that are given, in the document or in its variables, before anything is made
of them; a list of plain values counts as one condition for each hundred, a text as one more for
each thousand characters, a search as one for each word.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    ArgumentNode,
    ListValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
)

COUNTS = frozenset({"nPatients", "nStudies", "nSeries", "nImages"})
"""Fields, and names in filters, that count what belongs to an object."""
_COUNTS_AS_VALUES = COUNTS | {"N_PATIENTS", "N_STUDIES", "N_SERIES", "N_IMAGES"}
_CONDITION_ARGUMENTS = frozenset({"filter", "orderBy", "search"})
_PAGE = "ids"
"""A list that is a page: each of its values is an object."""
MAX_NESTING = 64
"""Levels of an input object."""
_VALUES_IN_ONE = 100
_CHARACTERS_IN_ONE = 1000


class NestedTooDeeply(Exception):
    """An input has more levels than `MAX_NESTING`."""


MOST_KEYS = 200
"""Keys of elements that a field takes; they are read again for each object that has the field."""


class TooManyKeys(Exception):
    """A list of keys is too long; the message says how long."""


def check_keys(n_keys: int) -> None:
    """Raises TooManyKeys."""
    if n_keys > MOST_KEYS:
        raise TooManyKeys(f"{n_keys:,} keys; at most {MOST_KEYS} can be asked for at once")


@dataclass(frozen=True, slots=True)
class _Argument:
    """`count`, `has_counts`: of what the document says; `variables`: in which there is more."""

    name: str
    count: int
    has_counts: bool
    variables: tuple[str, ...]

    @property
    def has_conditions(self) -> bool:
        return self.name in _CONDITION_ARGUMENTS

    def names_counts(self, variables: Mapping[str, Any]) -> bool:
        return self.has_counts or any(
            names_counts({self.name: variables[name]})
            for name in self.variables
            if name in variables
        )

    def total(self, variables: Mapping[str, Any]) -> int:
        total = self.count + sum(
            count(self.name, variables[name]) for name in self.variables if name in variables
        )
        if self.name == "keys":
            check_keys(total)
        return total


@dataclass(frozen=True, slots=True)
class ArgumentSizes:
    """What the arguments of a field hold. `of_archive`: whether counts are those of the archive."""

    arguments: tuple[_Argument, ...] = ()
    of_archive: bool = True

    @classmethod
    def of(cls, nodes: Sequence[ArgumentNode], *, of_archive: bool = True) -> "ArgumentSizes":
        """Count what the document says. Raises NestedTooDeeply."""
        return cls(
            tuple(
                _argument(node.name.value, node.value, variables)
                for node in nodes
                if node.name.value != _PAGE
                and (
                    (variables := tuple(_variables(node.value)))
                    or isinstance(node.value, ListValueNode)
                    or node.name.value in _CONDITION_ARGUMENTS
                    or node.name.value == "field"
                )
            ),
            of_archive,
        )

    def names_counts(self, variables: Mapping[str, Any]) -> bool:
        """Whether a filter, an order or an aggregate is about `COUNTS`. Raises NestedTooDeeply."""
        return self.of_archive and any(each.names_counts(variables) for each in self.arguments)

    def conditions(self, variables: Mapping[str, Any]) -> int:
        """How many conditions. Raises NestedTooDeeply."""
        return sum(each.total(variables) for each in self.arguments if each.has_conditions)

    def values(self, variables: Mapping[str, Any]) -> int:
        """How many values the lists of all other arguments hold. Raises TooManyKeys."""
        return sum(each.total(variables) for each in self.arguments if not each.has_conditions)


def _argument(name: str, node: ValueNode, variables: tuple[str, ...]) -> _Argument:
    value = literal_as_json(node)
    return _Argument(name, count(name, value), names_counts({name: value}), variables)


def names_counts(given: Any) -> bool:
    """Whether JSON has a name of `COUNTS`, or names one as a `field`. Raises NestedTooDeeply."""
    waiting = [(given, 0)]
    while waiting:
        value, level = waiting.pop()
        if level > MAX_NESTING:
            raise NestedTooDeeply
        if isinstance(value, dict):
            # A field is compared with what stands beside it.
            fields = [v for v in value.values() if isinstance(v, str)] if "field" in value else ()
            if not COUNTS.isdisjoint(value) or not _COUNTS_AS_VALUES.isdisjoint(fields):
                return True
            waiting.extend((part, level + 1) for part in value.values())
        elif isinstance(value, list):
            waiting.extend((part, level + 1) for part in value)
    return False


def count(name: str, value: Any) -> int:
    """What an argument of this name holds, as JSON: conditions, or the values of a list.

    Raises NestedTooDeeply.
    """
    if name not in _CONDITION_ARGUMENTS:
        return len(value) if isinstance(value, list) else 0
    if name == "search" and isinstance(value, str):
        return len(value.split()) or 1
    return conditions(value)


def conditions(value: Any) -> int:
    """How many conditions a filter or an order holds, as JSON. Raises NestedTooDeeply."""
    total, waiting = 0, [(value, 0)]
    while waiting:
        value, level = waiting.pop()
        if level > MAX_NESTING:
            raise NestedTooDeeply
        if isinstance(value, dict):
            waiting.extend((part, level + 1) for part in value.values())
            total += not value
        elif isinstance(value, list):
            parts = [part for part in value if isinstance(part, dict | list)]
            waiting.extend((part, level + 1) for part in parts)
            total += not value or -(-(len(value) - len(parts)) // _VALUES_IN_ONE)
        else:
            # A variable is counted where its value is known.
            total += value is not _Variable
        if isinstance(value, str):
            total += len(value) // _CHARACTERS_IN_ONE
    return total


def values(given: Any, most: int) -> int:
    """How many values JSON holds, objects and lists too; if more than `most`, some number more."""
    waiting, total = [given], 0
    while waiting and total <= most:
        value = waiting.pop()
        total += 1
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return total


class _Variable:
    """In the place of a variable."""


def literal_as_json(node: ValueNode | None) -> Any:
    """A literal as the JSON that it would be as the value of a variable; numbers as text."""
    if isinstance(node, ObjectValueNode):
        return {field.name.value: literal_as_json(field.value) for field in node.fields}
    if isinstance(node, ListValueNode):
        return [literal_as_json(value) for value in node.values]
    if isinstance(node, VariableNode):
        return _Variable
    return getattr(node, "value", None)


def _variables(node: ValueNode) -> Iterator[str]:
    if isinstance(node, VariableNode):
        yield node.name.value
    elif isinstance(node, ObjectValueNode):
        for field in node.fields:
            yield from _variables(field.value)
    elif isinstance(node, ListValueNode):
        for value in node.values:
            yield from _variables(value)
