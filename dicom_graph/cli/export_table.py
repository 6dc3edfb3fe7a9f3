"""`dicom-graph export` of a table of what the database has."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from dicom_graph.cli.console import fail
from dicom_graph.imaging.files import find
from dicom_graph.store.read import Condition, Store
from dicom_graph.store.read.conditions import And, Field, Related, Some, Test

if TYPE_CHECKING:
    from dicom_graph.exports.tables import TableRequest

TABLE_ENDINGS = (".csv", ".parquet", ".arrow")


class TableOptions(NamedTuple):
    """A table as the options ask for it; filters are JSON."""

    table: str
    form: str
    series_uids: Sequence[str]
    filter: str | None
    elements: str | None
    columns: Sequence[str]


async def write_table(store: Store, asked: TableOptions, target: Path) -> None:
    # Here, since other exports have no need of the schema and should not wait for it.
    from dicom_graph.errors import BadInput
    from dicom_graph.exports.arrow import ArrowMissing
    from dicom_graph.exports.tables import table, table_warnings

    try:
        for uid in asked.series_uids:
            await find(store, "series", uid)
        request = _table_request(asked)
        with target.open("wb") as file:
            async with aclosing(table(store, request)) as chunks:
                async for chunk in chunks:
                    file.write(chunk)
        for warning in await table_warnings(store, request):
            typer.echo(f"Warning: {warning}", err=True)
    except (BadInput, ArrowMissing) as error:
        fail(str(error))
    finally:
        await store.database.close()


def _table_request(asked: TableOptions) -> "TableRequest":
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
