"""A mutation fuzz of the import: `python -m tests.fuzz --files 5000`.

Real files are damaged (bytes flipped, cut, lengths that lie, deep nesting, deflate bombs) and
imported beside good ones. Every damaged file must end as an image, a skip or a failure with one
line, in at most 2 s each and with the whole process under 500 MB; every good file must come in.
"""

import argparse
import random
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dicom_graph.importing.foreground import run_import
from dicom_graph.importing.reader import FileReader
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import FileRecord, Mode, ReadFile
from dicom_graph.store.jobs.jobs import Failure, JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.support.data import file_bytes, nibabel_dicom_files, pydicom_files
from tests.support.make import deflated, make_series

MAX_SECONDS = 2.0
MAX_MEGABYTES = 500
_MAX_SEED_SIZE = 300_000


@dataclass
class Result:
    """What became of the damaged files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    too_slow: list[str] = field(default_factory=list)
    long_messages: list[str] = field(default_factory=list)
    good_files_lost: int = 0

    @property
    def peak_megabytes(self) -> float:
        """The most memory that the process has used so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def damaged_files(count: int, seed: int) -> Iterator[bytes]:
    """`count` damaged files, always the same for a seed."""
    rng = random.Random(seed)
    seeds = [
        raw
        for path in (*pydicom_files(), *nibabel_dicom_files())
        if len(raw := file_bytes(path)) <= _MAX_SEED_SIZE
    ]
    hostile = [nested(1000, defined=True), nested(1000, defined=False), deflate_bomb()]
    yield from hostile[:count]
    for _ in range(count - len(hostile)):
        raw = bytearray(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 2, 5, 30))):
            rng.choice((_flip, _cut, _lie, _insert, _swap_vr))(raw, rng)
        yield bytes(raw)


def nested(depth: int, *, defined: bool) -> bytes:
    """A file whose sequences are nested so deep, with lengths given or left undefined."""
    content = b""
    for _ in range(depth):
        if defined:
            item = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
            content = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, len(item)) + item
        else:
            item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + content
            item += struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
            content = struct.pack("<HH2sHL", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF) + item
    return _part10(b"1.2.840.10008.1.2.1\x00", content)


def deflate_bomb() -> bytes:
    """A small deflated file of 256 MiB of zeros."""
    return _part10(b"1.2.840.10008.1.2.1.99", deflated(b"", bytes(1 << 20), 256))


def run(count: int, seed: int, folder: Path) -> Result:
    """Read every damaged file alone, then import them all beside good ones."""
    result = Result()
    reader = FileReader(Mode.FULL)
    for number, raw in enumerate(damaged_files(count, seed)):
        path = folder / "damaged" / f"{number:06}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        _read(reader, path, result)
    good = make_series(folder / "good", 50)
    database = Database(f"sqlite:///{folder / 'fuzz.sqlite3'}")
    upgrade(database)
    run_import(database, JobRequest((str(folder / "damaged"),), Mode.FULL))
    request = JobRequest((str(folder),), Mode.FULL, "*.dcm", origin=JobOrigin.PYTHON)
    report = run_import(database, request)
    result.good_files_lost = len(good) - report.counts.created
    database.close_writer()
    return result


def _read(reader: FileReader, path: Path, result: Result) -> None:
    status = path.stat()
    record = FileRecord(str(path.parent), path.name, status.st_size, status.st_mtime_ns)
    started = time.perf_counter()
    outcome = reader.read(record)
    seconds = time.perf_counter() - started
    result.slowest = max(result.slowest, seconds)
    if seconds > MAX_SECONDS:
        result.too_slow.append(path.name)
    if isinstance(outcome, ReadFile):
        result.outcomes["image"] += 1
    elif isinstance(outcome, Failure):
        unexpected = "unexpected" in outcome.message
        result.outcomes["unexpected error" if unexpected else "failure"] += 1
        if unexpected:
            print(path.name, outcome.message)
        if "\n" in outcome.message or len(outcome.message) > 500:
            result.long_messages.append(outcome.message)
    else:
        result.outcomes["skipped"] += 1


def _part10(syntax: bytes, content: bytes) -> bytes:
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    group_length = struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(meta))
    uids = b"".join(
        struct.pack("<HH2sH", 8, number, b"UI", 6) + b"1.2.3\x00" for number in (0x16, 0x18)
    )
    plain = not syntax.endswith(b".99")
    return bytes(128) + b"DICM" + group_length + meta + (uids if plain else b"") + content


def _flip(raw: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 3, 20))):
        raw[_place(raw, rng)] ^= 1 << rng.randrange(8)


def _cut(raw: bytearray, rng: random.Random) -> None:
    del raw[max(_place(raw, rng), 140) :]


def _lie(raw: bytearray, rng: random.Random) -> None:
    place = _place(raw, rng)
    size = rng.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, rng.randrange(1 << 20)))
    raw[place : place + 4] = struct.pack("<L", size)


def _insert(raw: bytearray, rng: random.Random) -> None:
    place = _place(raw, rng)
    raw[place:place] = rng.randbytes(rng.randrange(1, 64))


def _swap_vr(raw: bytearray, rng: random.Random) -> None:
    vrs = (b"SQ", b"UN", b"OB", b"DS", b"IS", b"PN", b"US", b"ZZ", b"\x00\x00", b"A\x00", b"UT")
    place = _place(raw, rng)
    raw[place : place + 2] = rng.choice(vrs)


def _place(raw: bytearray, rng: random.Random) -> int:
    """Rather in the header than in the pixels."""
    end = min(len(raw), rng.choice((600, 2000, 10_000, len(raw))))
    return rng.randrange(min(132, end - 1), end) if end > 1 else 0


def main() -> None:
    """Run, print, and exit 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(arguments.files, arguments.seed, Path(folder))
    print(f"{arguments.files} damaged files, seed {arguments.seed}: {dict(result.outcomes)}")
    print(f"slowest {result.slowest:.2f} s, peak memory {result.peak_megabytes:.0f} MB")
    print(f"good files lost: {result.good_files_lost}")
    broken = result.too_slow or result.good_files_lost or result.outcomes["unexpected error"]
    sys.exit(1 if broken or result.peak_megabytes > MAX_MEGABYTES else 0)


if __name__ == "__main__":
    main()
