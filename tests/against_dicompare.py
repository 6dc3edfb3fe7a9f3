"""`python -m tests.against_dicompare`: compliance of real series, beside dicompare's own answers.

    python -m tests.against_dicompare [--dicompare 0.11.1] [--python PYTHON]

Of each series of the shared data that has one image a file, rules of every kind are made of what
pydicom reads in its files, some that hold and some that do not; dicompare and dicom-graph say what
comes of each. What dicompare does not read as it is in the file (it derives ImageType of GE from a
private element, and leaves out some zeros) is counted, and not compared. dicompare wants another
pydicom than we do, so it lives in an environment of its own (`--python` names one that is there).
Exit status 1 where the two do not say the same.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import venv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue

from dicom_graph.dicom.protocols import Finding, parse_acquisition
from dicom_graph.exports.compliance import compliance
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.read import Store
from dicom_graph.store.read.conditions import Field, Test
from tests.support.data import shared_files

_VERSION = "0.11.1"
_KEYWORDS = (
    "EchoTime", "RepetitionTime", "FlipAngle", "SliceThickness", "MagneticFieldStrength",
    "EchoTrainLength", "PixelBandwidth", "NumberOfAverages", "PixelSpacing", "ImageType",
    "ScanningSequence", "SequenceVariant", "ScanOptions", "Manufacturer", "ManufacturerModelName",
    "ProtocolName", "SequenceName", "SeriesDescription", "Modality",
    "InPlanePhaseEncodingDirection", "SliceLocation", "InstanceNumber", "BodyPartExamined",
    "PatientPosition", "Rows",
)  # fmt: skip
_SAME = {
    "ok": Finding.COMPLIANT, "error": Finding.DEVIATING, "warning": Finding.WARNING,
    "na": Finding.MISSING,
}  # fmt: skip
_THEIRS = """
import json, sys
from dicompare import load_dicom_session
from dicompare.validation.compliance import check_acquisition_compliance
asked = json.load(open(sys.argv[1]))
told = {}
for uid, (paths, fields) in asked.items():
    content = {path: open(path, "rb").read() for path in paths}
    session = load_dicom_session(dicom_bytes=content)
    found = [check_acquisition_compliance(session, {"fields": [field]}) for field in fields]
    told[uid] = [
        (str(each[0]["status"]).rpartition(".")[2].lower(), each[0].get("value")) for each in found
    ]
json.dump(told, open(sys.argv[2], "w"))
"""
Rules = list[dict[str, Any]]


def main() -> int:
    """Ask both, compare, print."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = options.python or _environment(folder, options.dicompare)
        asked = {uid: (paths, list(rules_of(paths))) for uid, paths in series_files().items()}
        theirs = _theirs(folder, python, asked)
        ours = asyncio.run(_ours(folder, asked))
    counts: Counter[str] = Counter()
    n_different = 0
    for uid, (paths, rules) in asked.items():
        data_sets = [dcmread(path, stop_before_pixels=True) for path in paths]
        for rule, (told, read), found in zip(rules, theirs[uid], ours[uid], strict=True):
            in_files = [element_value(data_set, rule["field"]) for data_set in data_sets]
            if _rounded(in_files) != _rounded(read or ()):
                counts["read otherwise"] += 1
                continue
            counts[told] += 1
            if _SAME[told] is not found:
                n_different += 1
                print(f"{uid}: {rule}: dicompare {told}, dicom-graph {found.value}")
    total = sum(counts.values())
    print(f"{len(asked)} series, {total} rules, {n_different} different; dicompare: {dict(counts)}")
    return int(n_different > 0 or not total)


def _rounded(values: Iterable[Any]) -> set[str]:
    """Different values with the five decimals that dicompare reads."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return list(map(plain, value))
        return round(float(value), 5) if isinstance(value, int | float) else value

    return {json.dumps(plain(value)) for value in values}


def series_files() -> dict[str, list[str]]:
    """The files of each series, one image in each."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in shared_files():
        try:
            data_set = dcmread(path, stop_before_pixels=True)
        except Exception:
            continue
        if "SeriesInstanceUID" in data_set and "PerFrameFunctionalGroupsSequence" not in data_set:
            found[str(data_set.SeriesInstanceUID)].append(str(path))
    return {uid: paths for uid, paths in found.items() if _unlike(paths)}


def _unlike(paths: list[str]) -> bool:
    """Whether no image is there twice."""
    uids = [
        str(dcmread(path, specific_tags=["SOPInstanceUID"]).get("SOPInstanceUID")) for path in paths
    ]
    return len(set(uids)) == len(uids)


def rules_of(paths: list[str]) -> Iterator[dict[str, Any]]:
    """Rules of every kind on the elements that all files have a value of."""
    data_sets = [dcmread(path, stop_before_pixels=True) for path in paths]
    for keyword in _KEYWORDS:
        values = [element_value(data_set, keyword) for data_set in data_sets]
        if None in values:
            continue
        yield from ({"field": keyword, **rule} for rule in _of_values(values))


def element_value(data_set: Dataset, keyword: str) -> Any:
    """Texts and numbers of five decimals, or a list of them; None where there is none."""
    value = data_set.get(keyword)
    if isinstance(value, MultiValue):
        return [_plain(each) for each in value] or None
    return None if value in (None, "") else _plain(value)


def _plain(value: Any) -> Any:
    return round(float(value), 5) if isinstance(value, int | float) else str(value)


def _of_values(values: list[Any]) -> Iterator[dict[str, Any]]:
    first = values[0]
    if isinstance(first, float):
        yield from (
            {"value": first}, {"value": first + 1}, {"value": first, "tolerance": 0.5},
            {"value": first + 2, "tolerance": 0.5}, {"min": first}, {"max": first},
            {"min": first - 1, "max": first + 1}, {"min": first + 1},
            {"value": first + 1, "severity": "warning"},
            {"value": first + 2, "tolerance": 1, "errorTolerance": 3},
            {"min": first + 1, "errorMin": first - 1}, {"contains": "1"},
        )  # fmt: skip
    elif isinstance(first, str):
        yield from (
            {"value": first}, {"value": first.lower()}, {"value": f"{first}x"},
            {"contains": first[1:3].lower() or first}, {"contains": "§"},
            {"contains_any": ["§", first[:2]]}, {"contains_any": ["§"]},
            {"value": "§", "severity": "warning"}, {"contains_all": [first]},
        )  # fmt: skip
    elif all(isinstance(each, float) for each in first):
        yield from (
            {"value": first, "tolerance": 0.1}, {"value": [n + 1 for n in first], "tolerance": 0.1},
            {"value": first}, {"min": min(first), "max": max(first)}, {"min": max(first) + 1},
        )  # fmt: skip
    else:
        yield from (
            {"value": first}, {"value": first[::-1]}, {"value": [*first, "§"]},
            {"contains_any": first[:1]}, {"contains_any": ["§"]}, {"contains_all": first[:2]},
            {"contains_all": [*first, "§"]}, {"contains": str(first[0])[:3].lower()},
        )  # fmt: skip


def _theirs(folder: Path, python: Path, asked: dict[str, tuple[list[str], Rules]]) -> Any:
    (folder / "asked.json").write_text(json.dumps(asked))
    (folder / "ask.py").write_text(_THEIRS)
    names = [str(folder / name) for name in ("ask.py", "asked.json", "told.json")]
    subprocess.run([str(python), *names], check=True, stderr=subprocess.DEVNULL)
    return json.loads((folder / "told.json").read_text())


async def _ours(
    folder: Path, asked: dict[str, tuple[list[str], Rules]]
) -> dict[str, list[Finding]]:
    database = Database(f"sqlite:///{folder / 'database.sqlite3'}")
    upgrade(database)
    paths = tuple(path for paths, _ in asked.values() for path in paths)
    await asyncio.to_thread(
        run_import, database, JobRequest(paths, Mode.FULL, origin=JobOrigin.PYTHON)
    )
    store = Store(database)
    found: dict[str, list[Finding]] = {uid: [] for uid in asked}
    for uid, (_, rules) in asked.items():
        of_series = Field("uid", Test("eq", uid))
        for rule in rules:
            acquisition = parse_acquisition("", {"fields": [rule]})
            (told,) = await compliance(store, acquisition, of_series)
            deviations = [each.finding for each in told.deviations]
            found[uid].append(deviations[0] if deviations else Finding.COMPLIANT)
    await database.close()
    return found


def _environment(folder: Path, version: str) -> Path:
    """A Python that has dicompare."""
    print(f"installing dicompare {version} into an environment of its own")
    venv.create(folder / "environment", with_pip=True)
    python = folder / "environment" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", f"dicompare=={version}"], check=True)
    return python


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.against_dicompare")
    parser.add_argument("--dicompare", default=_VERSION, metavar="VERSION", help="of PyPI")
    parser.add_argument("--python", type=Path, help="one that has dicompare already")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
