"""Siemens CSA headers among the elements, parsed once for each distinct one."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from dicom_graph.dicom.csa.header import (
    CSA_TAGS,
    XA_CREATOR,
    XA_GROUP,
    CsaError,
    csa_header_kind,
    parse_csa,
)
from dicom_graph.dicom.csa.paths import (
    CsaPathError,
    CsaPathSyntaxError,
    CsaTagError,
    csa_value,
)
from dicom_graph.dicom.dictionary import ANY_BLOCK
from dicom_graph.errors import BadInput
from dicom_graph.store.read.elements import ElementQuery, ElementRow

QUERY = ElementQuery(tags=frozenset({tag | ANY_BLOCK for tag in CSA_TAGS}), private=True)
"""What may be the image's and the series' CSA header, in whichever block."""
WAY_TO_XA = (
    ElementQuery(keywords=frozenset({"SharedFunctionalGroupsSequence"})),
    ElementQuery(tags=frozenset({XA_GROUP << 16 | 0xFE | ANY_BLOCK}), private_creator=XA_CREATOR),
)
"""The sequences in whose first items the enhanced images of software XA have their protocol."""


def is_csa_header(row: ElementRow) -> bool:
    """Whether the element is a CSA header with bytes in it."""
    definition = row.definition
    kind = csa_header_kind(definition.tag, definition.private_creator)
    return kind is not None and bool(row.raw)


def parsed(row: ElementRow) -> tuple[Any, str | None]:
    """The header as JSON, and None; or None, and why it cannot be parsed."""
    return _parsed(row.raw or b"")


def look_up(rows: Sequence[ElementRow], path: str | None) -> Any:
    """All names of the CSA headers among `rows`, or the value at a path; None where there is none.

    The image's header comes before the series': of a name that both have all is the image's, and
    a path leads to the first value that is there. Raises BadInput for what is no path, and for a
    tag that none of the headers has.
    """
    headers = [found for row in rows if (found := parsed(row)[0]) is not None]
    tags = {name: tag for header in reversed(headers) for name, tag in header.items()}
    if path is None or not tags:
        return tags or None
    values: list[Any] = []
    for header in headers:
        try:
            values.append(csa_value(header, path))
        except CsaPathSyntaxError as error:
            raise BadInput(str(error)) from None
        except CsaPathError:
            continue
    if not values:
        return _nothing(tags, path)
    return next(filter(_has_value, values), values[0])


def _nothing(tags: Any, path: str) -> None:
    """Raises BadInput where there is no such tag."""
    try:
        csa_value(tags, path)
    except CsaTagError as error:
        raise BadInput(str(error)) from None
    except CsaPathError:
        return


def _has_value(node: Any) -> bool:
    """Whether it is a value, or a list or an object with one in it."""
    if isinstance(node, dict | list):
        return any(map(_has_value, node.values() if isinstance(node, dict) else node))
    return node is not None


@lru_cache(maxsize=32)
def _parsed(raw: bytes) -> tuple[Any, str | None]:
    try:
        return parse_csa(raw), None
    except CsaError as error:
        return None, str(error)
