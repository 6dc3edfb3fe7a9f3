"""Whether the process lives, and whether it can answer."""

from starlette.requests import Request
from starlette.responses import JSONResponse

from dicom_graph.store.readiness import Readiness


async def healthz(request: Request) -> JSONResponse:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """200 if the database's tables can be read, else 503 with the reason, within seconds."""
    readiness: Readiness = request.app.state.readiness
    trouble = await readiness.trouble()
    return JSONResponse({"status": trouble or "ok"}, status_code=503 if trouble else 200)
