"""Naming elements: keywords, tags, and paths such as `ReferencedImageSequence[0].SOPClassUID`."""

import re
from functools import lru_cache
from typing import NamedTuple

from dicom_graph.dicom.dictionary import keywords, parse_tag
from dicom_graph.errors import BadInput, nearest
from dicom_graph.store.read import ElementQuery
from dicom_graph.store.read.conditions import HasElement

_STEP = re.compile(r"(?P<name>[^\[\].]+)(?:\[(?P<index>[0-9]{1,9})\])?")
_PRIVATE = re.compile(r"(?P<above>(?:[^ ]+\.)?)(?P<tag>\([^()]*\))\s+(?P<creator>\S.*)")
_MAX_STEPS = 32


class Step(NamedTuple):
    """One element on the way, by keyword or tag; which of its items to enter, None for any."""

    keyword: str | None
    tag: int | None
    item: int | None
    private_creator: str | None = None

    @property
    def condition(self) -> HasElement:
        """That a header has such an element, with the item to enter."""
        return HasElement(self.keyword, self.tag, self.private_creator, index=self.item)

    @property
    def query(self) -> ElementQuery:
        """The elements of a header that the step names."""
        if self.keyword is not None:
            return ElementQuery(keywords=frozenset({self.keyword}))
        return ElementQuery(tags=frozenset({self.tag or 0}), private_creator=self.private_creator)

    def name(self) -> dict[str, str | int | None]:
        """Keyword and tag by name."""
        return {"keyword": self.keyword, "tag": self.tag}


def parse_path(path: str) -> list[Step]:
    """The steps of a path of keywords or tags with item indexes. Raises BadInput."""
    steps = []
    parts = path.split(".")
    if len(parts) > _MAX_STEPS:
        raise BadInput(f"the path has {len(parts)} steps, more than {_MAX_STEPS}")
    for place, part in enumerate(parts):
        match = _STEP.fullmatch(part.strip())
        if match is None:
            raise BadInput(
                f"{part[:80]!r} is no step of a path; write keywords or tags with item indexes, "
                "as in SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing"
            )
        if match["index"] is not None and place == len(parts) - 1:
            raise BadInput(f"{part[:80]!r}: the last step is an element, it takes no item index")
        item = int(match["index"]) if match["index"] is not None else None
        name = match["name"].strip()
        if name[:1] in "(0123456789":
            steps.append(Step(None, checked_tag(name), item))
        else:
            steps.append(Step(checked_keyword(name), None, item))
    return steps


def parse_column(name: str) -> list[Step]:
    """The steps of a path that may end in a private element: `(0019,xx0A) SIEMENS MR HEADER`, the
    tag and whose it is. Raises BadInput.
    """
    private = _PRIVATE.fullmatch(name)
    if private is None:
        return parse_path(name)
    *above, last = parse_path(private["above"] + private["tag"])
    if not (last.tag or 0) >> 16 & 1:
        raise BadInput(f"{private['tag']} is no private element: it has no creator")
    return [*above, last._replace(private_creator=private["creator"].strip())]


def checked_keyword(keyword: str) -> str:
    """The keyword, if the standard has it. Raises BadInput that names the nearest ones."""
    if keyword not in keywords():
        hint = _nearest_keyword(keyword[:80])
        raise BadInput(f"{keyword[:80]!r} is no keyword of the DICOM standard{hint}")
    return keyword


@lru_cache(1000)
def _nearest_keyword(name: str) -> str:
    # Of thousands, for each object of a list the same again.
    return nearest(name, keywords())


def checked_tag(tag: str) -> int:
    """The tag as a number. Raises BadInput."""
    try:
        return parse_tag(tag)
    except ValueError as error:
        raise BadInput(str(error)) from None
