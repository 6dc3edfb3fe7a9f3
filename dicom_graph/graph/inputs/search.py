"""Searching: one string over all texts of an entity."""

from collections.abc import Mapping, Sequence

from dicom_graph.errors import BadInput
from dicom_graph.graph.inputs.elements import has_tag
from dicom_graph.graph.inputs.operators import checked_text
from dicom_graph.store.read.conditions import And, Condition, Field, Or, Related, Test
from dicom_graph.store.read.element_path import checked_tag

_MAX_WORDS = 20
DEFINITION_TEXTS = {
    "keyword": "keyword",
    "name": "name",
    "private_creator": "private creator",
    "tag": "tag",
}
"""What a search looks into of a definition, and what that is called."""


def search_words(search: str) -> list[str]:
    """Returns the words of a search. Raises BadInput."""
    words = checked_text(search).split()
    if len(words) > _MAX_WORDS:
        raise BadInput(f"`search` has {len(words)} words; at most {_MAX_WORDS} can be asked for")
    return words


def search_condition(
    names: Sequence[str], search: str, related: Mapping[str, Sequence[str]]
) -> Condition:
    """All words occur, each in some field of these names, in either case.

    `related`: the fields of entities that one of the entity's columns leads to. Raises BadInput.
    """
    return And(tuple(_occurs(word, names, related) for word in search_words(search)))


def definition_search(words: Sequence[str]) -> Condition:
    """All words occur in the texts of a definition; one that is a tag may be its own."""
    names = [name for name in DEFINITION_TEXTS if name != "tag"]
    return And(
        tuple(
            Or((*(Field(name, Test("word", word)) for name in names), *_of_tag(word)))
            for word in words
        )
    )


def _of_tag(word: str) -> list[Condition]:
    try:
        return [has_tag(checked_tag(word))]
    except BadInput:
        return []


def _occurs(word: str, names: Sequence[str], related: Mapping[str, Sequence[str]]) -> Condition:
    own = [Field(name, Test("word", word)) for name in names]
    others = [
        Related(f"{entity}_id", entity, _occurs(word, fields, {}))
        for entity, fields in related.items()
    ]
    return Or((*own, *others))
