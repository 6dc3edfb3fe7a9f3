"""The request that is being answered: log lines, the audit log and errors name it."""

import re
import uuid
from contextvars import ContextVar
from dataclasses import dataclass

_WELL_FORMED = re.compile(r"[A-Za-z0-9_.:=+/@-]{1,128}")


@dataclass(slots=True)
class CurrentRequest:
    """A request. `method` is `WS` for a WebSocket; `address` where the client is; `principal` the
    name of whoever sent it, once that is known.

    `claimed`: the name that was given, right or wrong. `is_refused`: a WebSocket was refused after
    it was opened.
    """

    id: str
    method: str
    address: str
    principal: str = ""
    claimed: str | None = None
    is_refused: bool = False


CURRENT: ContextVar[CurrentRequest | None] = ContextVar("current_request", default=None)
"""The request on whose behalf this task or thread works."""

ROOT_PATH: ContextVar[str] = ContextVar("root_path", default="")
"""The path at which the application is mounted in another one, such as `/dicom`; else empty."""

ORIGIN: ContextVar[str] = ContextVar("origin", default="")
"""Scheme and host by which the client addressed this server, such as `https://pacs.example`."""


def request_id(given: str | None) -> str:
    """The id that a client or proxy gave, where it is well-formed: 1 to 128 letters, digits and
    `_.:=+/@-`; else a new one.
    """
    return given if given and _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex


def current_id() -> str | None:
    """The id of the current request; None outside of any."""
    current = CURRENT.get()
    return current.id if current is not None else None


def claim(name: str | None) -> None:
    """Say which name the current request comes with, before it is known whether that is right."""
    current = CURRENT.get()
    if current is not None and name is not None:
        current.claimed = name
