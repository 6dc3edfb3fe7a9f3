"""What can be wrong with a file."""


class DicomError(Exception):
    """A file cannot be used; the message is one line for a person, without patient data."""


class NotDicomError(DicomError):
    """The content is not DICOM (or is a DICOMDIR): skipped, not failed."""


class UnreadableFileError(DicomError):
    """The content is DICOM but broken, or lacks what an image needs."""
