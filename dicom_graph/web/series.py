"""Downloads of a series: its volumes as arrays and NIfTI, and pictures of them."""

from collections.abc import Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicom_graph.dicom.files.stored_file import FileState
from dicom_graph.dicom.sidecar import b_values_text, b_vectors_text, sidecar
from dicom_graph.dicom.volume.acquisition import Acquisition
from dicom_graph.dicom.volume.pictures import PreviewAxis
from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import file_of, find, middle_image, series_files
from dicom_graph.web.downloads import (
    Parameters,
    TemporaryFile,
    etag_of,
    headers_of,
    imaging_of,
    is_known,
    not_modified,
    store_of,
    while_connected,
)


async def volume_npy(request: Request) -> Response:
    """A volume as `.npy`: (columns, rows, slices), then time and the like, then colour."""
    return await _volume(request, is_nifti=False)


async def volume_nifti(request: Request) -> Response:
    """A volume as compressed NIfTI-1."""
    return await _volume(request, is_nifti=True)


async def _volume(request: Request, *, is_nifti: bool) -> Response:
    parameters = Parameters(request, "stack", "stored")
    stack, stored = parameters.number("stack"), parameters.flag("stored")
    uid = request.path_params["uid"]
    files = await _files(request)
    etag = await etag_of(request, "volume", is_nifti, uid, files, stack, stored)
    if is_known(request, etag):
        return not_modified(etag)
    work = imaging_of(request).volume(files, is_nifti=is_nifti, stack=stack, stored=stored)
    path = await while_connected(request, work)
    name = uid if stack is None else f"{uid}-{stack}"
    if is_nifti:
        return TemporaryFile(path, headers_of(etag, name, ".nii.gz"), "application/gzip")
    return TemporaryFile(path, headers_of(etag, name, ".npy"), "application/octet-stream")


async def volume_json(request: Request) -> Response:
    """How a volume was acquired, as a BIDS sidecar."""
    acquisition = await _acquisition(request)
    return _download(request, sidecar(acquisition), ".json", "application/json")


async def volume_bval(request: Request) -> Response:
    """The b values of a volume, as FSL reads them."""
    return _download(request, b_values_text(await _acquisition(request)), ".bval", "text/plain")


async def volume_bvec(request: Request) -> Response:
    """The directions of a volume's diffusion gradients, as FSL reads them."""
    return _download(request, b_vectors_text(await _acquisition(request)), ".bvec", "text/plain")


async def _acquisition(request: Request) -> Acquisition:
    stack = Parameters(request, "stack").number("stack")
    work = imaging_of(request).acquisition(await _files(request), stack=stack)
    return await while_connected(request, work)


def _download(request: Request, text: str | None, suffix: str, media_type: str) -> Response:
    if text is None:
        raise ImagingError("the headers tell of no diffusion", ErrorCode.NOT_FOUND)
    headers = headers_of(None, request.path_params["uid"], suffix)
    return Response(text, headers=headers, media_type=media_type)


async def preview_png(request: Request) -> Response:
    """A picture across a volume: `axis`, `index` from 0 (the middle), `volume` of the 4th axis."""
    parameters = Parameters(request, "axis", "index", "volume", "stack", "window", "size")
    axis = _axis(parameters.text("axis"))
    index, size = parameters.number("index"), parameters.number("size")
    stack, volume = parameters.number("stack") or 0, parameters.number("volume") or 0
    window = parameters.window()
    files = await _files(request)
    work = imaging_of(request).preview(
        files, axis, index, stack=stack, volume=volume, window=window, size=size
    )
    return await _picture(request, work, files, "preview")


async def mosaic_png(request: Request) -> Response:
    """Up to `tiles` slices, evenly chosen, on one sheet."""
    parameters = Parameters(request, "tiles", "volume", "stack", "window", "size")
    tiles, size = parameters.number("tiles"), parameters.number("size")
    stack, volume = parameters.number("stack") or 0, parameters.number("volume") or 0
    window = parameters.window()
    files = await _files(request)
    work = imaging_of(request).sheet(
        files,
        n_tiles=25 if tiles is None else tiles,
        stack=stack,
        volume=volume,
        window=window,
        size=1024 if size is None else size,
    )
    return await _picture(request, work, files, "mosaic")


async def _picture(
    request: Request, work: Coroutine[Any, Any, bytes], files: tuple[FileState, ...], kind: str
) -> Response:
    uid = request.path_params["uid"]
    etag = await etag_of(request, kind, uid, files, sorted(request.query_params.items()))
    if is_known(request, etag):
        work.close()
        return not_modified(etag)
    content = await while_connected(request, work)
    headers = headers_of(etag, f"{uid}-{kind}", ".png", inline=True)
    return Response(content, headers=headers, media_type="image/png")


async def thumbnail_png(request: Request) -> Response:
    """The frame in the middle of the image in the middle: quick, however long the series is."""
    size = Parameters(request, "size").number("size")
    store, uid = store_of(request), request.path_params["uid"]
    row = await find(store, "series", uid)
    image = await middle_image(store, row.id)
    if image is None:
        raise ImagingError("the series has no image", ErrorCode.NOT_FOUND)
    file = await file_of(imaging_of(request).files, store, image.id)
    frame = ((image.number_of_frames or 1) + 1) // 2
    etag = await etag_of(request, "thumbnail", uid, file, frame, size)
    if is_known(request, etag):
        return not_modified(etag)
    work = imaging_of(request).png(file, frame, None, 96 if size is None else size)
    content = await while_connected(request, work)
    headers = headers_of(etag, f"{uid}-thumbnail", ".png", inline=True)
    return Response(content, headers=headers, media_type="image/png")


def _axis(given: str | None) -> PreviewAxis:
    try:
        return PreviewAxis(given or "k")
    except ValueError:
        listed = ", ".join(PreviewAxis)
        raise ImagingError(f"`axis` is one of {listed}", ErrorCode.BAD_INPUT) from None


async def _files(request: Request) -> tuple[FileState, ...]:
    store = store_of(request)
    row = await find(store, "series", request.path_params["uid"])
    return await series_files(imaging_of(request).files, store, row.id)


ROUTES = [
    Route("/series/{uid:path}/volume.npy", volume_npy),
    Route("/series/{uid:path}/volume.nii.gz", volume_nifti),
    Route("/series/{uid:path}/volume.json", volume_json),
    Route("/series/{uid:path}/volume.bval", volume_bval),
    Route("/series/{uid:path}/volume.bvec", volume_bvec),
    Route("/series/{uid:path}/preview.png", preview_png),
    Route("/series/{uid:path}/mosaic.png", mosaic_png),
    Route("/series/{uid:path}/thumbnail.png", thumbnail_png),
]
