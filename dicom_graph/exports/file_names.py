"""Names of files by a pattern such as `{patientId}/{studyDate}_{number:03}_{description}`.

A field in braces is one of a series by its name in GraphQL, or one of its study or patient behind
that word: `{modality}`, `{studyDate}`, `{patientName}`. What is unsafe in a name becomes `_`.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from string import Formatter
from typing import Any, NamedTuple

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.errors import BadInput, nearest

DEFAULT_PATTERN = "{patientId}/{studyDate}_{number}_{description}"
_UNSAFE = re.compile(r"[^\w.+=-]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LONGEST = 180
"""Bytes of a name, which gets endings: file systems take 255."""
_NOTHING = "none"


class _Part(NamedTuple):
    """Text of a pattern, and the field and format that follow it."""

    text: str
    entity: str = ""
    attribute: str = ""
    form: str = ""


def _camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _fields() -> dict[str, tuple[str, str]]:
    """The entity and attribute of each name that a pattern may have."""
    found: dict[str, tuple[str, str]] = {"patientId": ("patient", "uid")}
    for entity in ("series", "study", "patient"):
        for attribute in DESCRIBED[entity].attributes:
            name = _camel_case(attribute.name)
            found[entity + name[:1].upper() + name[1:]] = (entity, attribute.name)
            if entity == "series":
                found[name] = (entity, attribute.name)
    return found


FIELDS = _fields()


class NamePattern:
    """A pattern that was read. Raises BadInput for one that makes no names."""

    def __init__(self, pattern: str) -> None:
        self._components = [_parsed(each) for each in pattern.split("/")]

    def name(self, rows: Mapping[str, Any]) -> str:
        """The path, without an ending, of a series; `rows`: of it, its study and its patient by
        entity, None where it has none. Raises BadInput for a format that a value does not have.
        """
        return "/".join(safe_component(_filled(each, rows)) for each in self._components)


def _parsed(text: str) -> list[_Part]:
    try:
        found = list(Formatter().parse(text))
    except ValueError as error:
        raise BadInput(f"the name pattern: {error}") from None
    if not text.strip(". "):
        raise BadInput("the name pattern is a path below the folder, without empty parts and dots")
    parts = []
    for literal, field, form, conversion in found:
        if field is None:
            parts.append(_Part(literal))
            continue
        if conversion:
            raise BadInput(
                f"the name pattern: {{{field[:80]}!{conversion}}}: it has no conversions"
            )
        if field not in FIELDS:
            near = nearest(field, FIELDS)
            raise BadInput(f"the name pattern: {field[:80]!r} is no field of a series{near}")
        parts.append(_Part(literal, *FIELDS[field], form or ""))
    return parts


def _filled(parts: Iterable[_Part], rows: Mapping[str, Any]) -> str:
    """The longest value is cut where all is too long: what stands behind it tells series apart."""
    texts = [text for part in parts for text in (part.text, _value(part, rows))]
    surplus = sum(len(text.encode()) for text in texts) - _LONGEST
    if surplus > 0:
        place = max(range(1, len(texts), 2), key=lambda place: len(texts[place].encode()))
        longest = texts[place].encode()
        texts[place] = longest[: max(len(longest) - surplus, 1)].decode(errors="ignore")
    return "".join(texts)


def _value(part: _Part, rows: Mapping[str, Any]) -> str:
    if not part.attribute:
        return ""
    text = _text(part, rows.get(part.entity))
    return unicodedata.normalize("NFC", text)


def _text(part: _Part, row: Any) -> str:
    value = getattr(row, part.attribute, None) if row is not None else None
    if value is None or value == "":
        return _NOTHING
    if part.form and isinstance(value, int | float):
        try:
            return format(value, part.form)
        except ValueError as error:
            raise BadInput(f"the name pattern: {part.form!r}: {error}") from None
    return _plain(value)


def _plain(value: Any) -> str:
    """Dates and times as DICOM writes them."""
    if isinstance(value, dt.date):
        return value.strftime("%Y%m%d")
    if isinstance(value, dt.time):
        return value.strftime("%H%M%S")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "+".join(map(_plain, value))
    return str(value)


def safe_component(text: str) -> str:
    """The text as the name of one file or folder on any system."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", text)).strip("._") or _NOTHING
    name = name.encode()[:_LONGEST].decode(errors="ignore")
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def same_names(names: Mapping[str, str]) -> dict[str, list[str]]:
    """The names that several of what they name have, also on systems where case does not count:
    what has each. `names`: by what they name.
    """
    found: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for key, name in names.items():
        found.setdefault(first.setdefault(name.casefold(), name), []).append(key)
    return {name: keys for name, keys in found.items() if len(keys) > 1}
