"""The command `export`: a series as a volume or an archive, or a table of what there is."""

import asyncio
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from dicom_graph.cli import export_options as options
from dicom_graph.cli.console import DatabaseUrl, Show, bar, fail, open_database, say, start
from dicom_graph.cli.export_many import VOLUME_ENDINGS, ManyRequest, export_many
from dicom_graph.cli.export_options import TableName, VolumeForm
from dicom_graph.cli.export_table import TABLE_ENDINGS, TableOptions, write_table
from dicom_graph.dicom.errors import PixelError
from dicom_graph.dicom.files.stored_file import FileState
from dicom_graph.dicom.nifti import n_slices, write_nifti, write_npy
from dicom_graph.dicom.volume.acquisition import read_acquisition
from dicom_graph.imaging.archive import MISSING, series_of, zip_series
from dicom_graph.imaging.checker import FileChecker
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import find, series_files
from dicom_graph.imaging.headers import HeaderOnDisk, read_headers
from dicom_graph.imaging.volume_files import replaced
from dicom_graph.imaging.worker import chosen_stack, geometries
from dicom_graph.settings import Settings
from dicom_graph.store.read import Parent, Store


def export(
    to: options.To,
    series_uid: options.SeriesUids = None,
    stack: options.Stack = None,
    name: options.Name = None,
    form: options.Form = VolumeForm.NIFTI_GZ,
    sidecars: options.Sidecars = True,
    jobs: options.Jobs = None,
    table: options.Table = TableName.SERIES,
    filter: options.Filter = None,
    elements: options.Elements = None,
    column: options.Columns = None,
    force: options.Force = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Write a series as NIfTI, numpy array or zip, many series to a folder, or a table of what the
    database has as CSV, Parquet or Arrow. Exit status: 0 written, 1 failed, 2 wrong use.
    """
    uids = list(dict.fromkeys(series_uid or ()))
    ending = None if name is not None or to.is_dir() else _ending(to)
    if ending not in TABLE_ENDINGS and (column or elements or table != TableName.SERIES):
        fail(f"--table, --elements and --column go with {', '.join(TABLE_ENDINGS)}")
    if elements and table is not TableName.ELEMENTS:
        fail("--elements goes with --table elements")
    if stack is not None and ending not in VOLUME_ENDINGS:
        fail("--stack goes with a volume")
    if ending is None:
        many = ManyRequest(to, uids, filter, name, form.value, jobs, sidecars, force)
        _export_many(many, database_url)
        return
    if ending in TABLE_ENDINGS:
        asked = TableOptions(table.value, ending[1:], uids, filter, elements, column or [])
        _check_target(to, force=force)
        store = Store(open_database(start(database_url)))
        with _ending_on_errors(to), replaced(to) as partial, bar():
            asyncio.run(write_table(store, asked, partial))
    else:
        if filter is not None or len(uids) != 1:
            fail(
                f"{to.name} takes one series: dicom-graph export SERIES_UID --to {to.name}; "
                "several go into a folder, --to FOLDER"
            )
        _check_target(to, force=force)
        settings = start(database_url)
        store = Store(open_database(settings))
        with _ending_on_errors(to), replaced(to) as partial, bar() as show:
            _write_series(settings, store, uids[0], stack, ending, partial, show)
    if ending == ".zip" and MISSING in zipfile.ZipFile(to).namelist():
        _end(f"{to} is written, but lacks files: its {MISSING} names them")
    say(f"{to}: {to.stat().st_size:,} bytes")


def _ending(to: Path) -> str | None:
    return next((each for each in options.ENDINGS if to.name.endswith(each)), None)


def _export_many(request: ManyRequest, database_url: str | None) -> None:
    folder = request.folder
    if not request.uids and request.filter is None:
        fail("name the series, or say which by --filter: '{}' is all")
    if folder.exists() and not folder.is_dir():
        fail(f"{folder} is no folder: many series, and those of --name, go into one")
    settings = start(database_url)
    export_many(Store(open_database(settings)), checker_of(settings), request)


def _check_target(to: Path, *, force: bool) -> None:
    if to.exists() and not force:
        fail(f"{to} exists; --force overwrites it")
    if not to.parent.is_dir():
        fail(f"{to.parent} is not a folder")


@contextmanager
def _ending_on_errors(to: Path) -> Iterator[None]:
    """What fails while the file is written ends the program with a line that says why."""
    try:
        yield
    except (ImagingError, PixelError) as error:
        _end(str(error))
    except OSError as error:
        _end(f"{to} cannot be written: {error.strerror}")


def _write_series(
    settings: Settings,
    store: Store,
    uid: str,
    stack: int | None,
    ending: str,
    target: Path,
    show: Show,
) -> None:
    checker = checker_of(settings)
    if ending in VOLUME_ENDINGS:
        _write_volume(checker, store, uid, stack, ending, target, show)
    else:
        asyncio.run(_write_zip(checker, store, uid, target, show))


def checker_of(settings: Settings) -> FileChecker:
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
        say(f"warning: {warning}")
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


def _end(message: str) -> NoReturn:
    say(message)
    sys.exit(1)
