"""Decoders that one file blinds: pixels that ask for memory, or for what is not theirs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import psutil
from pydicom import dcmread

from tests.dicom.hostile import AGREES, DIFFERS, Make
from tests.faults.ground import Ground, import_here
from tests.support.slices import make_image

HEALTHY = 30
LIMIT = 512 << 20
"""Of a decoder's process, by the settings of these attacks."""
REFUSED = {"CORRUPT_PIXELS", "TOO_LARGE", "NO_VOLUME", "TOO_SLOW", "DECODER_CRASHED"}
STATISTICS = "query ($uid: String!) { imageByUid(uid: $uid) { pixels { mean } } }"


class Watch:
    """The most memory that a decoder of this process took, and which decoders there were."""

    def __init__(self) -> None:
        self.most = 0
        self.pids: set[int] = set()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ends.wait(0.02):
            for process in decoders():
                with suppress(psutil.Error):
                    self.most = max(self.most, process.memory_info().rss)
                    self.pids.add(process.pid)


def decoders() -> Iterator[psutil.Process]:
    """The processes that decode for the servers of this process."""
    for parent in psutil.Process().children():
        with suppress(psutil.Error):
            for child in parent.children():
                if any("forkserver" in word for word in child.cmdline()):
                    yield child


@contextmanager
def archive(
    ground: Ground, kinds: dict[str, Make]
) -> Iterator[tuple[httpx.Client, dict[str, Path]]]:
    """A client of a server with one decoder, and the hostile files among healthy ones, by name."""
    tree = ground.folder / "tree"
    files = {}
    for name, make in kinds.items():
        files[name] = make(tree / f"{name}.dcm")
    for number in range(HEALTHY):
        values = np.random.default_rng(number).integers(0, 4000, (64, 64)).astype(np.uint16)
        make_image(tree / f"healthy-{number}.dcm", values)
    settings = {"max_decodes": 1, "max_decoded_megabytes": LIMIT >> 20, "decode_timeout": 20}
    with ground.database() as url, ground.server(url, **settings) as served:
        import_here(url, tree)
        with httpx.Client(base_url=served.url, timeout=60) as client:
            yield client, files


def uid_of(path: Path, keyword: str = "SOPInstanceUID") -> str:
    return str(dcmread(path, stop_before_pixels=True)[keyword].value)


def pictures(ground: Ground, client: httpx.Client) -> list[bytes]:
    """Of all healthy images; each must come."""
    found = []
    for number in range(HEALTHY):
        uid = uid_of(ground.folder / "tree" / f"healthy-{number}.dcm")
        answer = client.get(f"/images/{uid}/preview.png")
        assert answer.status_code == 200, (number, answer.text)
        found.append(answer.content)
    return found


def refuse(client: httpx.Client, name: str, path: Path) -> str:
    """Ask for all that is made of an image; the code of the refusal."""
    uid = uid_of(path)
    codes = set()
    for address in (f"/images/{uid}/preview.png", f"/images/{uid}.npy"):
        answer = client.get(address)
        assert answer.status_code in (413, 422, 503, 500), (name, answer.status_code)
        assert len(answer.content) < 2000, (name, len(answer.content))
        codes.add(answer.json()["errors"][0]["code"])
    body = {"query": STATISTICS, "variables": {"uid": uid}}
    codes.add(client.post("/graphql", json=body).json()["errors"][0]["extensions"]["code"])
    assert codes <= REFUSED, (name, codes)
    series = uid_of(path, "SeriesInstanceUID")
    answer = client.get(f"/series/{series}/preview.png")
    assert answer.status_code != 200, name
    return ", ".join(sorted(codes))


def sizes_that_differ(ground: Ground) -> str:
    """The codestream claims far more than the header: no decoder sees it."""
    with archive(ground, DIFFERS) as (client, files):
        before = pictures(ground, client)
        with Watch() as watch:
            began = time.monotonic()
            for name, path in files.items():
                assert refuse(client, name, path) == "CORRUPT_PIXELS", name
            took = time.monotonic() - began
            assert pictures(ground, client) == before
    assert len(watch.pids) == 1, "a decoder was lost"
    assert watch.most < LIMIT, watch.most
    return (
        f"{len(files)} files refused in {took:.1f} s by one decoder of at most "
        f"{watch.most >> 20} MB; {HEALTHY} of {HEALTHY} healthy pictures after them"
    )


def sizes_that_are_not_there(ground: Ground) -> str:
    """Header and codestream agree on a size that the file does not hold."""
    with archive(ground, AGREES) as (client, files):
        before = pictures(ground, client)
        with Watch() as watch:
            seen = {name: refuse(client, name, path) for name, path in files.items()}
            assert pictures(ground, client) == before
    # A worker has at least room for what it needs in any case.
    assert watch.most < 2 * LIMIT, watch.most
    told = ", ".join(sorted({code for codes in seen.values() for code in codes.split(", ")}))
    return (
        f"{len(files)} files: {told}; at most {watch.most >> 20} MB; "
        f"{HEALTHY} of {HEALTHY} healthy pictures after them"
    )


ATTACKS = {"decoder-sizes": sizes_that_differ, "decoder-claims": sizes_that_are_not_there}
