"""What GE writes nowhere but in private elements: its protocol, and the polarity of its EPI.

As dcm2niix found them out (its `GE/README.md`); no standard describes them.
"""

import math
import re
import struct
import zlib

from pydicom.dataset import Dataset

from dicom_graph.dicom.volume.header_values import (
    integer,
    number,
    private_element,
    private_value,
)

_PARAMETERS = "GEMS_PARM_01"
_ACQUISITION = "GEMS_ACQU_01"
_MAX_PROTOCOL = 1_048_576
_SETTING = re.compile(r'^(?:set )?([A-Z0-9_]{1,32}) "([^"\r\n]{0,200})"', re.MULTILINE)
_RELEASE = re.compile(r"[A-Z]{2}(\d{2})\.(\d)_R(\d{2})", re.ASCII)
GE_TAGS = (
    (0x0019, 0x9C), (0x0019, 0xB3), (0x0019, 0xBB), (0x0019, 0xBC), (0x0019, 0xBD),
    (0x0025, 0x1B), (0x0043, 0x2A), (0x0043, 0x2C), (0x0043, 0x7C), (0x0043, 0x83),
)  # fmt: skip
"""The private elements that are read here, as group and low byte."""


def ge_protocol(header: Dataset) -> dict[str, str]:
    """The settings in (0025,xx1B), a compressed text; empty where none can be read."""
    raw = private_element(header, 0x0025, "GEMS_SERS_01", 0x1B)
    start = raw.find(b"\x1f\x8b") if isinstance(raw, bytes) else -1
    if start < 0:
        return {}
    try:
        text = zlib.decompressobj(31).decompress(raw[start:], _MAX_PROTOCOL)
    except zlib.error:
        return {}
    return dict(_SETTING.findall(text.decode("latin-1")))


def ge_group_delay(header: Dataset) -> float:
    """The pause after each volume, s, by which volumes are further apart than RepetitionTime."""
    delay = number(private_value(header, 0x0043, _PARAMETERS, 0x7C))
    return delay if delay is not None and 0 < delay < 60 else 0.0


def ge_slice_times(header: Dataset, n_slices: int, repetition: float) -> list[float] | None:
    """When each slice of a volume is acquired, s, in the order of their numbers.

    Constructed from the protocol: sequential or every other slice first, without gaps but for the
    pause after the volume; None where it does not tell, and of several bands before release 26.
    """
    protocol = ge_protocol(header)
    order = protocol.get("SLICEORDER")
    bands = integer(protocol.get("MBACCEL")) or 1
    release = _release(header)
    if order not in ("0", "1") or bands < 1 or (bands > 1 and release < (26, 0, 0)):
        return None
    is_new = release >= (27, 0, 3)
    excitations = math.ceil(n_slices / bands)
    if bands > 1 and not is_new and excitations % 2 == 0:
        # Before, the number of excitations was always odd; what is too much was left out.
        excitations += 1
    each = (repetition - ge_group_delay(header)) / excitations
    places = list(range(excitations))
    if order == "1":
        places = [*range(0, excitations, 2), *range(1, excitations, 2)]
        if bands > 1 and is_new and excitations > 2 and excitations % 2 == 0:
            places[-1], places[-2] = places[-2], places[-1]
    when = {place: turn * each for turn, place in enumerate(places)}
    return [when[index % excitations] for index in range(n_slices)]


def _release(header: Dataset) -> tuple[int, int, int]:
    """Of the software: DV26.0_R02 is (26, 0, 2)."""
    versions = header.get("SoftwareVersions") or ""
    text = versions if isinstance(versions, str) else "\\".join(map(str, versions))
    found = _RELEASE.search(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)


def ge_is_positive(header: Dataset) -> bool | None:
    """Whether the phase encoding of an EPI runs along its axis; None where it is not said.

    Others write (0018,9034) too, but mean by it the order of lines alone.
    """
    if not str(header.get("Manufacturer") or "").upper().startswith("GE"):
        return None
    order = header.get("RectilinearPhaseEncodeReordering")
    is_flipped = {"LINEAR": True, "REVERSE_LINEAR": False}.get(str(order or ""))
    if is_flipped is None:
        is_flipped = _is_flipped(private_element(header, 0x0043, _PARAMETERS, 0x2A))
    return None if is_flipped is None else is_flipped == is_reversed_volume(header)


def _is_flipped(raw: object) -> bool | None:
    """By (0043,xx2A), a copy of the raw data's header: its bits for EPI, for the polarity, and for
    the order in which lines are acquired.
    """
    if not isinstance(raw, bytes) or len(raw) < 26:
        return None
    start = int(struct.unpack_from("<H", raw, 24)[0])
    if len(raw) < start + 916:
        return None
    version = struct.unpack_from("<f", raw, start)[0]
    if not 5.0 <= version <= 40.0:
        return None
    order = start + 0x0394
    if version >= 25.002:
        start += 0x004C
        order += 0x004C - 0x008C
    if len(raw) < max(start + 0x3C, order + 2):
        return None
    flags, epi = (struct.unpack_from("<H", raw, start + at)[0] for at in (0x30, 0x3A))
    if not epi & 0x800:
        return None
    is_bottom_up = bool(struct.unpack_from("<H", raw, order)[0] == 2)
    return bool(flags & 4) != is_bottom_up


def is_reversed_volume(header: Dataset) -> bool:
    """Whether an image is of a volume that the research sequence `epi_pepolar` acquired with the
    phase encoding reversed. It writes such images upside down.

    (0019,xxB3) tells which: 1 all, 2 every other from the first, 3 from the second, by
    TemporalPositionIdentifier.
    """
    name = private_value(header, 0x0019, _ACQUISITION, 0x9C)
    if "epi_pepolar" not in str(name or ""):
        return False
    mode = integer(private_value(header, 0x0019, _ACQUISITION, 0xB3))
    volume = integer(header.get("TemporalPositionIdentifier"))
    if mode == 1 or volume is None or volume < 1:
        return mode == 1
    return (mode == 2 and volume % 2 == 1) or (mode == 3 and volume % 2 == 0)


def ge_line_spacing(header: Dataset, lines: int) -> float | None:
    """The effective echo spacing, s, of `lines` reconstructed lines.

    (0043,xx2C) is the spacing of echoes in µs; the first of (0043,xx83) the part of the lines that
    were acquired. GE acquires lines in twos, with partial Fourier in fours.
    """
    spacing = number(private_value(header, 0x0043, _PARAMETERS, 0x2C))
    if not spacing or "EP" not in (header.get("ScanningSequence") or ()):
        return None
    matrix = [int(each) for each in header.get("AcquisitionMatrix") or () if int(each) > 0]
    acquired = matrix[-1] if matrix else lines
    share = number(private_element(header, 0x0043, _PARAMETERS, 0x83)) or 1.0
    at_once = 4 if "PFF" in (header.get("ScanOptions") or ()) else 2
    if acquired < 2:
        return None
    echoes = math.ceil(acquired * share / at_once - 1e-6) * at_once
    return (echoes - 1) * spacing / 1e6 / (acquired - 1)


def ge_direction(header: Dataset) -> tuple[float, float, float] | None:
    """(0019,xxBB) to BD: the gradient along frequency, phase and slice, or None."""
    found = [number(private_value(header, 0x0019, _ACQUISITION, low)) for low in (0xBB, 0xBC, 0xBD)]
    x, y, z = found
    return None if x is None or y is None or z is None else (x, y, z)
