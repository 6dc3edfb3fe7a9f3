"""InputField: the fields of the inputs of mutations, spelled as they are there."""

from enum import Enum
from typing import Any

import strawberry

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.graph.inputs.field_names import camel_case

_OTHERS = {
    "id": "What is changed, by its id.",
    "uid": "The UID of what is made.",
    "patientId": "The patient that something belongs to, by its id.",
    "studyId": "The study that something belongs to, by its id.",
    "seriesId": "The series that a protocol is made of, by its id.",
    "path": "The file or folder that is imported.",
    "files": "The files that are uploaded.",
    "mode": "How much of a header is kept.",
    "pattern": "Which names of files are imported.",
    "stopOnError": "Whether an import ends with its first failure.",
    "storage": "Where files are to lie.",
    "verify": "Whether files that are known are read again.",
    "prune": "Whether images without a file are deleted.",
    "deleteFiles": "Whether files in the storage root are deleted too.",
    "discardEdits": "Whether edits are given up.",
    "fields": "The fields whose edits are given up.",
    "exclude": "The fields whose edits are kept.",
    "name": "The name of a protocol.",
    "json": "A protocol in dicompare's schema.",
    "majority": "The series that a protocol is made of, by a filter.",
    "elements": "The elements of a protocol.",
    "tolerance": "How much numbers of a protocol may differ.",
}


def _described() -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for entity, described in DESCRIBED.items():
        for attribute in described.editable:
            about = f"{entity}: {attribute.phrase}"
            found.setdefault(camel_case(attribute.name), []).append(about)
    return {name: f"Of a {'; '.join(about)}." for name, about in found.items()} | _OTHERS


_MEMBERS: Any = {
    name: strawberry.enum_value(name, description=about) for name, about in _described().items()
}
_NAMES: Any = Enum("InputField", _MEMBERS, module=__name__)  # type: ignore[misc]
InputField: Any = strawberry.enum(
    _NAMES, description="A field of a mutation's input, spelled as it is there."
)
