"""From an element up to what holds it: items, the sequences they belong to, headers, images."""

from sqlalchemy import Select, literal, select, union_all
from sqlalchemy.sql.selectable import CTE

from dicom_graph.store.tables import ElementSetMember, Header, HeaderElement


def enclosing_elements(element_id: int) -> CTE:
    """The element and all sequence elements that hold it, at any depth, as `(id)`."""
    start = select(literal(element_id).label("id")).cte("enclosing", recursive=True)
    above = (
        select(Header.element_id)
        .join(HeaderElement, HeaderElement.header_id == Header.id)
        .join(start, start.c.id == HeaderElement.element_id)
        .where(Header.element_id.is_not(None))
    )
    return start.union(above)


def images_that_hold(element_id: int) -> Select[tuple[int | None]]:
    """The ids of images whose header holds the element, at any depth."""
    enclosing = enclosing_elements(element_id)
    own = (
        select(Header.image_id)
        .join(HeaderElement, HeaderElement.header_id == Header.id)
        .join(enclosing, enclosing.c.id == HeaderElement.element_id)
        .where(Header.image_id.is_not(None))
    )
    shared = (
        select(Header.image_id)
        .join(ElementSetMember, ElementSetMember.set_id == Header.shared_set_id)
        .join(enclosing, enclosing.c.id == ElementSetMember.element_id)
        .where(Header.image_id.is_not(None))
    )
    holders = union_all(own, shared).subquery("holders")
    return select(holders.c.image_id)
