"""The codes of errors: one list for GraphQL (`extensions.code`), HTTP and payloads of mutations."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """What kind of error it is, for a program; the message is for people.

    A code has a description, which the docs' table repeats.
    """

    description: str

    def __new__(cls, value: str, description: str) -> "ErrorCode":
        """A code with what it means and what to do."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE", "The audit log cannot be written, and it must be."
    BAD_CODE = "BAD_CODE", "A coded value that DICOM does not allow there."
    BAD_CURSOR = "BAD_CURSOR", "A cursor that this list did not give in this order."
    BAD_FIELD = "BAD_FIELD", "A field that there is not, or that does not go there."
    BAD_FILTER = "BAD_FILTER", "A filter that cannot be right."
    BAD_ID = "BAD_ID", "An id of something else, or of nothing."
    BAD_INPUT = "BAD_INPUT", "An argument or a parameter that cannot be right."
    BAD_LENGTH = "BAD_LENGTH", "A list with too few or too many values."
    BAD_NUMBER = "BAD_NUMBER", "A number that DICOM does not allow there."
    BAD_OPERATION = (
        "BAD_OPERATION",
        "An operation that the schema does not have.",
    )
    BAD_PATTERN = "BAD_PATTERN", "A pattern of file names that cannot match."
    BAD_REQUEST = (
        "BAD_REQUEST",
        "A request that cannot be read, such as a body that is no JSON.",
    )
    BAD_SYNTAX = "BAD_SYNTAX", "A document that is no GraphQL."
    BAD_TEXT = "BAD_TEXT", "A text with characters that cannot be stored there."
    BAD_TIME = "BAD_TIME", "A time that DICOM does not allow there."
    BAD_UID = "BAD_UID", "A text that is no UID."
    BAD_UPLOAD = "BAD_UPLOAD", "Files that cannot be taken: the message says why."
    BODY_TOO_LARGE = "BODY_TOO_LARGE", "The request is larger than allowed."
    CANNOT_STORE = (
        "CANNOT_STORE",
        "Files cannot be kept: there is no storage root, or no room.",
    )
    CORRUPT_PIXELS = "CORRUPT_PIXELS", "The pixels of a file cannot be decoded."
    COUNTS_OFF = "COUNTS_OFF", "The server does not count."
    DECODER_CRASHED = (
        "DECODER_CRASHED",
        "The process that decoded has ended; another takes its place.",
    )
    FILE_GONE = "FILE_GONE", "The file is gone, or is not the one that was imported. Import again."
    FILE_NOT_DELETED = "FILE_NOT_DELETED", "The object is deleted, one of its files is not."
    FORBIDDEN = "FORBIDDEN", "Not allowed for this user."
    FORBIDDEN_PATH = "FORBIDDEN_PATH", "A path outside the import roots."
    HEAD_TOO_LARGE = "HEAD_TOO_LARGE", "The request line and headers are larger than allowed."
    INTERNAL = (
        "INTERNAL",
        "A fault of the server; its log has the details.",
    )
    INTROSPECTION_OFF = "INTROSPECTION_OFF", "The server does not tell its schema."
    JOB_CHANGES_HANDS = "JOB_CHANGES_HANDS", "The import is being taken over; try again."
    JOB_HAS_ENDED = "JOB_HAS_ENDED", "The import has ended already."
    JOB_HAS_NOT_ENDED = "JOB_HAS_NOT_ENDED", "The import has not ended yet."
    MAX_ANSWER_BYTES = "MAX_ANSWER_BYTES", "The answer is larger than allowed: ask for less."
    MAX_ALIASES = "MAX_ALIASES", "More aliases than allowed."
    MAX_CONDITIONS = "MAX_CONDITIONS", "More conditions in filters than allowed."
    MAX_COST = "MAX_COST", "The operation may hold more than allowed: ask for smaller pages."
    MAX_DEPTH = "MAX_DEPTH", "More levels of fields than allowed."
    MAX_DIRECTIVES = "MAX_DIRECTIVES", "More directives on a field than allowed."
    MAX_DOCUMENT_BYTES = "MAX_DOCUMENT_BYTES", "A document larger than allowed."
    MAX_SELECTIONS = "MAX_SELECTIONS", "More fields of one object than allowed."
    MAX_VALUES = "MAX_VALUES", "More values in the variables than allowed."
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED", "The address does not take this method."
    NO_FILES = "NO_FILES", "The object has no files to read."
    NO_PIXEL_DATA = "NO_PIXEL_DATA", "The image has no pixels."
    NO_SPACE = "NO_SPACE", "No room for temporary files."
    NO_SUCH_JOB = "NO_SUCH_JOB", "There is no such import."
    NO_VOLUME = "NO_VOLUME", "The images of the series make no volume."
    NOT_FOUND = "NOT_FOUND", "There is nothing of that name, or not for this user."
    NOT_INSTALLED = (
        "NOT_INSTALLED",
        "The server lacks a package: the message names it.",
    )
    NOTHING_FAILED = "NOTHING_FAILED", "No file of the import failed."
    OUT_OF_RANGE = "OUT_OF_RANGE", "A frame, slice or volume that there is not."
    OUTSIDE_STORAGE_ROOT = (
        "OUTSIDE_STORAGE_ROOT",
        "A file outside the storage root is not deleted.",
    )
    OVERLOADED = "OVERLOADED", "Too many requests at once; try again."
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND", "Send the document with its hash."
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED", "Always send the document."
    SEVERAL_STACKS = "SEVERAL_STACKS", "The series makes several volumes: say which, by `stack`."
    TIMEOUT = "TIMEOUT", "The operation took longer than allowed."
    TOO_LARGE = "TOO_LARGE", "The array is larger than allowed."
    TOO_LONG = "TOO_LONG", "A text longer than its value representation allows."
    TOO_MANY_ERRORS = "TOO_MANY_ERRORS", "So many errors that the operation was ended."
    TOO_MANY_FAILURES = "TOO_MANY_FAILURES", "Too many wrong passwords; wait."
    TOO_SLOW = "TOO_SLOW", "It took too long: decoding, or the client's sending."
    UID_IN_USE = "UID_IN_USE", "Another object has that UID or PatientID."
    UNAUTHENTICATED = "UNAUTHENTICATED", "Log in, or send a token."
    UNAVAILABLE = "UNAVAILABLE", "The database cannot be used now."
    UNSUPPORTED_SYNTAX = "UNSUPPORTED_SYNTAX", "A transfer syntax that cannot be decoded."
    UNTRUSTED_DOCUMENT = (
        "UNTRUSTED_DOCUMENT",
        "The server executes only documents that it knows.",
    )
    UPLOAD = "UPLOAD", "An upload cannot be read again: send its files again."
    UPLOAD_TOO_LARGE = "UPLOAD_TOO_LARGE", "The upload is larger than allowed."
    WITHHELD = "WITHHELD", "Pixels that may show who somebody is, for users who see no identities."
