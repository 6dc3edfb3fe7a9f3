"""The study that a header speaks of: the General Study module (C.7.2.1) of PS3.3."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated

from dicom_graph.dicom.entities import checks, values
from dicom_graph.dicom.entities.attribute import Attribute, describe
from dicom_graph.dicom.frame_elements import Elements

_DESCRIPTION = Attribute("StudyDescription", search=True, edit=checks.text("StudyDescription"))


@dataclass(slots=True)
class StudyFields:
    """StudyInstanceUID (0020,000D) is the identity."""

    uid: Annotated[
        str, Attribute("StudyInstanceUID", read=values.joined, search=True, group="General Study")
    ]
    description: Annotated[str | None, _DESCRIPTION]
    date: Annotated[dt.date | None, Attribute("StudyDate", edit=checks.anything)]
    time: Annotated[dt.time | None, Attribute("StudyTime", edit=checks.local_time)]


STUDY = describe("study", StudyFields)
TAGS = tuple(tag for _, tag, _ in STUDY.elements)
"""What a study is made of."""


def read_study(by_tag: Elements) -> StudyFields | None:
    """The study of a header; None where it has no StudyInstanceUID."""
    fields = STUDY.read(by_tag)
    return StudyFields(**fields) if fields["uid"] else None
