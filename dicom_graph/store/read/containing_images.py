"""From elements up to the images that hold them, at any depth."""

from typing import Any

from sqlalchemy import FromClause, Select, select, union_all
from sqlalchemy.sql.selectable import CTE, CompoundSelect

from dicom_graph.store.postings import postings
from dicom_graph.store.tables.columns import HEADER
from dicom_graph.store.tables.headers import ElementSetMember, HeaderElement

Ids = Select[Any] | CompoundSelect[Any]


def images_with(elements: Ids) -> CompoundSelect[Any]:
    """The ids of images whose header holds one of the elements, at its top level."""
    held, member = postings(HeaderElement), postings(ElementSetMember)
    own = (
        select(HEADER.image_id)
        .select_from(held.up_to(HEADER.id))
        .where(held.element_id.in_(elements), HEADER.image_id.is_not(None))
    )
    sets = member.holders().where(member.element_id.in_(elements))
    shared = select(HEADER.image_id).where(HEADER.shared_set_id.in_(sets))
    return union_all(own, shared)


def enclosing_elements(elements: Select[tuple[int]]) -> CTE:
    """The elements and all sequence elements that hold them, at any depth, as `(id)`."""
    start = elements.cte(recursive=True)
    held = postings(HeaderElement)
    above = (
        select(HEADER.element_id)
        .select_from(held.up_to(HEADER.id, start.c.id))
        .where(HEADER.element_id.is_not(None))
    )
    return start.union(above)


def images_of_elements(elements: FromClause) -> CTE:
    """For each element (`id`) the images whose headers hold it, as `(root, image_id)`."""
    seeds = select(elements.c.id.label("root"), elements.c.id.label("id"))
    start = seeds.cte(recursive=True)
    held = postings(HeaderElement)
    above = (
        select(start.c.root, HEADER.element_id)
        .select_from(held.up_to(HEADER.id, start.c.id))
        .where(HEADER.element_id.is_not(None))
    )
    holders = start.union(above)
    held, member = postings(HeaderElement), postings(ElementSetMember)
    own = (
        select(holders.c.root, HEADER.image_id)
        .select_from(held.up_to(HEADER.id, holders.c.id))
        .where(HEADER.image_id.is_not(None))
    )
    shared = select(holders.c.root, HEADER.image_id).select_from(
        member.up_to(HEADER.shared_set_id, holders.c.id)
    )
    return union_all(own, shared).cte()
