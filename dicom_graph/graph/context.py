"""What a request has at hand: the store, its loaders, and the importer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import strawberry

from dicom_graph.access.principal import Principal
from dicom_graph.graph.limits.prepared_documents import PreparedDocument
from dicom_graph.graph.loading import Loader
from dicom_graph.imaging.service import Imaging
from dicom_graph.research_subjects import Resolver, SubjectPatient, subjects_of
from dicom_graph.services import Services
from dicom_graph.store.answer_budget import PendingAnswers, current_budget
from dicom_graph.store.read import (
    Condition,
    ElementQuery,
    Page,
    PageRequest,
    Parent,
    Statistics,
    Store,
)
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.group_requests import GroupKey, GroupPage, GroupRequest
from dicom_graph.store.read.relations import DEFAULT_ORDERS

DEFAULT_MEMORY = 256 << 20
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(slots=True)
class Loaders:
    """One loader for each way from many parents to their children, made on first use.

    Each sends one statement for all parents that are asked for at the same moment.
    `made_elements`: the objects of elements, by id; they are many, and the same in many headers.
    """

    store: Store
    made_elements: dict[int, Any] = field(default_factory=dict)
    _made: dict[Any, Loader[Any, Any]] = field(default_factory=dict)

    def forget(self) -> None:
        """After a mutation: what was loaded before it may be stale."""
        self._made.clear()

    def pages(
        self, relation: str, request: PageRequest, wanted: Condition | None = None
    ) -> Loader[Parent, Page]:
        """Pages of a relation."""

        async def load(parents: list[Parent]) -> Sequence[Page]:
            found = await self.store.pages_of(relation, parents, request, wanted)
            return [found[parent] for parent in parents]

        return self._loader(("pages", relation, request, wanted), load)

    @property
    def first_images(self) -> Loader[Parent, Any]:
        """The first image of series by number; None where they have none."""
        request = PageRequest(DEFAULT_ORDERS["image"], first=1)

        async def load(parents: list[Parent]) -> Sequence[Any]:
            found = await self.store.pages_of("series.images", parents, request)
            return [next(iter(found[parent].rows), None) for parent in parents]

        return self._loader(("first images",), load)

    def counts(self, relation: str, wanted: Condition | None = None) -> Loader[Parent, int]:
        """Lengths of a relation."""

        async def load(parents: list[Parent]) -> Sequence[int]:
            found = await self.store.counts_of(relation, parents, wanted)
            return [found[parent] for parent in parents]

        return self._loader(("counts", relation, wanted), load)

    def statistics(
        self, entity: str, relation: str | None, name: str, wanted: Condition | None
    ) -> Loader[Parent | None, Statistics]:
        """Statistics of a field over lists."""

        async def load(parents: list[Parent | None]) -> Sequence[Statistics]:
            found = await self.store.statistics(entity, relation, name, parents, wanted)
            return [found.get(parent, Statistics()) for parent in parents]

        return self._loader(("statistics", entity, relation, name, wanted), load)

    def groups(
        self, entity: str, relation: str | None, request: GroupRequest, wanted: Condition | None
    ) -> Loader[Parent | None, GroupPage]:
        """Pages of groups of lists."""

        async def load(parents: list[Parent | None]) -> Sequence[GroupPage]:
            found = await self.store.groups(entity, relation, request, parents, wanted)
            return [found.get(parent, GroupPage([])) for parent in parents]

        return self._loader(("groups", entity, relation, request, wanted), load)

    def group_figures(
        self,
        entity: str,
        relation: str | None,
        request: GroupRequest,
        wanted: Condition | None,
        definitions: Mapping[int, DefinitionRow] | None = None,
    ) -> Loader[tuple[Parent | None, GroupKey], dict[tuple[Any, ...], Statistics]]:
        """Statistics of values in the groups of lists."""

        async def load(
            asked: list[tuple[Parent | None, GroupKey]],
        ) -> Sequence[dict[tuple[Any, ...], Statistics]]:
            return await self.store.group_figures(
                entity, relation, request, asked, wanted, definitions
            )

        return self._loader(("group_figures", entity, relation, request, wanted), load)

    def entity(self, name: str) -> Loader[int, Any]:
        """Entities by id; None where there is none."""
        return self._by_key(("entity", name), lambda ids: self.store.by_ids(name, ids))

    def entity_by_uid(self, name: str) -> Loader[str, Any]:
        """Entities by uid; None where there is none."""
        return self._by_key(("uid", name), lambda uids: self.store.by_uids(name, uids))

    @property
    def header(self) -> Loader[int, Any]:
        """Headers by id."""
        return self._by_key("header", self.store.headers)

    @property
    def header_of_image(self) -> Loader[int, Any]:
        """Headers by image."""
        return self._by_key("header_of_image", self.store.headers_of_images)

    @property
    def element(self) -> Loader[int, Any]:
        """Elements by id."""
        return self._by_key("element", self.store.elements)

    def value(self, make: Callable[[Any], Sequence[Any]]) -> Loader[tuple[int, int], Any]:
        """Values, by their elements' ids and places. `make`: all those of an element's row."""

        async def load(keys: list[tuple[int, int]]) -> Sequence[Any]:
            ids = list(dict.fromkeys(element_id for element_id, _ in keys))
            rows = zip(ids, await self.element.load_many(ids), strict=True)
            made = {
                (id, value.index): value
                for id, row in rows
                if row is not None
                for value in make(row)
            }
            return [made.get(key) for key in keys]

        return self._loader("value", load)

    @property
    def items(self) -> Loader[int, Any]:
        """Items of sequence elements; None where there are none."""
        return self._by_key("items", self.store.items)

    @property
    def files(self) -> Loader[int, Any]:
        """Files of images."""
        return self._by_key("files", self.store.files)

    @property
    def files_of_series(self) -> Loader[int, Any]:
        """The paths of all files of series."""
        return self._by_key("files_of_series", self.store.files_of_series)

    @property
    def series_contents(self) -> Loader[int, Any]:
        """What the headers of series have in common."""
        return self._by_key("series_contents", self.store.series_contents)

    @property
    def frame_differences(self) -> Loader[Any, Any]:
        """What differs among the frames of series, of their ids and contents."""
        return self.each("frame_differences", self.store.frame_differences, lambda key: key[0])

    @property
    def definition(self) -> Loader[int, Any]:
        """Definitions by id."""
        return self._by_key("definition", self.store.definitions)

    @property
    def tree(self) -> Loader[Any, Any]:
        """All elements of headers (rows) with the nested ones."""
        return self._loader("tree", self.store.trees, name_of=lambda header: header.id)

    def failures(self, first: int, offset: int) -> Loader[int, Any]:
        """So many failures of each import job, behind so many others."""
        find = partial(self.store.failures, first=first, offset=offset)
        return self._by_key(("failures", first, offset), find)

    @property
    def skipped_files(self) -> Loader[int, Any]:
        """What import jobs skipped."""
        return self._by_key("skipped", partial(self.store.failures, skipped=True))

    def subject(self, resolver: Resolver) -> Loader[Any, str | None]:
        """Research subjects of patients."""

        async def load(patients: list[SubjectPatient]) -> Sequence[str | None]:
            return await subjects_of(resolver, patients)

        return self._loader("subject", load)

    @property
    def retries(self) -> Loader[int, Any]:
        """Jobs that read again what import jobs failed on."""
        return self._by_key("retries", self.store.retries)

    def each(
        self, name: str, find_all: Callable[[Sequence[Any]], Awaitable[Any]], key: Any
    ) -> Loader[Any, Any]:
        """Something found for each of many; what is an exception is raised for its one alone."""

        async def load(entities: list[Any]) -> Sequence[Any]:
            found: Sequence[Any] = await find_all(entities)
            return found

        return self._loader(name, load, name_of=key)

    def elements_of(self, query: ElementQuery) -> Loader[Any, Any]:
        """The elements of headers (rows) that a query asks for."""

        async def load(headers: list[Any]) -> Sequence[Any]:
            return await self.store.elements_of(headers, query)

        return self._loader(("elements_of", query), load, name_of=lambda header: header.id)

    def first_elements(self, queries: tuple[ElementQuery, ...]) -> Loader[Any, Any]:
        """Of headers (rows) the first element that each query asks for, None where there is none:
        for many queries of one element each.
        """

        async def load(headers: list[Any]) -> Sequence[Any]:
            found = await self.store.elements_of_each(headers, queries)
            return list(zip(*found, strict=True))

        return self._loader(("first_elements", queries), load, name_of=lambda header: header.id)

    def _by_key(self, name: Any, find: Callable[[list[Any]], Any]) -> Loader[Any, Any]:
        async def load(keys: list[Any]) -> Sequence[Any]:
            found = await find(keys)
            return [found.get(key) for key in keys]

        return self._loader(name, load)

    def _loader(self, name: Any, load: Any, **options: Any) -> Loader[Any, Any]:
        loader = self._made.get(name)
        if loader is None:
            loader = self._made[name] = Loader(load, current_budget(), **options)
        return loader


Admit = Callable[[bool], AbstractContextManager[object]]
"""The place of an operation, given whether it lasts. Raises Overloaded where there is none."""


def _admit_all(is_long: bool) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(slots=True)
class Context:
    """One request's context. `principal`: who asks; `store`: what of the database it sees.

    `identify` asks again who that is, where a request lasts. `connection_params` is what a
    WebSocket's client says of itself at its start; `prepared`, the operation's document. `admit`:
    where an operation of a stream, which may have many, gets a place. `held`: the budgets of
    operations whose answers are not sent yet, where somebody releases it then.
    """

    services: Services
    principal: Principal
    store: Store
    loaders: Loaders
    identify: Callable[[], Awaitable[Principal]] | None = None
    connection_params: dict[str, Any] | None = None
    admit: Admit = _admit_all
    prepared: PreparedDocument | None = None
    held: PendingAnswers | None = None

    @property
    def imaging(self) -> Imaging:
        """What decodes for the user of the request."""
        return self.services.imaging_for(self.principal)

    @classmethod
    def of(
        cls,
        services: Services,
        principal: Principal,
        identify: Callable[[], Awaitable[Principal]] | None = None,
    ) -> "Context":
        """A new context, with loaders that no other request shares."""
        store = services.store_for(principal)
        return cls(services, principal, store, Loaders(store), identify)

    def fresh(self) -> "Context":
        """A context for a further operation of the same client."""
        made = Context.of(self.services, self.principal, self.identify)
        made.admit, made.held = self.admit, self.held
        return made

    async def identify_again(self) -> None:
        """The user who asks may have lost a right, or all, since it was last looked at."""
        if self.identify is not None:
            self.principal = await self.identify()


Info = strawberry.Info[Context, None]
