"""SequenceType, described."""

from enum import Enum
from typing import Any

import strawberry

from dicom_graph.dicom import sequence_type

_MEANINGS = {
    "FLAIR": "Fluid-attenuated inversion recovery.",
    "IR_EPI": "Inversion recovery echo planar imaging.",
    "LOCALIZER": "Localizer, or scout.",
    "MPRAGE": "Magnetization prepared rapid gradient echo.",
    "SPGR": "Spoiled gradient recalled.",
    "FSPGR": "Fast spoiled gradient recalled.",
    "T2W": "T2 weighted.",
    "TIRM": "Turbo inversion recovery magnitude.",
    "DWI": "Diffusion weighted.",
    "DWI_DERIVED": "Derived from diffusion weighted images.",
    "DWI_FIELDMAP": "Field map for diffusion weighted images: opposite phase encoding.",
    "DWI_SBREF": "Single-band reference of diffusion weighted images.",
    "BOLD": "Functional, blood oxygen level dependent.",
    "FUNC_FIELDMAP": "Field map for functional images.",
    "FUNC_SBREF": "Single-band reference of functional images.",
    "PHYSIO_LOG": "Physiological recording.",
}

_MEMBERS: Any = {
    member.name: strawberry.enum_value(member.value, description=_MEANINGS[member.name])
    for member in sequence_type.SequenceType
}
_ENUM: Any = Enum("SequenceType", _MEMBERS, module=__name__)  # type: ignore[misc]
SequenceType: Any = strawberry.enum(
    _ENUM, description="What an MR sequence is for, told from its codes (Modality MR only)."
)


def display_of(kind: Any) -> str | None:
    """Returns what a SequenceType of the schema is called; None for None."""
    return _MEANINGS[kind.name].removesuffix(".") if kind is not None else None
