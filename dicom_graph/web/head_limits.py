"""Limits of what is no content of a request: its head, and what lies between chunks of a body.

RFC 9112 and RFC 6585 (431).
"""

from http import HTTPStatus

from dicom_graph.web.incoming_memory import IncomingShare

MAX_FIELDS = 200
"""Lines of a head, or of the trailer after a chunked body."""
_LINE_BYTES = 4


class RequestRefused(Exception):
    """A request that is not taken in; the message is for a person."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class HeadSizeCounter:
    """Counts what comes in on one connection. Each method raises RequestRefused for too much.

    `is_open`: a head is waited for, or has begun. The bytes of a head are counted as they come,
    also those that the parser keeps to itself until a line is whole, or drops.
    """

    def __init__(self, max_bytes: int, share: IncomingShare) -> None:
        self._max = max_bytes
        self._share = share
        self._answering = 0
        self._fields = 0
        self._seen = 0
        self._sizes: list[int] = []
        self._framing = 0
        self._has_turned = False
        self.is_open = True
        self.n_bytes = 0

    @property
    def room(self) -> int:
        """How many bytes to look at next, so that none is passed over."""
        return max(1, self._max + 1 - self.n_bytes) if self.is_open else self._max

    def begin(self) -> None:
        """A request begins."""
        self._fields = self._seen = 0

    def add(self, n_bytes: int, *, is_field: bool = False) -> None:
        """A part of the first line, or a whole field, of a head or trailer."""
        self._seen += n_bytes + (_LINE_BYTES if is_field else 0)
        self._fields += is_field
        if self._fields > MAX_FIELDS:
            raise RequestRefused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the request has more than {MAX_FIELDS} header fields",
            )
        if self._seen > self._max:
            raise self._too_large()

    def end(self) -> None:
        """The head is whole; what it holds is kept until `answered`."""
        size = max(self.n_bytes, self._seen)
        self._sizes.append(size)
        self._answering += size
        self._hold(0)
        self.is_open, self.n_bytes, self._has_turned = False, 0, True
        self._fields = self._seen = 0

    def add_body(self) -> None:
        """A part of a body."""
        self._has_turned = True

    def end_message(self) -> None:
        """The next head may begin."""
        self.is_open, self.n_bytes, self._has_turned = True, 0, True
        self._seen = self._fields = 0

    def answered(self) -> None:
        """A request is answered, the first of those that came."""
        if self._sizes:
            self._answering -= self._sizes.pop(0)
            self._hold(self.n_bytes)

    def fed(self, n_bytes: int) -> None:
        """The parser was given so many bytes, and has told what it found in them."""
        has_turned, self._has_turned = self._has_turned, False
        if self.is_open:
            self.n_bytes = self._seen if has_turned else self.n_bytes + n_bytes
            if self.n_bytes > self._max:
                raise self._too_large()
            self._hold(self.n_bytes)
        elif has_turned:
            self._framing = 0
        else:
            # Sizes and extensions of chunks, and the trailer.
            self._framing += n_bytes
            if self._framing > self._max:
                raise self._too_large()

    def close(self) -> None:
        """The connection is gone."""
        self._share.hold(0)

    def _hold(self, n_bytes: int) -> None:
        if not self._share.hold(self._answering + n_bytes):
            raise RequestRefused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "others are sending too much at the same time "
                "(DICOM_GRAPH_MAX_INCOMING_MEGABYTES): try again",
            )

    def _too_large(self) -> RequestRefused:
        return RequestRefused(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"the head of the request has more than {self._max:,} bytes "
            "(DICOM_GRAPH_MAX_HEAD_BYTES)",
        )
