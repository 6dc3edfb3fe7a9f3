"""One volume of a plan."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dicom_graph.exports.bids.entities import problems, volume_name
from dicom_graph.exports.bids.metadata import Metadata
from dicom_graph.imaging.worker import DescribedVolume


@dataclass(frozen=True, slots=True)
class PlannedVolume:
    """One volume. `index`: which of its fourth axis, from 0; None for all. `included`: whether it
    is exported; if not, `notes` say why. `acquired`: the shifted moment of its series. `metadata`:
    what a person adds to the sidecar. `is_there`: in the data set that a plan goes on with.
    """

    series_uid: str
    stack: int = 0
    index: int | None = None
    included: bool = False
    datatype: str = ""
    suffix: str = ""
    entities: Mapping[str, str] = field(default_factory=dict)
    acquired: dt.datetime | None = None
    evidence: tuple[str, ...] = ()
    confidence: str = ""
    notes: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)
    series: Any = None
    volume: DescribedVolume | None = None
    line: int = 0
    is_there: bool = False

    @property
    def name(self) -> str:
        """Its path in the data set, without an ending; empty where it has none."""
        has_name = not any(problems(self.datatype, self.suffix, self.entities))
        return volume_name(self.datatype, self.suffix, self.entities) if has_name else ""


Key = tuple[str, int, int | None]


def key_of(planned: PlannedVolume) -> Key:
    """What tells a volume from all others."""
    return planned.series_uid, planned.stack, planned.index


def folder_of(planned: PlannedVolume) -> str:
    """The folder of its session, else of its subject."""
    sub, ses = f"sub-{planned.entities['sub']}", planned.entities.get("ses")
    return f"{sub}/ses-{ses}" if ses else sub
