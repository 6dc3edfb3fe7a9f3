"""The command `export`: a series as a volume or an archive, or a table of what there is."""

import asyncio
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dicom_graph.cli.console import DatabaseUrl, fail, open_database, start
from dicom_graph.dicom.errors import PixelError
from dicom_graph.dicom.nifti import n_slices, write_nifti, write_npy
from dicom_graph.dicom.stored_file import FileState
from dicom_graph.dicom.volume.acquisition import read_acquisition
from dicom_graph.imaging.archive import MISSING, series_of, zip_series
from dicom_graph.imaging.checker import FileChecker
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import find, series_files
from dicom_graph.imaging.headers import HeaderOnDisk, read_headers
from dicom_graph.imaging.worker import chosen_stack, geometries
from dicom_graph.settings import Settings
from dicom_graph.store.read import Condition, Parent, Store
from dicom_graph.store.read.conditions import And, Field, Related, Some, Test

if TYPE_CHECKING:
    from dicom_graph.exports.tables import TableRequest

_VOLUMES = (".nii.gz", ".nii", ".npy")
_TABLES = (".csv", ".parquet", ".arrow")
_ENDINGS = (*_VOLUMES, ".zip", *_TABLES)
Show = Callable[[int, int], None]


class TableName(Enum):
    """What the rows of a table are."""

    PATIENTS = "patients"
    STUDIES = "studies"
    SERIES = "series"
    IMAGES = "images"
    ELEMENTS = "elements"


def export(
    to: Annotated[
        Path,
        typer.Option(help=f"The file to write; its ending says what: {', '.join(_ENDINGS)}."),
    ],
    series_uid: Annotated[
        str | None,
        typer.Argument(help="SeriesInstanceUID of a series in the database; without, a table."),
    ] = None,
    stack: Annotated[
        int | None,
        typer.Option(help="Which volume, from 0, where the series makes several."),
    ] = None,
    table: Annotated[
        TableName, typer.Option(help="With a table: what its rows are.")
    ] = TableName.SERIES,
    filter: Annotated[
        str | None,
        typer.Option(help="With a table: which rows, as in GraphQL, in JSON; of which images."),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(help="With --table elements: which elements, a filter of them in JSON."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="With a table: a field or an element, such as EchoTime; repeat."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Write a series as NIfTI, numpy array or zip, or a table of what the database has as CSV,
    Parquet or Arrow. Exit status: 0 written, 1 failed, 2 wrong use.
    """
    ending = next((each for each in _ENDINGS if to.name.endswith(each)), None)
    if ending is None:
        fail(f"{to.name}: the name must end in one of {', '.join(_ENDINGS)}")
    if stack is not None and ending not in _VOLUMES:
        fail("--stack goes with a volume")
    if ending not in _TABLES and (column or filter or elements or table is not TableName.SERIES):
        fail(f"--table, --filter, --elements and --column go with {', '.join(_TABLES)}")
    if elements and table is not TableName.ELEMENTS:
        fail("--elements goes with --table elements")
    if ending not in _TABLES and series_uid is None:
        fail("name the series: dicom-graph export SERIES_UID --to …")
    if to.exists() and not force:
        fail(f"{to} exists; --force overwrites it")
    if not to.parent.is_dir():
        fail(f"{to.parent} is not a folder")
    settings = start(database_url)
    store = Store(open_database(settings))
    try:
        with _written(to) as partial, _bar() as show:
            if ending in _TABLES:
                asked = _Asked(table.value, ending[1:], series_uid, filter, elements, column or [])
                asyncio.run(_write_table(store, asked, partial))
            else:
                assert series_uid is not None
                _write_series(settings, store, series_uid, stack, ending, partial, show)
    except (ImagingError, PixelError) as error:
        _end(str(error))
    except OSError as error:
        _end(f"{to} cannot be written: {error.strerror}")
    if ending == ".zip" and MISSING in zipfile.ZipFile(to).namelist():
        _end(f"{to} is written, but lacks files: its {MISSING} names them")
    _say(f"{to}: {to.stat().st_size:,} bytes")


def _write_series(
    settings: Settings,
    store: Store,
    uid: str,
    stack: int | None,
    ending: str,
    target: Path,
    show: Show,
) -> None:
    checker = _checker(settings)
    if ending in _VOLUMES:
        _write_volume(checker, store, uid, stack, ending, target, show)
    else:
        asyncio.run(_write_zip(checker, store, uid, target, show))


def _checker(settings: Settings) -> FileChecker:
    """Reads headers in this process: whoever runs it has chosen the series."""

    async def read(files: Sequence[FileState]) -> list[HeaderOnDisk | None]:
        return read_headers(files)

    roots = settings.import_roots
    if settings.storage_root is not None:
        roots = [*roots, settings.storage_root]
    return FileChecker(roots, read)


def _write_volume(
    checker: FileChecker,
    store: Store,
    uid: str,
    stack: int | None,
    ending: str,
    target: Path,
    show: Show,
) -> None:
    geometry = chosen_stack(geometries(asyncio.run(_files(checker, store, uid))), stack)
    for warning in geometry.warnings:
        _say(f"warning: {warning}")
    total = n_slices(geometry)
    with target.open("wb") as file:
        if ending == ".npy":
            write_npy(geometry, file, progress=lambda done: show(done, total))
        else:
            write_nifti(
                geometry,
                file,
                acquisition=read_acquisition(geometry, diffusion=False),
                compress=ending == ".nii.gz",
                progress=lambda done: show(done, total),
            )


async def _files(checker: FileChecker, store: Store, uid: str) -> Any:
    try:
        row = await find(store, "series", uid)
        return await series_files(checker, store, row.id)
    finally:
        await store.database.close()


async def _write_zip(
    checker: FileChecker, store: Store, uid: str, target: Path, show: Show
) -> None:
    try:
        row = await find(store, "series", uid)
        parent = Parent(row.id)
        total = (await store.counts_of("series.images", [parent]))[parent]
        series = series_of(store, "series", uid)
        chunks = zip_series(checker, store, series, lambda done: show(done, total))
        with target.open("wb") as file:
            async with aclosing(chunks):
                async for chunk in chunks:
                    file.write(chunk)
    finally:
        await store.database.close()


class _Asked(NamedTuple):
    """A table as the options ask for it; filters are JSON."""

    table: str
    form: str
    series_uid: str | None
    filter: str | None
    elements: str | None
    columns: Sequence[str]


async def _write_table(store: Store, asked: _Asked, target: Path) -> None:
    # Here, since other exports have no need of the schema and should not wait for it.
    from dicom_graph.errors import BadInput
    from dicom_graph.exports.arrow import ArrowMissing
    from dicom_graph.exports.tables import table

    try:
        if asked.series_uid is not None:
            await find(store, "series", asked.series_uid)
        with target.open("wb") as file:
            async with aclosing(table(store, _table_request(asked))) as chunks:
                async for chunk in chunks:
                    file.write(chunk)
    except (BadInput, ArrowMissing) as error:
        fail(str(error))
    finally:
        await store.database.close()


def _table_request(asked: _Asked) -> "TableRequest":
    """Raises BadInput."""
    from dicom_graph.exports.tables import TableRequest
    from dicom_graph.graph.filter_json import condition_from_json
    from dicom_graph.services import Limits

    request = TableRequest(asked.table, asked.form, columns=tuple(asked.columns))
    limits = Limits(conditions=100_000)
    parts: list[Condition] = []
    if asked.series_uid is not None:
        parts.append(_of_series(request.entity, asked.series_uid))
    if asked.filter is not None:
        given = condition_from_json(request.entity, asked.filter, limits)
        parts += [given] if given is not None else []
    elements = (
        condition_from_json("data_element", asked.elements, limits)
        if asked.elements is not None
        else None
    )
    wanted = And(tuple(parts)) if parts else None
    return replace(request, wanted=wanted, elements=elements)


def _of_series(entity: str, uid: str) -> Condition:
    """That something is a series, of it, or has it."""
    is_series = Field("uid", Test("eq", uid))
    if entity == "series":
        return is_series
    if entity == "image":
        return Related("series_id", "series", is_series)
    return Some(f"{entity}.series", is_series)


@contextmanager
def _written(to: Path) -> Iterator[Path]:
    """A name beside the file; the file is there only when it is whole."""
    partial = to.with_name(f".{to.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, to)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


@contextmanager
def _bar() -> Iterator[Show]:
    """A bar on standard error, if that is a terminal."""
    with Progress(
        TextColumn("Exporting"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _say(message: str) -> None:
    print(f"dicom-graph: {message}", file=sys.stderr)  # noqa: T201


def _end(message: str) -> NoReturn:
    _say(message)
    sys.exit(1)
