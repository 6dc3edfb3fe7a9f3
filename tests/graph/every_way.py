"""Queries that reach each type of the schema by every way, made by introspection.

A way is a field that leads from one type to another. What a query asks of an object is all that has
no argument which must be given, and of the objects that it leads to, their ids; so two places at
which an object occurs can be compared.
"""

import json
from collections.abc import Collection, Iterator
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

NEEDED = {
    ("Header", "element"): '(keyword: "PatientID")',
    ("Instance", "element"): '(keyword: "PatientID")',
    ("Query", "search"): '(text: "a", first: 20)',
}
"""Arguments of fields that say nothing without."""
Found = dict[str, dict[str, set[str]]]
"""By id and field, what the objects hold, as JSON: more than one text where it differs."""
UNCHANGING = frozenset({"Query", "Mutation", "Subscription"})
_IN_NAMES = str.maketrans("[]!", "LLN")
_LONG, _SHORT = 30, 4
_LEFT_OUT = frozenset({"aggregate", "groups", "cursor", "pageInfo"})
"""Of lists: what needs arguments, and what depends on the list."""


class Ways:
    """The ways of a schema that can be asked for, and the queries that go them."""

    def __init__(self, schema: GraphQLSchema, left_out: frozenset[str] = frozenset()) -> None:
        """`left_out`: fields, as Type.field, that are not looked at."""
        self.schema = schema
        self.left_out = left_out
        self.gone: set[tuple[str, str]] = set()

    def queries(self, depth: int, roots: Collection[str] = ()) -> Iterator[str]:
        """A query for each field of the root, or these; `depth`: how many objects follow another.

        What a search finds is followed by one, since the lists of the root lead to the same.
        """
        assert self.schema.query_type is not None
        for name, field in self.schema.query_type.fields.items():
            is_wanted = not roots or name in roots
            if is_wanted and self._is_asked(self.schema.query_type, name, field):
                deep = min(depth, 1) if name == "search" else depth
                yield f"{{ {self._field(self.schema.query_type, name, field, deep)} }}"

    def node_query(self) -> str:
        """The same of any object by its id: `$id`."""
        parts = (
            f"... on {type_.name} {{ {self._all(type_, 0)} }}"
            for type_ in self.schema.type_map.values()
            if isinstance(type_, GraphQLObjectType) and is_node(type_)
        )
        return f"query ($id: ID!) {{ node(id: $id) {{ __typename id {' '.join(parts)} }} }}"

    def _all(self, type_: GraphQLNamedType, depth: int) -> str:
        if isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            return " ".join(
                f"... on {each.name} {{ {self._all(each, depth)} }}"
                for each in self.schema.get_possible_types(type_)
            )
        assert isinstance(type_, GraphQLObjectType)
        fields = (
            self._field(type_, name, field, depth)
            for name, field in type_.fields.items()
            if self._is_asked(type_, name, field)
        )
        return " ".join(["__typename", *fields])

    def _is_asked(self, type_: GraphQLObjectType, name: str, field: GraphQLField) -> bool:
        if f"{type_.name}.{name}" in self.left_out or name in _LEFT_OUT:
            return False
        if name == "edges" and get_named_type(field.type).fields.keys() == {"node", "cursor"}:
            return False  # As `nodes`.
        is_given = (type_.name, name) in NEEDED
        return is_given or not any(map(is_required_argument, field.args.values()))

    def _field(self, type_: GraphQLObjectType, name: str, field: GraphQLField, depth: int) -> str:
        self.gone.add((type_.name, name))
        arguments = NEEDED.get((type_.name, name), "")
        if not arguments and "first" in field.args and "after" in field.args:
            arguments = f"(first: {_LONG if type_.name in UNCHANGING else _SHORT})"
        inner = get_named_type(field.type)
        # A field of one name may be of another type elsewhere.
        alias = f"{name}_{str(field.type).translate(_IN_NAMES)}"
        if is_leaf_type(inner):
            return f"{alias}: {name}{arguments}"
        if is_node(inner) and depth <= 0:
            return f"{alias}: {name}{arguments} {{ __typename id }}"
        below = depth - 1 if is_node(inner) else depth
        return f"{alias}: {name}{arguments} {{ {self._all(inner, below)} }}"


def is_node(type_: GraphQLNamedType) -> bool:
    """Whether objects of a type have an id."""
    interfaces = getattr(type_, "interfaces", ())
    return type_.name == "Node" or any(each.name == "Node" for each in interfaces)


def contents(answer: Any, found: Found) -> Any:
    """Notes, by id and field, what the objects of an answer hold; returns the answer with ids in
    the place of objects. A field that holds two things has two texts.
    """
    if isinstance(answer, list):
        return [contents(each, found) for each in answer]
    if not isinstance(answer, dict):
        return answer
    held = {name: contents(value, found) for name, value in answer.items()}
    if "id" not in answer and "id_IDN" not in answer:
        return held
    id = answer.get("id_IDN", answer.get("id"))
    for name, value in held.items():
        found.setdefault(id, {}).setdefault(name, set()).add(json.dumps(value, sort_keys=True))
    return {"id": id}
