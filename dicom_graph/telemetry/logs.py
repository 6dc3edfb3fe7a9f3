"""Log lines: as text, or each a JSON object on a line of its own."""

import datetime as dt
import json
import logging
from typing import Any

from dicom_graph.telemetry.request import current_id

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_QUIET = {
    # pydicom's warnings quote values of elements; our own access log has no queries in it.
    "pydicom": logging.CRITICAL,
    "uvicorn.access": logging.WARNING,
    "watchfiles": logging.WARNING,
    "alembic": logging.WARNING,
    "procrastinate": logging.WARNING,
    # It quotes the address that it exports to, and what that answers.
    "opentelemetry": logging.ERROR,
}


class JsonFormatter(logging.Formatter):
    """One JSON object: `time` (UTC), `level`, `logger`, `message`, and where there is one
    `requestId`, `trace`, and the fields that a line brings as `extra={"fields": {…}}`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        request = current_id()
        if request is not None:
            line["requestId"] = request
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A line for people, with the request's id at its end."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        text = super().format(record)
        request = current_id()
        if request is None:
            return text
        first, newline, rest = text.partition("\n")
        return f"{first} [{request}]{newline}{rest}"


_OF_WEBSOCKETS = ("connection open", "connection closed")


def _is_own(record: logging.LogRecord) -> bool:
    """uvicorn tells of each WebSocket three times, at INFO, once by its path; so does
    `dicom_graph.access`, without.
    """
    message = str(record.msg)
    return '"WebSocket %s"' not in message and message not in _OF_WEBSOCKETS


def configure(level: str, form: str) -> None:
    """Log to standard error, from a level on, as `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("uvicorn.error").addFilter(_is_own)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
