"""Searching: one string over all texts of an entity."""

from collections.abc import Sequence

from dicom_graph.errors import BadInput
from dicom_graph.graph.inputs.operators import checked_text
from dicom_graph.store.read.conditions import And, Condition, Field, Or, Test

_MAX_WORDS = 20


def search_condition(names: Sequence[str], search: str) -> Condition:
    """All words occur, each in some field of these names, in either case. Raises BadInput."""
    words = checked_text(search).split()
    if len(words) > _MAX_WORDS:
        raise BadInput(f"`search` has {len(words)} words; at most {_MAX_WORDS} can be asked for")
    return And(
        tuple(Or(tuple(Field(name, Test("word", word)) for name in names)) for word in words)
    )
