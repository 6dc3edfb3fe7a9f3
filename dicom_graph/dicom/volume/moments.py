"""Points in time of images, in seconds."""

import datetime as dt
from typing import Any

from pydicom.dataset import Dataset
from pydicom.valuerep import DT

from dicom_graph.dicom.functional_groups import FunctionalGroups


def acquired(header: Dataset, groups: FunctionalGroups, frame: int) -> float | None:
    """When a frame was acquired, in seconds that can be compared; None where nothing tells."""
    for keyword in ("FrameReferenceDateTime", "FrameAcquisitionDateTime"):
        own = groups.value(frame, "FrameContentSequence", keyword)
        if own:
            return _of_text(str(own))
    if header.get("AcquisitionDateTime"):
        return _of_text(str(header.AcquisitionDateTime))
    date = header.get("AcquisitionDate") or header.get("SeriesDate") or header.get("StudyDate")
    return seconds_of(date, header.get("AcquisitionTime"))


def seconds_of(date: Any, time: Any) -> float | None:
    """A point in time as seconds; of a time without a date, those of the day."""
    return _of_text(f"{date or '19700101'}{time}") if time else None


def _of_text(text: str) -> float | None:
    try:
        moment = DT(text)
    except (TypeError, ValueError):
        return None
    if moment is None or not isinstance(moment, dt.datetime):
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return zoned.timestamp()
