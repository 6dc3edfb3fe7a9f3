"""The image that a header is of: the SOP Common (C.12.1), General Image (C.7.6.1)
and Image Pixel (C.7.6.3) modules of PS3.3."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any

from dicom_graph.dicom.entities import checks, values
from dicom_graph.dicom.entities.attribute import Attribute, describe
from dicom_graph.dicom.frame_elements import Elements

FORMAT_TABLE = "image_format"
"""Where SOP class and transfer syntax are kept: few pairs in a whole archive."""


@dataclass(slots=True)
class ImageFields:
    """SOPInstanceUID (0008,0018) is the identity."""

    uid: Annotated[
        str, Attribute("SOPInstanceUID", read=values.joined, search=True, group="General Image")
    ]
    number: Annotated[int | None, Attribute("InstanceNumber", edit=checks.anything)]
    date: Annotated[dt.date | None, Attribute("InstanceCreationDate", edit=checks.anything)]
    time: Annotated[dt.time | None, Attribute("InstanceCreationTime", edit=checks.local_time)]
    sop_class_uid: Annotated[
        str | None, Attribute("SOPClassUID", search=True, table=FORMAT_TABLE, group="SOP Common")
    ]
    number_of_frames: Annotated[int | None, Attribute("NumberOfFrames", group="Image Pixel")]
    rows: Annotated[int | None, Attribute("Rows", "the height in pixels")]
    columns: Annotated[int | None, Attribute("Columns", "the width in pixels")]


_TRANSFER_SYNTAX_UID = Attribute(
    "TransferSyntaxUID", "null for a file without file meta information", search=True,
    table=FORMAT_TABLE, name="transfer_syntax_uid", type=str,
)  # fmt: skip
IMAGE = describe("image", ImageFields, after={"sop_class_uid": _TRANSFER_SYNTAX_UID})

PLACES = {tag: place for place, (_, tag, _) in enumerate(IMAGE.elements)}
"""Each field is one element: which one, by the element's tag."""
TAGS = tuple(PLACES)
"""What an image is made of."""
READERS = [read for _, _, read in IMAGE.elements]
"""How each field is read."""
image_values: Callable[[ImageFields], tuple[Any, ...]] = attrgetter(
    *(name for name, _, _ in IMAGE.elements)
)
"""The fields in order."""


def read_image(by_tag: Elements) -> ImageFields:
    """The image of a header, which has a SOPInstanceUID."""
    return ImageFields(**IMAGE.read(by_tag))
