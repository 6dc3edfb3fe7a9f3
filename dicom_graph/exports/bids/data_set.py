"""The files of a data set beside its volumes. What is there is not changed, only added to."""

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

from dicom_graph.errors import BadInput
from dicom_graph.imaging.volume_files import replaced

LEDGER = Path("code/dicom-graph/volumes.tsv")
"""Which volume of the database each file is, by a code that only the database can tell."""
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


class DataSet:
    """A folder that is a data set, or is to be one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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

    def ledger(self) -> dict[str, str]:
        """The codes of volumes by their names. Raises BadInput for a table that is none."""
        return {row["name"]: row["volume"] for row in self._rows(LEDGER, ("name", "volume"))}

    def write_ledger(self, codes: Mapping[str, str]) -> None:
        """Note which volumes have which names; names that are noted already are kept in place."""
        if codes != self.ledger():
            rows = [{"name": name, "volume": code} for name, code in codes.items()]
            write_text(self.folder / LEDGER, _tsv(("name", "volume"), rows))

    def add_rows(
        self, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, str]]
    ) -> None:
        """Add rows whose first cell is not there yet to a table; what is there stays as it is.

        Raises BadInput for a table without that column, OSError.
        """
        key, path = columns[0], self.folder / name
        there = self._rows(Path(name), (key,))
        known = {row[key] for row in there}
        new = [row for row in rows if row[key] not in known]
        if not new:
            return
        if not path.exists():
            write_text(path, _tsv(columns, new))
            return
        text = path.read_text(encoding="utf-8")
        head = text.splitlines()[0].removeprefix("\ufeff").split("\t")
        end = "" if text.endswith("\n") else "\n"
        write_text(path, text + end + _tsv(head, new).partition("\n")[2])

    def _rows(self, name: Path, columns: Sequence[str]) -> list[dict[str, str]]:
        path = self.folder / name
        if not path.exists():
            return []
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise BadInput(f"{path} is not UTF-8") from None
        reader = csv.DictReader(StringIO(text), delimiter="\t")
        if not set(columns) <= set(reader.fieldnames or ()):
            raise BadInput(f"{path} has no column {columns[0]}: it is not what BIDS wants there")
        return list(reader)


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
