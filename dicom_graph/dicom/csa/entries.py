"""What a CSA header can be looked up by: each value in it, with its path."""

import re
from typing import NamedTuple

from dicom_graph.dicom.csa.header import CsaError, CsaTag, Json, parse_csa

MAX_PATH_LENGTH = 500
"""Longer paths are left out; those of real protocols have below 150 characters."""
_NO_NAME = re.compile(r"[.\[\]]")


class CsaEntry(NamedTuple):
    """A value by its path; None for a list or an object with a value in it, at any depth."""

    path: str
    value: float | str | None


def csa_entries(raw: bytes) -> list[CsaEntry]:
    """All that a path of `csa_value` leads to, but for nulls and empty lists and objects.

    Integers are floats. Bytes that are no CSA header have no entries.
    """
    try:
        parsed = parse_csa(raw)
    except CsaError:
        return []
    return [entry for name, tag in parsed.items() for entry in tag_entries(name, tag)]


def tag_entries(name: str, tag: CsaTag) -> list[CsaEntry]:
    """Those of one tag."""
    entries: list[CsaEntry] = []
    if _NO_NAME.search(name) is None:
        _collect(name, tag["value"], entries)
    return [entry for entry in entries if len(entry.path) <= MAX_PATH_LENGTH]


def _collect(path: str, node: Json, entries: list[CsaEntry]) -> None:
    if isinstance(node, dict | list):
        before = len(entries)
        children = node.items() if isinstance(node, dict) else enumerate(node)
        for step, child in children:
            below = f"{path}.{step}" if isinstance(step, str) else f"{path}[{step}]"
            _collect(below, child, entries)
        if len(entries) > before:
            entries.append(CsaEntry(path, None))
    elif node is not None:
        entries.append(CsaEntry(path, node if isinstance(node, str) else float(node)))
