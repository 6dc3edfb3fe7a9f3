"""What cannot be answered leaves the rest of an operation."""

from graphql import (
    GraphQLEnumType,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_non_null_type,
)

from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.schema import schema
from tests.support.graph import Graph

BUILT = schema._schema


async def test_a_bad_argument_nulls_its_own_list_alone(graph: Graph) -> None:
    fields = BUILT.query_type.fields
    lists = [
        name
        for name, field in fields.items()
        if is_list_type(get_nullable_type(field.type))
        or get_named_type(field.type).name.endswith("Connection")
    ]
    assert len(lists) >= 10
    assert not [name for name in lists if is_non_null_type(fields[name].type)]

    paged = [name for name in lists if {"first", "after", "last"} <= fields[name].args.keys()]
    assert len(paged) >= 8
    bad = " ".join(f"{name}(first: -1) {{ __typename }}" for name in paged)
    more = (
        'facet(entity: SERIES, field: UID, keyword: "EchoTime") { count } nodes(ids: ["x"]) { id }'
    )
    result = await graph.execute(
        f'{{ {bad} {more} importFolder(path: "/") {{ path }} good: patients {{ totalCount }} }}'
    )
    nulls = dict.fromkeys([*paged, "facet", "nodes", "importFolder"])
    assert result.data == nulls | {"good": {"totalCount": 0}}
    assert {error.path[0] for error in result.errors} == nulls.keys()
    codes = BUILT.type_map["ErrorCode"]
    assert {error.extensions["code"] for error in result.errors} <= codes.values.keys()


def test_codes_of_errors_are_one_enum() -> None:
    codes = BUILT.type_map["ErrorCode"]
    assert isinstance(codes, GraphQLEnumType)
    told = {name: value.description for name, value in codes.values.items()}
    assert told == {code.value: code.description for code in ErrorCode}
    assert str(BUILT.type_map["UserError"].fields["code"].type) == "ErrorCode!"
