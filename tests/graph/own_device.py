"""The description of an entity of one's own; imported before the schema's inputs are made of it."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated

from dicom_graph.dicom.entities import DESCRIBED, Attribute, checks, describe, values


@dataclass(slots=True)
class DeviceFields:
    """DeviceUID (0018,1002) is the identity."""

    uid: Annotated[str, Attribute("DeviceUID", read=values.joined)]
    station_name: Annotated[
        str | None, Attribute("StationName", search=True, edit=checks.text("StationName"))
    ]
    tube_current: Annotated[int | None, Attribute("XRayTubeCurrent", unit="mA")]
    calibrated: Annotated[dt.date | None, Attribute("DateOfLastCalibration", edit=checks.anything)]
    calibrated_at: Annotated[dt.time | None, Attribute("TimeOfLastCalibration")]
    kernels: Annotated[
        list[str] | None, Attribute("ConvolutionKernel", edit=checks.codes("ConvolutionKernel"))
    ]
    focal_spots: Annotated[list[float] | None, Attribute("FocalSpots", unit="mm")]
    nickname: Annotated[str | None, Attribute(about="what people call it", search=True)]


@dataclass(slots=True)
class LaterDeviceFields(DeviceFields):
    """The same with one more field: one line, beside the migration that adds its column."""

    voltage: Annotated[float | None, Attribute("KVP", unit="kV", edit=checks.not_negative)]


DEVICE = describe("device", LaterDeviceFields)
DESCRIBED[DEVICE.name] = DEVICE
