"""What the headers of a series have in common, and what differs among them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from dicom_graph.dicom.frame_elements import PER_FRAME
from dicom_graph.store.read.elements import DefinitionRow, ElementRow, Placed
from dicom_graph.store.sql.id_list import unpack_ids


class Varying(NamedTuple):
    """Elements of one definition that not all headers hold alike. `tag` has the block."""

    definition: DefinitionRow
    tag: int
    n_distinct: int
    n_headers: int


class SeriesContents(NamedTuple):
    """A series' headers together. `per_frame`: how many hold each sequence of frames, by its id."""

    n_headers: int
    constant: Sequence[ElementRow]
    varying: Sequence[Varying]
    per_frame: Mapping[int, int]


def count_elements(
    headers: Iterable[Any], sets: Mapping[int | None, Sequence[int]]
) -> Counter[int]:
    """How many headers hold each element."""
    counts: Counter[int] = Counter()
    for set_id, users in Counter(header.shared_set_id for header in headers).items():
        counts.update(dict.fromkeys(sets[set_id], users))
    for header in headers:
        counts.update(unpack_ids(header.own))
    return counts


def summarise(
    n_headers: int,
    counts: Counter[int],
    placed: Mapping[int, Placed],
    rows: Mapping[int, ElementRow],
    definitions: Mapping[int, DefinitionRow],
) -> SeriesContents:
    """Sort the counted elements into those of all headers and the others."""
    varying: dict[tuple[int, int], list[int]] = defaultdict(list)
    for id, count in counts.items():
        if count < n_headers:
            varying[placed[id].tag, placed[id].definition_id].append(count)
    return SeriesContents(
        n_headers,
        sorted(
            (rows[id] for id, count in counts.items() if count == n_headers),
            key=lambda row: row.tag,
        ),
        [
            Varying(definitions[definition_id], tag, len(uses), sum(uses))
            for (tag, definition_id), uses in sorted(varying.items())
        ],
        {id: count for id, count in counts.items() if placed[id].tag == PER_FRAME},
    )
