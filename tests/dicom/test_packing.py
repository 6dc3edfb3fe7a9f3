"""Binary values keep their bytes through packing."""

import zlib

from hypothesis import example, given
from hypothesis import strategies as st

from dicom_graph.dicom.elements.packing import pack, unpack

SMALL_INTEGERS = st.lists(st.integers(0, 255), min_size=64, max_size=2000).map(
    lambda numbers: b"".join(number.to_bytes(2, "little") for number in numbers)
)
REPEATED = st.builds(lambda piece, times: piece * times, st.binary(max_size=9), st.integers(0, 500))


@given(st.one_of(st.binary(max_size=2000), SMALL_INTEGERS, REPEATED))
@example(b"")
@example(b"\x00" * 127)
@example(b"\x00" * 128)
@example(b"\x01\x00" * 300 + b"\x01")
@example(b"\x00\x01" * 300 + b"\x00")
def test_unpacking_gives_the_bytes_back(raw: bytes) -> None:
    packed = pack(raw)
    assert unpack(packed, len(raw)) == raw
    assert len(packed) <= len(raw)


def test_incompressible_bytes_that_look_packed_come_back() -> None:
    # Deflate's output is not deflated further: this raw begins as a packed value would.
    noise = bytes(range(256)) * 40
    raw = b"\x00" + zlib.compress(noise, 9)[2:-4]
    assert unpack(pack(raw), len(raw)) == raw


def test_what_repeats_becomes_shorter() -> None:
    assert len(pack(b"protocol text " * 500)) < 200


def test_a_histogram_takes_less_than_plain_deflate() -> None:
    counts = b"".join((i * i % 251).to_bytes(2, "little") for i in range(2000))
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    plain = packer.compress(counts) + packer.flush()
    assert len(pack(counts)) < len(plain)
    assert unpack(pack(counts), len(counts)) == counts
