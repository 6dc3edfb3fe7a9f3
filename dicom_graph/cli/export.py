"""The command `export`: a series as a volume, an archive or a line of a table."""

import asyncio
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dicom_graph.cli.console import DatabaseUrl, fail, open_database, start
from dicom_graph.dicom.errors import PixelError
from dicom_graph.dicom.nifti import n_slices, write_nifti, write_npy
from dicom_graph.dicom.stored_file import FileState
from dicom_graph.imaging.archive import MISSING, series_of, zip_series
from dicom_graph.imaging.checker import FileChecker
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import find, series_files
from dicom_graph.imaging.headers import HeaderOnDisk, read_headers
from dicom_graph.imaging.work import chosen_stack, geometries
from dicom_graph.settings import Settings
from dicom_graph.store.read import Parent, Store
from dicom_graph.store.read.conditions import Field, Test

_VOLUMES = (".nii.gz", ".nii", ".npy")
_ENDINGS = (*_VOLUMES, ".zip", ".csv")
Show = Callable[[int, int], None]


def export(
    series_uid: Annotated[
        str, typer.Argument(help="SeriesInstanceUID of a series in the database.")
    ],
    to: Annotated[
        Path,
        typer.Option(help=f"The file to write; its ending says what: {', '.join(_ENDINGS)}."),
    ],
    stack: Annotated[
        int | None,
        typer.Option(help="Which volume, from 0, where the series makes several."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="With .csv: an element as a column, such as EchoTime; repeat."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Write a series as NIfTI, numpy array, zip or CSV. Exit status: 0 written, 1 failed, 2 wrong
    use.
    """
    ending = next((each for each in _ENDINGS if to.name.endswith(each)), None)
    if ending is None:
        fail(f"{to.name}: the name must end in one of {', '.join(_ENDINGS)}")
    if stack is not None and ending not in _VOLUMES:
        fail("--stack goes with a volume")
    if column and ending != ".csv":
        fail("--column goes with .csv")
    if to.exists() and not force:
        fail(f"{to} exists; --force overwrites it")
    if not to.parent.is_dir():
        fail(f"{to.parent} is not a folder")
    settings = start(database_url)
    store = Store(open_database(settings))
    checker = _checker(settings)
    try:
        with _written(to) as partial, _bar() as show:
            if ending in _VOLUMES:
                _write_volume(checker, store, series_uid, stack, ending, partial, show)
            elif ending == ".zip":
                asyncio.run(_write_zip(checker, store, series_uid, partial, show))
            else:
                asyncio.run(_write_csv(store, series_uid, column or [], partial))
    except (ImagingError, PixelError) as error:
        _end(str(error))
    except OSError as error:
        _end(f"{to} cannot be written: {error.strerror}")
    if ending == ".zip" and MISSING in zipfile.ZipFile(to).namelist():
        _end(f"{to} is written, but lacks files: its {MISSING} names them")
    _say(f"{to}: {to.stat().st_size:,} bytes")


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


async def _write_csv(store: Store, uid: str, columns: list[str], target: Path) -> None:
    # Here, since other exports have no need of the schema and should not wait for it.
    from dicom_graph.errors import BadInput
    from dicom_graph.exports.series_csv import named_columns, series_csv

    try:
        await find(store, "series", uid)
        lines = series_csv(store, Field("uid", Test("eq", uid)), named_columns(columns))
        text = "".join([line async for line in lines])
        target.write_text(text, encoding="utf-8", newline="")  # noqa: ASYNC240
    except BadInput as error:
        fail(error.message)
    finally:
        await store.database.close()


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
