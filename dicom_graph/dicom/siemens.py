"""How the image was made, from Siemens' private block "SIEMENS MR HEADER", group 0019.

VR and keyword are those of pydicom's private dictionary; the VM is what real files hold, where the
dictionary has 1 for MosaicRefAcqTimes. An archive that does not know the block passes the elements
on as UN (PS3.5 6.2.2) or OB, and implicit VR files have no VR at all.
"""

import math
import re
import struct
from dataclasses import dataclass

SIEMENS_MR_CREATOR = "SIEMENS MR HEADER"
SIEMENS_MR_GROUP = 0x0019


@dataclass(frozen=True, slots=True)
class SiemensElement:
    """One known element. A VM of None is any number; an empty unit is a plain count or ratio."""

    vr: str
    vm: int | None
    keyword: str
    unit: str


SIEMENS_MR_ELEMENTS = {
    0x0A: SiemensElement("US", 1, "NumberOfImagesInMosaic", ""),
    0x0B: SiemensElement("DS", 1, "SliceMeasurementDuration", "ms"),
    0x0C: SiemensElement("IS", 1, "B_value", "s/mm²"),
    0x0E: SiemensElement("FD", 3, "DiffusionGradientDirection", ""),
    0x27: SiemensElement("FD", 6, "B_matrix", "s/mm²"),
    0x28: SiemensElement("FD", 1, "BandwidthPerPixelPhaseEncode", "Hz"),
    0x29: SiemensElement("FD", None, "MosaicRefAcqTimes", "ms"),
}
"""By the low byte of the element number. The B matrix is its upper triangle: xx xy xz yy yz zz."""


class SiemensValueError(ValueError):
    """The bytes of a known element are not of its VR and VM; the message says how."""


def siemens_value(
    element_low_byte: int, vr: str | None, raw: bytes, little_endian: bool = True
) -> list[int] | list[float] | None:
    """The numbers of an element of "SIEMENS MR HEADER", group 0019, in the unit of its table entry.

    ``vr`` is the file's: the known VR, UN, OB, or None or empty where the file has none. An empty
    list is an element without value. None means that the element is not known, or that the file
    gives it another VR, which then says how to read it. Raises SiemensValueError where the bytes
    are not of the VR and VM.
    """
    element = SIEMENS_MR_ELEMENTS.get(element_low_byte)
    if element is None or vr not in (None, "", "UN", "OB", element.vr):
        return None
    try:
        numbers = _numbers(element.vr, raw, "<" if little_endian else ">")
    except (ValueError, struct.error):
        raise SiemensValueError(f"{element.keyword}: not a value of {element.vr}") from None
    if numbers and element.vm not in (None, len(numbers)):
        raise SiemensValueError(f"{element.keyword}: {len(numbers)} values, where VM {element.vm}")
    return numbers


_BINARY = {"US": "H", "FD": "d"}
# Python reads more as numbers than DS and IS allow: nan, inf, 1_000.
_DECIMAL = re.compile(rb"[0-9+\-.eE\\ ]*\0?")


def _numbers(vr: str, raw: bytes, byte_order: str) -> list[int] | list[float]:
    if vr in _BINARY:
        layout = byte_order + _BINARY[vr]
        return [number for (number,) in struct.iter_unpack(layout, raw)]
    if not _DECIMAL.fullmatch(raw):
        raise ValueError(vr)
    texts = raw.decode("ascii").rstrip("\0 ").split("\\")
    if texts == [""]:
        return []
    return [int(text) for text in texts] if vr == "IS" else [_finite(text) for text in texts]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
