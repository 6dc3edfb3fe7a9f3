"""Downloads of one image: its file, its array, pictures of its frames, its header."""

import asyncio
import json
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicom_graph.dicom.files.stored_file import FileState
from dicom_graph.error_codes import ErrorCode
from dicom_graph.exports.header_json import dicom_json
from dicom_graph.imaging.deidentified import DeidentifiedImaging
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import find, image_file, opened_image
from dicom_graph.store.read.deidentified import DeidentifiedStore
from dicom_graph.store.read.elements import ElementNode
from dicom_graph.web.downloads import (
    OriginalFile,
    Parameters,
    TemporaryFile,
    etag_of,
    headers_of,
    imaging_of,
    is_known,
    not_modified,
    store_of,
    while_connected,
    whole_number,
)

_BULK_DATA = re.compile(r"[0-9A-Fa-f]{8}-[0-9a-f]{64}")


async def frame_png(request: Request) -> Response:
    """A frame, counted from 1 as DICOMweb does."""
    parameters = Parameters(request, "window", "size")
    frame = whole_number(request.path_params["frame"], "frame")
    return await _picture(request, parameters, frame)


async def preview_png(request: Request) -> Response:
    """A frame, the first one if `frame` is not given."""
    parameters = Parameters(request, "window", "size", "frame")
    frame = parameters.number("frame")
    return await _picture(request, parameters, 1 if frame is None else frame)


async def _picture(request: Request, parameters: Parameters, frame: int) -> Response:
    window, size = parameters.window(), parameters.number("size")
    uid = request.path_params["uid"]
    file = await _file(request)
    etag = await etag_of(request, "png", uid, file, frame, window, size)
    if is_known(request, etag):
        return not_modified(etag)
    imaging = imaging_of(request)
    content = await while_connected(request, imaging.png(file, frame, window, size))
    headers = headers_of(etag, f"{uid}-{frame}", ".png", inline=True)
    return Response(content, headers=headers, media_type="image/png")


async def dicom_file(request: Request) -> Response:
    """The file as it is, parts of it by Range; or without identities."""
    Parameters(request)
    store, uid = store_of(request), request.path_params["uid"]
    if isinstance(store, DeidentifiedStore):
        return await _deidentified(request, store)
    if "if-none-match" in request.headers:
        # Before it is opened, since a gzip file is unpacked then.
        etag = await etag_of(request, "dcm", uid, await _file(request), False)
        if is_known(request, etag):
            return not_modified(etag)
    work = opened_image(imaging_of(request).files, store, uid)
    file, opened = await while_connected(request, work)
    etag = await etag_of(request, "dcm", uid, file, False)
    return OriginalFile(opened, headers_of(etag, uid, ".dcm"), "application/dicom")


async def _deidentified(request: Request, store: DeidentifiedStore) -> Response:
    uid, imaging = request.path_params["uid"], imaging_of(request)
    assert isinstance(imaging, DeidentifiedImaging)
    file = await _file(request)
    etag = await etag_of(request, "dcm", uid, file, True)
    if is_known(request, etag):
        return not_modified(etag)
    path = await while_connected(request, imaging.dicom(store, file))
    return TemporaryFile(path, headers_of(etag, uid, ".dcm"), "application/dicom")


async def _file(request: Request) -> FileState:
    """The file of the image that a request is for, for a decoding process to open."""
    checker, store = imaging_of(request).files, store_of(request)
    return await image_file(checker, store, request.path_params["uid"])


async def array_npy(request: Request) -> Response:
    """The array of all frames: rescaled values, or with `stored=true` those of the file."""
    parameters = Parameters(request, "stored")
    stored = parameters.flag("stored")
    uid = request.path_params["uid"]
    file = await _file(request)
    etag = await etag_of(request, "npy", uid, file, stored)
    if is_known(request, etag):
        return not_modified(etag)
    path = await while_connected(request, imaging_of(request).npy(file, stored=stored))
    return TemporaryFile(path, headers_of(etag, uid, ".npy"), "application/octet-stream")


async def header_json(request: Request) -> Response:
    """The header in the DICOM JSON Model, from the database alone."""
    Parameters(request)
    store, uid = store_of(request), request.path_params["uid"]
    image = await find(store, "image", uid)
    header = (await store.headers_of_images([image.id])).get(image.id)
    if header is None:
        raise ImagingError(
            "the image was imported in minimal mode, without its header", ErrorCode.NOT_FOUND
        )
    (tree,) = await store.trees([header])
    content = await asyncio.to_thread(_written, tree, image.uid)
    etag = await etag_of(request, "header", content)
    if is_known(request, etag):
        return not_modified(etag)
    headers = headers_of(etag, uid, ".json", inline=True)
    return Response(content, headers=headers, media_type="application/dicom+json")


def _written(tree: list[ElementNode], uid: str) -> str:
    return json.dumps(dicom_json(tree, uid), ensure_ascii=False, allow_nan=False)


async def bulk_data(request: Request) -> Response:
    """The bytes of a value that `BulkDataURI` in a header points to, little endian."""
    Parameters(request)
    uid, value = request.path_params["uid"], request.path_params["value"]
    file = await _file(request)
    if _BULK_DATA.fullmatch(value) is None:
        raise ImagingError(
            "a value is named by its tag and the SHA-256 of its bytes, as in BulkDataURI",
            ErrorCode.NOT_FOUND,
        )
    etag = await etag_of(request, "bulkdata", uid, file, value)
    if is_known(request, etag):
        return not_modified(etag)
    tag, _, digest = value.partition("-")
    work = imaging_of(request).bulk_data(
        store_of(request), file, int(tag, 16), bytes.fromhex(digest)
    )
    path = await while_connected(request, work)
    headers = headers_of(etag, f"{uid}-{tag}", ".bin")
    return TemporaryFile(path, headers, "application/octet-stream")


# A UID that breaks the standard may hold a slash, which `path` matches.
ROUTES = [
    Route("/images/{uid:path}/frames/{frame}.png", frame_png),
    Route("/images/{uid:path}/preview.png", preview_png),
    Route("/images/{uid:path}/header.json", header_json),
    Route("/images/{uid:path}/bulkdata/{value}", bulk_data),
    Route("/images/{uid:path}.dcm", dicom_file),
    Route("/images/{uid:path}.npy", array_npy),
]
