"""The command `export`: a series as a volume or an archive, or a table of what there is."""

import asyncio
import sys
import zipfile
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from dicom_graph.cli.console import DatabaseUrl, Show, bar, fail, open_database, say, start
from dicom_graph.cli.export_many import VOLUME_ENDINGS, ManyRequest, export_many
from dicom_graph.dicom.errors import PixelError
from dicom_graph.dicom.nifti import n_slices, write_nifti, write_npy
from dicom_graph.dicom.stored_file import FileState
from dicom_graph.dicom.volume.acquisition import read_acquisition
from dicom_graph.imaging.archive import MISSING, series_of, zip_series
from dicom_graph.imaging.checker import FileChecker
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import find, series_files
from dicom_graph.imaging.headers import HeaderOnDisk, read_headers
from dicom_graph.imaging.volume_files import replaced
from dicom_graph.imaging.worker import chosen_stack, geometries
from dicom_graph.settings import Settings
from dicom_graph.store.read import Condition, Parent, Store
from dicom_graph.store.read.conditions import And, Field, Related, Some, Test

if TYPE_CHECKING:
    from dicom_graph.exports.tables import TableRequest

_TABLES = (".csv", ".parquet", ".arrow")
_ENDINGS = (*VOLUME_ENDINGS, ".zip", *_TABLES)


class TableName(Enum):
    """What the rows of a table are."""

    PATIENTS = "patients"
    STUDIES = "studies"
    SERIES = "series"
    IMAGES = "images"
    ELEMENTS = "elements"


class VolumeForm(Enum):
    """In which form volumes are written, by the ending of their names."""

    NIFTI_GZ = "nii.gz"
    NIFTI = "nii"
    NPY = "npy"


def export(
    to: Annotated[
        Path,
        typer.Option(
            help=f"The file to write; its ending says what: {', '.join(_ENDINGS)}. "
            "Of many series the folder."
        ),
    ],
    series_uid: Annotated[
        list[str] | None,
        typer.Argument(
            help="SeriesInstanceUIDs of series in the database; without, those of --filter, or all."
        ),
    ] = None,
    stack: Annotated[
        int | None,
        typer.Option(help="Of one series: which volume, from 0, where it makes several."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Of many series: their names, such as '{patientId}/{studyDate}_{number:03}'.",
        ),
    ] = None,
    form: Annotated[
        VolumeForm, typer.Option("--form", help="Of many series: how volumes are written.")
    ] = VolumeForm.NIFTI_GZ,
    sidecars: Annotated[
        bool, typer.Option(help="Of many series: BIDS' .json, and .bval and .bvec, beside each.")
    ] = True,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of many series: so many processes; else one of each processor.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        TableName, typer.Option(help="With a table: what its rows are.")
    ] = TableName.SERIES,
    filter: Annotated[
        str | None,
        typer.Option(
            help="Which series or rows of a table, as in GraphQL, in JSON; of elements: of which "
            "images."
        ),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(help="With --table elements: which elements, a filter of them in JSON."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="With a table: a field or an element, such as EchoTime; repeat."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Write a series as NIfTI, numpy array or zip, many series to a folder, or a table of what the
    database has as CSV, Parquet or Arrow. Exit status: 0 written, 1 failed, 2 wrong use.
    """
    uids = list(dict.fromkeys(series_uid or ()))
    ending = next((each for each in _ENDINGS if to.name.endswith(each)), None)
    is_many = name is not None or to.is_dir() or ending is None
    if (is_many or ending not in _TABLES) and (column or elements or table != TableName.SERIES):
        fail(f"--table, --elements and --column go with {', '.join(_TABLES)}")
    if elements and table is not TableName.ELEMENTS:
        fail("--elements goes with --table elements")
    if stack is not None and (is_many or ending not in VOLUME_ENDINGS):
        fail("--stack goes with a volume")
    if is_many:
        if not uids and filter is None:
            fail("name the series, or say which by --filter: '{}' is all")
        if to.exists() and not to.is_dir():
            fail(f"{to} is no folder: many series, and those of --name, go into one")
        settings = start(database_url)
        request = ManyRequest(to, uids, filter, name, form.value, jobs, sidecars, force)
        export_many(Store(open_database(settings)), checker_of(settings), request)
        return
    assert ending is not None
    if ending not in _TABLES and (filter is not None or len(uids) != 1):
        fail(
            f"{to.name} takes one series: dicom-graph export SERIES_UID --to {to.name}; several go "
            "into a folder, --to FOLDER"
        )
    if to.exists() and not force:
        fail(f"{to} exists; --force overwrites it")
    if not to.parent.is_dir():
        fail(f"{to.parent} is not a folder")
    settings = start(database_url)
    store = Store(open_database(settings))
    try:
        with replaced(to) as partial, bar() as show:
            if ending in _TABLES:
                asked = _Asked(table.value, ending[1:], uids, filter, elements, column or [])
                asyncio.run(_write_table(store, asked, partial))
            else:
                _write_series(settings, store, uids[0], stack, ending, partial, show)
    except (ImagingError, PixelError) as error:
        _end(str(error))
    except OSError as error:
        _end(f"{to} cannot be written: {error.strerror}")
    if ending == ".zip" and MISSING in zipfile.ZipFile(to).namelist():
        _end(f"{to} is written, but lacks files: its {MISSING} names them")
    say(f"{to}: {to.stat().st_size:,} bytes")


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


class _Asked(NamedTuple):
    """A table as the options ask for it; filters are JSON."""

    table: str
    form: str
    series_uids: Sequence[str]
    filter: str | None
    elements: str | None
    columns: Sequence[str]


async def _write_table(store: Store, asked: _Asked, target: Path) -> None:
    # Here, since other exports have no need of the schema and should not wait for it.
    from dicom_graph.errors import BadInput
    from dicom_graph.exports.arrow import ArrowMissing
    from dicom_graph.exports.tables import table

    try:
        for uid in asked.series_uids:
            await find(store, "series", uid)
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
    if asked.series_uids:
        parts.append(_of_series(request.entity, asked.series_uids))
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


def _of_series(entity: str, uids: Sequence[str]) -> Condition:
    """That something is one of the series, of one, or has one."""
    is_series = Field("uid", Test("in", tuple(uids)))
    if entity == "series":
        return is_series
    if entity == "image":
        return Related("series_id", "series", is_series)
    return Some(f"{entity}.series", is_series)


def _end(message: str) -> NoReturn:
    say(message)
    sys.exit(1)
