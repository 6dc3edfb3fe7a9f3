"""Siemens CSA headers among the elements, parsed once for each distinct one."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from dicom_graph.dicom.csa import (
    CSA_CREATOR,
    CSA_GROUP,
    CSA_IMAGE_HEADER,
    CSA_SERIES_HEADER,
    CsaError,
    CsaPathError,
    CsaPathSyntaxError,
    CsaTagError,
    csa_value,
    parse_csa,
)
from dicom_graph.dicom.dictionary import ANY_BLOCK
from dicom_graph.graph.errors import BadInput
from dicom_graph.store.read.elements import ElementQuery, ElementRow

_TAGS = frozenset({CSA_GROUP << 16 | low for low in (CSA_IMAGE_HEADER, CSA_SERIES_HEADER)})
QUERY = ElementQuery(
    tags=frozenset({tag | ANY_BLOCK for tag in _TAGS}), private_creator=CSA_CREATOR
)
"""The image's and the series' CSA header, in whichever block."""


def is_csa_header(row: ElementRow) -> bool:
    """Whether the element is a CSA header with bytes in it."""
    definition = row.definition
    return definition.private_creator == CSA_CREATOR and definition.tag in _TAGS and bool(row.raw)


def parsed(row: ElementRow) -> tuple[Any, str | None]:
    """The header as JSON, and None; or None, and why it cannot be parsed."""
    return _parsed(row.raw or b"")


def look_up(rows: Sequence[ElementRow], path: str | None) -> Any:
    """All names of the CSA headers among `rows`, or the value at a path; None where there is none.

    The image's header comes before the series'. Raises BadInput for what is no path, and for a
    tag that none of the headers has.
    """
    headers = [found for row in rows if (found := parsed(row)[0]) is not None]
    tags = {name: tag for header in reversed(headers) for name, tag in header.items()}
    if path is None or not tags:
        return tags or None
    try:
        return csa_value(tags, path)
    except (CsaPathSyntaxError, CsaTagError) as error:
        raise BadInput(str(error)) from None
    except CsaPathError:
        return None


@lru_cache(maxsize=32)
def _parsed(raw: bytes) -> tuple[Any, str | None]:
    try:
        return parse_csa(raw), None
    except CsaError as error:
        return None, str(error)
