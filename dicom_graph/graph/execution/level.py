"""The objects of one level of an answer, and the lists that lead from one level to the next."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from operator import attrgetter
from typing import Any, NamedTuple

from graphql.pyutils import Path

from dicom_graph.graph.connection import Connection
from dicom_graph.graph.registry import Entity
from dicom_graph.store.read import Page, Parent
from dicom_graph.store.read.rows import made_in_turns


class Level:
    """The objects of one level: rows of an entity.

    `path` returns the path of an object by its place.
    """

    def __init__(self, entity: Entity, rows: Sequence[Any], path: Callable[[int], Path]) -> None:
        self.entity = entity
        self.rows = rows
        self.path = path
        self._objects: list[Any] | None = None
        self.pages: dict[Any, list[Page]] = {}
        """Of the lists below, by what is asked of them: several aliases may ask the same."""

    async def objects(self) -> list[Any]:
        """Its objects."""
        if self._objects is None:
            self._objects = await made_in_turns(self.rows, self.entity.type.from_row)
        return self._objects

    def paths(self) -> list[Path]:
        """The paths of its objects."""
        return list(map(self.path, range(len(self.rows))))

    def column(self, name: str) -> list[Any]:
        """A column of its rows."""
        if not self.rows:
            return []
        # A row is a tuple, and its place is read faster than its name.
        place = self._places.get(name)
        if place is not None:
            return [row[place] for row in self.rows]
        return list(map(attrgetter(name), self.rows))

    def has(self, name: str) -> bool:
        """Whether its rows have a column of that name."""
        return not self.rows or name in self._places

    @cached_property
    def _places(self) -> dict[str, int]:
        names = getattr(self.rows[0], "_fields", ())
        return {name: place for place, name in enumerate(names)}

    async def parents(self) -> list[Parent]:
        """Its objects as parents of lists."""
        if self.entity.described is not None:
            return [Parent(key) for key in self.column("id")]
        return [each.as_parent() for each in await self.objects()]


class Lists(NamedTuple):
    """The lists of all objects of a level, whose pages are read.

    They are as `first`, each of another parent; `path` returns the path of each by its place.
    """

    pages: Sequence[Page]
    first: Connection[Any]
    parents: Sequence[Parent | None]
    path: Callable[[int], Path]

    def rows(self) -> list[Any]:
        """The rows of all pages."""
        return [row for page in self.pages for row in page.rows]

    def connections(self) -> list[Connection[Any]]:
        """The lists as objects."""
        return [
            replace(self.first, listing=replace(self.first.listing, parent=parent), page=page)
            for parent, page in zip(self.parents, self.pages, strict=True)
        ]

    def paths(self) -> list[Path]:
        """The paths of the lists."""
        return list(map(self.path, range(len(self.pages))))

    def path_below(self, name: str, type_name: str) -> Callable[[int], Path]:
        """The path of each row of all pages, by its place among them, in a field of its list."""
        ends: list[int] = []

        def path_of(place: int) -> Path:
            if not ends:
                ends.extend(accumulate(len(page.rows) for page in self.pages))
            at = bisect_right(ends, place)
            begin = ends[at - 1] if at else 0
            return Path(Path(self.path(at), name, type_name), place - begin, None)

        return path_of

    def split(self, answers: list[Any]) -> list[list[Any]]:
        """The answers of the rows of all pages, as those of each page."""
        if len(self.pages) == 1:
            return [answers]
        parts, start = [], 0
        for page in self.pages:
            end = start + len(page.rows)
            parts.append(answers[start:end])
            start = end
        return parts
