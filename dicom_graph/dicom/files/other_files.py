"""What a file that is no DICOM image is, by its first bytes, and what to do about it."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a zip archive: unpack it, and import the folder"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (257, b"ustar", "a tar archive: unpack it, and import the folder"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it, and import the folder"),
    (0, b"Rar!\x1a\x07", "a RAR archive: unpack it, and import the folder"),
    (0, b"\x1f\x8b", "a gzip file: unpack it, and import what it holds"),
    (0, b"BZh", "a bzip2 file: unpack it, and import what it holds"),
    (0, b"\xfd7zXZ\x00", "an xz file: unpack it, and import what it holds"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file: unpack it, and import what it holds"),
    (0, b"version https://git-lfs.", "a pointer of Git LFS: `git lfs pull` fetches the file"),
    (0, b"/annex/objects/", "a pointer of git-annex: `git annex get` fetches the file"),
    (344, b"n+1\x00", "a NIfTI file: import the DICOM files that it was made of"),
    (344, b"ni1\x00", "a NIfTI header: import the DICOM files that it was made of"),
    (0, b"NRRD000", "an NRRD file: import the DICOM files that it was made of"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"II*\x00", "a TIFF picture"),
    (0, b"MM\x00*", "a TIFF picture"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"SQLite format 3\x00", "an SQLite database"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
)
DIRECTORY = "a DICOMDIR, which only lists other files: import the folder that it lies in"
_LOOKED_AT = 512
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")


def what_it_is(beginning: bytes) -> str:
    """What a file that begins so is, in words that go on with "skipped:"."""
    if not beginning:
        return "an empty file"
    for place, signature, name in _SIGNATURES:
        if beginning[place : place + len(signature)] == signature:
            return name
    return "a text file" if _is_text(beginning[:_LOOKED_AT]) else "not a DICOM file"


def _is_text(beginning: bytes) -> bool:
    if not _CONTROLS.isdisjoint(beginning):
        return False
    try:
        beginning.decode()
    except UnicodeDecodeError as error:
        # A character may go on behind what was looked at.
        return error.start > len(beginning) - 4
    return True
