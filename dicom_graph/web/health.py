"""Whether the process lives, and whether it can answer."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse

from dicom_graph.store.engine import Database, DatabaseError


async def healthz(request: Request) -> JSONResponse:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """200 if the database answers, else 503."""
    database: Database = request.app.state.database
    try:
        await asyncio.wait_for(database.ping(), timeout=5)
    except (DatabaseError, TimeoutError):
        return JSONResponse({"status": "the database does not answer"}, status_code=503)
    return JSONResponse({"status": "ok"})
