"""Names of variables that look like settings and are none."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

PREFIX = "DICOM_GRAPH_"
_LEFT_ALONE = re.compile(f"{PREFIX}(TEST_|SERVICE_|PORT$|PORT_)")
"""Of the tests, and what Kubernetes sets for a service that is called `dicom-graph`."""
_ALL = "docs/operations.md lists all settings"
_SERVICE_HOST = "_SERVICE_HOST"


def unknown_name(
    settings: Collection[str], environment: Mapping[str, str], file: Path
) -> str | None:
    """Returns what to tell of the first variable that no setting has, in the environment or in a
    file of variables; None if there is none. `settings`: the fields' names.
    """
    known = {f"{PREFIX}{name.upper()}" for name in settings}
    for names, place in ((_unknown(environment, known), ""), (_of_file(file, known), f" ({file})")):
        for name in names:
            near = get_close_matches(name.lower().removeprefix(PREFIX.lower()), settings, 1, 0.5)
            hint = f"did you mean {PREFIX}{near[0].upper()}?" if near else _ALL
            return f"{name}{place}: there is no such setting: {hint}"
    return None


def _of_file(file: Path, known: Collection[str]) -> list[str]:
    return _unknown(dotenv_values(file), known) if file.is_file() else []


def _unknown(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Those that are not known, in order; upper and lower case are the same, as for settings."""
    ours = {name.upper(): name for name in names if name.upper().startswith(PREFIX)}
    return [
        ours[name] for name in sorted(ours) if name not in known and not _is_foreign(name, ours)
    ]


def _is_foreign(name: str, names: Collection[str]) -> bool:
    """Whether a variable is the tests' or one of Kubernetes, which sets `NAME_SERVICE_HOST`,
    `NAME_SERVICE_PORT…` and `NAME_PORT…` for each service of a namespace, here of one such as
    `dicom-graph-database`.
    """
    if _LEFT_ALONE.match(name):
        return True
    services = [each.removesuffix(_SERVICE_HOST) for each in names if each.endswith(_SERVICE_HOST)]
    return any(
        re.fullmatch(rf"{re.escape(service)}_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_.*)?)", name)
        for service in services
    )


def check_names(settings: Collection[str]) -> str | None:
    """`unknown_name` of this process, with `.env` of the current folder."""
    return unknown_name(settings, os.environ, Path(".env"))
