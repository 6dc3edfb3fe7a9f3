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
