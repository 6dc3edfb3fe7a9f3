"""Which definitions of elements a user who sees no identities sees, with which values."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from dicom_graph.dicom.confidentiality.person_like import VOICES
from dicom_graph.dicom.confidentiality.profile import Treatment, treatment
from dicom_graph.dicom.elements.plausible import TEXT_RULES, TextRule, most_values
from dicom_graph.dicom.elements.values import BYTES_VRS

_PIXEL_GROUP = 0x7FE0
FIELD_TAGS: set[int] = set()
"""The tags of the elements that fields show; whoever says how a column is shown adds its own."""
Key = TypeVar("Key")


@dataclass(frozen=True, eq=False)
class VisibleDefinitions:
    """Which definitions of a database are seen, by their ids; a later one is not.

    `kept`: whose values are seen, `binary` those of bytes among them; `sequences`; `replaced`:
    whose values are pseudonyms, but for registered UIDs. `rules`: of what is kept, whose texts must
    be as a rule says; `counts`: of what is seen, which may have so many values at most. `doubtful`:
    by tag, definitions of which an element may be withheld though a field has its value.
    """

    sqlite: bool
    kept: tuple[int, ...]
    binary: tuple[int, ...]
    sequences: tuple[int, ...]
    replaced: tuple[int, ...]
    rules: Mapping[TextRule, tuple[int, ...]]
    counts: Mapping[int, tuple[int, ...]]
    fields: Mapping[int, "FieldDefinitions"]

    @property
    def definitions(self) -> tuple[int, ...]:
        """All that are seen."""
        return *self.kept, *self.sequences, *self.replaced

    @classmethod
    def of(
        cls, sqlite: bool, definitions: Iterable[Any], doubtful: Container[int] = ()
    ) -> "VisibleDefinitions":
        """What is seen of a database that holds these definitions (`id`, `tag`, …); elements of
        those that are `doubtful` could not all be read, or are no such values as they say.
        """
        # Pixel data that is stored is that of icons, which may show anything.
        treated = [
            (d, treatment(d.tag, d.private_creator, d.vr))
            for d in definitions
            if d.tag >> 16 != _PIXEL_GROUP or d.private_creator
        ]
        kept = [d for d, found in treated if found is Treatment.KEEP]
        values = [d for d in kept if d.vr != "SQ"]
        replaced = [d for d, found in treated if found is Treatment.REPLACE]
        return cls(
            sqlite,
            kept=tuple(d.id for d in values),
            binary=tuple(d.id for d in kept if d.vr in BYTES_VRS and d.tag not in VOICES),
            sequences=tuple(d.id for d in kept if d.vr == "SQ"),
            replaced=tuple(d.id for d in replaced),
            rules=_grouped((TEXT_RULES.get(d.vr), d.id) for d in values),
            counts=_grouped((most_values(d.tag), d.id) for d in (*values, *replaced)),
            fields={
                tag: FieldDefinitions(
                    tuple(d.id for d in kept if d.tag == tag),
                    tuple(d.id for d in kept if d.tag == tag and d.id in doubtful),
                    tuple(
                        d.id
                        for d, found in treated
                        if d.tag == tag and not d.private_creator and found is not Treatment.KEEP
                    ),
                )
                for tag in FIELD_TAGS
            },
        )


class FieldDefinitions(NamedTuple):
    """The definitions of a tag: those that are seen, those of them of which some elements are
    withheld, and those that are withheld, for their VR.
    """

    kept: tuple[int, ...]
    doubtful: tuple[int, ...]
    withheld: tuple[int, ...]

    @property
    def is_doubtful(self) -> bool:
        """Whether a field may have the value of an element that is withheld."""
        return bool(self.doubtful or self.withheld)


def _grouped(pairs: Iterable[tuple[Key | None, int]]) -> dict[Key, tuple[int, ...]]:
    """The ids by their keys, but for None."""
    found: dict[Key, list[int]] = {}
    for key, id in pairs:
        if key is not None:
            found.setdefault(key, []).append(id)
    return {key: tuple(ids) for key, ids in found.items()}
