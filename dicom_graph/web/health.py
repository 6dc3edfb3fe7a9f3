"""Whether the process lives, and whether it can answer."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dicom_graph.error_codes import ErrorCode
from dicom_graph.store.readiness import Readiness
from dicom_graph.web.errors import ErrorResponse

ALWAYS_ANSWERED = frozenset({"/healthz", "/readyz"})
"""Paths that are answered whatever else there is to do."""


async def healthz(request: Request) -> JSONResponse:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """200 if the database's tables can be read, else 503 with the reason, within seconds."""
    readiness: Readiness = request.app.state.readiness
    problem = await readiness.problem()
    if problem is not None:
        return ErrorResponse(503, ErrorCode.UNAVAILABLE, problem)
    return JSONResponse({"status": "ok"})
