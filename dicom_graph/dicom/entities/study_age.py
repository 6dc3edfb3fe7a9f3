"""How old a patient was at a study, and how many images a series was to have."""

import datetime as dt

from dicom_graph.dicom.dictionary import keyword_tag
from dicom_graph.dicom.entities import values
from dicom_graph.dicom.frame_elements import Elements

_AGE, _BIRTH_DATE, _STUDY_DATE, _FRAMES, _RELATED, _IN_ACQUISITION, _POSITIONS = (
    keyword_tag(keyword) or 0
    for keyword in (
        "PatientAge", "PatientBirthDate", "StudyDate", "NumberOfFrames",
        "NumberOfSeriesRelatedInstances", "ImagesInAcquisition", "NumberOfTemporalPositions",
    )
)  # fmt: skip
TAGS = (_AGE, _BIRTH_DATE, _STUDY_DATE, _FRAMES, _RELATED, _IN_ACQUISITION, _POSITIONS)
"""What they are read from."""
_OLDEST = 150
_INFANT_YEARS = 2


def age_at_study(by_tag: Elements) -> float | None:
    """Years: PatientAge, else from the dates of birth and of the study as PatientAge would say it.

    That is in completed years, below two years in completed months. None where neither tells.
    """
    age = values.number(by_tag.get(_AGE))
    if age is not None:
        return age
    birth, study = values.date(by_tag.get(_BIRTH_DATE)), values.date(by_tag.get(_STUDY_DATE))
    if birth is None or study is None or birth > study:
        return None
    months = _completed_months(birth, study)
    years = months // 12
    if years > _OLDEST:
        return None
    return float(years) if years >= _INFANT_YEARS else months / 12


def _completed_months(start: dt.date, end: dt.date) -> int:
    months = (end.year - start.year) * 12 + end.month - start.month
    return months - (end.day < start.day)


def images_expected(by_tag: Elements) -> int | None:
    """How many images the header says that its series has.

    NumberOfSeriesRelatedInstances, else ImagesInAcquisition at each of the
    NumberOfTemporalPositions, which of an image of several frames are frames: then None.
    """
    related = values.integer(by_tag.get(_RELATED))
    if related is not None and related > 0:
        return related
    if (values.integer(by_tag.get(_FRAMES)) or 1) > 1:
        return None
    images = values.integer(by_tag.get(_IN_ACQUISITION))
    if images is None or images <= 0:
        return None
    total = images * max(1, values.integer(by_tag.get(_POSITIONS)) or 1)
    return total if total < 1 << 31 else None
