"""Conditions on elements that very many images fulfil, beside others that few do.

"EchoTime between 20 and 40, of March 2019": nearly all images have the first, some the second. Both
planners take all images of either and intersect them, as neither knows how many hold an element.
So the database is asked beforehand, for some thousand images of each at most; a common condition is
then looked up from the images that the others leave, not from its elements up.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.store.read.conditions import And, Condition, HasElement, Not, Or, Related, Some
from dicom_graph.store.read.holders import ElementMatcher
from dicom_graph.store.read.large_conditions import made

MANY_IMAGES = 1000
_COUNTED = 20
"""Times so many images are counted: of an archive of a million that is what two months hold."""
_RARER = 4
"""Times as many images as the rarest condition leaves, and to look into each of these is faster."""
_FEW_ELEMENTS = 100
"""So many are looked up in the header of each image that is left."""


async def find_common(
    connection: AsyncConnection,
    matcher: ElementMatcher,
    wanted: Condition | None,
    many_images: int = MANY_IMAGES,
) -> frozenset[HasElement]:
    """The common conditions that stand beside one that is not; one statement, or none."""
    groups = list(_groups(wanted))
    asked = list(dict.fromkeys(condition for group in groups for condition in group))
    if not asked:
        return frozenset()
    most = many_images * _COUNTED
    statement = await made(connection, wanted, lambda: _counts(matcher, asked, most))
    row = (await connection.execute(statement)).one()
    n_elements = dict(zip(asked, row[::2], strict=True))
    n_images = dict(zip(asked, row[1::2], strict=True))
    common: set[HasElement] = set()
    for group in groups:
        least = min(n_images[condition] for condition in group)
        if least < most:
            enough = max(many_images, min(most, _RARER * least))
            common.update(condition for condition in group if n_images[condition] >= enough)
    return frozenset(
        condition
        for condition in common
        if n_elements[condition] <= _FEW_ELEMENTS and not condition.anywhere
    )


def _counts(matcher: ElementMatcher, asked: Sequence[HasElement], most: int) -> Select[Any]:
    """Of each condition, how many elements fulfil it, and how many images hold one of them."""
    return select(
        *(
            _count(rows, limit)
            for condition in asked
            for rows, limit in (
                (matcher.elements(condition), _FEW_ELEMENTS + 1),
                (matcher.images(condition), most),
            )
        )
    )


def _count(rows: Any, limit: int) -> Any:
    limited: Select[Any] = select(rows.subquery()).limit(limit)
    return select(func.count()).select_from(limited.subquery()).scalar_subquery()


def _groups(condition: Condition | None) -> Iterator[Sequence[HasElement]]:
    """The conditions on elements that hold together, where there are several."""
    match condition:
        case And():
            flat = list(_flat(condition))
            together = [part for part in flat if isinstance(part, HasElement)]
            if len(together) > 1:
                yield together
            for part in flat:
                yield from _groups(part)
        case Or(parts):
            for part in parts:
                yield from _groups(part)
        case Not(part) | Some(_, part) | Related(_, _, part):
            yield from _groups(part)


def _flat(condition: And) -> Iterator[Condition]:
    for part in condition.parts:
        if isinstance(part, And):
            yield from _flat(part)
        else:
            yield part
