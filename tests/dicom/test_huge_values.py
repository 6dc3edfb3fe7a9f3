"""An element larger than memory should be is read in little memory, whatever its encoding."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from dicom_graph.dicom.elements.contents import (
    LONGEST_HELD,
    Element,
    make_element,
    make_streamed_element,
)
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.errors import UnreadableFileError
from dicom_graph.dicom.files.bulk_data import read_bulk_value
from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.dicom.parsing import data_set_walk
from dicom_graph.dicom.parsing.byte_source import skip
from dicom_graph.dicom.parsing.file_data_set import open_data_set
from tests.dicom import huge
from tests.dicom.raw_files import BIG, EXPLICIT, IMPLICIT, SYNTAXES, UNDEFINED, Encoding, write
from tests.support.samples import mostly_slow

_SIZE = 96 << 20
_MORE = 60 << 20


def bulk_value_of(path: Path, tag: int, digest: bytes) -> bytes:
    with path.open("rb") as file:
        return read_bulk_value(file, tag, digest)


@pytest.mark.slow
def test_a_huge_element_takes_little_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.dicom.huge", str(tmp_path), str(_SIZE)]
    said = subprocess.run(command, capture_output=True, check=True, text=True, cwd=_checkout())
    # Each line has the most since the start.
    grown = [float(line.split()[-5]) for line in said.stdout.splitlines()]
    assert len(grown) == len(huge.HUGE)
    assert max(grown) * huge.MIB < _MORE, said.stdout


def _checkout() -> Path:
    return Path(__file__).resolve().parents[2]


def first_of(path: Path, tag: int) -> Element:
    """The element of a tag, at any depth."""
    elements = list(read_instance(str(path), Interner()).elements)
    while elements:
        element = elements.pop()
        if element.tag == tag:
            return element
        elements += [inner for item in element.items or () for inner in item]
    raise AssertionError(f"{tag:08X} is not there")


def content_of(size: int) -> bytes:
    """Bytes of which no two pieces are alike."""
    return np.arange(size // 4, dtype="<u4").tobytes()


@pytest.mark.parametrize("name", SYNTAXES)
@pytest.mark.parametrize("where", ["top", "item", "fragments"])
def test_a_long_value_has_its_digest_and_is_found_again(
    tmp_path: Path, name: str, where: str
) -> None:
    encoding, raw, tag = Encoding(SYNTAXES[name]), content_of(5 << 20), 0x00420011
    if where == "fragments":
        pieces = encoding.item(b"") + encoding.item(raw)
        element = encoding.head(tag, "OB", UNDEFINED) + pieces + encoding.sequence_end
        raw = pieces
    else:
        element = encoding.element(tag, "OB", raw)
    if where == "item":
        item = encoding.item(element, undefined=True)
        element = encoding.head(0x00081140, "SQ", UNDEFINED) + item + encoding.sequence_end
    path = write(tmp_path / "file.dcm", encoding.syntax, encoding.identity() + element)
    found = first_of(path, tag)
    assert (found.length, found.sha256) == (len(raw), sha256(raw).digest())
    assert bulk_value_of(path, tag, sha256(raw).digest()) == raw
    with pytest.raises(UnreadableFileError, match="no longer holds"):
        bulk_value_of(path, tag, sha256(b"other").digest())


@pytest.mark.parametrize(
    ("vr", "size"), mostly_slow([("OW", 2), ("OL", 4), ("OD", 8), ("OB", 1)], 4)
)
def test_long_values_of_a_big_endian_file_are_little_endian(
    tmp_path: Path, vr: str, size: int
) -> None:
    little = content_of((5 << 20) + 8)
    big = b"".join(little[i : i + size][::-1] for i in range(0, len(little), size))
    paths = [
        write(
            tmp_path / f"{encoding.order == '>'}.dcm",
            encoding.syntax,
            encoding.identity() + encoding.element(0x00660129, vr, raw),
        )
        for encoding, raw in ((EXPLICIT, little), (BIG, big))
    ]
    first, second = (first_of(path, 0x00660129) for path in paths)
    assert first.digest == second.digest
    assert first.sha256 == second.sha256 == sha256(little).digest()
    assert bulk_value_of(paths[1], 0x00660129, sha256(little).digest()) == little


TEXTS = {
    # More values than are stored one by one, and so long a text that none is.
    "numbers": ("DS", 0x30060050, b"-1.5\\", 1_200_000, 100_000, 1_200_000),
    "codes": ("CS", 0x00080008, b"A" * 99 + b"\\", 60_000, None, 60_000),
    "one text": ("UT", 0x0040A160, b"word ", 1_000_000, 0, 1),
    "one long value": ("UC", 0x00080119, b"word ", 1_000_000, 0, 1),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_long_text_says_what_is_not_stored(tmp_path: Path, kind: str) -> None:
    vr, tag, piece, count, stored, vm = TEXTS[kind]
    raw = piece * count
    raw = raw[:-1] + b" " if piece.endswith(b"\\") else raw
    element = IMPLICIT.element(tag, vr, raw + b" " * (len(raw) % 2))
    path = write(tmp_path / "file.dcm", IMPLICIT.syntax, IMPLICIT.identity() + element)
    found = first_of(path, tag)
    assert (found.vm, found.length) == (vm, len(raw) + len(raw) % 2)
    assert found.sha256 is not None
    assert found.packed is None
    if stored is not None:
        assert len(found.values) == stored
    assert len(found.values) <= 100_000
    assert "only" in (found.warning or "")
    assert all(value.text == piece.decode()[:-1] for value in found.values)


@pytest.mark.parametrize(
    "vr",
    [
        "UT",
        "OB",
        "UN",
        *(pytest.param(vr, marks=pytest.mark.slow) for vr in ("FL", "UL", "AT", "LO")),
    ],
)
def test_an_element_is_the_same_in_pieces_and_at_once(vr: str) -> None:
    content = content_of(5 << 20)
    texts = {"UT": "ä".encode() * (3 << 20), "LO": b"value\\" * (1 << 20), "UL": content[:-1]}
    raw = texts.get(vr, content)
    whole = make_element(0x00091001, "ACME", vr, raw, ["UTF8"], True)
    sizes = [1, 7, 65_536, LONGEST_HELD, len(raw)]
    for size in sizes[2:]:
        chunks = [raw[i : i + size] for i in range(0, len(raw), size)]
        pieces = make_streamed_element(0x00091001, "ACME", vr, chunks, ["UTF8"], True)
        assert pieces.digest == whole.digest
        assert (pieces.values, pieces.vm, pieces.warning) == (
            whole.values, whole.vm, whole.warning,
        )  # fmt: skip


@pytest.mark.parametrize("name", ["explicit", "implicit", "deflated"])
def test_a_length_that_lies_costs_nothing(tmp_path: Path, name: str) -> None:
    encoding = Encoding(SYNTAXES[name])
    data_set = encoding.identity() + encoding.head(0x00420011, "OB", 0xFFFFFFFE) + b"few"
    path = write(tmp_path / "file.dcm", encoding.syntax, data_set)
    before = huge.peak()
    with pytest.raises(UnreadableFileError, match="EncapsulatedDocument"):
        read_instance(str(path), Interner())
    assert huge.peak() - before < 16 << 20


def test_a_header_of_too_many_elements_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_set_walk, "MAX_HELD", 1 << 20)
    items = IMPLICIT.item(b"") * 3000
    for tag in (0x00081140, 0x0040A730):
        data_set = IMPLICIT.identity() + IMPLICIT.element(tag, "SQ", items)
        path = write(tmp_path / "few.dcm", IMPLICIT.syntax, data_set.replace(items, items[:800]))
        data_set = IMPLICIT.identity() + IMPLICIT.element(tag, "SQ", items * 5)
        path = write(tmp_path / "many.dcm", IMPLICIT.syntax, data_set)
        with pytest.raises(UnreadableFileError, match="takes more than 1 MiB"):
            read_instance(str(path), Interner())


def test_a_data_set_that_inflates_too_far_is_refused(tmp_path: Path) -> None:
    encoding = Encoding(SYNTAXES["deflated"])
    data_set = encoding.identity() + encoding.element(0x00420011, "OB", bytes(3 << 20))
    path = write(tmp_path / "file.dcm", encoding.syntax, data_set)
    assert path.stat().st_size < 10_000
    assert first_of(path, 0x00420011).length == 3 << 20
    with path.open("rb") as file:
        source = open_data_set(file.fileno(), max_inflated=1 << 20).source
        with pytest.raises(UnreadableFileError, match="exceeds 1 MiB"):
            skip(source, 3 << 20)
