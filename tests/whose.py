"""Whose rows, values and volumes somebody is given: what `tests.same_uids` asks for beside images.

Each file says whose it is in the PatientName and StudyInstanceUID, and by a number that is all of a
large private value, the RepetitionTime (ms) and the b value.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from pydicom.dataset import Dataset

W = TypeVar("W")
Get = Callable[[str], bytes | None]
"""The bytes at an address, None where they are refused."""
LARGE = 66_000
"""Bytes that the database does not have, only the files."""
_STUDY = "(0020,000D)"
_COLUMNS = f"column=PatientName&column={_STUDY}"
_BULK = re.compile(r'"BulkDataURI": ?"([^"]+)"')


def put_number(data_set: Dataset, number: int) -> None:
    """Write whose it is where numbers are."""
    block = data_set.private_block(0x0029, "WHOSE", create=True)
    block.add_new(1, "OB", bytes([number]) * LARGE)
    data_set.RepetitionTime = number
    data_set.DiffusionBValue = number


def bulk_addresses(get: Get, uid: str) -> list[str]:
    """Where the header of an image says that its large values are."""
    header = get(f"/images/{uid}/header.json")
    return sorted(set(_BULK.findall(header.decode()))) if header is not None else []


def of_bulk_data(get: Get, addresses: Iterable[str]) -> Iterator[int]:
    """The numbers in the values at these addresses."""
    for address in addresses:
        content = get(address)
        if content is not None:
            assert len(content) == LARGE
            yield from set(content)


def of_volume(get: Get, series: str) -> Iterator[float]:
    """The numbers of a series' volume, its sidecar and its b values."""
    sidecar, values = (get(f"/series/{series}/volume.{end}") for end in ("json", "bval"))
    array = get(f"/series/{series}/volume.npy")
    if sidecar is not None:
        yield json.loads(sidecar)["RepetitionTime"] * 1000
    if values is not None:
        yield from map(float, values.split())
    if array is not None:
        # A place without a picture is 0.
        yield from (value for value in np.unique(np.load(io.BytesIO(array))) if value)


def of_tables(get: Get, prefix: str, whose: Callable[[str, str], W]) -> Mapping[str, list[W]]:
    """By table, whom and what its rows name; `prefix`: of all UIDs."""
    asked = f"filter={json.dumps({'uid': {'startsWith': prefix}})}"
    images = _rows(get, f"/images.csv?{asked}&{_COLUMNS}")
    # Of a series none of whose images is seen there is no header; where images differ, no value.
    series = [
        row
        for row in _rows(get, f"/series.csv?{asked}&{_COLUMNS}")
        if row["PatientName"] and row[_STUDY]
    ]
    elements: dict[str, dict[str, str]] = {}
    for row in _rows(get, f"/elements.csv?{asked}"):
        elements.setdefault(row["SOPInstanceUID"], {})[row["keyword"]] = row["text"]
    return {
        "images": [whose(row["PatientName"], row[_STUDY]) for row in images],
        "series": [whose(row["PatientName"], row[_STUDY]) for row in series],
        "elements": [
            whose(each["PatientName"], each["StudyInstanceUID"]) for each in elements.values()
        ],
    }


def texts_of_tables(get: Get) -> str:
    """All that tables say, for who sees no identities."""
    names = [f"/{name}.csv" for name in ("patients", "studies", "series", "images", "elements")]
    return "".join((get(each) or b"").decode() for each in names)


def _rows(get: Get, address: str) -> list[dict[str, Any]]:
    content = get(address)
    assert content is not None, address
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))
