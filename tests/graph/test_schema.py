"""The schema as text, and what every part of it must have."""

import re
from collections.abc import Iterator
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_specified_scalar_type,
)

from dicom_graph.graph.schema import schema, schema_text

SCHEMA_FILE = Path(__file__).parents[2] / "schema.graphql"
BUILT = schema._schema
CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")
PASCAL = re.compile(r"[A-Z][a-zA-Z0-9]*")
CAPITALS = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
SPELLED_AS_FIELDS = {"InputField", "FilterOperator"}
"""The enums whose values are names of fields of inputs, so that a form finds its own by them."""


def test_schema_graphql_is_the_schema() -> None:
    written = SCHEMA_FILE.read_text(encoding="utf-8")
    assert written == schema_text(), "run `dicom-graph schema > schema.graphql`"


def test_every_part_has_a_description() -> None:
    bare = [name for name, description in _parts(BUILT) if not (description or "").strip()]
    assert bare == []


def test_every_scalar_says_where_it_is_specified() -> None:
    scalars = [type_ for type_ in _types(BUILT) if isinstance(type_, GraphQLScalarType)]
    assert len(scalars) >= 6
    assert all((type_.specified_by_url or "").startswith("https://") for type_ in scalars)


def test_a_part_without_a_description_is_found() -> None:
    made = build_schema(
        '"q" type Query { "f" f("a" a: Int, b: In): E }\n"e" enum E { A }\n"i" input In { c: Int }'
    )
    bare = {name for name, description in _parts(made) if not description}
    assert bare == {"Query.f(b:)", "E.A", "In.c"}


def test_names_follow_the_conventions_of_graphql() -> None:
    odd = [name for type_ in _types(BUILT) for name in _odd_names(type_)]
    assert odd == []


def test_an_error_names_any_field_of_an_input() -> None:
    mutation = BUILT.mutation_type
    assert mutation is not None
    inputs = [get_named_type(field.args["input"].type) for field in mutation.fields.values()]
    wanted = {name for input_ in inputs for name in input_.fields}  # type: ignore[union-attr]
    named = BUILT.type_map["InputField"]
    assert isinstance(named, GraphQLEnumType)
    assert set(named.values) == wanted


def _types(built: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    """The types that are ours: no scalar of GraphQL itself, nothing of introspection."""
    for type_ in built.type_map.values():
        if not type_.name.startswith("__") and not is_specified_scalar_type(type_):
            yield type_


def _parts(built: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """The name and description of every type, field, argument, enum value and input field."""
    for type_ in _types(built):
        yield type_.name, type_.description
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in type_.fields.items():
                yield from _parts_of_field(f"{type_.name}.{name}", field)
        elif isinstance(type_, GraphQLInputObjectType):
            for name, entry in type_.fields.items():
                yield f"{type_.name}.{name}", entry.description
        elif isinstance(type_, GraphQLEnumType):
            for name, value in type_.values.items():
                yield f"{type_.name}.{name}", value.description


def _parts_of_field(path: str, field: GraphQLField) -> Iterator[tuple[str, str | None]]:
    yield path, field.description
    for name, argument in field.args.items():
        yield f"{path}({name}:)", argument.description


def _odd_names(type_: GraphQLNamedType) -> Iterator[str]:
    if not PASCAL.fullmatch(type_.name):
        yield type_.name
    if isinstance(type_, GraphQLEnumType):
        form = CAMEL if type_.name in SPELLED_AS_FIELDS else CAPITALS
        yield from (f"{type_.name}.{name}" for name in type_.values if not form.fullmatch(name))
    for name, field in getattr(type_, "fields", {}).items():
        arguments = getattr(field, "args", {})
        if not all(map(CAMEL.fullmatch, [name, *arguments])):
            yield f"{type_.name}.{name}"
