"""Patient, study, series and image: what their fields are, and how they are read from a header."""

from dicom_graph.dicom.entities.attribute import Attribute, Description, describe
from dicom_graph.dicom.entities.image import IMAGE, ImageFields
from dicom_graph.dicom.entities.patient import PATIENT, PatientFields
from dicom_graph.dicom.entities.reader import Entities, EntityReader, odd_elements
from dicom_graph.dicom.entities.series import SERIES, SeriesFields
from dicom_graph.dicom.entities.study import STUDY, StudyFields

__all__ = [
    "DESCRIBED", "IMAGE", "PATIENT", "SERIES", "STUDY", "Attribute", "Description", "Entities",
    "EntityReader", "ImageFields", "PatientFields", "SeriesFields", "StudyFields", "describe",
    "odd_elements",
]  # fmt: skip

DESCRIBED = {each.name: each for each in (PATIENT, STUDY, SERIES, IMAGE)}
"""The entities that are described, by name."""
