"""Which files are opened: regular ones, inside the roots, whatever is swapped meanwhile."""

import errno
import os
import pickle
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_graph.dicom.files.regular_file import (
    FolderFiles,
    NotRegularFileError,
    OutsideRootsError,
    open_folder,
    open_regular,
    open_regular_file,
    resolved_roots,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with files in it, beside one that is outside."""
    for name in ("root/deep/er", "outside/deep"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("root/file", "root/deep/file", "root/deep/er/file", "outside/file",
                 "outside/deep/file"):  # fmt: skip
        (tmp_path / name).write_text(name)
    return tmp_path / "root"


def content(path: Path, *roots: Path) -> str:
    with open_regular_file(path, resolved_roots(roots)) as file:
        return file.read().decode()


@pytest.mark.parametrize("name", ["file", "deep/file", "deep/er/../er/file", "deep//er/file"])
def test_a_file_inside_is_read(root: Path, name: str) -> None:
    assert content(root / name, root) == "root/" + os.path.normpath(name)


def test_links_that_stay_inside_are_followed(root: Path) -> None:
    (root / "absolute").symlink_to(root / "deep" / "file")
    (root / "deep" / "up").symlink_to("../file")
    (root / "folder").symlink_to("deep/er")
    (root / "chain").symlink_to("folder/file")
    (root.parent / "another way").symlink_to(root)
    assert content(root / "absolute", root) == "root/deep/file"
    assert content(root / "deep" / "up", root) == "root/file"
    assert content(root / "folder" / "file", root) == "root/deep/er/file"
    assert content(root / "chain", root) == "root/deep/er/file"
    assert content(root.parent / "another way" / "file", root) == "root/file"
    assert content(root / "file", root.parent / "another way") == "root/file"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("link", "../outside/file"),
        ("link", "/etc/passwd"),
        ("link", "/proc/self/environ"),
        ("folder/file", "../outside"),
        ("folder/outside/file", ".."),
        ("link", "deep/../../outside/file"),
    ],
)
def test_links_that_lead_outside_are_not(root: Path, name: str, target: str) -> None:
    (root / name.split("/")[0]).symlink_to(target)
    with pytest.raises(OutsideRootsError, match="outside the import roots"):
        content(root / name, root)


def test_what_lies_beside_a_root_of_the_same_beginning_is_outside(root: Path) -> None:
    beside = root.parent / "root-beside"
    beside.mkdir()
    (beside / "file").write_text("beside")
    with pytest.raises(OutsideRootsError):
        content(beside / "file", root)
    with pytest.raises(OutsideRootsError):
        content(root / ".." / "outside" / "file", root)


def test_the_root_may_be_a_file_or_all_there_is(root: Path) -> None:
    assert content(root / "file", root / "file") == "root/file"
    assert content(root / "file", Path("/")) == "root/file"
    with pytest.raises(OutsideRootsError):
        content(root / "deep" / "file", root / "file")


def test_without_roots_links_lead_anywhere_and_with_none_in_the_list_nowhere(root: Path) -> None:
    (root / "link").symlink_to("../outside/file")
    with open_regular_file(os.fsencode(root / "link")) as file:
        assert file.read() == b"outside/file"
    with pytest.raises(OutsideRootsError):
        content(root / "file")


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def a_device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("a device needs root")


@pytest.mark.parametrize(
    "make",
    [
        a_fifo,
        a_socket,
        a_device,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("/dev/tty"),
        lambda path: path.symlink_to("."),
        lambda path: path.symlink_to("/"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(
    root: Path, make: Callable[[Path], None]
) -> None:
    make(root / "it")
    with pytest.raises(NotRegularFileError, match="not a regular file"):
        open_regular(root / "it")


@pytest.mark.parametrize("kind", ["file", "folder", "parent", "pipe", "device"])
def test_what_is_swapped_in_behind_a_folder_that_is_open(root: Path, kind: str) -> None:
    """Between the walk, or the file before, and the file: nothing from outside, and no wait."""
    files, roots = FolderFiles(), resolved_roots([root])
    folder = root / "deep" / "er"
    (folder / "other").write_text("other")
    with open(files.open(str(folder), "other", roots).descriptor) as before:
        assert before.read() == "other"
    if kind == "file":
        (folder / "file").unlink()
        (folder / "file").symlink_to(root.parent / "outside" / "file")
    elif kind in ("pipe", "device"):
        (folder / "file").unlink()
        (a_fifo if kind == "pipe" else a_device)(folder / "file")
    else:
        moved = folder if kind == "folder" else folder.parent
        moved.rename(root / "moved")
        moved.symlink_to(root.parent / "outside")
        if kind == "parent":
            (root.parent / "outside" / "er").symlink_to("deep")
    with pytest.raises(NotRegularFileError if kind in ("pipe", "device") else OutsideRootsError):
        files.open(str(folder), "file", roots)
    files.close()


def test_what_is_not_there_or_leads_round_in_circles_is_told(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    (root / "nowhere").symlink_to("nothing")
    for name, code in (
        ("nothing", errno.ENOENT), ("nowhere", errno.ENOENT), ("loop", errno.ELOOP),
        ("file/below", errno.ENOTDIR), ("nul\0", errno.ENOENT), ("x" * 300, errno.ENAMETOOLONG),
    ):  # fmt: skip
        with pytest.raises(OSError) as caught:  # noqa: PT011
            open_regular(root / name, resolved_roots([root]))
        assert caught.value.errno == code, name


def test_a_folder_that_may_only_be_passed_through_does_not_hide_its_files(root: Path) -> None:
    (root / "deep").chmod(0o111)
    try:
        assert content(root / "deep" / "er" / "file", root) == "root/deep/er/file"
    finally:
        (root / "deep").chmod(0o755)


def test_no_descriptor_is_left_open(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for name in ("file", "deep/er/file", "deep", "nothing", "file/below"):
        try:
            os.close(open_regular(root / name, resolved_roots([root])))
        except OSError:
            continue
    os.close(open_folder(root / "deep", resolved_roots([root])))
    assert len(os.listdir("/proc/self/fd")) == before


def test_errors_reach_another_process(root: Path) -> None:
    with pytest.raises(OutsideRootsError) as caught:
        content(root / "file", root / "deep")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.strerror) == (OutsideRootsError, caught.value.strerror)


@pytest.mark.parametrize("name", ["swapped", "swapped/file"])
def test_a_link_swapped_in_at_any_moment_gives_nothing_from_outside(root: Path, name: str) -> None:
    """Another thread lays the file or the folder and a link that leads outside by turns."""
    path, made = root / "swapped", root / "made"
    inside = "deep/file" if name == "swapped" else "deep"
    outside = "../outside/file" if name == "swapped" else "../outside"
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            for target in (inside, outside):
                made.symlink_to(target)
                made.replace(path)

    swapper = threading.Thread(target=swap)
    path.symlink_to(inside)
    swapper.start()
    seen = set()
    try:
        for _ in range(2000):
            try:
                seen.add(content(root / name, root))
            except OSError as error:
                seen.add(type(error).__name__)
    finally:
        ended.set()
        swapper.join()
    assert "OutsideRootsError" in seen
    assert seen <= {"root/deep/file", "OutsideRootsError", "OSError", "NotADirectoryError"}
