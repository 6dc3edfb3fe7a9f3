"""What can be wrong with a file."""

from enum import StrEnum


class FailureCode(StrEnum):
    """Why an import could not take a file, or a folder."""

    TRUNCATED = "TRUNCATED"
    CORRUPT = "CORRUPT"
    NO_IDENTITY = "NO_IDENTITY"
    NOT_PERMITTED = "NOT_PERMITTED"
    FILE_GONE = "FILE_GONE"
    CHANGED = "CHANGED"
    NOT_A_FILE = "NOT_A_FILE"
    FORBIDDEN_PATH = "FORBIDDEN_PATH"
    BAD_PATH = "BAD_PATH"
    TOO_SLOW = "TOO_SLOW"
    CRASHED = "CRASHED"
    CANNOT_READ = "CANNOT_READ"
    CANNOT_STORE = "CANNOT_STORE"
    NOT_REMOVED = "NOT_REMOVED"
    CANNOT_HOLD = "CANNOT_HOLD"
    OTHER = "OTHER"


class DicomError(Exception):
    """A file cannot be used; the message is one line for a person, without patient data."""


class NotDicomError(DicomError):
    """The content is not DICOM (or is a DICOMDIR): skipped, not failed."""


class UnreadableFileError(DicomError):
    """The content is DICOM but broken, or lacks what an image needs."""

    code = FailureCode.CORRUPT


class TruncatedFileError(UnreadableFileError):
    """The file ends before its content does: it was not copied whole."""

    code = FailureCode.TRUNCATED


class NoIdentityError(UnreadableFileError):
    """The content has no SOPInstanceUID."""

    code = FailureCode.NO_IDENTITY


class ChangedFileError(UnreadableFileError):
    """The file was written to while it was read."""

    code = FailureCode.CHANGED


class PixelError(DicomError):
    """An image has no pixels that can be read, or a series makes no volume.

    `path`: the file that is to blame, where it is one; not in the message, as paths name patients.
    """

    path: str | None = None


class FileGoneError(PixelError):
    """The file is no longer there, may not be read, or has changed since its header was read."""


class NoRoomError(PixelError):
    """No disk space is left for a temporary file."""


class NoPixelDataError(PixelError):
    """The image has no pixel data: a report, a plan, or a header alone."""


class UnsupportedSyntaxError(PixelError):
    """No decoder here knows the transfer syntax; the message names it."""


class CorruptPixelsError(PixelError):
    """The pixel data, or what the header says of it, is broken."""


class FrameRangeError(PixelError):
    """The image has no such frame, or the volume no such slice."""


class VolumeError(PixelError):
    """The images make no volume."""


class RenderingError(PixelError):
    """What is asked cannot be drawn: a size beyond the limit, a window without width."""
