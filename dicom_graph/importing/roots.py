"""Which paths the API may import."""

import os
from collections.abc import Sequence
from pathlib import Path


class ForbiddenPathError(ValueError):
    """The path does not exist or may not be imported; the message is for the user who asked."""


def resolve_roots(roots: Sequence[Path]) -> tuple[Path, ...]:
    """The roots without symbolic links."""
    return tuple(Path(os.path.realpath(root)) for root in roots)


def check_path(path: str, roots: tuple[Path, ...]) -> str:
    """The path without symbolic links, if it lies under one of the resolved roots.

    Raises ForbiddenPathError. Outside the roots the answer does not tell what exists.
    """
    if not path.strip() or "\x00" in path or not _is_utf8(path):
        raise ForbiddenPathError("the path is empty or not a path")
    resolved = Path(os.path.realpath(os.path.expanduser(path)))
    if not any(resolved.is_relative_to(root) for root in roots):
        allowed = ", ".join(map(str, roots))
        raise ForbiddenPathError(f"{path} is outside the import roots of this server ({allowed})")
    if not os.path.exists(resolved):
        raise ForbiddenPathError(f"{path} does not exist")
    return str(resolved)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
