"""The read side for users who see no identities: pseudonyms out, and pseudonyms in.

What is withheld is withheld by the statements (`store.views.narrowing`), where the UID of an entity
is the id of its row. Here ids become pseudonyms in what is read, and pseudonyms ids in what is
asked. What is forgotten here shows the id of a row, not an identity.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dicom_graph.dicom.confidentiality.profile import (
    Identifiers,
    Replacements,
    Treatment,
    is_pseudonymous,
    treatment,
)
from dicom_graph.dicom.dictionary import (
    ANY_BLOCK,
    dictionary_vr,
    format_tag,
    is_private,
    keyword_tag,
)
from dicom_graph.store.audit_subjects import note_pseudonymous
from dicom_graph.store.formats import Columns
from dicom_graph.store.read.conditions import (
    And,
    Condition,
    DiffersFromMajority,
    Field,
    HasElement,
    Not,
    Or,
    Related,
    Some,
    Test,
)
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.facets import FacetValue
from dicom_graph.store.read.filters import ENTITY_OF_LIST
from dicom_graph.store.read.group_requests import GroupKey, GroupPage, GroupRequest
from dicom_graph.store.read.pages import Page, PageRequest
from dicom_graph.store.read.pseudonymous_elements import PseudonymousElements, replacements_of
from dicom_graph.store.read.relations import RELATIONS, Parent
from dicom_graph.store.read.statistics import Statistics
from dicom_graph.store.read.store import Store
from dicom_graph.store.sql.driver_errors import FilterError
from dicom_graph.store.views.deidentified import MOST_SHOWN, is_withheld
from dicom_graph.store.views.pseudonyms import KINDS, Pseudonyms

NEVER = Or(())


class ShownRow:
    """A row with the pseudonym in the place of its UID, and without numbers that are too great."""

    __slots__ = ("_mapping",)

    def __init__(self, row: Any, uid: str, most: Mapping[str, float]) -> None:
        self._mapping: dict[str, Any] = {**row._mapping, "uid": uid}
        for name, greatest in most.items():
            value = self._mapping.get(name)
            if value is not None and value > greatest:
                self._mapping[name] = None

    def __getattr__(self, name: str) -> Any:
        try:
            return self._mapping[name]
        except KeyError:
            raise AttributeError(name) from None


class DeidentifiedStore(Store):
    """A store of the same database that shows no identities; its memory is its own."""

    def __init__(self, store: Store) -> None:
        super().__init__(
            store.database.deidentified(),
            element_cache_bytes=store.element_cache_bytes // 4,
            many_images=store.many_images,
        )
        self._elements = PseudonymousElements(self.element_cache_bytes, self.database)
        self._note = note_pseudonymous

    @classmethod
    def of(cls, store: Store) -> "DeidentifiedStore":
        """The one of a store."""
        if store.deidentified is None:
            store.deidentified = cls(store)
        assert isinstance(store.deidentified, cls)
        return store.deidentified

    async def page(
        self,
        entity: str,
        request: PageRequest,
        wanted: Condition | None = None,
        columns: Columns = None,
    ) -> Page:
        asked = await self._asked(entity, wanted)
        return await self._shown_page(entity, await super().page(entity, request, asked, columns))

    async def count(self, entity: str, wanted: Condition | None = None) -> int:
        return await super().count(entity, await self._asked(entity, wanted))

    async def pages_of(
        self,
        relation: str,
        parents: Sequence[Parent],
        request: PageRequest,
        wanted: Condition | None = None,
        columns: Columns = None,
    ) -> dict[Parent, Page]:
        entity = RELATIONS[relation].child
        asked = await self._asked(entity, wanted)
        found = await super().pages_of(relation, parents, request, asked, columns)
        return {parent: await self._shown_page(entity, page) for parent, page in found.items()}

    async def counts_of(
        self, relation: str, parents: Sequence[Parent], wanted: Condition | None = None
    ) -> dict[Parent, int]:
        asked = await self._asked(RELATIONS[relation].child, wanted)
        return await super().counts_of(relation, parents, asked)

    async def statistics(
        self,
        entity: str,
        relation: str | None,
        name: str,
        parents: Sequence[Parent | None],
        wanted: Condition | None = None,
    ) -> dict[Parent | None, Statistics]:
        asked = await self._asked(entity, wanted)
        return await super().statistics(entity, relation, name, parents, asked)

    async def field_facet(
        self, entity: str, name: str, wanted: Condition | None, limit: int, *, each: bool = False
    ) -> list[FacetValue]:
        asked = await self._asked(entity, wanted)
        rows = await super().field_facet(entity, name, asked, limit, each=each)
        if name != "uid":
            return rows
        pseudonyms = await self._pseudonyms()
        return [row._replace(value=pseudonyms.of_row(entity, int(row.value))) for row in rows]

    async def element_facet(
        self, entity: str, path: Sequence[HasElement], wanted: Condition | None, limit: int
    ) -> list[FacetValue]:
        for step in path:
            _refuse_pseudonymous(step)
        return await super().element_facet(entity, path, await self._asked(entity, wanted), limit)

    async def groups(
        self,
        entity: str,
        relation: str | None,
        request: GroupRequest,
        parents: Sequence[Parent | None],
        wanted: Condition | None = None,
    ) -> dict[Parent | None, GroupPage]:
        _require_shown(entity, request.keys)
        asked = await self._asked(entity, wanted)
        found = await super().groups(entity, relation, request, parents, asked)
        of_keys = [_identified(entity, key) for key in request.keys]
        if any(of_keys):
            pseudonyms = await self._pseudonyms()
            for page in found.values():
                for n, row in enumerate(page.rows):
                    keys = tuple(
                        pseudonyms.of_row(of, int(key)) if of and key is not None else key
                        for of, key in zip(of_keys, row.keys, strict=True)
                    )
                    page.rows[n] = row._replace(keys=keys)
        return found

    async def group_figures(
        self,
        entity: str,
        relation: str | None,
        request: GroupRequest,
        asked: Sequence[tuple[Parent | None, GroupKey]],
        wanted: Condition | None = None,
        definitions: Mapping[int, DefinitionRow] | None = None,
    ) -> list[dict[tuple[Any, ...], Statistics]]:
        values = [of for _, of in asked]
        _require_shown(entity, [*request.keys, *values])
        if any(_identified(entity, key) for key in request.keys):
            raise FilterError("`uid` is a pseudonym in the de-identified view: one in each group")
        condition = await self._asked(entity, wanted)
        return await super().group_figures(entity, relation, request, asked, condition, definitions)

    async def ties(self, entity: str, condition: DiffersFromMajority) -> tuple[int, int]:
        _require_shown(entity, condition.keys)
        return await super().ties(entity, condition)

    def _is_searched(self, definition: DefinitionRow) -> bool:
        """Not where pseudonyms stand in the place of what the statement would find."""
        found = treatment(definition.tag, definition.private_creator, definition.vr)
        return found is not Treatment.REPLACE

    async def elements_that(self, ids: Sequence[int], wanted: Condition) -> set[int]:
        asked = await self._asked("data_element", wanted)
        assert asked is not None
        return await super().elements_that(ids, asked)

    async def by_ids(
        self, entity: str, ids: Sequence[int], columns: Columns = None
    ) -> dict[int, Any]:
        rows = await super().by_ids(entity, ids, columns)
        return dict(zip(rows, await self._shown(entity, list(rows.values())), strict=True))

    async def by_uids(self, entity: str, uids: Sequence[str]) -> dict[str, Any]:
        pseudonyms = await self._pseudonyms()
        ids = {id: uid for uid in uids if (id := pseudonyms.row_of(entity, uid)) is not None}
        rows = await self.by_ids(entity, list(ids))
        return {ids[id]: row for id, row in rows.items()}

    async def replacements(self, found: Identifiers) -> Replacements:
        """What stands in the place of identifiers that occur in a file."""
        async with self.database.read() as connection:
            return await replacements_of(connection, self.database, found)

    async def _pseudonyms(self) -> Pseudonyms:
        visible_definitions = self.database.visible_definitions
        assert visible_definitions is not None
        if not visible_definitions.is_ready:
            async with self.database.read():
                pass
        return visible_definitions.pseudonyms

    async def _shown_page(self, entity: str, page: Page) -> Page:
        return Page(await self._shown(entity, page.rows), page.has_next, page.has_previous)

    async def _shown(self, entity: str, rows: Sequence[Any]) -> list[Any]:
        if entity not in KINDS or not rows:
            return list(rows)
        pseudonyms = await self._pseudonyms()
        most = MOST_SHOWN[entity]
        return [ShownRow(row, pseudonyms.of_row(entity, row.id), most) for row in rows]

    async def _asked(self, entity: str, wanted: Condition | None) -> Condition | None:
        """The condition with ids for pseudonyms. Raises FilterError."""
        if wanted is None:
            return None
        return _translated(await self._pseudonyms(), entity, wanted)


def _translated(pseudonyms: Pseudonyms, entity: str, wanted: Condition) -> Condition:
    """The condition on an entity as its statement can have it. Raises FilterError."""

    def each(parts: tuple[Condition, ...]) -> tuple[Condition, ...]:
        return tuple(_translated(pseudonyms, entity, part) for part in parts)

    match wanted:
        case And(parts):
            return And(each(parts))
        case Or(parts):
            return Or(each(parts))
        case Not(part):
            return Not(_translated(pseudonyms, entity, part))
        case Some(relation, part):
            child = ENTITY_OF_LIST[relation.partition(".")[2]]
            return Some(relation, _translated(pseudonyms, child, part))
        case Related(column, related, part):
            return Related(column, related, _translated(pseudonyms, related, part))
        case Field("uid", test):
            return _uid_condition(pseudonyms, entity, test)
        case DiffersFromMajority():
            _require_shown(entity, wanted.keys)
        case HasElement():
            _refuse_pseudonymous(wanted)
            if wanted.item is not None:
                _translated(pseudonyms, "header", wanted.item)
    return wanted


def _uid_condition(pseudonyms: Pseudonyms, entity: str, test: Test) -> Condition:
    if test.operator == "is_null":
        return Field("uid", test)
    if test.operator not in ("eq", "ne", "in", "word"):
        raise FilterError(
            "`uid` is a pseudonym in the de-identified view: ask with `eq`, `ne`, `in` or `isNull`"
        )
    given = test.value if test.operator == "in" else (test.value,)
    ids = {id for text in given if (id := pseudonyms.row_of(entity, text)) is not None}
    found = Field("id", Test("in", tuple(sorted(ids)))) if ids else NEVER
    return Not(found) if test.operator == "ne" else found


def _refuse_withheld(step: HasElement) -> None:
    """A standard element that the profile does not keep; of a private one the definitions tell."""
    tag = keyword_tag(step.keyword) if step.keyword is not None else step.tag
    if tag is None or tag & ANY_BLOCK or is_private(tag):
        return
    if treatment(tag, "", dictionary_vr(tag)) is not Treatment.KEEP:
        raise FilterError(
            f"{step.keyword or format_tag(tag)} is withheld in the de-identified view"
        )


def _refuse_pseudonymous(wanted: HasElement) -> None:
    if is_pseudonymous(wanted.keyword, wanted.tag):
        raise FilterError(
            "UIDs and PatientIDs in headers are pseudonyms in the de-identified view and cannot be "
            "asked for: ask for the `uid` of a patient, study, series or image"
        )


def _identified(entity: str, key: GroupKey) -> str | None:
    """The entity whose UID or PatientID a key is, in place of which there are pseudonyms."""
    if key.name == "uid":
        return entity
    return key.name if key.name in KINDS else None


def _require_shown(entity: str, keys: Sequence[GroupKey]) -> None:
    """Raises FilterError for a key that the view withholds."""
    for key in keys:
        for step in key.path:
            _refuse_pseudonymous(step)
            _refuse_withheld(step)
        if key.csa is not None:
            raise FilterError("CSA headers are withheld in the de-identified view")
        if key.holds is not None or _identified(entity, key):
            continue
        if key.name is not None and is_withheld(entity, key.name):
            raise FilterError(f"`{key.name}` is withheld in the de-identified view")
