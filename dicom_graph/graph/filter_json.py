"""A filter from JSON text, by the grammar of the schema: for entries that are not GraphQL."""

import json
from typing import Any

from graphql import GraphQLError, coerce_input_value, validate_input_value
from strawberry.types.arguments import convert_argument

from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.graph.limits.arguments import NestedTooDeeply, conditions, names_counts
from dicom_graph.graph.limits.limits import COUNTS_OFF, too_many_conditions
from dicom_graph.graph.registry import ENTITIES
from dicom_graph.services import Limits
from dicom_graph.store.read import Condition


def condition_from_json(
    entity: str, text: str | None, limits: Limits, search: str | None = None
) -> Condition | None:
    """The condition of a filter such as `{"modality": {"eq": "MR"}}`, and of a search. Raises
    BadInput, also for one by counts where these are not offered, and one of too many conditions.
    """
    n_words = 0 if search is None else len(search.split())
    if n_words > limits.conditions:
        message = too_many_conditions(n_words, limits.conditions).message
        raise BadInput(message, ErrorCode.BAD_FILTER)
    if text is None:
        return ENTITIES[entity].wanted(None, search)
    # Here, since the schema is made of the types, and they of the inputs.
    from dicom_graph.graph.schema import schema

    filters = ENTITIES[entity].filter
    named = schema._schema.type_map[filters.__name__]
    try:
        given = json.loads(text)
        n_conditions = conditions(given) + n_words
        if n_conditions > limits.conditions:
            message = too_many_conditions(n_conditions, limits.conditions).message
            raise BadInput(message, ErrorCode.BAD_FILTER)
        validate_input_value(given, named, _refuse)  # type: ignore[arg-type]
        if not limits.counts and names_counts(given):
            raise BadInput(COUNTS_OFF, ErrorCode.COUNTS_OFF)
        value = coerce_input_value(given, named)  # type: ignore[arg-type]
        made = convert_argument(
            value, filters, schema.schema_converter.scalar_registry, schema.config
        )
        return ENTITIES[entity].wanted(made, search)
    except (RecursionError, NestedTooDeeply):
        raise BadInput("the filter is nested too deeply", ErrorCode.BAD_FILTER) from None
    except ValueError:
        raise BadInput("the filter is no JSON", ErrorCode.BAD_FILTER) from None


def _refuse(error: GraphQLError, path: list[Any]) -> None:
    place = f" at {'.'.join(map(str, path))}" if path else ""
    raise BadInput(f"the filter{place}: {error.message}", ErrorCode.BAD_FILTER)
