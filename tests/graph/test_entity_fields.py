"""What the schema tells of its own fields is so: each is sorted, filtered and edited by it."""

from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    InputObjectTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    get_named_type,
    parse,
)
from pydicom.datadict import dictionary_description, tag_for_keyword

from dicom_graph.graph.schema import schema, schema_text
from tests.support.graph import Graph

TYPES = schema._schema.type_map
FIELDS = """query ($entity: EntityType!) { entityFields(entity: $entity) { name field label type
    unit group keyword tag choices operators sortable filterable editable nullable
    description } }"""
OUTPUT = {
    "STRING": "String", "INT": "Int", "FLOAT": "Float", "DATE": "Date", "TIME": "Time",
    "DATE_TIME": "DateTime", "LOCAL_DATE_TIME": "LocalDateTime",
    "STRING_LIST": "[String!]", "FLOAT_LIST": "[Float!]",
}  # fmt: skip


def input_type(name: str) -> GraphQLInputObjectType:
    found = TYPES[name]
    assert isinstance(found, GraphQLInputObjectType)
    return found


async def test_fields_are_told_as_the_schema_has_them(graph: Graph) -> None:
    for entity in ("PATIENT", "STUDY", "SERIES", "IMAGE"):
        name = entity.capitalize()
        type_, orders = TYPES[name], TYPES[f"{name}OrderField"]
        assert isinstance(type_, GraphQLObjectType)
        assert isinstance(orders, GraphQLEnumType)
        filters = input_type(f"{name}Filter").fields
        edits = input_type(f"Update{name}Input").fields
        told = {f["name"]: f for f in (await graph(FIELDS, entity=entity))["entityFields"]}
        for field_name, field in told.items():
            is_required = not field["nullable"]
            shown = type_.fields[field_name].type
            named = get_named_type(shown)
            if isinstance(named, GraphQLEnumType):
                assert (field["type"], field["choices"]) == ("ENUM", list(named.values))
                expected = named.name
            else:
                expected = OUTPUT[field["type"]]
            assert str(shown) == expected + "!" * is_required
            assert field["sortable"] == (field["field"] in orders.values)
            assert field["filterable"] == (field_name in filters)
            assert field["editable"] == (field_name in edits)
            operators = (
                input_type(str(filters[field_name].type)).fields if field_name in filters else {}
            )
            assert field["operators"] == list(operators)
            if field["group"] != "Counts":
                assert field["description"] == type_.fields[field_name].description
            assert all((field["label"], field["group"]))
            if field["keyword"] is not None:
                tag = tag_for_keyword(field["keyword"])
                assert tag is not None
                assert field["tag"] == f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
                assert field["label"] == dictionary_description(tag)
        assert set(edits) - set(told) == {"id"}


async def test_units_headings_and_choices(graph: Graph) -> None:
    told = {f["name"]: f for f in (await graph(FIELDS, entity="SERIES"))["entityFields"]}
    picked: Any = {name: (f["unit"], f["group"]) for name, f in told.items()}
    assert picked["echoTime"] == ("ms", "MR Image")
    assert picked["flipAngle"] == ("deg", "MR Image")
    assert picked["pixelSpacing"] == ("mm", "Image Plane")
    assert picked["manufacturer"] == (None, "General Equipment")
    assert picked["operatorsName"] == (None, "General Series")
    assert picked["nImages"] == (None, "Counts")
    assert picked["created"] == (None, "Database")
    choices = TYPES["SequenceType"]
    assert isinstance(choices, GraphQLEnumType)
    assert told["sequenceType"]["choices"] == list(choices.values)


KEYWORDS = {
    "PATIENT": {"uid": "PatientID", "dateOfBirth": "PatientBirthDate", "sex": "PatientSex"},
    "STUDY": {
        "uid": "StudyInstanceUID", "description": "StudyDescription", "date": "StudyDate",
        "time": "StudyTime",
    },
    "SERIES": {
        "uid": "SeriesInstanceUID", "number": "SeriesNumber", "echoTime": "EchoTime",
        "scanningSequence": "ScanningSequence", "pixelSpacing": "PixelSpacing",
        "mrAcquisitionType": "MRAcquisitionType", "operatorsName": "OperatorsName",
    },
    "IMAGE": {
        "uid": "SOPInstanceUID", "number": "InstanceNumber", "date": "InstanceCreationDate",
        "time": "InstanceCreationTime",
    },
}  # fmt: skip
"""As django_dicom's models name them (`get_header_keyword`)."""


async def test_a_program_reads_which_keyword_a_field_is(graph: Graph) -> None:
    for entity, expected in KEYWORDS.items():
        told = {
            f["name"]: f["keyword"] for f in (await graph(FIELDS, entity=entity))["entityFields"]
        }
        assert {name: told[name] for name in expected} == expected


async def test_the_printed_schema_has_keyword_tag_and_unit(graph: Graph) -> None:
    """Where the printed schema says `@dicom`, it says what the query does."""
    read = parse(schema_text())
    definitions = {
        node.name.value: {field.name.value: field.directives for field in node.fields or ()}
        for node in read.definitions
        if isinstance(node, ObjectTypeDefinitionNode | InputObjectTypeDefinitionNode)
    }
    n_fields = 0
    for entity in ("PATIENT", "STUDY", "SERIES", "IMAGE"):
        name = entity.capitalize()
        for field in (await graph(FIELDS, entity=entity))["entityFields"]:
            said = {key: field[key] for key in ("keyword", "tag", "unit") if field[key]}
            for type_name in (name, f"{name}Filter", f"Update{name}Input"):
                directives = definitions[type_name].get(field["name"]) or ()
                found = {
                    argument.name.value: argument.value.value
                    for directive in directives
                    for argument in directive.arguments
                }
                if field["name"] in definitions[type_name]:
                    assert found == said, (type_name, field["name"])
                    n_fields += bool(found)
    assert n_fields > 80
    assert "directive @dicom(" in schema_text()
