"""Queries that ask for every field of every object type that a query can reach."""

from collections.abc import Iterator
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)

ARGUMENTS = {
    ("Header", "element"): '(keyword: "PatientID")',
    ("Header", "elementsAt"): '(keys: [{ keyword: "PatientID" }])',
    ("Query", "facet"): "(entity: SERIES, field: UID)",
    ("Query", "compareHeaders"): '(ids: ["SW1hZ2U6MQ==", "SW1hZ2U6Mg=="])',
    ("Query", "search"): '(text: "a")',
    ("Query", "importFolder"): '(path: "/")',
    ("Query", "entityFields"): "(entity: SERIES)",
    ("Query", "importJob"): '(id: "SW1wb3J0Sm9iOjE=")',
    ("Query", "node"): '(id: "UGF0aWVudDox")',
    ("Query", "nodes"): '(ids: ["UGF0aWVudDox", "SW1wb3J0Sm9iOjE="])',
    ("Query", "patientByUid"): '(uid: "Zaphod-4711")',
    ("Query", "studyByUid"): '(uid: "1.3.777.10")',
    ("Query", "seriesByUid"): '(uid: "1.3.777.20")',
    ("Query", "imageByUid"): '(uid: "1.3.777.30")',
}
"""Of the fields that need some, or say nothing without."""
_AGGREGATED = {
    "Patient": "N_IMAGES", "Study": "N_SERIES", "Series": "ECHO_TIME", "Image": "NUMBER",
    "ImportJob": "STARTED_AT", "DataElement": "LENGTH", "AuditEntry": "SECONDS",
}  # fmt: skip
_KEYS = {
    "Patient": "N_SERIES", "Study": "N_SERIES", "Series": "MODALITY", "Image": "NUMBER",
    "DataElement": "VM", "AuditEntry": "STATUS",
}  # fmt: skip
"""What lists are grouped by; lists of others have no field that can be."""


_COSTLY = frozenset({"instance", "volume", "volumes", "pixels", "html", "table", "bytes"})


def _of_list(name: str, entity: str) -> str:
    if name == "aggregate":
        known = _AGGREGATED.get(entity)
        return f"(field: {known})" if known else "(field: UID) @skip(if: true)"
    known = _KEYS.get(entity)
    return (
        f"(first: 2, by: [{{ field: {known} }}])" if known else "(first: 1, by: []) @skip(if: true)"
    )


def _by_ids(type_name: str, fields: str) -> str:
    return f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {type_name} {{ {fields} }} }} }}"


class Walk:
    """Makes the queries, and remembers which fields of which types they ask for."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.asked: set[tuple[str, str]] = set()
        self._node = schema.type_map["Node"]

    def root(self) -> Iterator[str]:
        """One query for each root field."""
        assert self._schema.query_type is not None
        for name, field in self._schema.query_type.fields.items():
            yield "{ " + self._field(self._schema.query_type, name, field, ()) + " }"

    def nodes(self) -> Iterator[tuple[str, str, bool]]:
        """For each type with an id: its name, and queries for fields of objects by `$ids`.

        Each list is a query of its own, and so is what the last says is costly: of some objects.
        """
        for type_ in self._schema.get_possible_types(self._node):  # type: ignore[arg-type]
            plain = []
            for name, field in type_.fields.items():
                text = self._field(type_, name, field, (type_.name,))
                if get_named_type(field.type).name.endswith("Connection") or name in _COSTLY:
                    yield type_.name, _by_ids(type_.name, text), True
                else:
                    plain.append(text)
            yield type_.name, _by_ids(type_.name, " ".join(plain)), False

    def everything(self) -> set[tuple[str, str]]:
        """All fields of all object types that a query reaches."""
        assert self._schema.query_type is not None
        found: set[tuple[str, str]] = set()
        todo: list[GraphQLNamedType] = [self._schema.query_type]
        seen = set()
        while todo:
            type_ = todo.pop()
            if type_.name in seen or is_leaf_type(type_):
                continue
            seen.add(type_.name)
            todo += self._objects(type_)
            if isinstance(type_, GraphQLObjectType):
                found |= {(type_.name, name) for name in type_.fields}
                todo += [get_named_type(field.type) for field in type_.fields.values()]
        return found

    def _objects(self, type_: GraphQLNamedType) -> list[GraphQLObjectType]:
        if isinstance(type_, GraphQLInterfaceType):
            return list(self._schema.get_possible_types(type_))
        return [type_] if isinstance(type_, GraphQLObjectType) else []

    def _field(self, owner: Any, name: str, field: GraphQLField, path: tuple[str, ...]) -> str:
        self.asked.add((owner.name, name))
        type_ = get_named_type(field.type)
        arguments = ARGUMENTS.get((owner.name, name), "")
        if name == "aggregate" or (name == "groups" and owner.name.endswith("Connection")):
            entity = next(each for each in (*path, owner.name) if each.endswith("Connection"))
            arguments = _of_list(name, entity.removesuffix("Connection"))
        if is_leaf_type(type_):
            return name + arguments
        return f"{name}{arguments} {{ {self._selection(type_, path)} }}"

    def _selection(self, type_: Any, path: tuple[str, ...]) -> str:
        if isinstance(type_, GraphQLInterfaceType):
            if type_ is self._node:
                return "id __typename"
            parts = (
                f"... on {each.name} {{ {self._selection(each, path)} }}"
                for each in self._objects(type_)
            )
            return " ".join(["__typename", *parts])
        if type_.name in path:
            return "__typename"
        is_node = self._node in type_.interfaces
        if is_node and path:
            return "id"
        if is_node:
            leaves = [n for n, f in type_.fields.items() if is_leaf_type(get_named_type(f.type))]
            return " ".join(leaves)
        # Fields of one name may be of different types, so each has the name of its type.
        return " ".join(
            f"{type_.name}_{name}: {self._field(type_, name, field, (*path, type_.name))}"
            for name, field in type_.fields.items()
        )
