"""Searching: one string over all texts of an entity."""

from dicom_graph.graph.errors import BadInput
from dicom_graph.graph.inputs.operators import checked_text
from dicom_graph.store.read.conditions import And, Condition, Field, Or, Test

_MAX_WORDS = 20
_TEXTS = {
    "patient": (
        "uid", "name", "name_prefix", "given_name", "middle_name", "family_name", "name_suffix",
    ),
    "study": ("uid", "description"),
    "series": (
        "uid", "description", "modality", "body_part_examined", "protocol_name", "manufacturer",
        "manufacturer_model_name", "device_serial_number", "institution_name", "operators_name",
        "sequence_name", "pulse_sequence_name", "sequence_type",
    ),
    "image": ("uid", "sop_class_uid", "transfer_syntax_uid"),
}  # fmt: skip
SEARCHED = frozenset(_TEXTS)
"""The entities that can be searched."""


def search_condition(entity: str, search: str) -> Condition:
    """All words occur, each in some text of the entity, in either case. Raises BadInput."""
    words = checked_text(search).split()
    if len(words) > _MAX_WORDS:
        raise BadInput(f"`search` has {len(words)} words; at most {_MAX_WORDS} can be asked for")
    return And(
        tuple(
            Or(tuple(Field(name, Test("word", word)) for name in _TEXTS[entity])) for word in words
        )
    )


def narrowed(entity: str, condition: Condition | None, search: str | None) -> Condition | None:
    """The condition, and the words of a search."""
    if search is None:
        return condition
    found = search_condition(entity, search)
    return found if condition is None else And((condition, found))
