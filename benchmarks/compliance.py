"""How fast series are held against a protocol.

    python -m benchmarks.compliance [--series 10000] [--databases sqlite postgresql] [--keep FOLDER]

Fills databases with series of two images (`benchmarks.archive`), makes a protocol of 20 elements of
what most of them have, and prints the best of three rounds, by the clock and by the processor time
of the process, beside the seconds in which the driver alone reads every row of the series.
"""

import argparse
import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.archive_options import add_archive_options, checked_options
from benchmarks.queries import archive, postgres
from benchmarks.tables import driver_rows
from dicom_graph.dicom.protocols import parse_acquisition
from dicom_graph.exports.compliance import as_fields, compliance, majority_values
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store

_ELEMENTS = (
    "Modality", "Manufacturer", "ManufacturerModelName", "MagneticFieldStrength", "EchoTime",
    "RepetitionTime", "FlipAngle", "SliceThickness", "PixelSpacing", "ImageType", "ProtocolName",
    "ScanningSequence", "SequenceVariant", "ScanOptions", "EchoTrainLength", "PixelBandwidth",
    "NumberOfAverages", "Rows", "Columns", "PatientPosition",
)  # fmt: skip
_ROUNDS = 3


def main() -> None:
    """Fill, hold against, print."""
    options = _options()
    print(f"{'':<12}{'series':>10}{'compliant':>11}{'seconds':>10}{'cpu':>8}{'plain':>8}")
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind in options.databases:
            server = stack.enter_context(postgres(folder)) if kind == "postgresql" else None
            made = archive(folder, server, 2 * options.series, options.data, 2)
            _print_figures(kind, stack.enter_context(made))


def _print_figures(kind: str, database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    found = asyncio.run(_measured(url))
    started = time.perf_counter()
    for _ in driver_rows(url, "SELECT * FROM series ORDER BY id"):
        pass
    plain = time.perf_counter() - started
    n_series, n_compliant, seconds, cpu = found
    print(f"{kind:<12}{n_series:>10,}{n_compliant:>11,}{seconds:>10.2f}{cpu:>8.2f}{plain:>8.2f}")


async def _measured(url: str) -> tuple[int, int, float, float]:
    """How many series there are and comply, and the seconds of the best round."""
    store = Store(Database(url))
    fields = as_fields(await majority_values(store, _ELEMENTS, None), 0.01)
    acquisition = parse_acquisition("", {"fields": fields + _missing(fields)})
    assert len(acquisition.rules) == len(_ELEMENTS)
    rounds = []
    for _ in range(_ROUNDS):
        started, cpu = time.perf_counter(), time.process_time()
        found = await compliance(store, acquisition, None)
        rounds.append((time.perf_counter() - started, time.process_time() - cpu))
    await store.database.close()
    seconds, cpu = map(min, zip(*rounds, strict=True))
    return len(found), sum(each.is_compliant for each in found), seconds, cpu


def _missing(fields: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rules on the elements without a majority: that they are there."""
    known = {field["field"] for field in fields}
    return [{"field": name} for name in _ELEMENTS if name not in known]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.compliance", description="Protocols.")
    parser.add_argument("--series", type=int, default=10_000)
    add_archive_options(parser)
    return checked_options(parser)


if __name__ == "__main__":
    main()
