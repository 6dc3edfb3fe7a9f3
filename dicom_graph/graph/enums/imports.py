"""Enums of imports."""

from enum import Enum

import strawberry

_value = strawberry.enum_value


@strawberry.enum(description="Where an import is in its life.")
class ImportStatus(Enum):
    PENDING = _value("PENDING", description="Waiting for its turn.")
    RUNNING = _value("RUNNING", description="Reading and writing.")
    INTERRUPTED = _value("INTERRUPTED", description="Stopped with its server; it will go on.")
    COMPLETED = _value("COMPLETED", description="All files were dealt with.")
    FAILED = _value("FAILED", description="Ended by an error: see `error`.")
    CANCELLED = _value("CANCELLED", description="Ended on request, by Ctrl+C for one.")


@strawberry.enum(description="How much of a header an import keeps.")
class ImportMode(Enum):
    MINIMAL = _value("MINIMAL", description="Entities only: no header, no elements.")
    NORMAL = _value("NORMAL", description="All standard elements, sequences too; none private.")
    FULL = _value("FULL", description="Everything, private elements too.")


@strawberry.enum(description="Who asked for an import.")
class ImportOrigin(Enum):
    API = _value("API", description="A client of this API; a server runs it.")
    CLI = _value("CLI", description="The command line.")
    PYTHON = _value("PYTHON", description="A Python program.")
    WATCH = _value("WATCH", description="`dicom-graph watch`, after something has changed.")


@strawberry.enum(description="Where the files of an import are kept.")
class ImportStorage(Enum):
    IN_PLACE = _value("IN_PLACE", description="Where they lie: they are only read.")
    COPY = _value(
        "COPY",
        description="Each is copied to its default path below the storage root; the image's file "
        "is the copy.",
    )
    MOVE = _value(
        "MOVE",
        description="The same, and the original is removed once its image and its copy are safe. "
        "What cannot be taken stays where it is.",
    )


@strawberry.enum(description="Why an import could not take a file.")
class ImportFailureCode(Enum):
    TRUNCATED = _value("TRUNCATED", description="It ends too soon: copy it again, then retry.")
    CORRUPT = _value("CORRUPT", description="Its content is broken: a retry does not help.")
    NO_IDENTITY = _value(
        "NO_IDENTITY", description="It has no SOPInstanceUID: a retry does not help."
    )
    NOT_PERMITTED = _value(
        "NOT_PERMITTED", description="The server may not read it: let it, then retry."
    )
    FILE_GONE = _value(
        "FILE_GONE",
        description="It is not there, or a link to nothing: bring it, then retry.",
    )
    CHANGED = _value("CHANGED", description="It was written to while it was read: retry.")
    NOT_A_FILE = _value("NOT_A_FILE", description="A pipe, socket or device.")
    FORBIDDEN_PATH = _value("FORBIDDEN_PATH", description="It lies outside the import roots.")
    BAD_PATH = _value(
        "BAD_PATH", description="Its path is not UTF-8, or too long: rename it, then retry."
    )
    TOO_SLOW = _value("TOO_SLOW", description="Its disk gave no answer in time: retry.")
    CRASHED = _value(
        "CRASHED", description="The process that read it died of it, or ran out of memory."
    )
    CANNOT_READ = _value("CANNOT_READ", description="Its disk refused to read it.")
    CANNOT_STORE = _value(
        "CANNOT_STORE", description="It cannot be kept in the storage root; it stays where it is."
    )
    NOT_REMOVED = _value(
        "NOT_REMOVED", description="It is imported and moved, but its original is still there."
    )
    CANNOT_HOLD = _value("CANNOT_HOLD", description="The database refused its values.")
    OTHER = _value("OTHER", description="Its message says it, as of those before there were codes.")
