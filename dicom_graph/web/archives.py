"""Zip archives, made while they are sent."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging.archive import matching_series, series_of, zip_series
from dicom_graph.imaging.deidentified import DeidentifiedImaging
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import find
from dicom_graph.services import Services
from dicom_graph.store.read import Condition
from dicom_graph.store.read.deidentified import DeidentifiedStore
from dicom_graph.web.downloads import Parameters, Stream, headers_of, imaging_of, store_of

_MAX_SERIES = 10_000


async def series_zip(request: Request) -> Response:
    """All images of a series."""
    return await _zip(request, "series")


async def study_zip(request: Request) -> Response:
    """All images of a study, or those of one `patient` in it."""
    return await _zip(request, "study", "patient")


async def patient_zip(request: Request) -> Response:
    """All images of a patient, known by PatientID."""
    return await _zip(request, "patient")


async def _zip(request: Request, entity: str, *known: str) -> Response:
    patient = Parameters(request, *known).text("patient")
    store, uid = store_of(request), request.path_params["uid"]
    await find(store, entity, uid)
    if patient is not None:
        await find(store, "patient", patient)
    series = series_of(store, entity, uid, patient)
    is_of_patient = entity == "patient" or patient is not None
    return _archive(_zipped(request, series, is_of_patient=is_of_patient), uid)


async def listed_zip(request: Request) -> Response:
    """All images of the series that `uid` lists, or of those that `filter` and `search` find."""
    Parameters(request, "uid", "filter", "search")
    store, uids = store_of(request), list(dict.fromkeys(request.query_params.getlist("uid")))
    is_search = not request.query_params.keys().isdisjoint(("filter", "search"))
    if uids and is_search:
        raise ImagingError("give `uid`, or `filter` and `search`", ErrorCode.BAD_INPUT)
    if is_search:
        found = matching_series(store, _wanted(request))
        # What is wrong with a filter is known only when the database is asked: before the answer.
        first = await anext(found, None)
        return _archive(_zipped(request, _followed_by(first, found)), "series")
    if not 1 <= len(uids) <= _MAX_SERIES:
        raise ImagingError(f"give `uid` 1 to {_MAX_SERIES:,} times", ErrorCode.BAD_INPUT)
    for uid in uids:
        await find(store, "series", uid)

    async def rows() -> AsyncIterator[Sequence[Any]]:
        for uid in uids:
            async for found in series_of(store, "series", uid):
                yield found

    return _archive(_zipped(request, rows()), "series")


def _wanted(request: Request) -> Condition | None:
    """The condition of `filter`, a SeriesFilter in JSON, and `search`. Raises BadInput."""
    given = request.query_params
    services: Services = request.app.state.services
    limits = services.limits
    return services.parse_filter("series", given.get("filter"), limits, given.get("search"))


async def _followed_by(
    first: Sequence[Any] | None, others: AsyncIterator[Sequence[Any]]
) -> AsyncIterator[Sequence[Any]]:
    if first is not None:
        yield first
        async for each in others:
            yield each


def _zipped(
    request: Request, series: AsyncIterator[Sequence[Any]], *, is_of_patient: bool = False
) -> AsyncGenerator[bytes, None]:
    """The archive of series, as the user who sent the request may see their files."""
    store, imaging = store_of(request), imaging_of(request)
    if isinstance(store, DeidentifiedStore):
        assert isinstance(imaging, DeidentifiedImaging)
        opened = partial(imaging.opened, store)
        return zip_series(imaging.files, store, series, opened=opened, is_of_patient=is_of_patient)
    return zip_series(imaging.files, store, series, is_of_patient=is_of_patient)


def _archive(chunks: AsyncGenerator[bytes, None], name: str) -> Response:
    headers = headers_of(None, name, ".zip") | {"Cache-Control": "no-store"}
    return Stream(chunks, headers=headers, media_type="application/zip")


ROUTES = [
    Route("/series.zip", listed_zip),
    Route("/series/{uid:path}.zip", series_zip),
    Route("/studies/{uid:path}.zip", study_zip),
    Route("/patients/{uid:path}.zip", patient_zip),
]
