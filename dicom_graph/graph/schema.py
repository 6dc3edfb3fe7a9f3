"""The schema, made once."""

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

from dicom_graph.graph.execution.errors import MaskedSchema
from dicom_graph.graph.execution.executor import MemoizingExecutor
from dicom_graph.graph.execution.validation import LimitsExtension
from dicom_graph.graph.inputs.conversion import convert_quickly
from dicom_graph.graph.mutation import Mutation
from dicom_graph.graph.permissions import guard
from dicom_graph.graph.query import Query
from dicom_graph.graph.scalars import SCALARS
from dicom_graph.graph.subscription import Subscription
from dicom_graph.graph.types.value import VALUE_TYPES, CsaHeaderValue

__all__ = ["schema", "schema_text"]


def _make_schema() -> strawberry.Schema:
    scalars: dict[object, ScalarDefinition] = dict(SCALARS)
    made = MaskedSchema(
        query=Query,
        execution_context_class=MemoizingExecutor,
        mutation=Mutation,
        subscription=Subscription,
        types=[*VALUE_TYPES.values(), CsaHeaderValue],
        config=StrawberryConfig(scalar_map=scalars),
        extensions=[LimitsExtension],
    )
    guard(made._schema)
    convert_quickly(made._schema, made.config.name_converter.from_field)
    return made


schema = _make_schema()


def schema_text() -> str:
    """The schema in GraphQL's schema language, as `schema.graphql` holds it."""
    return schema.as_str() + "\n"
