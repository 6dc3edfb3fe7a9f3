"""`POST /upload`: DICOM files, or zip archives of them, streamed to disk and imported."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from cross_web import HTTPException
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from dicom_graph.error_codes import ErrorCode
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.importing.uploads import (
    NoSpaceError,
    Upload,
    UploadedFile,
    UploadError,
    UploadTooLarge,
)
from dicom_graph.services import Services
from dicom_graph.store.global_ids import global_id
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobStatus, counts_of
from dicom_graph.web.body import PREFLIGHT_NEEDED, bounded, is_preflighted
from dicom_graph.web.errors import ErrorResponse
from dicom_graph.web.multipart import FormParser

_FORM = "multipart/form-data"
_RAW = ("application/dicom", "application/zip", "application/octet-stream")
_LOOK_SECONDS = 0.25
_COUNTS = ("found", "processed", "created", "updated", "existing", "skipped", "failed")


class UploadView:
    """The endpoint, for a form of files or for one file as the whole body."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def upload(self, request: Request) -> Response:
        """202 with the id of the import; with `?wait=true` 200 with its report.

        400, 413, 415, 501 or 507 with the reason where the upload cannot be taken.
        """
        try:
            given = request.query_params.get("mode")
            mode = self._services.import_mode if given is None else Mode[given.upper()]
        except KeyError:
            return ErrorResponse(400, ErrorCode.BAD_INPUT, "mode must be minimal, normal or full")
        content_type, options = parse_options_header(request.headers.get("content-type"))
        kind = content_type.decode("latin-1")
        if kind not in (_FORM, *_RAW):
            return ErrorResponse(
                415,
                ErrorCode.BAD_REQUEST,
                f"the content type must be {_FORM} or one of {', '.join(_RAW)}",
            )
        if kind == _FORM and not is_preflighted(request.headers):
            return ErrorResponse(400, ErrorCode.BAD_REQUEST, PREFLIGHT_NEEDED)
        try:
            job_id = await self._receive(request, options.get(b"boundary"), kind, mode)
        except ClientDisconnect:
            return ErrorResponse(400, ErrorCode.BAD_UPLOAD, "the upload was broken off")
        except FormParserError:
            return ErrorResponse(400, ErrorCode.BAD_UPLOAD, "the form cannot be read")
        except HTTPException as error:
            return ErrorResponse(error.status_code, upload_code(error.status_code), error.reason)
        except StorageError as error:
            return ErrorResponse(501, ErrorCode.CANNOT_STORE, str(error))
        except UploadError as error:
            return ErrorResponse(_status_of(error), upload_code(_status_of(error)), str(error))
        return await self._answer(job_id, wait=request.query_params.get("wait") == "true")

    async def _receive(
        self, request: Request, boundary: bytes | None, kind: str, mode: Mode
    ) -> int:
        upload = await asyncio.to_thread(self._services.begin_upload)
        limited = Request(request.scope, bounded(request.receive, self._services.max_upload_bytes))
        try:
            if kind == _FORM:
                await _receive_form(limited.stream(), boundary or b"", upload)
            else:
                await _receive_raw(limited.stream(), kind, upload)
            return await asyncio.to_thread(self._services.submit_upload, upload, mode)
        except BaseException:
            await asyncio.to_thread(upload.discard)
            raise

    async def _answer(self, job_id: int, *, wait: bool) -> Response:
        store = self._services.store
        while True:
            row = (await store.by_ids("import_job", [job_id]))[job_id]
            status = JobStatus(row.status)
            if status.is_final or status is JobStatus.INTERRUPTED or not wait:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        report: dict[str, Any] = {"jobId": global_id("ImportJob", job_id), "status": row.status}
        if not status.is_final:
            return JSONResponse(report, 202)
        failures = (await store.failures([job_id])).get(job_id, [])
        counts = counts_of(row._mapping)
        report |= {name: getattr(counts, name) for name in _COUNTS}
        report["failures"] = [{"path": f.path, "message": f.message} for f in failures]
        report["error"] = row.error
        return JSONResponse(report)


async def _receive_raw(stream: AsyncIterator[bytes], kind: str, upload: Upload) -> None:
    with upload.file(kind.replace("/", " ")) as file:
        async for chunk in stream:
            await asyncio.to_thread(file.write, chunk)


async def _receive_form(stream: AsyncIterator[bytes], boundary: bytes, upload: Upload) -> None:
    """Raises FormParserError, UploadError."""
    if not boundary:
        raise UploadError("the form has no boundary")
    parts = _Parts(upload)
    form = FormParser(boundary, parts)
    try:
        async for chunk in stream:
            await asyncio.to_thread(form.feed, chunk)
        form.finish()
        if not form.is_whole:
            raise UploadError("the form ends before its last boundary")
    finally:
        parts.end()


class _Parts:
    """The files of a form go to the upload, its other fields nowhere."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._file: UploadedFile | None = None

    def begin(self, name: str, file_name: str | None) -> None:
        """Raises UploadError."""
        if file_name is not None:
            self._file = self._upload.file(file_name)

    def write(self, data: bytes) -> None:
        """Raises UploadError."""
        if self._file is not None:
            self._file.write(data)

    def end(self) -> None:
        """Close the file that is written now, if any."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _status_of(error: UploadError) -> int:
    if isinstance(error, UploadTooLarge):
        return 413
    return 507 if isinstance(error, NoSpaceError) else 400


def upload_code(status: int) -> ErrorCode:
    """The code of an upload that is refused with a status."""
    codes = {413: ErrorCode.UPLOAD_TOO_LARGE, 507: ErrorCode.NO_SPACE}
    return codes.get(status, ErrorCode.BAD_UPLOAD)
