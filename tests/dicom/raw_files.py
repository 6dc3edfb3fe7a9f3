"""Files written byte by byte, in any encoding, with what no writer would write."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

UNDEFINED = 0xFFFFFFFF
LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


@dataclass(frozen=True)
class Encoding:
    """How elements are written."""

    syntax: str

    @property
    def order(self) -> str:
        return ">" if self.syntax == ExplicitVRBigEndian else "<"

    @property
    def is_implicit(self) -> bool:
        return self.syntax == ImplicitVRLittleEndian

    def tag(self, tag: int) -> bytes:
        return struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)

    def head(self, tag: int, vr: str, length: int) -> bytes:
        """All of an element but its value."""
        if self.is_implicit:
            return self.tag(tag) + struct.pack("<L", length)
        if vr in LONG:
            return self.tag(tag) + vr.encode() + struct.pack(f"{self.order}HL", 0, length)
        return self.tag(tag) + vr.encode() + struct.pack(f"{self.order}H", length)

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        return self.head(tag, vr, len(value)) + value

    def words(self, *numbers: int) -> bytes:
        """16-bit integers."""
        return struct.pack(f"{self.order}{len(numbers)}H", *numbers)

    def item(self, content: bytes, *, undefined: bool = False) -> bytes:
        if undefined:
            end = self.tag(0xFFFEE00D) + bytes(4)
            return self.tag(0xFFFEE000) + struct.pack("<L", UNDEFINED) + content + end
        return self.tag(0xFFFEE000) + struct.pack(f"{self.order}L", len(content)) + content

    @property
    def sequence_end(self) -> bytes:
        return self.tag(0xFFFEE0DD) + bytes(4)

    def identity(self) -> bytes:
        """The elements without which no file is an image, before (0010,0020)."""
        return (
            self.element(0x00080016, "UI", padded(SecondaryCaptureImageStorage))
            + self.element(0x00080018, "UI", padded(generate_uid()))
            + self.element(0x00080060, "CS", b"OT")
        )

    def grey_pixels(self) -> bytes:
        """A 2 by 2 image of bytes, 1 to 4."""
        return (
            self.element(0x00280002, "US", self.words(1))
            + self.element(0x00280004, "CS", b"MONOCHROME2 ")
            + self.element(0x00280010, "US", self.words(2))
            + self.element(0x00280011, "US", self.words(2))
            + self.element(0x00280100, "US", self.words(8))
            + self.element(0x00280101, "US", self.words(8))
            + self.element(0x00280102, "US", self.words(7))
            + self.element(0x00280103, "US", self.words(0))
            + self.element(0x7FE00010, "OB", b"\1\2\3\4")
        )


EXPLICIT = Encoding(ExplicitVRLittleEndian)
IMPLICIT = Encoding(ImplicitVRLittleEndian)
BIG = Encoding(ExplicitVRBigEndian)


def padded(uid: str) -> bytes:
    """A UID of an even number of bytes."""
    return uid.encode() + b"\0" * (len(uid) % 2)


def meta(syntax: str, *, length: int | None = 0) -> bytes:
    """Preamble and group 0002. `length`: what (0002,0000) says too much; None leaves it out."""
    rest = EXPLICIT.element(0x00020001, "OB", b"\0\1")
    rest += EXPLICIT.element(0x00020002, "UI", padded(SecondaryCaptureImageStorage))
    rest += EXPLICIT.element(0x00020003, "UI", padded("1.2.3"))
    rest += EXPLICIT.element(0x00020010, "UI", padded(syntax))
    rest += EXPLICIT.element(0x00020012, "UI", padded("1.2.3.4"))
    if length is not None:
        told = struct.pack("<L", max(len(rest) + length, 0))
        rest = EXPLICIT.element(0x00020000, "UL", told) + rest
    return bytes(128) + b"DICM" + rest


def write(path: Path, syntax: str, data_set: bytes, *, head: bytes | None = None) -> Path:
    """A file of a data set; `head`: what stands before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if syntax == DeflatedExplicitVRLittleEndian:
        packer = zlib.compressobj(wbits=-15)
        data_set = packer.compress(data_set) + packer.flush()
    path.write_bytes((meta(syntax) if head is None else head) + data_set)
    return path
