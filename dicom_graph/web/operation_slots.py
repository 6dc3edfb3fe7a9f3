"""The places of operations that come over a stream, of which one may have many."""

from collections.abc import Iterator
from contextlib import contextmanager

from dicom_graph.graph.errors import Overloaded
from dicom_graph.web.admission import Ticket


@contextmanager
def slot_of(ticket: Ticket, is_long: bool) -> Iterator[None]:
    """A place for an operation of a stream: a query or mutation counts as a request, each
    subscription but the first as a stream. Raises Overloaded.
    """
    place = ticket.begin(is_long=is_long)
    if place is None:
        raise Overloaded(ticket.refusal())
    try:
        yield
    finally:
        ticket.end(place, is_long=is_long)
