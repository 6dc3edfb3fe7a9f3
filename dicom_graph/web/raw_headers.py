"""Header fields of a request as ASGI has them, for what looks at one of every request."""

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str | None:
    """The first field of a name, which is written in small letters; None where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None
