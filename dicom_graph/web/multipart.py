"""Forms as they come in (multipart/form-data, RFC 7578), part by part."""

from typing import Protocol

from python_multipart.multipart import MultipartParser, parse_options_header


class Parts(Protocol):
    """What is done with the parts of a form."""

    def begin(self, name: str, file_name: str | None) -> None:
        """A part begins: a field, or a file, which has a file name."""

    def write(self, data: bytes) -> None:
        """More of its content."""

    def end(self) -> None:
        """It is whole."""


class FormParser:
    """Tells `parts` of the parts of a form. Both may raise FormParserError, and what `parts` do."""

    def __init__(self, boundary: bytes, parts: Parts) -> None:
        self.is_whole = False
        self._parts = parts
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_header,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._write,
                "on_part_end": parts.end,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the form."""
        self._parser.write(chunk)

    def finish(self) -> None:
        """There are no more; `is_whole` tells whether the last boundary was among them."""
        self._parser.finalize()

    def _begin(self) -> None:
        self._disposition = b""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        file_name = options.get(b"filename")
        self._parts.begin(
            options.get(b"name", b"").decode("utf-8", "replace"),
            None if file_name is None else file_name.decode("utf-8", "replace"),
        )

    def _write(self, data: bytes, start: int, end: int) -> None:
        self._parts.write(data[start:end])

    def _end(self) -> None:
        self.is_whole = True
