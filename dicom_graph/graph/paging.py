"""What all pages of lists have, as Relay wants it."""

from typing import Generic, TypeVar

import strawberry

from dicom_graph.store.read import Page, PageRequest

T = TypeVar("T")


@strawberry.type(description="Where a page lies in its list (Relay).")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follows this page.")
    has_previous_page: bool = strawberry.field(description="Whether something precedes this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first node.")
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last node: give it as `after` to get the next page."
    )

    @classmethod
    def of(cls, page: Page, request: PageRequest) -> "PageInfo":
        """Where a page lies that a request asked for."""
        rows = page.rows
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=request.cursor(rows[0]) if rows else None,
            end_cursor=request.cursor(rows[-1]) if rows else None,
        )


@strawberry.type(description="A node and its cursor.")
class Edge(Generic[T]):
    node: T = strawberry.field(description="The object.")
    cursor: str = strawberry.field(description="Its place in this list, opaque.")
