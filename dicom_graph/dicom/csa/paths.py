"""Paths into CSA headers, such as `MrPhoenixProtocol.sSliceArray.asSlice[0].dThickness`."""

from collections.abc import Iterable
from difflib import get_close_matches

from dicom_graph.dicom.csa.header import AssignmentError, CsaTag, Json, Step, path_steps


class CsaPathError(LookupError):
    """A path leads nowhere in a CSA header; the message names the part that failed."""


class CsaPathSyntaxError(CsaPathError):
    """The text is not a path."""


class CsaTagError(CsaPathError):
    """The path begins with a tag that the CSA header does not have."""


def csa_value(parsed: dict[str, CsaTag], path: str) -> Json:
    """The value at a path such as ``MrPhoenixProtocol.sSliceArray.asSlice[0].dThickness``.

    The first name is the tag's; ``[i]`` counts from 0. Raises CsaPathError where the path is
    malformed or leads nowhere.
    """
    name, *steps = _path_steps(path)
    if not isinstance(name, str) or name not in parsed:
        raise CsaTagError(f"no tag {name!r} in the CSA header{_nearest(str(name), parsed)}")
    node, done = parsed[name]["value"], name
    for step in steps:
        node = _descend(node, step, done)
        done += f"[{step}]" if isinstance(step, int) else f".{step}"
    return node


def normal_path(path: str) -> str:
    """The path with its indexes without leading zeros. Raises CsaPathSyntaxError."""
    return "".join(
        f"[{step}]" if isinstance(step, int) else f".{step}" for step in _path_steps(path)
    )[1:]


def _path_steps(path: str) -> list[Step]:
    try:
        return path_steps(path)
    except AssignmentError:
        raise CsaPathSyntaxError(
            f"not a path: {path[:100]!r}; write Tag, Tag[0] or Tag.name[0].name"
        ) from None


def _descend(node: Json, step: Step, done: str) -> Json:
    if isinstance(step, int):
        if not isinstance(node, list):
            raise CsaPathError(f"{done} is not a list, so it has no [{step}]")
        if step >= len(node):
            raise CsaPathError(f"{done} has {len(node)} values, so no [{step}]")
        return node[step]
    if not isinstance(node, dict):
        raise CsaPathError(f"{done} holds no names, so no {step!r}")
    if step not in node:
        raise CsaPathError(f"{done} has no {step!r}{_nearest(step, node)}")
    return node[step]


def _nearest(name: str, names: Iterable[str]) -> str:
    found = get_close_matches(name[:64], names, n=3)
    return f"; nearest: {', '.join(found)}" if found else ""
