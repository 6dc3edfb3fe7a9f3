"""One list of entities that was asked for: all of a kind, or those of a parent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dicom_graph.graph.context import Context
from dicom_graph.store.formats import Columns
from dicom_graph.store.read import (
    Condition,
    Page,
    PageRequest,
    Parent,
    Statistics,
)
from dicom_graph.store.read.client_errors import answered, bad_cursor
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.group_requests import GroupKey, GroupPage, GroupRequest
from dicom_graph.store.read.no_majority import tie_warnings
from dicom_graph.store.read.pages import CursorError


@dataclass(frozen=True, slots=True)
class Listing:
    """All entities of a kind, or through a relation those of one parent, batched with others'."""

    context: Context
    entity: str
    request: PageRequest
    wanted: Condition | None
    relation: str | None = None
    parent: Parent | None = None

    async def page(self, columns: Columns = None) -> Page:
        """The page that was asked for, with these columns of a list of all. Raises BadInput."""
        if self.relation is None:
            store = self.context.store
            return await answered(store.page(self.entity, self.request, self.wanted, columns))
        loader = self.context.loaders.pages(self.relation, self.request, self.wanted)
        return await answered(loader.load(self._parent))

    async def pages(self, parents: Sequence[Parent], columns: Columns = None) -> list[Page]:
        """The same page of each parent's list, with these columns. Raises BadInput."""
        assert self.relation is not None
        given = list(dict.fromkeys(parents))
        store = self.context.store
        found = await answered(
            store.pages_of(self.relation, given, self.request, self.wanted, columns)
        )
        return [found[parent] for parent in parents]

    async def check(self) -> None:
        """Raises BadInput for a cursor that is none of the list's, where its page is not read."""
        if self.request.after is None and self.request.before is None:
            return
        if self.request.has_elements:
            await self.page()
            return
        try:
            self.context.store.check_page(self.entity, self.request)
        except CursorError as error:
            raise bad_cursor(error) from None

    async def count(self) -> int:
        """The length of the whole list."""
        if self.relation is None:
            return await answered(self.context.store.count(self.entity, self.wanted))
        loader = self.context.loaders.counts(self.relation, self.wanted)
        return await answered(loader.load(self._parent))

    async def warnings(self) -> list[str]:
        """What is to be known beside the list. Raises BadInput."""
        return await answered(tie_warnings(self.context.store, self.entity, self.wanted))

    async def statistics(self, name: str) -> Statistics:
        """What can be said of a field over the whole list."""
        loader = self.context.loaders.statistics(self.entity, self.relation, name, self.wanted)
        return await answered(loader.load(self.parent))

    async def groups(self, request: GroupRequest) -> GroupPage:
        """A page of groups of the list. Raises BadInput."""
        loader = self.context.loaders.groups(self.entity, self.relation, request, self.wanted)
        return await answered(loader.load(self.parent))

    async def group_figures(
        self,
        request: GroupRequest,
        of: GroupKey,
        definitions: Mapping[int, DefinitionRow] | None = None,
    ) -> dict[tuple[Any, ...], Statistics]:
        """What can be said of a value in each group, by its keys. Raises BadInput."""
        # Which page of the groups it is makes no difference.
        request = GroupRequest(request.keys, request.having)
        loader = self.context.loaders.group_figures(
            self.entity, self.relation, request, self.wanted, definitions
        )
        return await answered(loader.load((self.parent, of)))

    @property
    def _parent(self) -> Parent:
        assert self.parent is not None
        return self.parent
