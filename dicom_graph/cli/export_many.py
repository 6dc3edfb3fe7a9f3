"""`dicom-graph export` of many series to a folder."""

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dicom_graph.cli.console import Show, bar, fail, say
from dicom_graph.imaging.checker import FileChecker
from dicom_graph.imaging.pool import start_early
from dicom_graph.store.read import Store

if TYPE_CHECKING:
    from dicom_graph.exports.many_series import NamedSeries

VOLUME_ENDINGS = (".nii.gz", ".nii", ".npy")


@dataclass(frozen=True, slots=True)
class ManyRequest:
    """Which series go to which folder, and how: `filter` is JSON, `pattern` of their names.

    `form`: the ending without its first dot; `jobs`: processes, None for one of each processor.
    """

    folder: Path
    uids: Sequence[str]
    filter: str | None
    pattern: str | None
    form: str
    jobs: int | None
    has_sidecars: bool
    force: bool


def export_many(store: Store, checker: FileChecker, request: ManyRequest) -> None:
    """Write the series; ends the program with status 1 where one failed, 130 where interrupted."""
    jobs = request.jobs or os.cpu_count() or 1
    start_early()
    try:
        with bar() as show:
            n_failed = asyncio.run(_export(store, checker, request, jobs, show))
    except KeyboardInterrupt:
        _end("interrupted; the same command goes on", 130)
    except OSError as error:
        _end(f"{request.folder} cannot be written: {error.strerror}", 1)
    if n_failed:
        sys.exit(1)


async def _export(
    store: Store, checker: FileChecker, request: ManyRequest, jobs: int, show: Show
) -> int:
    """Write the series; returns how many failed."""
    # Here, since the schema is made when filters are read.
    from dicom_graph.exports.many_series import VolumeWriter, export_series, has_file

    series = await _series_of(store, request)
    if not series:
        say("no series was asked for that is there")
    request.folder.mkdir(parents=True, exist_ok=True)
    ending = f".{request.form}"
    writer = VolumeWriter(store, checker, ending, jobs, has_sidecars=request.has_sidecars)
    is_there = has_file(ending)
    try:
        counts = await export_series(
            series,
            writer,
            lambda one: not request.force and is_there(one),
            jobs=jobs,
            failed=lambda one, message: say(f"{one.uid} failed: {message}"),
            doubtful=lambda one, warning: say(f"{one.path.name}: warning: {warning}"),
            progress=show,
        )
    finally:
        writer.close()
        await store.database.close()
    say(
        f"{request.folder}: {counts.written:,} series written, {counts.there:,} were there, "
        f"{counts.failed:,} failed"
    )
    return counts.failed


async def _series_of(store: Store, request: ManyRequest) -> "Sequence[NamedSeries]":
    """The series that are asked for, each with its file's path; ends the program on bad input."""
    from dicom_graph.errors import BadInput
    from dicom_graph.exports.file_names import DEFAULT_PATTERN, NamePattern
    from dicom_graph.exports.many_series import named_series

    try:
        wanted = None
        if request.filter is not None:
            from dicom_graph.graph.filter_json import condition_from_json
            from dicom_graph.services import Limits

            wanted = condition_from_json("series", request.filter, Limits(conditions=100_000))
        pattern = NamePattern(request.pattern or DEFAULT_PATTERN)
        return await named_series(store, wanted, request.uids, pattern, request.folder)
    except BadInput as error:
        await store.database.close()
        fail(str(error))


def _end(message: str, status: int) -> NoReturn:
    say(message)
    sys.exit(status)
