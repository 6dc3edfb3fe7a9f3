"""Files of another patient, or from outside, in the place of an image's own."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from tests.attacks.registry import Attack
from tests.faults.ground import Ground, wait
from tests.same_uids import Check, Example, Site, Spec, Whose, run, site_at
from tests.support.make import make_series

_OWN = Spec(0, 0, Whose(0, 0), 0, False)
_OTHER = Spec(0, 1, Whose(1, 0), 0, False)
"""Another patient's of the same SOPInstanceUID."""
_THIRD = Spec(0, 0, Whose(2, 0), 0, False)
"""Of the same series as well."""


def _gone(own: Path, other: Path) -> None:
    own.unlink()


def _linked(own: Path, other: Path) -> None:
    own.unlink()
    own.symlink_to(other)


def _hard_linked(own: Path, other: Path) -> None:
    own.unlink()
    os.link(other, own)


def _renamed(own: Path, other: Path) -> None:
    other.rename(own)


def _in_disguise(own: Path, other: Path) -> None:
    """With the size and the times of the own one."""
    status = own.stat()
    content = other.read_bytes()[: status.st_size]
    own.write_bytes(content.ljust(status.st_size, b"\0"))
    os.utime(own, ns=(status.st_atime_ns, status.st_mtime_ns))


def _folder_linked(own: Path, other: Path) -> None:
    shutil.rmtree(own.parent)
    own.parent.symlink_to(other.parent)
    (other.parent / own.name).symlink_to(other)


SWAPS = (_gone, _linked, _hard_linked, _renamed, _in_disguise, _folder_linked)


def other_files(ground: Ground) -> str:
    """Each in turn, beside two other files: nobody is given, or shown, what is another's."""
    folder = ground.folder / "site"
    folder.mkdir()
    n_refused = 0
    with ground.database() as url, site_at(url, folder) as site:
        for swap in SWAPS:
            example = Example(site, [_OWN, _OTHER, _THIRD])
            for path in example.paths:
                example.run_import([path])
            Check(example).run()
            uid = f"{example.name}1.0"
            assert site.get("whole", f"/images/{uid}.dcm") is not None
            swap(*example.paths[:2])
            Check(example).run()
            for path in (".dcm", ".npy", "/preview.png", "/frames/1.png"):
                assert site.get("whole", f"/images/{uid}{path}") is None, (swap, path)
                n_refused += 1
    return f"{len(SWAPS)} ways to put a file in the place of another: {n_refused} refused"


def _outside(site: Site, name: str) -> Path:
    return make_series(site.folder / "outside" / name, 1, PatientID="secret")[0]


def out_of_roots(ground: Ground) -> str:
    """Files and folders become links to what lies outside, after an import and during one."""
    folder = ground.folder / "site"
    folder.mkdir()
    with ground.database() as url, site_at(url, folder) as site:
        for name, swap in LINKS.items():
            example = Example(site, [_OWN])
            example.run_import([example.root])
            outside = _outside(site, name)
            status = example.paths[0].stat()
            outside.write_bytes(example.paths[0].read_bytes())
            os.utime(outside, ns=(status.st_atime_ns, status.st_mtime_ns))
            swap(example.paths[0], outside)
            for path in (".dcm", ".npy", "/preview.png"):
                assert site.get("whole", f"/images/{example.name}1.0{path}") is None, (name, path)
        _race(site)
    return f"{len(LINKS)} kinds of links out of the roots, and a race: nothing is given of them"


def _chained(own: Path, outside: Path) -> None:
    own.unlink()
    (own.parent / "link").symlink_to(outside)
    own.symlink_to("link")


def _relative(own: Path, outside: Path) -> None:
    own.unlink()
    own.symlink_to(os.path.relpath(outside, own.parent))


def _relative_folder(own: Path, outside: Path) -> None:
    shutil.rmtree(own.parent)
    own.parent.symlink_to(os.path.relpath(outside.parent, own.parent.parent))
    (outside.parent / own.name).symlink_to(outside)


LINKS: dict[str, Callable[[Path, Path], None]] = {
    "file": _linked, "folder": _folder_linked, "chain": _chained, "relative": _relative,
    "relative folder": _relative_folder,
}  # fmt: skip


def _race(site: Site) -> None:
    """A folder and a link to one outside change places as fast as they can, through ten imports."""
    outside, inside = site.folder / "outside" / "race", site.folder / "root" / "race"
    make_series(outside, 20, PatientID="secret")
    make_series(inside / "kept", 20, PatientID="mine")
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            for target in ("kept", os.path.relpath(outside, inside)):
                (inside / "made").symlink_to(target)
                (inside / "made").replace(inside / "swapped")

    (inside / "swapped").symlink_to("kept")
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(10):
            _import(site, inside)
    finally:
        ended.set()
        thread.join()
    query = '{ patients(filter: { uid: { in: ["secret", "mine"] } }) { nodes { uid } } }'
    assert site.ask("whole", query)["patients"]["nodes"] == [{"uid": "mine"}]


def _import(site: Site, path: Path) -> None:
    begin = """mutation ($path: String!) { importPath(input: { path: $path, mode: FULL }) {
      job { id } errors { message } } }"""
    job = site.ask("whole", begin, path=str(path))["importPath"]["job"]["id"]
    status = "query ($id: ID!) { importJob(id: $id) { status } }"
    wait(lambda: site.ask("whole", status, id=job)["importJob"]["status"] == "COMPLETED", 60)


def at_random(ground: Ground) -> str:
    """Archives drawn at random: see `tests.same_uids`."""
    folder = ground.folder / "site"
    folder.mkdir()
    n_examples = ground.clients
    with ground.database() as url, site_at(url, folder) as site:
        run(site, n_examples)
        return f"{n_examples} archives, {site.n_answers} answers, each of the right patient alone"


ATTACKS: dict[str, Attack] = {
    "other-files": other_files, "out-of-roots": out_of_roots, "contradicting-files": at_random,
}  # fmt: skip
