"""Many series as files: named and checked before anything is written, then written in parallel."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.exports.file_names import NamePattern, same_names
from dicom_graph.imaging.archive import matching_series
from dicom_graph.imaging.checker import FileChecker
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import series_files
from dicom_graph.imaging.pool import DecodePool
from dicom_graph.imaging.volume_files import write_series
from dicom_graph.store.read import Condition, Store
from dicom_graph.store.read.conditions import And, Field, Test

_NO_LIMIT = 1 << 40
_LONGEST_SECONDS = 24 * 3600.0
_SHOWN = 5
WriteSeries = Callable[["NamedSeries"], Awaitable[Sequence[str]]]
"""Writes the files of a series; returns what is doubtful. Raises ImagingError, OSError."""
Tell = Callable[["NamedSeries", str], None]


@dataclass(frozen=True, slots=True)
class NamedSeries:
    """A series by key and UID, and the path that its files get, without an ending."""

    id: int
    uid: str
    path: Path


@dataclass(slots=True)
class Exported:
    """How many series were written, were there already, and failed."""

    written: int = 0
    there: int = 0
    failed: int = 0


async def named_series(
    store: Store, wanted: Condition | None, uids: Sequence[str], pattern: NamePattern, folder: Path
) -> list[NamedSeries]:
    """All series that are wanted, of these UIDs where there are any, with their names.

    Raises BadInput for a UID that there is not, and where several series would have one name.
    """
    if uids:
        known = await store.by_uids("series", list(uids))
        unknown = [uid for uid in uids if uid not in known]
        if unknown:
            raise BadInput(f"no series has the UID {unknown[0][:100]!r}", ErrorCode.NOT_FOUND)
        of_uids = Field("uid", Test("in", tuple(uids)))
        wanted = of_uids if wanted is None else And((wanted, of_uids))
    found: list[NamedSeries] = []
    async for rows in matching_series(store, wanted):
        studies = await _by_id(store, "study", (row.study_id for row in rows))
        patients = await _by_id(store, "patient", (row.patient_id for row in rows))
        for row in rows:
            of_row = {
                "series": row,
                "study": studies.get(row.study_id),
                "patient": patients.get(row.patient_id),
            }
            found.append(NamedSeries(row.id, row.uid, folder / pattern.name(of_row)))
    _require_different(found)
    return found


async def _by_id(store: Store, entity: str, ids: Iterable[int | None]) -> dict[int, Any]:
    return await store.by_ids(entity, list({id for id in ids if id is not None}))


def _require_different(series: Sequence[NamedSeries]) -> None:
    same = same_names({each.uid: str(each.path) for each in series})
    if not same:
        return
    lines = [f"  {name}: {', '.join(uids[:3])}" for name, uids in list(same.items())[:_SHOWN]]
    more = f"\n  and {len(same) - _SHOWN} more names" if len(same) > _SHOWN else ""
    listed = "\n".join(lines)
    raise BadInput(
        f"{len(same)} names are those of several series; nothing was written. {{seriesUid}} in the "
        f"name pattern tells them apart:\n{listed}{more}"
    )


async def export_series(
    series: Sequence[NamedSeries],
    write: WriteSeries,
    is_there: Callable[[NamedSeries], bool],
    *,
    jobs: int,
    failed: Tell,
    doubtful: Tell,
    progress: Callable[[int, int], None],
) -> Exported:
    """Write all that are not there, `jobs` at a time; one that fails stops no other."""
    counts, done = Exported(), 0
    places = asyncio.Semaphore(jobs)

    async def one(each: NamedSeries) -> None:
        nonlocal done
        async with places:
            if is_there(each):
                counts.there += 1
            else:
                try:
                    for warning in await write(each):
                        doubtful(each, warning)
                    counts.written += 1
                except ImagingError as error:
                    counts.failed += 1
                    failed(each, error.message)
                except OSError as error:
                    counts.failed += 1
                    failed(each, f"it cannot be written: {error.strerror}")
        done += 1
        progress(done, len(series))

    await asyncio.gather(*map(one, series))
    return counts


class VolumeWriter:
    """Writes series as volumes, in processes of its own. To be closed."""

    def __init__(
        self, store: Store, checker: FileChecker, ending: str, jobs: int, *, has_sidecars: bool
    ) -> None:
        self._store = store
        self._checker = checker
        self._ending = ending
        self._has_sidecars = has_sidecars
        self._pool = DecodePool(jobs, _LONGEST_SECONDS, _NO_LIMIT)

    async def __call__(self, series: NamedSeries) -> Sequence[str]:
        files = await series_files(self._checker, self._store, series.id)
        stem = str(series.path)
        return await self._pool.run(write_series, files, stem, self._ending, self._has_sidecars)

    def close(self) -> None:
        """End the processes."""
        self._pool.close()


def has_file(ending: str) -> Callable[[NamedSeries], bool]:
    """Whether the file of a series is there, which it is only when all of it is."""
    return partial(_has_file, ending)


def _has_file(ending: str, series: NamedSeries) -> bool:
    return series.path.with_name(series.path.name + ending).exists()
