"""Person names: three groups (alphabetic, ideographic, phonetic) of five components each."""

from typing import NamedTuple


class NameComponents(NamedTuple):
    """One group of a person name (PS3.5 6.2.1.1); None for a component that is empty."""

    family: str | None
    given: str | None
    middle: str | None
    prefix: str | None
    suffix: str | None


def split_name(text: str) -> tuple[NameComponents, NameComponents, NameComponents]:
    """The alphabetic, ideographic and phonetic groups of a PN value."""
    groups = [*text.split("=", 2), "", "", ""]
    return _components(groups[0]), _components(groups[1]), _components(groups[2])


def with_alphabetic(text: str | None, components: NameComponents) -> str | None:
    """A PN value with another alphabetic group; None where nothing is left of it."""
    alphabetic = "^".join(part or "" for part in components).rstrip("^")
    _, *others = (text or "").split("=", 2)
    return "=".join([alphabetic, *others]).rstrip("=") or None


def _components(group: str) -> NameComponents:
    parts = [part.strip() or None for part in group.split("^", 4)]
    return NameComponents(*parts, *[None] * (5 - len(parts)))
