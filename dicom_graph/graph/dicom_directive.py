"""`@dicom`: which attribute of DICOM a field of the schema is, for programs that read it."""

import strawberry
from strawberry import UNSET
from strawberry.schema_directive import Location

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.dicom.entities import Attribute


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    name="dicom",
    description="Which attribute of DICOM a field is.",
)
class Dicom:
    keyword: str | None = strawberry.field(description="Its keyword (PS3.6).", default=UNSET)
    tag: str | None = strawberry.field(description="Its tag, as (0018,0081).", default=UNSET)
    unit: str | None = strawberry.field(
        description="The unit of its numbers, a code of UCUM.", default=UNSET
    )


def dicom_directives(attribute: Attribute) -> list[object]:
    """Returns the directives of a field: none where it is no attribute of DICOM and has no unit."""
    if attribute.keyword is None and attribute.unit is None:
        return []
    tag = attribute.tag
    return [
        Dicom(
            keyword=attribute.keyword or UNSET,
            tag=format_tag(tag) if tag is not None else UNSET,
            unit=attribute.unit or UNSET,
        )
    ]
