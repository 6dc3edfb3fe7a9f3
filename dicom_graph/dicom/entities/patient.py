"""The patient that a header speaks of: the Patient module (C.7.1.1) of PS3.3."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated

from dicom_graph.dicom.elements.person_names import split_name
from dicom_graph.dicom.entities import checks, values
from dicom_graph.dicom.entities.attribute import Attribute, describe
from dicom_graph.dicom.frame_elements import Elements

_IN_FILE = "as in the file, its parts separated by ^"


def _part(about: str) -> Attribute:
    """A part of the name (PS3.5 6.2.1)."""
    return Attribute(about=about, search=True, edit=checks.name_part)


@dataclass(slots=True)
class PatientFields:
    """PatientID (0010,0020) is the identity; the name parts are PatientName's."""

    uid: Annotated[str, Attribute("PatientID", read=values.joined, search=True, group="Patient")]
    name: Annotated[str | None, Attribute("PatientName", _IN_FILE, search=True)]
    name_prefix: Annotated[str | None, _part("name prefix, the fourth part of PN")]
    given_name: Annotated[str | None, _part("given name, the second part of PN")]
    middle_name: Annotated[str | None, _part("middle name, the third part of PN")]
    family_name: Annotated[str | None, _part("family name, the first part of PN")]
    name_suffix: Annotated[str | None, _part("name suffix, the fifth part of PN")]
    sex: Annotated[
        str | None,
        Attribute(
            "PatientSex", "M, F or O; other codes of a file are null",
            read=values.sex, edit=checks.sex,
        ),
    ]  # fmt: skip
    date_of_birth: Annotated[dt.date | None, Attribute("PatientBirthDate", edit=checks.anything)]


PATIENT = describe("patient", PatientFields)
TAGS = tuple(tag for _, tag, _ in PATIENT.elements)
"""What a patient is made of."""


def read_patient(by_tag: Elements) -> PatientFields | None:
    """The patient of a header; None where it has no PatientID."""
    fields = PATIENT.read(by_tag)
    if fields["uid"] is None:
        return None
    parts = split_name(fields["name"] or "")[0]
    return PatientFields(
        **fields,
        name_prefix=parts.prefix,
        given_name=parts.given,
        middle_name=parts.middle,
        family_name=parts.family,
        name_suffix=parts.suffix,
    )
