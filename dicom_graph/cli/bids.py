"""The commands `bids plan` and `bids export`: series as a BIDS data set."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_graph.cli.console import DatabaseUrl, bar, fail, open_database, say, start
from dicom_graph.research_subjects import load_resolver
from dicom_graph.settings import Settings
from dicom_graph.store.read import Store

if TYPE_CHECKING:
    from dicom_graph.imaging.service import Imaging

bids = typer.Typer(help="Series as a BIDS data set.", no_args_is_help=True)
_LONGEST_SECONDS, _MEGABYTES = 24 * 3600.0, 1 << 20
JobsOption = Annotated[
    int | None,
    typer.Option(min=1, help="So many processes; else one of each processor.", show_default=False),
]


class Dates(Enum):
    """What a plan says of dates."""

    SHIFT = "shift"
    KEEP = "keep"
    NONE = "none"


class Converter(Enum):
    """Who writes the volumes."""

    OWN = "own"
    DCM2NIIX = "dcm2niix"


@bids.command()
def plan(
    filter: Annotated[
        str | None, typer.Option(help="Which series: a SeriesFilter of GraphQL, in JSON; else all.")
    ] = None,
    subjects: Annotated[
        Path | None,
        typer.Option(
            help="A table of the columns patient_id and participant_id; else the resolver of the "
            "settings, else codes."
        ),
    ] = None,
    dates: Annotated[
        Dates,
        typer.Option(help="Earlier by the same days for all of a subject, as is, none."),
    ] = Dates.SHIFT,
    derived: Annotated[
        bool, typer.Option("--derived", help="Include images computed from others.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(
            help="The folder of a data set that the plan goes on with: what is there keeps its "
            "name, sessions and runs are counted on."
        ),
    ] = None,
    jobs: JobsOption = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print a plan: a row of tab separated values for each volume, to be edited and exported.

    Exit status: 0 planned, 2 wrong use.
    """
    settings = start(database_url)
    if to is not None and to.exists() and not to.is_dir():
        fail(f"{to} is no folder")
    _run(_plan(settings, filter, subjects, dates, to, derived=derived, jobs=jobs))


@bids.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan; - is standard input.")],
    to: Annotated[Path, typer.Option(help="The folder of the data set.")],
    converter: Annotated[Converter, typer.Option(help="Who writes the volumes.")] = Converter.OWN,
    name: Annotated[
        str | None, typer.Option(help="The data set's name; else that of its folder.")
    ] = None,
    jobs: JobsOption = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write what of a plan is not in the data set yet; what is there stays as it is.

    Exit status: 0 written, 1 some volumes failed, 2 the plan cannot be exported, or wrong use.
    """
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    if to.exists() and not to.is_dir():
        fail(f"{to} is no folder")
    settings = start(database_url)
    if _run(_export(settings, content, to, converter, name or to.resolve().name, jobs)):
        sys.exit(1)


def _run(work: Coroutine[Any, Any, int]) -> int:
    # Here, since other commands have no need of it.
    from dicom_graph.errors import BadInput

    try:
        return asyncio.run(work)
    except BadInput as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or 'a file of the data set'}: {error.strerror}")
    except KeyboardInterrupt:
        say("interrupted; the same command goes on")
        sys.exit(130)


async def _plan(
    settings: Settings,
    filter: str | None,
    subjects: Path | None,
    dates: Dates,
    to: Path | None,
    *,
    derived: bool,
    jobs: int | None,
) -> int:
    from dicom_graph.exports.bids.data_set import DataSet
    from dicom_graph.exports.bids.identities import Identities, read_subjects
    from dicom_graph.exports.bids.plan import PlanRequest, make_plan
    from dicom_graph.exports.bids.table import plan_lines
    from dicom_graph.graph.filter_json import condition_from_json
    from dicom_graph.services import Limits

    limits = Limits(conditions=100_000)
    wanted = None if filter is None else condition_from_json("series", filter, limits)
    table = None if subjects is None else read_subjects(subjects)
    resolver = load_resolver(settings.subject_resolver) if settings.subject_resolver else None
    store, imaging = Store(open_database(settings)), _imaging(settings, jobs)
    try:
        identities = await Identities.of(store, table, resolver)
        request = PlanRequest(
            wanted,
            identities,
            has_derived=derived,
            dates=_dates(dates),
            data_set=None if to is None else DataSet(to),
        )
        with bar("Planning") as show:
            planned = await make_plan(store, imaging, request, show)
    finally:
        imaging.close()
        await store.database.close()
    for line in plan_lines(planned):
        sys.stdout.write(line)
    n_there = sum(each.is_there for each in planned)
    n_new = sum(each.included for each in planned) - n_there
    there = "" if to is None else f", {n_there:,} are in {to}"
    say(f"{len(planned):,} volumes, {n_new:,} of them to be exported{there}")
    return 0


def _dates(dates: Dates) -> Any:
    told = {
        Dates.SHIFT: None,
        Dates.KEEP: lambda subject, moment: moment,
        Dates.NONE: lambda subject, moment: None,
    }
    return told[dates]


async def _export(
    settings: Settings, plan: bytes, to: Path, converter: Converter, name: str, jobs: int | None
) -> int:
    from dicom_graph.exports.bids.converters import Dcm2niix, OwnConverter
    from dicom_graph.exports.bids.export import BidsExport, export_plan
    from dicom_graph.exports.bids.identities import Identities
    from dicom_graph.exports.bids.spreadsheets import decoded
    from dicom_graph.exports.bids.table import read_plan

    planned = read_plan(decoded(plan, "the plan"))
    n_jobs = jobs or os.cpu_count() or 1
    write = OwnConverter(n_jobs) if converter is Converter.OWN else Dcm2niix.found()
    if write is None:
        fail("dcm2niix is not on the path: `pip install dcm2niix`")
    store, imaging = Store(open_database(settings)), _imaging(settings, jobs)
    try:
        with bar("Exporting") as show:
            export = BidsExport(
                folder=to,
                planned=planned,
                identities=await Identities.of(store),
                write=write,
                jobs=n_jobs,
                name=name,
                failed=lambda each, why: say(f"line {each.line}, {each.name} failed: {why}"),
                doubtful=say,
                progress=show,
            )
            counts = await export_plan(store, imaging, export)
    finally:
        write.close()
        imaging.close()
        await store.database.close()
    renamed = f" ({counts.renamed:,} under other names)" if counts.renamed else ""
    say(
        f"{to}: {counts.written:,} volumes written, {counts.there:,} were there{renamed}, "
        f"{counts.failed:,} failed. Faces are not removed."
    )
    return counts.failed


def _imaging(settings: Settings, jobs: int | None) -> "Imaging":
    from dicom_graph.imaging.service import Imaging

    roots = [*settings.import_roots, *filter(None, [settings.storage_root])]
    return Imaging(
        max_decodes=jobs or os.cpu_count() or 1,
        max_decoded_bytes=_MEGABYTES << 20,
        decode_timeout=_LONGEST_SECONDS,
        roots=roots,
    )
