"""What is to be said of groups without a majority, where a condition asks what differs from one."""

from collections.abc import Iterator

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.store.read import Condition, Store
from dicom_graph.store.read.conditions import (
    And,
    DiffersFromMajority,
    HasElement,
    Not,
    Or,
    Related,
    Some,
)
from dicom_graph.store.read.filters import ENTITY_OF_LIST
from dicom_graph.store.read.group_requests import GroupKey

_LISTS = {"patient": "patients", "study": "studies", "series": "series", "image": "images"}


async def tie_warnings(store: Store, entity: str, wanted: Condition | None) -> list[str]:
    """Of each part of a condition on what differs from the majority, how many groups have none;
    nothing of those that all have one. Raises FilterError.
    """
    if wanted is None:
        return []
    found = [await _warning(store, *part) for part in dict.fromkeys(_parts(entity, wanted))]
    return [text for text in found if text is not None]


async def _warning(store: Store, entity: str, part: DiffersFromMajority) -> str | None:
    n_groups, n_objects = await store.ties(entity, part)
    if not n_groups:
        return None
    of, within = (", ".join(map(_name, keys)) for keys in (part.of, part.within))
    groups = f"{n_groups} group{'' if n_groups == 1 else 's'}"
    return (
        f"differsFromMajority of {of}{f' within {within}' if within else ''}: {groups} of "
        f"{n_objects} {_LISTS[entity]} have no majority, as several are as frequent, and none of "
        "these is said to differ; the filter hasNoMajority finds them"
    )


def _parts(entity: str, wanted: Condition) -> Iterator[tuple[str, DiffersFromMajority]]:
    """The parts that ask what differs, with what they are about."""
    match wanted:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _parts(entity, part)
        case Not(part):
            yield from _parts(entity, part)
        case Some(relation, part):
            yield from _parts(ENTITY_OF_LIST[relation.partition(".")[2]], part)
        case Related(_, related, part):
            yield from _parts(related, part)
        case DiffersFromMajority() if not wanted.is_tied:
            yield entity, wanted


def _name(key: GroupKey) -> str:
    """A key as a filter has it."""
    if key.name is not None:
        return key.name.upper()
    return key.csa or ".".join(map(_step, key.path))


def _step(step: HasElement) -> str:
    return step.keyword or format_tag((step.tag or 0) & 0xFFFFFFFF)
