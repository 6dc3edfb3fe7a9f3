"""A tree of DICOM files of any size, multiplied from real ones.

Each copy of the tree is of a new patient, with new UIDs, dates and times; what refers to each other
still does. In a file, the fractions of numbers that vary within its series (positions, locations)
are new with each copy, other short values that vary are drawn from those of the series, and long
binary ones (histograms, CSA headers) have some of their bytes exchanged, so that each is in one
file only. A new value takes the bytes of the old one: all lengths stay, and so do the pixel data.
"""

import os
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError

_LONG = 1000
_EXCHANGED = 80
_VARIED = frozenset({"DS", "FL", "SS", "US", "OB"})
_PATIENT_ID = 0x00100020
_OF_THE_STANDARD = b"1.2.840.10008."
_FRACTION = re.compile(rb"(?<=\.)\d+")
_CSA = b"SV10"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies in a file."""

    tag: int
    vr: str
    start: int
    raw: bytes


@dataclass(slots=True)
class Original:
    """A real file: `named` says who and when, `varying` differs from others of its series."""

    path: str
    content: bytes
    series: str
    places: list[Place]
    named: list[Place] = field(default_factory=list)
    varying: list[Place] = field(default_factory=list)


def multiply(source: Path, target: Path, count: int, seed: int = 1) -> None:
    """Write `count` files below `target`, from the `*.dcm` below `source`.

    These must be explicit little endian. Ends the program, in one line, where there are none, or
    where one is something else.
    """
    originals = list(_read(source))
    if not originals:
        sys.exit(f"no *.dcm files in {source}")
    pools = _pools(originals)
    rng = random.Random(seed)
    made = copy = 0
    while made < count:
        for original in originals[: count - made]:
            path = target / f"{copy:05}" / original.path
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True)
            path.write_bytes(_changed(original, copy, pools, rng))
        made += len(originals)
        copy += 1


def _read(source: Path) -> Iterator[Original]:
    for path in sorted(source.rglob("*.dcm")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        data_set = _data_set(path)
        places = [
            Place(int(e.tag), str(e.VR), e.value_tell, e.value)
            for e in map(data_set.get_item, list(data_set.keys()))
            if isinstance(e, RawDataElement) and e.value
        ]
        series = str(data_set.SeriesInstanceUID)
        yield Original(os.path.relpath(path, source), content, series, places)


def _data_set(path: Path) -> pydicom.FileDataset:
    """Ends the program where a file is none whose bytes can be exchanged in their places."""
    why = "it is not in Explicit VR Little Endian, not deflated"
    try:
        data_set = pydicom.dcmread(path, stop_before_pixels=True)
        syntax = data_set.file_meta.TransferSyntaxUID
        if not (syntax.is_implicit_VR or syntax.is_deflated) and syntax.is_little_endian:
            if "SeriesInstanceUID" in data_set:
                return data_set
            why = "it has no SeriesInstanceUID"
    except InvalidDicomError:
        why = "it is no DICOM file with a preamble and file meta information (PS3.10 7.1)"
    except Exception as error:  # pydicom has many for a broken file.
        why = str(error) or type(error).__name__
    sys.exit(f"{path} cannot be multiplied: {why}")


Pools = dict[tuple[str, int], list[bytes]]


def _pools(originals: Sequence[Original]) -> Pools:
    """The values of each series by tag; sorts out what has to change in each file."""
    found: dict[tuple[str, int], set[bytes]] = defaultdict(set)
    for original in originals:
        for place in original.places:
            found[original.series, place.tag].add(place.raw)
    for original in originals:
        original.named = list(_named(original))
        starts = {place.start for place in original.named}
        original.varying = [
            place
            for place in original.places
            if place.vr in _VARIED
            and place.start not in starts
            and len(found[original.series, place.tag]) > 1
        ]
    return {key: sorted(values) for key, values in found.items()}


def _named(original: Original) -> Iterator[Place]:
    """UIDs, dates, times and names wherever they lie, in sequences and the file meta too."""
    for place in original.places:
        if place.tag == _PATIENT_ID:
            yield place
    pattern = rb"(UI|DA|TM|PN)([\x02-\x40])\0"
    end = original.content.rfind(b"\xe0\x7f\x10\x00")
    for match in re.finditer(pattern, original.content[:end]):
        start = match.end()
        raw = original.content[start : start + match[2][0]]
        if re.fullmatch(rb"[\d.]+[ \0]?| *[\w^]+ *", raw) and not raw.startswith(_OF_THE_STANDARD):
            yield Place(0, match[1].decode(), start, raw)


def _changed(original: Original, copy: int, pools: Pools, rng: random.Random) -> bytes:
    content = bytearray(original.content)
    for place in original.named:
        content[place.start : place.start + len(place.raw)] = _renamed(place.vr, place.raw, copy)
    for place in original.varying:
        pool = pools[original.series, place.tag]
        content[place.start : place.start + len(place.raw)] = _varied(place, copy, pool, rng)
    return bytes(content)


@lru_cache(10_000)
def _digits(copy: int, raw: bytes) -> str:
    return str(int.from_bytes(blake2b(b"%d %s" % (copy, raw)).digest(), "big"))


@lru_cache(10_000)
def _renamed(vr: str, raw: bytes, copy: int) -> bytes:
    """The same for equal values of a copy, so that what refers to each other still does."""
    digits = _digits(copy, raw)
    if vr == "DA":
        return b"%04d%02d%02d" % (2000 + copy % 25, 1 + copy % 12, 1 + copy // 25 % 28)
    if vr == "TM":
        return b"%02d%02d" % (int(digits[:6]) % 24, int(digits[6:12]) % 60) + raw[4:]
    if vr == "UI":
        kept = max(len(raw) - 24, 16)
        tail = zip(raw[kept:], digits, strict=False)
        return raw[:kept] + bytes(old if old < 0x31 else 0x31 + int(new) % 9 for old, new in tail)
    if vr == "PN":
        number = b"%d " % copy
        return raw[: -len(number)] + number
    return b"%0*d" % (len(raw), copy)


def _varied(place: Place, copy: int, pool: Sequence[bytes], rng: random.Random) -> bytes:
    raw = place.raw
    if len(raw) > _LONG:
        return _exchanged(raw, rng)
    if place.vr == "DS" and b"." in raw:
        digits = _digits(copy, raw).encode()
        return _FRACTION.sub(lambda match: digits[: len(match[0])], raw)
    if place.vr == "FL" and any(raw[:2]):
        return bytes([raw[0] ^ copy & 0xFF, raw[1] ^ copy >> 8, *raw[2:]])
    if place.vr in ("DS", "SS", "US"):
        value = rng.choice(pool)
        return value if len(value) == len(raw) else raw
    return raw


def _exchanged(raw: bytes, rng: random.Random) -> bytes:
    """Some bytes in each other's places: digits in a CSA header, any but zeros elsewhere."""
    content = bytearray(raw)
    kind = b"0123456789" if raw.startswith(_CSA) else bytes(range(1, 256))
    places = rng.choices(range(len(raw)), k=_EXCHANGED)
    for one, other in zip(places[::2], places[1::2], strict=True):
        if content[one] in kind and content[other] in kind:
            content[one], content[other] = content[other], content[one]
    return bytes(content)
