"""The files of a data set beside its volumes. What is there is not changed, only added to."""

import csv
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from dicom_graph.errors import BadInput
from dicom_graph.imaging.volume_files import replaced

LEDGER = Path("code/dicom-graph/volumes.tsv")
"""Which volume of the database each file is, by a code that only the database can tell."""
_LEDGER_COLUMNS = ("name", "volume", "study", "patient")
_MISSING = "n/a"
_BIDS_VERSION = "1.10.0"
_README = """# Images from a DICOM archive

Made by dicom-graph of DICOM series, by a plan that a person could edit. The raw images are as the
scanner gave them.

Subjects have codes, and each subject's dates are earlier by a number of days that nobody else
knows, unless the plan said otherwise. Sidecars have no names, identifiers, dates or free texts.

**Faces are not removed.** Whoever shares anatomical images has to deface them first. Nor is it
looked at what is burned into pixels.
"""
_PARTICIPANTS: Mapping[str, Any] = {
    "participant_id": {"Description": "the subject's code"},
    "age": {
        "Description": "at the first of the sessions that were exported; 89 stands for more",
        "Units": "year",
    },
    "sex": {
        "Description": "as the headers have it (PatientSex)",
        "Levels": {"F": "female", "M": "male", "O": "other"},
    },
}


class Entry(NamedTuple):
    """Codes of what a file is of, which the database alone can tell; empty where not known."""

    volume: str
    study: str = ""
    patient: str = ""


class DataSet:
    """A folder that is a data set, or is to be one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else export into the folder meanwhile; a new one stays only with content.

        Raises BadInput where somebody does, OSError.
        """
        made = [each for each in (self.folder, *self.folder.parents) if not each.exists()]
        os.makedirs(self.folder, exist_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise BadInput(
                f"another export writes into {self.folder}: try again when it is done"
            ) from None
        except OSError:
            pass  # Not every file system has locks.
        try:
            yield
        finally:
            os.close(descriptor)
            with suppress(OSError):
                for each in made:
                    each.rmdir()

    def begin(self, name: str) -> None:
        """Write what each data set has, where it is not there. Raises OSError."""
        description = {
            "Name": name,
            "BIDSVersion": _BIDS_VERSION,
            "DatasetType": "raw",
            "GeneratedBy": [{"Name": "dicom-graph", "Version": version("dicom-graph")}],
        }
        self._write_once("dataset_description.json", _json(description))
        self._write_once("participants.json", _json(_PARTICIPANTS))
        if not any(path.stem == "README" for path in self.folder.glob("README*")):
            self._write_once("README.md", _README)

    def _write_once(self, name: str, text: str) -> None:
        path = self.folder / name
        if not path.exists():
            write_text(path, text)

    def has(self, name: str) -> bool:
        """Whether a volume of that name, without its ending, is there, compressed or not."""
        return any((self.folder / f"{name}{ending}").exists() for ending in (".nii.gz", ".nii"))

    def write_context(self, name: str, types: Sequence[str] | None) -> None:
        """What each volume of arterial spin labelling is, beside it. Raises OSError."""
        if types is not None:
            rows = [{"volume_type": each} for each in types]
            path = self.folder / f"{name.removesuffix('_asl')}_aslcontext.tsv"
            write_text(path, _tsv(("volume_type",), rows))

    def volumes(self) -> set[str]:
        """The names of all volumes that are there, of whichever program."""
        found = self.folder.glob("sub-*/**/*.nii*")
        names = (path.relative_to(self.folder).as_posix() for path in found)
        return {name.removesuffix(".gz").removesuffix(".nii") for name in names}

    def folders(self) -> list[str]:
        """Those of subjects and sessions, such as sub-01 and sub-01/ses-01."""
        found = (*self.folder.glob("sub-*/"), *self.folder.glob("sub-*/ses-*/"))
        return [path.relative_to(self.folder).as_posix() for path in found]

    def ledger(self) -> dict[str, Entry]:
        """What volumes are of, by their names. Raises BadInput for a table that is none."""
        rows = self.rows(str(LEDGER), _LEDGER_COLUMNS[:2])
        codes = (tuple(_known(row.get(column)) for column in _LEDGER_COLUMNS) for row in rows)
        return {name: Entry(*rest) for name, *rest in codes}

    def write_ledger(self, entries: Mapping[str, Entry]) -> None:
        """Note what volumes are of; names that are noted already are kept in place."""
        if entries != self.ledger():
            rows = [
                dict(zip(_LEDGER_COLUMNS, (name, *entry), strict=True))
                for name, entry in entries.items()
            ]
            write_text(self.folder / LEDGER, _tsv(_LEDGER_COLUMNS, rows))

    def add_rows(
        self, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, str]]
    ) -> None:
        """Add rows whose first cell is not there yet to a table; what is there stays as it is.

        Raises BadInput for a table without that column, OSError.
        """
        key, path = columns[0], self.folder / name
        known = {row[key] for row in self.rows(name, (key,))}
        new = [row for row in rows if row[key] not in known]
        if not new:
            return
        if not path.exists():
            write_text(path, _tsv(columns, new))
            return
        text = _text(path)
        head = text.splitlines()[0].removeprefix("\ufeff").split("\t")
        line_end = "\r\n" if "\r\n" in text else "\n"
        text += "" if text.endswith("\n") else line_end
        added = _tsv(head, new).partition("\n")[2].replace("\n", line_end)
        write_text(path, text + added)

    def rows(self, name: str, columns: Sequence[str]) -> list[dict[str, str]]:
        """The rows of a table, none where there is none. Raises BadInput where it is not UTF-8,
        and where it lacks columns.
        """
        path = self.folder / name
        if not path.exists():
            return []
        lines = StringIO(_text(path).removeprefix("\ufeff"))
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        for column in columns:
            if column not in (reader.fieldnames or ()):
                raise BadInput(f"{path} has no column {column}: it is not what BIDS wants there")
        return list(reader)


def _text(path: Path) -> str:
    """With the ends of lines as they are. Raises BadInput."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8") from None


def _known(cell: str | None) -> str:
    return "" if cell in (None, _MISSING) else str(cell)


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _tsv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    lines = ["\t".join(columns)]
    lines += ["\t".join(row.get(column) or _MISSING for column in columns) for row in rows]
    return "\n".join([*lines, ""])


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all. Raises OSError."""
    os.makedirs(path.parent, exist_ok=True)
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
