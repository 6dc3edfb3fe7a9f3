"""Conditions on entities and elements, as plain values: what filters mean, before any SQL."""

from dataclasses import dataclass
from typing import Any, Literal

Operator = Literal[
    "eq", "ne", "in", "gt", "gte", "lt", "lte", "between", "is_null",
    "contains", "icontains", "starts_with", "istarts_with", "ends_with", "regex", "ieq", "iin",
    "exactly", "contains_all", "contains_any", "any", "length", "word",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Test:
    """An operator and what it compares with; a list is a tuple."""

    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; without parts, always."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds; without parts, never."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the entity."""

    name: str
    test: Test


@dataclass(frozen=True, slots=True)
class Count:
    """The length of a list of the entity, such as `series.images`."""

    relation: str
    test: Test


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of a list of the entity fulfils the part."""

    relation: str
    part: "Condition"


@dataclass(frozen=True, slots=True)
class Related:
    """The one entity that a column leads to fulfils the part."""

    column: str
    entity: str
    part: "Condition"


@dataclass(frozen=True, slots=True)
class HasElement:
    """The header holds an element; of images and of sequence items.

    A private `tag` may have `ANY_BLOCK`. `values`: tests by column that one and the same value
    passes. `item`: a condition that an item of the sequence fulfils, at `index` if that is given.
    `anywhere`: at any depth of the header.
    """

    keyword: str | None = None
    tag: int | None = None
    private_creator: str | None = None
    vr: str | None = None
    values: tuple[tuple[str, Test], ...] = ()
    vm: tuple[Test, ...] = ()
    has_warnings: bool | None = None
    item: "Condition | None" = None
    index: int | None = None
    anywhere: bool = False


@dataclass(frozen=True, slots=True)
class HasCsa:
    """A Siemens CSA header of the header has something at the path, or in the list there a value
    that passes all tests on its `text` and its `number`.
    """

    path: str
    values: tuple[tuple[str, Test], ...] = ()


@dataclass(frozen=True, slots=True)
class FieldPair:
    """A field of the entity, or a count of it such as `n_images`, beside another: both are there,
    and the one is so to the other.
    """

    name: str
    operator: Literal["eq", "ne", "gt", "gte", "lt", "lte"]
    other: str


@dataclass(frozen=True, slots=True)
class DiffersFromMajority:
    """Of all that share the keys `within`, it has not the keys `of` that most of them have.

    Both are GroupKeys. Where several are as frequent as each other there is no majority, and nobody
    differs; `is_tied`: it is of such a group.
    """

    within: tuple[Any, ...]
    of: tuple[Any, ...]
    is_tied: bool = False

    @property
    def keys(self) -> tuple[Any, ...]:
        """All of them."""
        return *self.within, *self.of


Condition = (
    And | Or | Not | Field | FieldPair | Count | Some | Related | HasElement | HasCsa
    | DiffersFromMajority
)  # fmt: skip
"""What a list is narrowed by."""


def uses_elements(condition: Condition | None) -> bool:
    """Whether the condition, or a part of it, is about elements."""
    match condition:
        case HasElement():
            return True
        case DiffersFromMajority():
            return any(key.path for key in condition.keys)
        case And(parts) | Or(parts):
            return any(map(uses_elements, parts))
        case Not(part) | Some(_, part) | Related(_, _, part):
            return uses_elements(part)
    return False


def every(relation: str, part: Condition) -> Condition:
    """All of a list fulfil the part; so does an empty list."""
    return Not(Some(relation, Not(part)))


def weight(condition: Condition | None) -> int:
    """How many conditions it holds; each hundred values of a list are one more."""
    match condition:
        case None:
            return 0
        case And(parts) | Or(parts):
            return sum(map(weight, parts))
        case Not(part) | Some(_, part) | Related(_, _, part):
            return 1 + weight(part)
        case FieldPair():
            return 1
        case DiffersFromMajority():
            return 10 * len(condition.keys)
        case Field(_, test) | Count(_, test):
            return _of_test(test)
        case HasElement():
            tests = [*(test for _, test in condition.values), *condition.vm]
            return 1 + sum(map(_of_test, tests)) + weight(condition.item)
        case HasCsa():
            return 1 + sum(_of_test(test) for _, test in condition.values)


def _of_test(test: Test) -> int:
    if test.operator == "length":
        return 1 + _of_test(test.value)
    if test.operator == "any":
        return 1 + sum(map(_of_test, test.value))
    return 1 + len(test.value) // 100 if isinstance(test.value, tuple) else 1
