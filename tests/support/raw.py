"""HTTP/1.1 byte by byte, for what no client library would send."""

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

MOST = 4 << 20
"""Bytes that a sender without an end sends, so that each test has one."""


def connect(url: str, source: str = "127.0.0.1") -> socket.socket:
    """A connection from an address of this machine (all of 127.0.0.0/8 are, on Linux)."""
    address = urlsplit(url)
    return socket.create_connection(
        (str(address.hostname), int(address.port or 80)), 20, source_address=(source, 0)
    )


def endless(*parts: bytes, then: bytes) -> Iterator[bytes]:
    """Some parts, then one again and again."""
    yield b"".join(parts)
    block = then * (16_384 // len(then) + 1)
    for _ in range(MOST // len(block)):
        yield block


def send_all(end: socket.socket, chunks: Iterable[bytes]) -> int:
    """Send until the other side closes; returns how many bytes it took."""
    sent = 0
    with suppress(OSError):
        for chunk in chunks:
            end.sendall(chunk)
            sent += len(chunk)
    return sent


def read_all(end: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    with suppress(ConnectionError):
        while data := end.recv(1 << 16):
            found += data
    return found


def exchange(url: str, *chunks: bytes) -> bytes:
    """What is answered to some bytes, until the server closes."""
    with connect(url) as end:
        send_all(end, chunks)
        return read_all(end)


def statuses(answer: bytes) -> list[int]:
    """The status codes of answers with a length each; fails where anything else is between."""
    found = []
    while answer:
        head, _, rest = answer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        version, status, *_ = lines[0].split(" ")
        assert version == "HTTP/1.1", lines
        pairs = [line.partition(": ") for line in lines[1:]]
        fields = {name.lower(): value for name, _, value in pairs}
        length = int(fields["content-length"])
        assert len(rest) >= length, fields
        found.append(int(status))
        answer = rest[length:]
    return found


def frame(payload: bytes, opcode: int = 1, *, fin: bool = True) -> bytes:
    """A client's frame (RFC 6455 5.2), masked with zeros."""
    length = len(payload)
    first = opcode | (0x80 if fin else 0)
    if length < 126:
        return bytes([first, 0x80 | length]) + bytes(4) + payload
    if length < 1 << 16:
        return bytes([first, 0xFE]) + struct.pack("!H", length) + bytes(4) + payload
    return bytes([first, 0xFF]) + struct.pack("!Q", length) + bytes(4) + payload
