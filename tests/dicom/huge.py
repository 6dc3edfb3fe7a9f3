"""Files with one element that is larger than memory should be: mostly holes, which take no room.

    python -m tests.dicom.huge FOLDER [BYTES]

Reads one file of each kind, of 512 MiB if not said, and prints the most memory that it took.
"""

import resource
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.files.reading import Instance, read_instance
from tests.dicom.raw_files import BIG, EXPLICIT, IMPLICIT, UNDEFINED, Encoding, meta

MIB = 1 << 20
AFTER = 0x7FDF0010
"""The last element, behind the huge one, so that it is seen that the walk went on."""
_DOCUMENT, _TEXT, _CONTOUR, _FLOATS = 0x00420011, 0x0040A160, 0x30060050, 0x0018605A
_ICON, _CONTENT = 0x00880200, 0x0040A730
Writer = Callable[[Path, int], Path]


def _plain(encoding: Encoding, tag: int, vr: str) -> Writer:
    """At the top level."""

    def make(path: Path, size: int) -> Path:
        return _write(path, encoding, encoding.head(tag, vr, size), size, b"")

    return make


def _nested(encoding: Encoding, tag: int, vr: str, *, undefined: bool) -> Writer:
    """In an item of an item."""

    def make(path: Path, size: int) -> Path:
        element = encoding.head(tag, vr, size)
        before, after, length = element, b"", len(element) + size
        for _ in range(2):
            item = UNDEFINED if undefined else length
            head = encoding.tag(0xFFFEE000) + struct.pack(f"{encoding.order}L", item)
            whole = UNDEFINED if undefined else length + 8
            before = encoding.head(_CONTENT, "SQ", whole) + head + before
            if undefined:
                after += encoding.tag(0xFFFEE00D) + bytes(4) + encoding.sequence_end
            length = len(before) + size
        return _write(path, encoding, before, size, after)

    return make


def _fragments(encoding: Encoding, tag: int, vr: str) -> Writer:
    """Of undefined length, as compressed pixels."""

    def make(path: Path, size: int) -> Path:
        head = encoding.head(tag, vr, UNDEFINED) + encoding.item(b"")
        head += encoding.tag(0xFFFEE000) + struct.pack(f"{encoding.order}L", size)
        return _write(path, encoding, head, size, encoding.sequence_end)

    return make


def _write(path: Path, encoding: Encoding, before: bytes, size: int, after: bytes) -> Path:
    with path.open("wb") as file:
        file.write(meta(encoding.syntax) + encoding.identity() + before)
        file.seek(size, 1)
        file.write(after + encoding.element(AFTER, "LO", b"LAST"))
    return path


def _many(path: Path, size: int) -> Path:
    """Of values of 4 MiB, which alone would be no trouble."""
    each = 4 * MIB
    with path.open("wb") as file:
        file.write(meta(IMPLICIT.syntax) + IMPLICIT.identity())
        file.write(IMPLICIT.element(0x00090010, "LO", b"ACME"))
        for number in range(min(size // each, 255)):
            file.write(IMPLICIT.head(0x00091000 + number, "UN", each))
            file.seek(each, 1)
        file.write(IMPLICIT.element(AFTER, "LO", b"LAST"))
    return path


def _numbers_in_text(path: Path, size: int) -> Path:
    """Of a contour: numbers with backslashes between them."""
    number = b"-12.345\\"
    with path.open("wb") as file:
        file.write(meta(IMPLICIT.syntax) + IMPLICIT.identity())
        file.write(IMPLICIT.head(_CONTOUR, "DS", size // 8 * 8))
        for start in range(0, size // 8 * 8, MIB):
            file.write(number * (min(MIB, size // 8 * 8 - start) // 8))
        file.write(IMPLICIT.element(AFTER, "LO", b"LAST"))
    return path


def _deflated(path: Path, size: int) -> Path:
    packer = zlib.compressobj(wbits=-15)
    with path.open("wb") as file:
        file.write(meta(DeflatedExplicitVRLittleEndian))
        file.write(packer.compress(EXPLICIT.identity() + EXPLICIT.head(_DOCUMENT, "OB", size)))
        for start in range(0, size, MIB):
            file.write(packer.compress(bytes(min(MIB, size - start))))
        file.write(packer.compress(EXPLICIT.element(AFTER, "LO", b"LAST")) + packer.flush())
    return path


HUGE: dict[str, Writer] = {
    "implicit, bytes": _plain(IMPLICIT, _DOCUMENT, "OB"),
    "implicit, text": _plain(IMPLICIT, _TEXT, "UT"),
    "implicit, numbers": _plain(IMPLICIT, _FLOATS, "FL"),
    "implicit, unknown": _plain(IMPLICIT, 0x0018FFFE, "UN"),
    "implicit, numbers in text": _numbers_in_text,
    "implicit, many": _many,
    "implicit, in an item": _nested(IMPLICIT, _DOCUMENT, "OB", undefined=False),
    "implicit, in an item without length": _nested(IMPLICIT, _TEXT, "UT", undefined=True),
    "implicit, fragments": _fragments(IMPLICIT, _DOCUMENT, "OB"),
    "explicit, bytes": _plain(EXPLICIT, _DOCUMENT, "OB"),
    "explicit, text": _plain(EXPLICIT, _TEXT, "UT"),
    "explicit, unknown": _plain(EXPLICIT, _DOCUMENT, "UN"),
    "explicit, in an item": _nested(EXPLICIT, _DOCUMENT, "OB", undefined=False),
    "explicit, in an item without length": _nested(EXPLICIT, _TEXT, "UT", undefined=True),
    "explicit, fragments": _fragments(EXPLICIT, _DOCUMENT, "OB"),
    "explicit, unknown fragments": _fragments(EXPLICIT, 0x0018FFFE, "OB"),
    "big endian, words": _plain(BIG, 0x00660023, "OW"),
    "big endian, in an item": _nested(BIG, 0x00660129, "OL", undefined=True),
    "deflated, bytes": _deflated,
}


def read(path: Path) -> Instance:
    """The header of such a file, which ends with the last element."""
    instance = read_instance(str(path), Interner())
    assert instance.elements[-1].text == "LAST"
    return instance


def main() -> None:
    folder, size = Path(sys.argv[1]), int((sys.argv[2:] or [512 * MIB])[0])
    before = peak()
    for kind, make in HUGE.items():
        path = make(folder / "huge.dcm", size)
        read(path)
        print(f"{kind:40} {(peak() - before) / MIB:8.1f} MiB more at most")
        path.unlink()


def peak() -> int:
    """The most bytes of memory that this process held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
