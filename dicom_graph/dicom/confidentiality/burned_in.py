"""Whether pixels may show text that names somebody, as far as a header tells."""

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_graph.dicom.dictionary import PIXEL_DATA_TAGS

_CLEAN_MODALITIES = frozenset({"CT", "MR", "NM", "PT", "RTDOSE", "SEG"})
"""Those whose images are arrays of measured values, on which devices write nothing."""
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_OF_SCREENS = ("SCREEN", "SAVE", "CAPTURE")
_KEYWORDS = ("BurnedInAnnotation", "ImageType", "Modality", "Rows", "SOPClassUID")
BURNED_IN_TAGS = frozenset(int(Tag(keyword)) for keyword in _KEYWORDS)
"""What is looked at."""


def may_show_text(header: Dataset) -> bool:
    """Whether it must be feared that text is burned into the pixels (PS3.15 E.1.1).

    BurnedInAnnotation (0028,0301) decides where it says YES or NO. Where it says nothing, images of
    CT, MR, NM, PET, dose and segmentations are trusted, unless they are captures of a screen.
    """
    if not header.get("Rows") and not any(tag in header for tag in PIXEL_DATA_TAGS):
        return False
    stated = str(header.get("BurnedInAnnotation") or "").strip().upper()
    if stated:
        return stated != "NO"
    if str(header.get("Modality") or "").strip() not in _CLEAN_MODALITIES:
        return True
    kind = str(header.get("ImageType") or "").upper()
    is_capture = str(header.get("SOPClassUID") or "").startswith(_SECONDARY_CAPTURE)
    return is_capture or any(word in kind for word in _OF_SCREENS)
