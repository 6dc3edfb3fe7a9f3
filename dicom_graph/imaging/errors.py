"""Why an image, a volume or a file cannot be given."""

from dicom_graph.dicom.errors import (
    CorruptPixelsError,
    FileGoneError,
    FrameRangeError,
    NoPixelDataError,
    NoRoomError,
    PixelError,
    RenderingError,
    UnsupportedSyntaxError,
    VolumeError,
)
from dicom_graph.error_codes import ErrorCode


class ImagingError(Exception):
    """An expected failure; the message is for a client, without paths."""

    def __init__(self, message: str, problem: ErrorCode) -> None:
        super().__init__(message, problem)
        self.message = message
        self.problem = problem

    def __str__(self) -> str:
        return self.message


_PROBLEMS: dict[type[PixelError], ErrorCode] = {
    FileGoneError: ErrorCode.FILE_GONE,
    NoRoomError: ErrorCode.NO_SPACE,
    NoPixelDataError: ErrorCode.NO_PIXEL_DATA,
    UnsupportedSyntaxError: ErrorCode.UNSUPPORTED_SYNTAX,
    CorruptPixelsError: ErrorCode.CORRUPT_PIXELS,
    FrameRangeError: ErrorCode.OUT_OF_RANGE,
    VolumeError: ErrorCode.NO_VOLUME,
    RenderingError: ErrorCode.BAD_INPUT,
}


def imaging_error(error: PixelError) -> ImagingError:
    """What the outside is told of an error of the dicom floor."""
    problem = _PROBLEMS.get(type(error), ErrorCode.CORRUPT_PIXELS)
    hint = ": import or sync again" if problem is ErrorCode.FILE_GONE else ""
    return ImagingError(f"{error}{hint}", problem)
