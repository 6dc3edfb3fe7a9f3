"""Versions of how elements are read: what an older version stored may be read otherwise today.

Whoever changes what the bytes of an element mean raises `revision` for those that it concerns, so
that new images get the new reading at once, and adds a `Reading`, so that `db reindex` finds the
elements that are stored. Whoever adds a field to an entity adds a `Reading` with `fields`: rows
that are there get it from the stored headers.
"""

import re
from dataclasses import dataclass

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRColorImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    EnhancedUSVolumeStorage,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    IntravascularOpticalCoherenceTomographyImageStorageForPresentation,
    IntravascularOpticalCoherenceTomographyImageStorageForProcessing,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MRImageStorage,
    MRSpectroscopyStorage,
    OphthalmicTomographyImageStorage,
    ParametricMapStorage,
    PositronEmissionTomographyImageStorage,
    SegmentationStorage,
    VLWholeSlideMicroscopyImageStorage,
    XRay3DAngiographicImageStorage,
    XRay3DCraniofacialImageStorage,
)
from pydicom.valuerep import AMBIGUOUS_VR

from dicom_graph.dicom.csa.header import CSA_TAGS, XA_GROUP, XA_PROTOCOL, is_xa_protocol
from dicom_graph.dicom.elements.values import ALL_VRS, BYTES_VRS, NUMBER_FORMATS, Value

CHARACTER_SET = 0x00080005
TIMEZONE_OFFSET = 0x00080201
_BINARY_VRS = BYTES_VRS | frozenset(NUMBER_FORMATS) | {"AT", "SQ"}
_TEXT_VRS = ALL_VRS - _BINARY_VRS
_DIGIT_VRS = frozenset({"AS", "DA", "DS", "DT", "IS", "TM"})
_LONG_FRACTION = re.compile(rb"\.[0-9]{7}")
_LONGEST_HELD = 4_194_304
_GROUPS_THAT_REPEAT = range(0, 0x20, 2)


def revision(tag: int, vr: str, raw: bytes, warning: str | None, values: tuple[Value, ...]) -> int:
    """How often the reading of such an element has changed: a part of its digest, unless 0.

    1: texts beyond ASCII and with escape sequences (PS3.5 6.1), datetimes that are none, character
    sets and offsets from UTC that are not defined; protocols of Siemens' software XA. 2: numbers
    and times in digits beyond ASCII, datetimes with more than six digits of a second.
    """
    if vr in ("OB", "UN") and tag & 0xFFFF00FF in CSA_TAGS and is_xa_protocol(raw):
        return 1
    if vr in _TEXT_VRS:
        if vr in _DIGIT_VRS and not raw.isascii():
            return 2
        if vr == "DT" and _LONG_FRACTION.search(raw):
            return 2
        if not raw.isascii() or b"\x1b" in raw:
            return 1
        if vr == "DT":
            return int(any(value.warning is not None for value in values))
        return int(tag in (CHARACTER_SET, TIMEZONE_OFFSET) and warning is not None)
    return 0


def revision_of_streamed(vr: str) -> int:
    """The same of an element of more than `elements.LONGEST_HELD` bytes. 1: its values are read."""
    return int(vr not in BYTES_VRS)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one version reads otherwise than those before.

    Of the elements, those of these VRs or tags, of private ones without their block: `with_bytes`,
    only if the values do not give back the bytes; `longer_than`, only of more bytes; `warned`, only
    with a warning that begins so.
    Neither VRs nor tags: none. Of the images, those of these transfer syntaxes and SOP classes;
    None: all. `fields`: the fields of entities are filled from the stored headers of these images
    again, whether or not an element is read otherwise.
    """

    version: int
    name: str
    vrs: frozenset[str] = frozenset()
    tags: frozenset[int] = frozenset()
    with_bytes: bool = False
    longer_than: int = -1
    warned: str | None = None
    syntaxes: frozenset[str] | None = None
    sop_classes: frozenset[str] | None = None
    fields: bool = False

    @property
    def has_elements(self) -> bool:
        """Whether there are elements that it may concern."""
        return bool(self.vrs or self.tags)


def _ambiguous_tags() -> frozenset[int]:
    """The tags of which other elements tell the VR where the data set has none (PS3.5 A.1)."""
    found = {tag for tag, entry in DicomDictionary.items() if entry[0] in AMBIGUOUS_VR}
    for mask, entry in RepeatersDictionary.items():
        if entry[0] in AMBIGUOUS_VR and mask[2:4] == "xx":
            found |= {int(f"{mask[:2]}{group:02X}{mask[4:]}", 16) for group in _GROUPS_THAT_REPEAT}
    return frozenset(found)


AMBIGUOUS_TAGS = _ambiguous_tags()
PRIVATE_GROUP_LENGTHS = frozenset(range(0x00010000, 1 << 32, 0x00020000))
"""(gggg,0000) of odd groups."""
_LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
WITH_FUNCTIONAL_GROUPS = frozenset(
    {
        BreastTomosynthesisImageStorage,
        EnhancedCTImageStorage,
        EnhancedMRColorImageStorage,
        EnhancedMRImageStorage,
        EnhancedPETImageStorage,
        EnhancedUSVolumeStorage,
        EnhancedXAImageStorage,
        EnhancedXRFImageStorage,
        IntravascularOpticalCoherenceTomographyImageStorageForPresentation,
        IntravascularOpticalCoherenceTomographyImageStorageForProcessing,
        LegacyConvertedEnhancedCTImageStorage,
        LegacyConvertedEnhancedMRImageStorage,
        LegacyConvertedEnhancedPETImageStorage,
        MRSpectroscopyStorage,
        OphthalmicTomographyImageStorage,
        ParametricMapStorage,
        SegmentationStorage,
        VLWholeSlideMicroscopyImageStorage,
        XRay3DAngiographicImageStorage,
        XRay3DCraniofacialImageStorage,
        _LABEL_MAP_SEGMENTATION,
    }
)
"""SOP classes whose images have functional groups (PS3.3 C.7.6.16)."""
_OF_MR_AND_PET = WITH_FUNCTIONAL_GROUPS | {MRImageStorage, PositronEmissionTomographyImageStorage}
READINGS = (
    Reading(1, "text beyond ASCII", vrs=_TEXT_VRS, with_bytes=True),
    Reading(1, "character sets and time zones", tags=frozenset({CHARACTER_SET, TIMEZONE_OFFSET})),
    Reading(1, "moments in the time zone of their image", vrs=frozenset({"DT"})),
    Reading(
        1, "bytes in big endian order",
        vrs=BYTES_VRS | frozenset(NUMBER_FORMATS) | {"AT"},
        syntaxes=frozenset({ExplicitVRBigEndian}),
    ),
    Reading(1, "unknown VRs", vrs=frozenset({"UN"}), warned="unknown VR "),
    Reading(
        1, "VRs that other elements tell",
        tags=AMBIGUOUS_TAGS, syntaxes=frozenset({ImplicitVRLittleEndian}),
    ),
    Reading(1, "values of more than 4 MiB", vrs=ALL_VRS - {"SQ"}, longer_than=_LONGEST_HELD),
    Reading(
        2, "fields from functional groups", sop_classes=WITH_FUNCTIONAL_GROUPS, fields=True
    ),
    Reading(3, "what series are for", sop_classes=_OF_MR_AND_PET, fields=True),
    Reading(3, "lengths of private groups", tags=PRIVATE_GROUP_LENGTHS),
    Reading(4, "ages, and how many images are expected", fields=True),
    Reading(5, "protocols of Siemens' software XA", tags=frozenset({XA_GROUP << 16 | XA_PROTOCOL})),
    Reading(6, "digits beyond ASCII", vrs=_DIGIT_VRS, with_bytes=True),
    Reading(6, "long fractions of a second", vrs=frozenset({"DT"})),
    Reading(7, "what series are for, less sure", sop_classes=_OF_MR_AND_PET, fields=True),
)  # fmt: skip
"""All that was ever read otherwise, in the order of versions."""
VERSION = max(reading.version for reading in READINGS)
"""How this version of the program reads."""
