"""One element larger than memory should be, in a file that is read by who imports (PS3.5 7.1)."""

import gzip
from contextlib import suppress
from pathlib import Path

from tests.dicom.huge import HUGE, MIB
from tests.dicom.raw_files import EXPLICIT, SYNTAXES, meta
from tests.faults.ground import Ground, Served, wait
from tests.support.make import deflated, make_file

KINDS = (
    "implicit, text", "implicit, in an item", "explicit, text", "explicit, fragments",
    "big endian, words", "deflated, bytes",
)  # fmt: skip
_SIZE = 160 * MIB
_GROWTH = 120 * MIB
_BOMB_GROWTH = 256 * MIB
"""A deflated data set may be held in memory up to 128 MiB, and what is made of it."""
_DEFLATED = SYNTAXES["deflated"]


def _peak(served: Served, job: str) -> int:
    """The most bytes that the server and its processes hold until an import ends."""
    peak = 0

    def has_ended() -> bool:
        nonlocal peak
        with suppress(Exception):
            peak = max(peak, served.resident_bytes())
        return served.job(job)["status"] not in ("PENDING", "RUNNING")

    wait(has_ended, 300)
    return peak


def huge_elements(ground: Ground) -> str:
    """Files of one huge element each are imported, one after the other, in little memory."""
    tree = ground.folder / "tree"
    tree.mkdir()
    for number, kind in enumerate(KINDS):
        HUGE[kind](tree / f"{number}.dcm", _SIZE)
    with ground.database() as url, ground.process(url, import_processes=1) as served:
        small = ground.folder / "small"
        small.mkdir()
        HUGE["explicit, bytes"](small / "small.dcm", 2 * MIB)
        _peak(served, served.begin_import(small))
        before = served.resident_bytes()
        job = served.begin_import(tree)
        peak = _peak(served, job)
        done = served.job(job)
        assert (done["created"], done["failed"]) == (len(KINDS), 0), done
        assert peak - before < _GROWTH, f"{(peak - before) / MIB:.0f} MiB more"
        grown = max(peak - before, 0) // MIB
    return f"{len(KINDS)} elements of {_SIZE // MIB} MiB imported in {grown} MiB more memory"


def deflate_bombs(ground: Ground) -> str:
    """Some kilobytes that inflate to gigabytes are refused, or read in little memory."""
    tree = ground.folder / "bombs"
    tree.mkdir()
    zeros = bytes(MIB)
    bombs = {
        "length": EXPLICIT.identity() + EXPLICIT.head(0x00420011, "OB", 0xFFFFFFFE),
        "zeros": EXPLICIT.identity(),
        "items": EXPLICIT.identity() + EXPLICIT.head(0x00081140, "SQ", 0xFFFFFFFF),
        "elements": EXPLICIT.identity() + EXPLICIT.head(0x00420011, "OB", 0xFFFFFFFF),
    }
    for name, beginning in bombs.items():
        _write_bomb(tree / f"{name}.dcm", beginning, zeros if name != "items" else _items())
    with ground.database() as url, ground.process(url, import_processes=1) as served:
        before = served.resident_bytes()
        job = served.begin_import(tree)
        peak = _peak(served, job)
        done = served.job(job)
        assert done["status"] == "COMPLETED", done
        assert served.is_ready()
        assert peak - before < _BOMB_GROWTH, f"{(peak - before) / MIB:.0f} MiB more"
        grown = max(peak - before, 0) // MIB
    return f"{done['failed']} of {len(bombs)} bombs refused, in {grown} MiB more memory"


def gzip_bombs(ground: Ground) -> str:
    """Files that gzip compressed (RFC 1952), to fill the disk or the time of who unpacks them."""
    tree = ground.folder / "bombs"
    tree.mkdir()
    original = make_file(ground.folder / "original.dcm").read_bytes()
    packed, nothing = gzip.compress(original), gzip.compress(b"")
    bombs = {
        "zeros": packed + gzip.compress(bytes(16 * MIB)) * 40, "cut": packed[:-9],
        "members": nothing * 50_000 + packed, "nested": gzip.compress(packed * 2),
        "name": packed[:3] + b"\x08" + packed[4:10] + b"a" * MIB, "check": packed[:-8] + bytes(8),
    }  # fmt: skip
    for name, content in bombs.items():
        (tree / f"{name}.dcm.gz").write_bytes(content)
    with ground.database() as url, ground.process(url, import_processes=1) as served:
        before = served.resident_bytes()
        job = served.begin_import(tree)
        peak = _peak(served, job)
        done = served.job(job)
        assert (done["status"], done["created"]) == ("COMPLETED", 0), done
        assert served.is_ready()
        assert peak - before < _GROWTH, f"{(peak - before) / MIB:.0f} MiB more"
    return f"none of {len(bombs)} bombs is taken, {done['failed']} are told as failed"


def _items() -> bytes:
    """Empty items, as many as go into a mebibyte."""
    return EXPLICIT.item(b"") * (MIB // 8)


def _write_bomb(path: Path, beginning: bytes, repeated: bytes, times: int = 256) -> None:
    path.write_bytes(meta(_DEFLATED) + deflated(beginning, repeated, times))


ATTACKS = {
    "huge-elements": huge_elements, "deflate-bombs": deflate_bombs, "gzip-bombs": gzip_bombs,
}  # fmt: skip
