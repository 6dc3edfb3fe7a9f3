"""How fast tables are written, and what they take of memory.

    python -m benchmarks.tables [--images 200000] [--databases sqlite postgresql] [--keep FOLDER]

Fills databases as `benchmarks.queries` does (`--keep FOLDER` keeps them, and takes those that are
there), then writes each table in a process of its own. It prints rows a second by the clock and by
the processor time of that process, the most memory above what it took when idle, and how many times
as long it took as something plain in the same minute: of series and images the driver alone that
reads 20 columns of the tables, and pyarrow that writes them; of elements pyarrow that reads the
file and writes it again. Of series and images there are 20 columns, four of images' and three of
series' elements of the header.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.archive_options import add_archive_options, checked_options
from benchmarks.memory import PeakMemory, resident_bytes
from benchmarks.queries import archive, postgres
from dicom_graph.exports.columns import entity_columns
from dicom_graph.exports.tables import TableRequest, table
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store

_COLUMNS = {
    "series": ("SeriesDate", "SeriesNumber", "StationName"),
    "images": (
        "SliceLocation", "ImagePositionPatient", "AcquisitionTime", "EchoTime", "series.number",
        "series.protocolName", "series.repetitionTime",
    ),
    "elements": (),
}  # fmt: skip
_PLAIN = {
    "series": """SELECT s.id, s.uid, s.number, s.description, s.date, s.time, s.modality,
        s.echo_time, s.repetition_time, s.inversion_time, s.slice_thickness, s.protocol_name,
        s.manufacturer, s.manufacturer_model_name, st.uid, st.date, st.time, st.description, p.uid,
        p.sex FROM series s LEFT JOIN study st ON st.id = s.study_id
        LEFT JOIN patient p ON p.id = s.patient_id ORDER BY s.date DESC, s.time, s.number, s.id""",
    "images": """SELECT i.id, i.uid, i.number, i.date, i.time, i.number_of_frames, i.rows,
        i.columns, s.uid, s.number, s.description, s.protocol_name, s.echo_time,
        s.repetition_time, s.inversion_time, s.slice_thickness, st.uid, st.date, p.uid, p.sex
        FROM image i LEFT JOIN series s ON s.id = i.series_id
        LEFT JOIN study st ON st.id = s.study_id LEFT JOIN patient p ON p.id = s.patient_id
        ORDER BY i.series_id, i.number, i.id""",
}
_AT_ONCE = 5_000


def main() -> None:
    """Fill, write, print."""
    options = _options()
    if options.measure is not None:
        url, name, form, path = options.measure
        print(json.dumps(asyncio.run(_measure(url, name, form, path))))
        return
    if options.plain is not None:
        print(json.dumps(_plain(*options.plain)))
        return
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind in options.databases:
            server = stack.enter_context(postgres(folder)) if kind == "postgresql" else None
            size = (options.images, options.data, options.per_series)
            _print_figures(kind, stack.enter_context(archive(folder, server, *size)), options)


def _print_figures(kind: str, database: Database, options: argparse.Namespace) -> None:
    print(
        f"{kind:<18}{'rows':>12}{'rows/s':>12}{'rows/s cpu':>12}{'MB above idle':>15}"
        f"{'times plain':>13}"
    )
    url = database.url.render_as_string(hide_password=False)
    for name in options.tables:
        for form in options.forms:
            with tempfile.NamedTemporaryFile(suffix=f".{form}") as file:
                found = _in_another_process("--measure", url, name, form, file.name)
                plain = _in_another_process("--plain", url, name, form, file.name)
            rows, seconds = found["rows"], found["seconds"]
            print(
                f"{name + '.' + form:<18}{rows:>12,}{rows / seconds:>12,.0f}"
                f"{rows / found['cpu']:>12,.0f}{found['above'] / 1e6:>15,.0f}"
                f"{seconds / plain:>13.1f}",
                flush=True,
            )


def _in_another_process(*arguments: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.tables", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


async def _measure(url: str, name: str, form: str, path: str) -> dict[str, float]:
    store = Store(Database(url))
    columns = _COLUMNS[name]
    request = TableRequest(name, form, columns=columns)
    if columns:
        names = len(entity_columns(request.entity, columns))
        assert names == 20, names
    # What is loaded once, and the connection, belong to the idle process.
    async for _ in table(store, TableRequest("patients", form, columns=("Modality",))):
        pass
    idle = resident_bytes(os.getpid())
    started, cpu = time.perf_counter(), time.process_time()
    with open(path, "wb") as file, PeakMemory() as memory:  # noqa: ASYNC230
        async for chunk in table(store, request):
            file.write(chunk)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    rows = await _rows(store, name)
    await store.database.close()
    above = max(0, memory.peak - idle)
    return {"rows": rows, "seconds": seconds, "cpu": cpu, "above": above}


async def _rows(store: Store, name: str) -> int:
    if name != "elements":
        return await store.count({"series": "series", "images": "image"}[name])
    from dicom_graph.exports.element_rows import element_batches

    return sum([len(batch.cell) async for batch in element_batches(store, None, None)])


def _plain(url: str, name: str, form: str, path: str) -> float:
    """The seconds that something plain takes for as many rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([pa.array([""])], ["loads what is needed"]), os.devnull)
    started = time.perf_counter()
    with tempfile.TemporaryFile() as file:
        if name in _PLAIN:
            for rows in driver_rows(url, _PLAIN[name]):
                cells = [pa.array(column) for column in zip(*rows, strict=True)]
                pq.write_table(pa.table(cells, [f"c{n}" for n in range(len(cells))]), file)
        elif form == "parquet":
            source = pq.ParquetFile(path)
            with pq.ParquetWriter(file, source.schema_arrow) as writer:
                for batch in source.iter_batches():
                    writer.write_batch(batch)
        elif form == "arrow":
            source = pa.ipc.open_file(path)
            with pa.ipc.new_file(file, source.schema) as out:
                for number in range(source.num_record_batches):
                    out.write_batch(source.get_batch(number))
        else:
            import pyarrow.csv

            pyarrow.csv.write_csv(pyarrow.csv.read_csv(path), file)
    return time.perf_counter() - started


def driver_rows(url: str, statement: str) -> Iterator[list[Any]]:
    """What the driver alone reads, some thousand rows at a time."""
    if url.startswith("sqlite"):
        import sqlite3

        connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"))
    else:
        import psycopg

        connection = psycopg.connect(url)
    cursor = connection.execute(statement)
    while rows := cursor.fetchmany(_AT_ONCE):
        yield rows
    connection.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.tables", description="Tables.")
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--per-series", type=int, metavar="N", help="of a series at most N images")
    parser.add_argument("--tables", nargs="+", default=list(_COLUMNS), choices=list(_COLUMNS))
    parser.add_argument("--forms", nargs="+", default=["parquet"], help="parquet, arrow, csv")
    add_archive_options(parser)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--plain", nargs=4, help=argparse.SUPPRESS)
    return checked_options(parser)


if __name__ == "__main__":
    main()
