"""The export of a plan: all of it is checked, then what is new is written."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dicom_graph.dicom.files.stored_file import FileState
from dicom_graph.errors import BadInput
from dicom_graph.exports.bids.data_set import LEDGER, DataSet, Entry
from dicom_graph.exports.bids.entities import folded, named
from dicom_graph.exports.bids.field_maps import field_map_metadata
from dicom_graph.exports.bids.identities import Identities
from dicom_graph.exports.bids.metadata import ASL_CONTEXT, Metadata, missing_text
from dicom_graph.exports.bids.plan import (
    describe,
    has_magnitude,
    ids_of,
    missing_of,
    with_field_map_times,
)
from dicom_graph.exports.bids.planned_volume import Key, PlannedVolume, folder_of, key_of
from dicom_graph.exports.bids.table import bad_lines
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import series_files
from dicom_graph.imaging.service import Imaging
from dicom_graph.imaging.worker import DescribedVolume
from dicom_graph.store.read import Store

_OLDEST = 89
Write = Callable[[PlannedVolume, Sequence[FileState], Path, Metadata], Awaitable[None]]
"""Writes a volume under a path without an ending. Raises ImagingError, OSError."""


@dataclass(frozen=True, slots=True)
class BidsExport:
    """Where a plan goes, and how. `name`: of the data set; `failed` is told of a volume and why,
    `doubtful` what a person should look at, `progress` how many are done.
    """

    folder: Path
    planned: Sequence[PlannedVolume]
    identities: Identities
    write: Write
    jobs: int
    name: str
    failed: Callable[[PlannedVolume, str], None]
    doubtful: Callable[[str], None]
    progress: Callable[[int, int], None]


@dataclass(slots=True)
class Counts:
    """How many volumes were written, were there (of these under another name), and failed."""

    written: int = 0
    there: int = 0
    renamed: int = 0
    failed: int = 0


async def export_plan(store: Store, imaging: Imaging, export: BidsExport) -> Counts:
    """Write what of a plan is not there yet. Raises BadInput before anything is written, OSError.

    A volume that is there under another name, of an earlier plan, stays as it is.
    """
    data_set = DataSet(export.folder)
    with data_set.locked():
        return await _export(store, imaging, data_set, export)


async def _export(store: Store, imaging: Imaging, data_set: DataSet, export: BidsExport) -> Counts:
    counts = Counts()
    planned, ledger = _placed(data_set, export, counts)
    _check_tables(data_set, planned)
    new = {key_of(each) for each in planned if not data_set.has(each.name)}
    counts.there = len(planned) - len(new)
    if new:
        planned = await _with_volumes(store, imaging, planned, new, export, counts)
        metadata = with_field_map_times(planned)
        _require_complete(planned, new, metadata)
        ledger = await _with_origins(store, export.identities, planned, ledger)
        for doubt in _mixed(planned, new, ledger):
            export.doubtful(doubt)
        data_set.begin(export.name)
        data_set.write_ledger(ledger)
        await _write_all(store, imaging, data_set, export, planned, new, metadata, counts)
    await _add_tables(store, data_set, [each for each in planned if data_set.has(each.name)])
    return counts


def _placed(
    data_set: DataSet, export: BidsExport, counts: Counts
) -> tuple[list[PlannedVolume], dict[str, Entry]]:
    """The volumes, those that are there under their names there; and what the ledger then is.

    Raises BadInput for a name that another volume has, or a file that is not of the ledger, and
    for a folder that would stand beside one of nearly its name.
    """
    ledger = data_set.ledger()
    there = {entry.volume: name for name, entry in ledger.items() if data_set.has(name)}
    taken = {folded(name): code for code, name in there.items()}
    claims = {name: entry for name, entry in ledger.items() if entry.volume in there}
    folders = {folded(name): name for name in data_set.folders()}
    found: list[PlannedVolume] = []
    wrong: list[str] = []
    for each in export.planned:
        code = export.identities.code("volume", key_of(each))
        if code in there:
            counts.renamed += there[code] != each.name
            each = _renamed(each, there[code])
        elif folded(each.name) in taken:
            wrong.append(f"line {each.line}: {each.name} is there, of another volume")
        elif data_set.has(each.name):
            wrong.append(f"line {each.line}: {each.name} is there, and not of an export")
        else:
            claims[each.name] = Entry(code)
            wrong += _unlike(each, folders)
        found.append(each)
    if wrong:
        raise bad_lines(wrong)
    return found, claims


def _renamed(each: PlannedVolume, name: str) -> PlannedVolume:
    """The volume under the name that it has in the data set. Raises BadInput."""
    known = named(name)
    if known is None:
        raise BadInput(f"{LEDGER} of the data set has a name that is none: {name[:200]!r}")
    datatype, suffix, entities = known
    return replace(each, datatype=datatype, suffix=suffix, entities=entities)


def _unlike(each: PlannedVolume, folders: dict[str, str]) -> Iterator[str]:
    """Folders that would stand beside one of nearly their name, as ses-1 beside ses-01."""
    sub = f"sub-{each.entities['sub']}"
    for folder in dict.fromkeys((sub, folder_of(each))):
        first = folders.setdefault(folded(folder), folder)
        if first != folder:
            yield (
                f"line {each.line}: {folder} beside {first}: is it the same? Spreadsheets take "
                "zeros away"
            )


async def _with_origins(
    store: Store,
    identities: Identities,
    planned: Sequence[PlannedVolume],
    ledger: Mapping[str, Entry],
) -> dict[str, Entry]:
    """A ledger with the studies and patients that new volumes are of."""
    new = [each for each in planned if each.series is not None and each.name in ledger]
    patients = await store.by_ids("patient", ids_of(each.series.patient_id for each in new))
    studies = await store.by_ids("study", ids_of(each.series.study_id for each in new))
    found = dict(ledger)
    for each in new:
        entry = found[each.name]
        study, patient = studies.get(each.series.study_id), patients.get(each.series.patient_id)
        found[each.name] = Entry(
            entry.volume,
            entry.study if study is None else identities.code("study", study.uid),
            entry.patient if patient is None else identities.code("patient", patient.uid),
        )
    return found


def _mixed(
    planned: Sequence[PlannedVolume], new: set[Key], ledger: Mapping[str, Entry]
) -> Iterator[str]:
    """Sessions that have volumes of a study, and are to get some of another; subjects as well."""
    names = {each.name for each in planned if key_of(each) in new}
    for what, depth in (("patient", 1), ("study", 2)):
        there: dict[str, str] = {}
        added: dict[str, str] = {}
        for name, entry in ledger.items():
            parts = name.split("/")
            code = getattr(entry, what)
            if code and len(parts) == 4:
                (added if name in names else there)["/".join(parts[:depth])] = code
        for folder, code in sorted(added.items()):
            if there.get(folder, code) != code:
                yield (
                    f"{folder} has volumes of another {what}: `dicom-graph bids plan --to` plans "
                    "as the data set goes on"
                )


async def _with_volumes(
    store: Store,
    imaging: Imaging,
    planned: Sequence[PlannedVolume],
    new: set[Key],
    export: BidsExport,
    counts: Counts,
) -> list[PlannedVolume]:
    """The volumes with what their headers say; without those new ones whose files fail.

    Raises BadInput for new series and volumes that there are not.
    """
    uids = list({each.series_uid for each in planned})
    rows = await store.by_uids("series", uids)
    unknown = [
        f"line {each.line}: no series has the UID {each.series_uid[:100]!r}"
        for each in planned
        if each.series_uid not in rows and key_of(each) in new
    ]
    if unknown:
        raise bad_lines(unknown)
    described = await describe(store, imaging, list(rows.values()), lambda done, total: None)
    found: list[PlannedVolume] = []
    wrong: list[str] = []
    failing: list[tuple[PlannedVolume, str]] = []
    for each in planned:
        row = rows.get(each.series_uid)
        if row is None:
            continue
        volumes = described[row.id]
        if isinstance(volumes, str):
            if key_of(each) in new:
                failing.append((each, volumes))
            continue
        volume = _volume_of(each, volumes)
        if not isinstance(volume, str):
            found.append(replace(each, series=row, volume=volume))
        elif key_of(each) in new:
            wrong.append(f"line {each.line}: {volume}")
    if wrong:
        raise bad_lines(wrong)
    for each, message in failing:
        counts.failed += 1
        export.failed(each, message)
    return found


def _volume_of(planned: PlannedVolume, volumes: Sequence[DescribedVolume]) -> DescribedVolume | str:
    """The volume of its series that a line of the plan means, or why there is none.

    An index of the fourth axis means a part of it; of echoes, with the echo's own time.
    """
    if planned.stack >= len(volumes):
        return f"the series has {len(volumes)} volumes, from stack 0"
    volume = volumes[planned.stack]
    if planned.index is None:
        return volume
    shape, values = volume.summary.shape, volume.summary.fourth_axis_values
    if values is None or planned.index >= shape[3]:
        return f"the fourth axis has no index {planned.index}"
    if volume.summary.axes[3] != "echo":
        return volume
    acquisition = replace(volume.acquisition, echo_time=values[planned.index] / 1000)
    return volume._replace(acquisition=acquisition)


def _require_complete(
    planned: Sequence[PlannedVolume], new: set[Any], metadata: Mapping[Any, Metadata]
) -> None:
    wrong = []
    for each in planned:
        if key_of(each) not in new:
            continue
        missing = missing_of(each, metadata[key_of(each)])
        if each.suffix == "fieldmap" and not has_magnitude(each, planned):
            missing.append("a magnitude image with the same entities")
        if missing:
            wrong.append(f"line {each.line}: {missing_text(each.suffix, missing)}")
    if wrong:
        raise bad_lines(wrong)


async def _write_all(
    store: Store,
    imaging: Imaging,
    data_set: DataSet,
    export: BidsExport,
    planned: Sequence[PlannedVolume],
    new: set[Key],
    metadata: Mapping[Any, Metadata],
    counts: Counts,
) -> None:
    """Field maps come last: they name images that are there."""
    of_maps = field_map_metadata(planned)
    places = asyncio.Semaphore(export.jobs)
    done = 0

    async def one(each: PlannedVolume) -> None:
        nonlocal done
        async with places:
            told = metadata[key_of(each)] | _existing(data_set, of_maps.get(key_of(each), {}))
            try:
                files = await series_files(imaging.files, store, each.series.id)
                told |= each.metadata
                data_set.write_context(each.name, told.pop(ASL_CONTEXT, None))
                await export.write(each, files, export.folder / each.name, told)
                counts.written += 1
            except ImagingError as error:
                counts.failed += 1
                export.failed(each, error.message)
            except OSError as error:
                counts.failed += 1
                export.failed(each, f"it cannot be written: {error.strerror}")
        done += 1
        export.progress(done, len(new))

    for is_map in (False, True):
        some = [each for each in planned if (each.datatype == "fmap") == is_map]
        await asyncio.gather(*(one(each) for each in some if key_of(each) in new))


def _existing(data_set: DataSet, of_maps: Metadata) -> Metadata:
    """Without images that could not be written."""
    if "IntendedFor" not in of_maps:
        return of_maps
    there = [
        uri
        for uri in of_maps["IntendedFor"]
        if data_set.has(uri.removeprefix("bids::").removesuffix(".nii.gz"))
    ]
    rest = {name: value for name, value in of_maps.items() if name != "IntendedFor"}
    return rest | ({"IntendedFor": there} if there else {})


def _check_tables(data_set: DataSet, planned: Sequence[PlannedVolume]) -> None:
    """Whether the tables that are there can be added to. Raises BadInput."""
    data_set.rows("participants.tsv", ("participant_id",))
    for sub in {each.entities["sub"] for each in planned if each.entities.get("ses")}:
        data_set.rows(_sessions_table(sub), ("session_id",))
    for folder in {folder_of(each) for each in planned}:
        data_set.rows(_scans_table(folder), ("filename",))


def _sessions_table(sub: str) -> str:
    return f"sub-{sub}/sub-{sub}_sessions.tsv"


def _scans_table(folder: str) -> str:
    return f"{folder}/{'_'.join(folder.split('/'))}_scans.tsv"


async def _add_tables(store: Store, data_set: DataSet, there: Sequence[PlannedVolume]) -> None:
    """Participants, sessions and scans of volumes that are there."""
    if not there:
        return
    rows = await store.by_uids("series", list({each.series_uid for each in there}))
    patients = await store.by_ids("patient", ids_of(row.patient_id for row in rows.values()))
    ordered = sorted(there, key=_when)
    data_set.add_rows(
        "participants.tsv",
        ("participant_id", "age", "sex"),
        _firsts(_participant(each, rows.get(each.series_uid), patients) for each in ordered),
    )
    for sub in sorted({each.entities["sub"] for each in there}):
        of_subject = [each for each in ordered if each.entities["sub"] == sub]
        sessions = [each for each in of_subject if each.entities.get("ses")]
        told = _firsts(map(_session, sessions))
        data_set.add_rows(_sessions_table(sub), ("session_id", "acq_time"), told)
    for folder in sorted({folder_of(each) for each in there}):
        scans = (_scan(each) for each in ordered if folder_of(each) == folder)
        data_set.add_rows(_scans_table(folder), ("filename", "acq_time"), scans)


def _firsts(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """The first row of each first cell."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(next(iter(row.values())), row)
    return list(found.values())


def _participant(each: PlannedVolume, row: Any, patients: Mapping[int, Any]) -> dict[str, str]:
    patient = patients.get(row.patient_id) if row is not None else None
    age = row.age_at_study if row is not None else None
    return {
        "participant_id": f"sub-{each.entities['sub']}",
        "age": "" if age is None else str(min(int(age), _OLDEST)),
        "sex": (patient.sex or "") if patient is not None else "",
    }


def _session(each: PlannedVolume) -> dict[str, str]:
    return {"session_id": f"ses-{each.entities['ses']}", "acq_time": _time(each)}


def _scan(each: PlannedVolume) -> dict[str, str]:
    name = each.name.removeprefix(f"{folder_of(each)}/")
    return {"filename": f"{name}.nii.gz", "acq_time": _time(each)}


def _time(each: PlannedVolume) -> str:
    return "" if each.acquired is None else each.acquired.isoformat(timespec="seconds")


def _when(each: PlannedVolume) -> tuple[bool, str, str]:
    return each.acquired is None, _time(each), each.name


def sidecar_text(metadata: Metadata) -> str:
    """The JSON of a sidecar."""
    return json.dumps(metadata, indent=2, ensure_ascii=False) + "\n"
