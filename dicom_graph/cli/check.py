"""The command `check`: series held against a protocol."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dicom_graph.cli.console import DatabaseUrl, fail, open_database, start
from dicom_graph.dicom.protocols import Finding, ProtocolAcquisition, ProtocolError, parse_protocol
from dicom_graph.exports.compliance import Deviation, SeriesCompliance, compliance, found_texts
from dicom_graph.store.read import Store

_SHOWN = 50
_WORDS = {
    Finding.DEVIATING: "deviates", Finding.MISSING: "missing", Finding.WARNING: "warning",
}  # fmt: skip


def check(
    protocol: Annotated[
        Path, typer.Argument(help="A protocol as JSON in dicompare's schema (docs/protocols.md).")
    ],
    acquisition: Annotated[
        str | None, typer.Option(help="Which acquisition, where the protocol has several.")
    ] = None,
    filter: Annotated[
        str | None, typer.Option(help="Which series: a SeriesFilter of GraphQL, in JSON.")
    ] = None,
    limit: Annotated[
        int, typer.Option(help="At most so many series are listed; 0 for all.")
    ] = _SHOWN,
    database_url: DatabaseUrl = None,
) -> None:
    """Hold series against a protocol. Exit status: 0 all comply, 1 some deviate, 2 wrong use."""
    try:
        text = protocol.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{protocol} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}")
    try:
        chosen = parse_protocol(text).chosen(acquisition)
    except ProtocolError as error:
        fail(f"{protocol}: {error}")
    settings = start(database_url)
    found = asyncio.run(_checked(Store(open_database(settings)), chosen, filter))
    for line in _report(chosen, found, limit):
        print(line)  # noqa: T201
    if not all(each.is_compliant for each in found):
        sys.exit(1)


async def _checked(
    store: Store, acquisition: ProtocolAcquisition, given: str | None
) -> list[SeriesCompliance]:
    # Here, since the schema is made when filters are read.
    from dicom_graph.errors import BadInput
    from dicom_graph.graph.filter_json import condition_from_json
    from dicom_graph.services import Limits

    try:
        limits = Limits(conditions=100_000)
        wanted = condition_from_json("series", given, limits) if given is not None else None
        return await compliance(store, acquisition, wanted)
    except BadInput as error:
        fail(str(error))
    finally:
        await store.database.close()


def _report(
    acquisition: ProtocolAcquisition, found: Sequence[SeriesCompliance], limit: int
) -> list[str]:
    deviating = [each for each in found if not each.is_compliant]
    shown = [each for each in found if _listed_deviations(each)][: limit or None]
    lines = []
    for each in shown:
        lines.append(f"{each.row.uid}")
        lines += [f"  {_line(deviation)}" for deviation in _listed_deviations(each)]
    if len(shown) < len(deviating):
        lines.append(f"… and others, {len(deviating)} in all: --limit 0 lists them")
    if acquisition.not_checked:
        names = ", ".join(acquisition.not_checked)
        lines.append(f"not checked, since they are no elements: {names}")
    if not found:
        lines.append("no series fulfil the filter: nothing was checked")
    compliant = len(found) - len(deviating)
    lines.append(f"{acquisition.name}: {compliant} series comply, {len(deviating)} deviate")
    return lines


def _listed_deviations(series: SeriesCompliance) -> list[Deviation]:
    return [each for each in series.deviations if each.finding in _WORDS]


def _line(deviation: Deviation) -> str:
    word = _WORDS[deviation.finding]
    values = " | ".join(found_texts(deviation.found))
    found = f", found {values[:200]}" if deviation.found else ""
    return f"{word}: {deviation.rule.name} should be {deviation.rule.expected}{found}"
