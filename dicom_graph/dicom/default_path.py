"""Where an image's file belongs under a storage root."""

import re
from hashlib import sha256

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MAX_LENGTH = 80


def default_path(
    patient_uid: str | None, study_uid: str | None, series_uid: str | None, image_uid: str
) -> str:
    """`patient/study/series/image.dcm`: relative, unique by SOPInstanceUID, safe on any system."""
    folders = (patient_uid or "no-patient", study_uid or "no-study", series_uid or "no-series")
    name = safe_name(image_uid)
    if name == image_uid != image_uid.lower():
        # UIDs that differ in case alone would be one file where case does not count.
        name = f"{name}-{_digest(image_uid)}"
    return "/".join([*map(safe_name, folders), f"{name}.dcm"])


def safe_name(text: str) -> str:
    """The text as a file name; what had to change gets a digest, so that no two meet."""
    name = _UNSAFE.sub("_", text)[:_MAX_LENGTH]
    if name != text or name.strip(".") != name or not name or _RESERVED.fullmatch(name):
        stem = name.strip("._").replace(".", "_") or "x"
        return f"{stem}-{_digest(text)}"
    return name


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
