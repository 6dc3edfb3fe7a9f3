"""Confidence, described."""

from enum import Enum
from typing import Any

import strawberry

from dicom_graph.dicom.mr import Confidence as _Confidence

_MEANINGS = {
    "HIGH": "The pulse sequence, or a code that stands for nothing else, says so.",
    "MEDIUM": "Codes and times say so that nearly always go with it.",
    "LOW": "Only a name that a person typed says so.",
}
_MEMBERS: Any = {
    member.name: strawberry.enum_value(member.value, description=_MEANINGS[member.name])
    for member in _Confidence
}
_ENUM: Any = Enum("Confidence", _MEMBERS, module=__name__)  # type: ignore[misc]
Confidence: Any = strawberry.enum(_ENUM, description="How surely a header says something.")
