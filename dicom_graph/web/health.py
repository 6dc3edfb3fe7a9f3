"""Whether the process lives, and whether it can answer."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dicom_graph.error_codes import ErrorCode
from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.trouble import UNREACHABLE, trouble_of
from dicom_graph.web.errors import ErrorResponse


async def healthz(request: Request) -> JSONResponse:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """200 if the database answers, else 503 with the reason."""
    database: Database = request.app.state.database
    try:
        await asyncio.wait_for(database.ping(), timeout=5)
    except (DatabaseError, TimeoutError) as error:
        reason = trouble_of(error.__cause__) or UNREACHABLE
        return ErrorResponse(503, ErrorCode.UNAVAILABLE, reason)
    return JSONResponse({"status": "ok"})
