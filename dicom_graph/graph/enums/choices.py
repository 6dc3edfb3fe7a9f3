"""The schema's enums of the choices that attributes have."""

from enum import Enum
from typing import Any

from dicom_graph.dicom import mr, sequence_type
from dicom_graph.graph.enums.confidence import Confidence
from dicom_graph.graph.enums.sequence_type import SequenceType

ENUMS: dict[type[Enum], Any] = {
    sequence_type.SequenceType: SequenceType,
    mr.Confidence: Confidence,
}
"""By the enums of the choices."""
