"""How fast tables are written, and what they take of memory.

    python -m benchmarks.tables [--images 200000] [--postgres] [--keep FOLDER]

Fills a database as `benchmarks.queries` does (`--keep FOLDER` keeps it, and takes one that is
there), then writes each table in a process of its own, and prints rows a second by the clock and by
the processor time of that process, and the most memory above what it took when idle. Of series and
images there are 20 columns, four of them elements of the header.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.memory import PeakMemory, resident_bytes
from benchmarks.queries import DATA, archive, postgres
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


def main() -> None:
    """Fill, write, print."""
    options = _options()
    if options.measure is not None:
        print(json.dumps(asyncio.run(_measure(*options.measure))))
        return
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(postgres(folder)) if options.postgres else None
        database = stack.enter_context(archive(folder, server, options.images, options.data))
        print(f"{'table':<18}{'rows':>12}{'rows/s':>12}{'rows/s cpu':>12}{'MB above idle':>15}")
        url = database.url.render_as_string(hide_password=False)
        for name in _COLUMNS:
            for form in options.forms:
                found = _in_another_process(url, name, form)
                rows = found["rows"]
                print(
                    f"{name + '.' + form:<18}{rows:>12,}{rows / found['seconds']:>12,.0f}"
                    f"{rows / found['cpu']:>12,.0f}{found['above'] / 1e6:>15,.0f}"
                )


def _in_another_process(url: str, name: str, form: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.tables", "--measure", url, name, form]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def _measure(url: str, name: str, form: str) -> dict[str, float]:
    store = Store(Database(url))
    columns = _COLUMNS[name]
    request = TableRequest(name, form, columns=columns)
    if columns:
        names = len(entity_columns(request.entity, columns))
        assert names == 20, names
    # What is loaded once, and the connection, belong to the idle process.
    async for _ in table(store, TableRequest("patients", form)):
        pass
    idle = resident_bytes(os.getpid())
    n_bytes, started, cpu = 0, time.perf_counter(), time.process_time()
    with tempfile.TemporaryFile() as file, PeakMemory() as memory:
        async for chunk in table(store, request):
            n_bytes += len(chunk)
            file.write(chunk)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    rows = await _rows(store, name)
    await store.database.close()
    above = max(0, memory.peak - idle)
    return {"rows": rows, "bytes": n_bytes, "seconds": seconds, "cpu": cpu, "above": above}


async def _rows(store: Store, name: str) -> int:
    if name != "elements":
        return await store.count({"series": "series", "images": "image"}[name])
    from dicom_graph.exports.element_rows import element_batches

    return sum([len(batch.cell) async for batch in element_batches(store, None, None)])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.tables", description="Tables.")
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--forms", nargs="+", default=["parquet"], help="parquet, arrow, csv")
    parser.add_argument("--postgres", action="store_true", help="a private PostgreSQL")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="databases to keep, and reuse")
    parser.add_argument("--data", type=Path, default=DATA, help="the headers to multiply")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"the headers to multiply are not at {options.data}: give --data")
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    main()
