"""Tables of what the database has, as CSV, Parquet and Arrow, made while they are sent."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.exports.arrow import ArrowMissing
from dicom_graph.exports.tables import MEDIA_TYPES, TABLES, TableRequest, table
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.services import Services
from dicom_graph.store.read import Condition
from dicom_graph.web.downloads import Parameters, Stream, headers_of, store_of

_MAX_COLUMNS = 200
COUNTS_OFF = "this server does not count: leave out columns such as nImages"


async def table_file(request: Request, name: str, form: str) -> Response:
    """A table: all of its entities, or those of `filter`, in JSON as in GraphQL; `column` names
    fields and elements. Of `elements`, `filter` is of images, `elements` of the elements.
    """
    wanted = _request(request, name, form)
    services: Services = request.app.state.services
    if wanted.names_counts and not services.limits.counts:
        raise BadInput(COUNTS_OFF, ErrorCode.COUNTS_OFF)
    chunks = table(store_of(request), wanted)
    # What is wrong with a filter is known only when the database is asked: before the answer.
    try:
        head = [await anext(chunks), await anext(chunks)]
    except ArrowMissing as error:
        raise ImagingError(str(error), ErrorCode.NOT_INSTALLED) from None

    async def whole() -> AsyncGenerator[bytes, None]:
        yield b"".join(head)
        async for chunk in chunks:
            yield chunk

    headers = headers_of(None, name, f".{form}") | {"Cache-Control": "no-store"}
    return Stream(whole(), headers=headers, media_type=MEDIA_TYPES[form])


def _request(request: Request, name: str, form: str) -> TableRequest:
    """What an address asks for. Raises ImagingError, BadInput."""
    is_long = name == "elements"
    known = ("filter", "elements") if is_long else ("filter", "search", "column")
    parameters = Parameters(request, *known)
    names = request.query_params.getlist("column")
    if len(names) > _MAX_COLUMNS:
        raise ImagingError(f"at most {_MAX_COLUMNS} columns", ErrorCode.BAD_INPUT)
    services: Services = request.app.state.services

    def condition(entity: str, parameter: str, search: str | None = None) -> Condition | None:
        given = parameters.text(parameter)
        return services.parse_filter(entity, given, services.limits, search)

    made = TableRequest(name, form, columns=tuple(names))
    return TableRequest(
        name,
        form,
        condition(made.entity, "filter", None if is_long else parameters.text("search")),
        made.columns,
        condition("data_element", "elements") if is_long else None,
    )


def _handler(name: str, form: str) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    return partial(table_file, name=name, form=form)


ROUTES = [
    Route(f"/{name}.{form}", _handler(name, form), methods=["GET"])
    for name in TABLES
    for form in MEDIA_TYPES
]
