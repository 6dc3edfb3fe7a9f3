"""An archive of any size, multiplied from real headers, as the import reads it.

Each copy of a series is of a new patient, study and series, with new UIDs, names and dates; in
each image the values that vary within the original are drawn anew from those that occur there,
and binary values that are unique to an image are made unique again.
"""

import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import generate_uid

from dicom_graph.dicom.elements.contents import Element, Item, make_element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.elements.packing import unpack
from dicom_graph.dicom.entities import EntityReader
from dicom_graph.dicom.errors import DicomError
from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.importing.discover import Discovery
from dicom_graph.store.ingest import FileRecord, Mode, ReadFile

_ENCODING = ["iso8859"]
_STUDY_UID, _SERIES_UID, _IMAGE_UID = 0x0020000D, 0x0020000E, 0x00080018
_STUDY_DATE, _SERIES_DATE = 0x00080020, 0x00080021
_PATIENT_NAME, _PATIENT_ID = 0x00100010, 0x00100020
_LARGE = 1000


@dataclass(frozen=True, slots=True)
class Template:
    """The headers of one real series, and what varies among them: by tag, the elements."""

    headers: Sequence[Item]
    varying: dict[int, Sequence[Element]]


def read_templates(folder: Path) -> list[Template]:
    """The series under a folder. Ends the program where there are none."""
    interner, entities = Interner(), EntityReader()
    series: dict[str, list[Item]] = {}
    for found in Discovery((str(folder),), "*.dcm").folders():
        for file in found.files:
            path = f"{file.directory}/{file.name}"
            try:
                elements = read_instance(path, interner).elements
            except (DicomError, OSError) as error:
                sys.exit(f"{path} cannot be multiplied: {error}")
            fields = entities.read(elements).series
            if fields is not None:
                series.setdefault(fields.uid, []).append(elements)
    if not series:
        sys.exit(f"no *.dcm files with a series in {folder}: give a folder that has some")
    return [Template(headers, _varying(headers)) for headers in series.values()]


def generate(
    templates: Sequence[Template], count: int, seed: int = 1, per_series: int | None = None
) -> Iterator[ReadFile]:
    """`count` images as the reader hands them to the writer; `per_series` of each at most."""
    rng = random.Random(seed)
    entities = EntityReader()
    made = 0
    copy = 0
    while made < count:
        template = templates[copy % len(templates)]
        shared = _identity(copy, rng)
        for number, header in enumerate(template.headers[:per_series]):
            if made == count:
                return
            elements = _vary(header, template, shared, rng)
            yield ReadFile(
                FileRecord(f"/archive/{copy // 100:05}/{copy:06}", f"{number:05}.dcm", 25_000, 1),
                entities.read(elements),
                elements,
                Mode.FULL,
                "1.2.840.10008.1.2.1",
            )
            made += 1
        copy += 1


def _varying(headers: Sequence[Item]) -> dict[int, Sequence[Element]]:
    found: dict[int, Counter[Element]] = {}
    for header in headers:
        for element in header:
            found.setdefault(element.tag, Counter())[element] += 1
    return {tag: list(counts) for tag, counts in found.items() if len(counts) > 1}


def _identity(copy: int, rng: random.Random) -> dict[int, Element]:
    date = f"{rng.randrange(2005, 2026)}{rng.randrange(1, 13):02}{rng.randrange(1, 29):02}"
    patient = copy // 4
    return {
        _STUDY_UID: _text(_STUDY_UID, "UI", f"1.2.826.0.1.99.{copy // 2}"),
        _SERIES_UID: _text(_SERIES_UID, "UI", f"1.2.826.0.1.99.{copy // 2}.{copy}"),
        _STUDY_DATE: _text(_STUDY_DATE, "DA", date),
        _SERIES_DATE: _text(_SERIES_DATE, "DA", date),
        _PATIENT_NAME: _text(_PATIENT_NAME, "PN", f"Family{patient:06}^Given{patient % 97}"),
        _PATIENT_ID: _text(_PATIENT_ID, "LO", f"P{patient:06}"),
    }


def _vary(header: Item, template: Template, shared: dict[int, Element], rng: random.Random) -> Item:
    elements = []
    for element in header:
        tag = element.tag
        if tag in shared:
            element = shared[tag]
        elif tag == _IMAGE_UID:
            element = _text(tag, "UI", generate_uid(entropy_srcs=[str(rng.random())]))
        elif tag in template.varying:
            element = (
                _unique(element, rng)
                if element.length > _LARGE
                else _draw(element, template.varying[tag], rng)
            )
        elements.append(element)
    return tuple(elements)


def _draw(element: Element, pool: Sequence[Element], rng: random.Random) -> Element:
    return element if rng.random() < 0.5 else rng.choice(pool)


def _unique(element: Element, rng: random.Random) -> Element:
    if element.packed is None:
        return element
    raw = bytearray(unpack(element.packed, element.length))
    for _ in range(20):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    creator = element.definition.private_creator
    return make_element(element.tag, creator, element.definition.vr, bytes(raw), _ENCODING, True)


def _text(tag: int, vr: str, text: str) -> Element:
    raw = text.encode()
    padding = b"\x00" if vr == "UI" else b" "
    return make_element(tag, "", vr, raw + padding * (len(raw) % 2), _ENCODING, True)
