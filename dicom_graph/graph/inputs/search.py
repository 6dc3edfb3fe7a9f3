"""Searching: one string over all texts of an entity."""

from collections.abc import Mapping, Sequence

from dicom_graph.errors import BadInput
from dicom_graph.graph.inputs.operators import checked_text
from dicom_graph.store.read.conditions import And, Condition, Field, Or, Related, Test

_MAX_WORDS = 20


def search_condition(
    names: Sequence[str], search: str, related: Mapping[str, Sequence[str]]
) -> Condition:
    """All words occur, each in some field of these names, in either case.

    `related`: the fields of entities that one of the entity's columns leads to. Raises BadInput.
    """
    words = checked_text(search).split()
    if len(words) > _MAX_WORDS:
        raise BadInput(f"`search` has {len(words)} words; at most {_MAX_WORDS} can be asked for")
    return And(tuple(_occurs(word, names, related) for word in words))


def _occurs(word: str, names: Sequence[str], related: Mapping[str, Sequence[str]]) -> Condition:
    own = [Field(name, Test("word", word)) for name in names]
    others = [
        Related(f"{entity}_id", entity, _occurs(word, fields, {}))
        for entity, fields in related.items()
    ]
    return Or((*own, *others))
