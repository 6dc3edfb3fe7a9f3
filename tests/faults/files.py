"""Files that are gone, a storage root without room, decoders that die."""

import os
import tempfile
import threading
import time
import zipfile
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import psutil
from pydicom import dcmread

from dicom_graph.importing.work_folder import WORK_FOLDER
from tests.faults.databases import fill, small_disk
from tests.faults.ground import COUNT, Ground, Served, import_here, wait
from tests.support.make import make_series
from tests.support.slices import make_image

PIXELS = "query ($uid: String!) { imageByUid(uid: $uid) { pixels { mean } } }"


def make_picture(path: Path, size: int = 64, **elements: object) -> str:
    """Write an image of so many rows and columns; returns its UID."""
    pixels = np.random.default_rng(1).integers(0, 4000, (size, size)).astype(np.uint16)
    make_image(path, pixels, **elements)
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def file_gone(ground: Ground) -> str:
    """The file of an image is deleted: what needs it says so, all else is answered."""
    path = ground.folder / "tree" / "image.dcm"
    uid = make_picture(path)
    with ground.database() as url, ground.server(url) as served:
        import_here(url, path)
        series = dcmread(path, stop_before_pixels=True).SeriesInstanceUID
        assert served.get(f"/images/{uid}.dcm").content == path.read_bytes()
        path.unlink()
        for address in (f"/images/{uid}.dcm", f"/images/{uid}.npy", f"/images/{uid}/preview.png"):
            answer = served.get(address)
            assert answer.status_code == 410, (address, answer.status_code)
            assert answer.json()["errors"][0]["code"] == "FILE_GONE"
            assert "import or sync again" in answer.json()["errors"][0]["message"]
        assert served.code(PIXELS, uid=uid) == "FILE_GONE"
        with zipfile.ZipFile(BytesIO(served.get(f"/series/{series}.zip").content)) as archive:
            assert archive.namelist() == ["MISSING.txt"]
        assert served.get(f"/images/{uid}/header.json").status_code == 200
        assert served.data(COUNT)["images"]["totalCount"] == 1
    return "410 and FILE_GONE, a zip lists what is missing, the header is there"


def storage_full(ground: Ground) -> str:
    """The storage root has no room: an import that copies, and an upload, say so."""
    tree = ground.folder / "tree"
    make_series(tree, 40, PixelData=b"\1" * 100_000, BitsAllocated=8)
    whole = {path.read_bytes() for path in tree.iterdir()}
    with (
        small_disk(ground.folder / "disk", 2) as disk,
        ground.database() as url,
        ground.server(url, storage_root=disk) as served,
    ):
        job = served.begin_import(tree, storage="COPY")
        wait(lambda: served.job(job)["status"] == "FAILED", 60)
        found = served.job(job)
        assert "No space left" in found["error"], found
        kept = stored(disk)
        assert set(kept) <= whole, "a file is half-written"
        assert len(kept) == found["created"] == served.data(COUNT)["images"]["totalCount"] < 40
        assert {path.read_bytes() for path in tree.iterdir()} == whole
        fill(disk)
        content = {"content-type": "application/octet-stream"}
        body = max(whole)
        answer = httpx.post(f"{served.url}/upload", content=body, headers=content, timeout=60)
        assert answer.status_code == 507, answer.text
        assert "No space left" in answer.json()["errors"][0]["message"]
        wait(lambda: len(stored(disk)) == len(kept), 10)
    return f"told after {len(kept)} of 40 files, all whole; an upload gets 507"


def temporary_full(ground: Ground) -> str:
    """No room for the temporary file of an array: the request is told, and nothing is left."""
    path = ground.folder / "tree" / "image.dcm"
    uid = make_picture(path, 600)
    with (
        small_disk(ground.folder / "disk", 1) as disk,
        ground.database() as url,
        ground.server(url) as served,
    ):
        import_here(url, path)
        # The decoder has started: what that needs is elsewhere.
        assert served.get(f"/images/{uid}/preview.png").status_code == 200
        fill(disk, leave=300_000)
        before, tempfile.tempdir = tempfile.tempdir, str(disk)
        try:
            answer = served.get(f"/images/{uid}.npy")
        finally:
            tempfile.tempdir = before
        assert answer.status_code == 507, answer.text
        assert answer.json()["errors"][0]["code"] == "NO_SPACE"
        assert [each.name for each in disk.iterdir()] == ["ballast"]
        assert served.get(f"/images/{uid}.npy").status_code == 200
    return "507 and NO_SPACE, nothing is left"


def stored(root: Path) -> list[bytes]:
    """What files there are below the storage root, also those on their way in."""
    found = []
    for folder, _, names in os.walk(root):
        if WORK_FOLDER in folder:
            assert "uploads" not in folder or not names, names
        found += [Path(folder, name).read_bytes() for name in names if name.endswith(".dcm")]
    return found


def decoders_killed(ground: Ground) -> str:
    """Decoding processes are killed again and again: each request is answered."""
    path = ground.folder / "tree" / "image.dcm"
    uid = make_picture(path, 600)
    with ground.database() as url, ground.server(url, max_decodes=2) as served:
        import_here(url, path)
        until = time.monotonic() + ground.seconds
        answers: list[httpx.Response] = []

        def ask() -> None:
            while time.monotonic() < until:
                answers.append(served.get(f"/images/{uid}/preview.png"))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        killed = 0
        while time.monotonic() < until:
            killed += kill_decoders()
            time.sleep(0.2)
        for thread in threads:
            thread.join()
        assert served.get(f"/images/{uid}/preview.png").status_code == 200
        _assert_crashes_are_told(answers)
        assert served.data(COUNT)["images"]["totalCount"] == 1
    crashed = sum(answer.status_code != 200 for answer in answers)
    return f"{killed} decoders killed; of {len(answers)} answers {crashed} told of a crash"


def _assert_crashes_are_told(answers: list[httpx.Response]) -> None:
    for answer in answers:
        if answer.status_code != 200:
            assert answer.json()["errors"][0]["code"] == "DECODER_CRASHED", answer.text


def kill_decoders() -> int:
    """Kill the processes that decode for the servers of this process; returns their number."""
    found = 0
    for parent in psutil.Process().children():
        for child in parent.children():
            try:
                is_decoder = any("forkserver" in word for word in child.cmdline())
                if is_decoder:
                    child.kill()
                    found += 1
            except psutil.NoSuchProcess:
                continue
    return found


def large_series(ground: Ground, served: Served, url: str, megabytes: int) -> tuple[str, str, Path]:
    """A series of one large, sparse file: its UID, its image's, and the file."""
    path = ground.folder / "large" / "large.dcm"
    uid = make_picture(path, 8)
    os.truncate(path, megabytes << 20)
    import_here(url, path)
    return str(dcmread(path, stop_before_pixels=True).SeriesInstanceUID), uid, path
