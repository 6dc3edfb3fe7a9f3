"""Why an image, a volume or a file cannot be given."""

from enum import StrEnum

from dicom_graph.dicom.errors import (
    CorruptPixelsError,
    FileGoneError,
    FrameRangeError,
    NoPixelDataError,
    PixelError,
    RenderingError,
    UnsupportedSyntaxError,
    VolumeError,
)


class Problem(StrEnum):
    """What kind of reason; clients get it as a code."""

    NOT_FOUND = "NOT_FOUND"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    FILE_GONE = "FILE_GONE"
    NO_PIXEL_DATA = "NO_PIXEL_DATA"
    UNSUPPORTED_SYNTAX = "UNSUPPORTED_SYNTAX"
    CORRUPT_PIXELS = "CORRUPT_PIXELS"
    NO_VOLUME = "NO_VOLUME"
    SEVERAL_STACKS = "SEVERAL_STACKS"
    BAD_INPUT = "BAD_INPUT"
    TOO_LARGE = "TOO_LARGE"
    TOO_SLOW = "TOO_SLOW"
    DECODER_CRASHED = "DECODER_CRASHED"
    NO_SPACE = "NO_SPACE"
    WITHHELD = "WITHHELD"


class ImagingError(Exception):
    """An expected failure; the message is for a client, without paths."""

    def __init__(self, message: str, problem: Problem) -> None:
        super().__init__(message, problem)
        self.message = message
        self.problem = problem

    def __str__(self) -> str:
        return self.message


_PROBLEMS: dict[type[PixelError], Problem] = {
    FileGoneError: Problem.FILE_GONE,
    NoPixelDataError: Problem.NO_PIXEL_DATA,
    UnsupportedSyntaxError: Problem.UNSUPPORTED_SYNTAX,
    CorruptPixelsError: Problem.CORRUPT_PIXELS,
    FrameRangeError: Problem.OUT_OF_RANGE,
    VolumeError: Problem.NO_VOLUME,
    RenderingError: Problem.BAD_INPUT,
}


def imaging_error(error: PixelError) -> ImagingError:
    """What the outside is told of an error of the dicom floor."""
    problem = _PROBLEMS.get(type(error), Problem.CORRUPT_PIXELS)
    hint = ": import or sync again" if problem is Problem.FILE_GONE else ""
    return ImagingError(f"{error}{hint}", problem)
