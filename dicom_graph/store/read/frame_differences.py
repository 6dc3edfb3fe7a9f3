"""What differs among the frames of images, at any depth of their functional groups."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from dicom_graph.store.read.elements import DefinitionRow, ElementQuery, ElementRow
from dicom_graph.store.read.header_comparison import step_name

PER_FRAME = "PerFrameFunctionalGroupsSequence"
Holders: TypeAlias = list[tuple[Any, int]]
"""Items (rows), and how many frames each stands for."""
ReadItems: TypeAlias = Callable[[Sequence[int]], Awaitable[Mapping[int, Sequence[Any]]]]
ReadElements: TypeAlias = Callable[
    [Sequence[Any], ElementQuery], Awaitable[Sequence[Sequence[ElementRow]]]
]


class VaryingInFrames(NamedTuple):
    """Elements of one definition that not all frames hold alike, and where: by names of sequences,
    with an index where there are several items.
    """

    path: str
    definition: DefinitionRow
    tag: int
    n_distinct: int
    n_with: int
    n_frames: int


async def frame_differences(
    per_frame: Mapping[int, Mapping[int, int]], items: ReadItems, elements: ReadElements
) -> dict[int, list[VaryingInFrames]]:
    """Of the frames of each series, in the order of their paths.

    `per_frame`: for each series the ids of the sequences of frames, and how many images have each.
    What frames share is stored once, so only sequences that are not the same in all are entered:
    level by level, three statements for each, however many series and frames there are.
    """
    frames = await items([id for uses in per_frame.values() for id in uses])
    level: dict[tuple[int, str], Holders] = {
        (series, PER_FRAME): [(row, n) for id, n in uses.items() for row in frames.get(id, ())]
        for series, uses in per_frame.items()
    }
    totals = {series: sum(n for _, n in holders) for (series, _), holders in level.items()}
    found: dict[int, list[VaryingInFrames]] = defaultdict(list)
    while level:
        below: dict[tuple[int, str], dict[int, int]] = {}
        for (series, way), uses in (await _uses(level, elements)).items():
            for counts in uses.values():
                if len(counts) == 1 and next(iter(counts.values()))[1] == totals[series]:
                    continue
                row = next(iter(counts.values()))[0]
                path = f"{way}.{step_name(row)}"
                if row.definition.vr == "SQ":
                    below[series, path] = {id: n for id, (_, n) in counts.items()}
                else:
                    n_with = sum(n for _, n in counts.values())
                    found[series].append(
                        VaryingInFrames(
                            path, row.definition, row.tag, len(counts), n_with, totals[series]
                        )
                    )
        level = await _enter(below, items)
    return {series: sorted(rows) for series, rows in found.items()}


Counts: TypeAlias = dict[int, tuple[ElementRow, int]]
"""Elements of one definition by id, and how many frames hold each."""


async def _uses(
    level: Mapping[tuple[int, str], Holders], elements: ReadElements
) -> dict[tuple[int, str], dict[tuple[int, int], Counts]]:
    """What the holders at each place hold, by tag and definition."""
    contents = iter(
        await elements([row for holders in level.values() for row, _ in holders], ElementQuery())
    )
    found: dict[tuple[int, str], dict[tuple[int, int], Counts]] = {}
    for place, holders in level.items():
        uses: dict[tuple[int, int], Counts] = defaultdict(dict)
        for (_, n), content in zip(holders, contents, strict=False):
            for row in content:
                counts = uses[row.tag, row.definition.id]
                counts[row.id] = row, counts.get(row.id, (row, 0))[1] + n
        found[place] = uses
    return found


async def _enter(
    below: Mapping[tuple[int, str], Mapping[int, int]], items: ReadItems
) -> dict[tuple[int, str], Holders]:
    """The items of sequences; of several, each index is a place of its own."""
    rows = await items([id for uses in below.values() for id in uses]) if below else {}
    level: dict[tuple[int, str], Holders] = defaultdict(list)
    for (series, path), uses in below.items():
        has_several = any(len(rows.get(id, ())) > 1 for id in uses)
        for id, n in uses.items():
            for index, row in enumerate(rows.get(id, ())):
                place = f"{path}[{index}]" if has_several else path
                level[series, place].append((row, n))
    return dict(level)
