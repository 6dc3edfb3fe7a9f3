"""The columns of tables: fields of an entity and of what it belongs to, and elements of headers."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dicom_graph.dicom.dictionary import (
    definition,
    dictionary_vm,
    dictionary_vr,
    format_tag,
    is_private,
    keyword_tag,
    keywords,
)
from dicom_graph.dicom.elements.values import BYTES_VRS
from dicom_graph.dicom.entities import DESCRIBED, Attribute
from dicom_graph.errors import BadInput, nearest
from dicom_graph.store.read import Store
from dicom_graph.store.read.csa import checked_path
from dicom_graph.store.read.element_path import Step, parse_column
from dicom_graph.store.read.filters import COUNTED
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES

Kind = Literal["text", "integer", "number", "date", "time", "datetime", "moment"]
"""What the values of a column are; a `moment` is a point of time in UTC, a `datetime` a DT."""
ENTITIES = {"patients": "patient", "studies": "study", "series": "series", "images": "image"}
"""The tables of entities, and of which."""
RELATED: dict[str, tuple[str, ...]] = {
    "patient": (), "study": (), "series": ("study", "patient"),
    "image": ("series", "study", "patient"),
}  # fmt: skip
"""What an entity belongs to."""
_KEYWORDS: dict[str, tuple[str, ...]] = {
    "series": (
        "SeriesInstanceUID", "EchoTime", "RepetitionTime", "InversionTime", "PixelSpacing",
        "SliceThickness", "StudyDescription", "SequenceName", "PulseSequenceName", "StudyTime",
        "StudyDate", "Manufacturer", "ScanningSequence", "SequenceVariant", "StudyInstanceUID",
        "PatientID",
    ),
    "image": (
        "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "InstanceNumber",
        "InstanceCreationDate", "InstanceCreationTime", "SOPClassUID", "TransferSyntaxUID",
        "NumberOfFrames", "Rows", "Columns",
    ),
    "study": ("StudyInstanceUID", "StudyDescription", "StudyDate", "StudyTime"),
    "patient": ("PatientID", "PatientName", "PatientSex", "PatientBirthDate"),
}  # fmt: skip
"""The columns of every table of an entity, behind `ID`."""
_KINDS: dict[Any, tuple[Kind, bool]] = {
    "str": ("text", False), "int": ("integer", False), "float": ("number", False),
    "date": ("date", False), "time": ("time", False), "datetime": ("moment", False),
    "list[str]": ("text", True), "list[float]": ("number", True),
}  # fmt: skip
_OF_VR: dict[str, Kind] = {
    **dict.fromkeys(("AS", "DS", "FD", "FL"), "number"),
    **dict.fromkeys(("IS", "SL", "SS", "SV", "UL", "US"), "integer"),
    "DA": "date", "DT": "datetime", "TM": "time",
}  # fmt: skip
SEVERAL_ARE_ONE = "several values of an image are one text, separated by a backslash"
_CSA = "csa."
"""Begins the name of a column of a path into CSA headers."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    A field is `attribute` of `entity` (`ID`: without either), a count is `relation`, an element is
    at the end of `steps`, values of CSA headers are at the path `csa`. `is_each`: of what has
    images, the different values that these have; of an element else the one that all have.
    `notes`: what is to be said of it, by what it is about.
    """

    name: str
    kind: Kind = "text"
    is_list: bool = False
    entity: str = ""
    attribute: Attribute | None = None
    relation: str = ""
    steps: tuple[Step, ...] = ()
    csa: str = ""
    is_each: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


def entity_columns(entity: str, names: Iterable[str]) -> list[Column]:
    """The columns of a table of an entity, and those that are named beyond them.

    A name is a field's in GraphQL (`nImages`, `study.date`), an element's keyword, tag or path into
    sequences, or `csa.` and a path into CSA headers. One that is there already is none of its own.
    Raises BadInput.
    """
    columns = {column.name: column for column in _of_every_table(entity)}
    for name in names:
        if name not in columns:
            columns[name] = _named(entity, name)
    return list(columns.values())


def _of_every_table(entity: str) -> Iterator[Column]:
    yield Column("ID", entity=entity, notes={"description": "the id of its object in GraphQL"})
    for keyword in _KEYWORDS[entity]:
        yield _of_keyword(entity, keyword)


def _of_keyword(entity: str, keyword: str) -> Column:
    for owner in (entity, *RELATED[entity]):
        for attribute in DESCRIBED[owner].attributes:
            if attribute.keyword == keyword:
                return _field(keyword, owner, attribute)
    raise KeyError(keyword)


def _named(entity: str, name: str) -> Column:
    """The column of a name. Raises BadInput."""
    owner, _, rest = name.partition(".")
    is_each = owner == "images" and entity != "image" and _is_of_headers(rest)
    whole = rest if is_each else name
    if not is_each and not _is_of_headers(name):
        return _of_field(entity, name)
    notes = {}
    if is_each:
        notes["images"] = "the different values of the images of a row"
    elif entity != "image":
        notes["images"] = f"null where the images of a row differ: images.{name} has their values"
    if whole.startswith(_CSA):
        path = checked_path(whole.removeprefix(_CSA))
        return Column(name, csa=path, is_each=is_each, notes=notes)
    return Column(name, steps=tuple(parse_column(whole)), is_each=is_each, notes=notes)


def _is_of_headers(name: str) -> bool:
    """Whether it is an element or a CSA path, no field: some keywords begin in lower case."""
    first = re.split(r"[.\[]", name, maxsplit=1)[0]
    return name.startswith(_CSA) or not name[:1].islower() or first in keywords()


def _of_field(entity: str, name: str) -> Column:
    """A field of the entity, or of one that it belongs to. Raises BadInput."""
    owner, _, rest = name.rpartition(".")
    known = _fields(owner or entity) if owner in ("", *RELATED[entity]) else {}
    if rest in known:
        return replace(known[rest], name=name)
    counts = _counts(entity)
    if name in counts:
        notes = {"description": f"how many {counts[name].partition('.')[2]} there are"}
        return Column(name, "integer", entity=entity, relation=counts[name], notes=notes)
    every = field_columns(entity)
    raise BadInput(f"{name[:80]!r} is no field of a table of this kind{nearest(name, every)}")


def field_columns(entity: str) -> list[str]:
    """The names of all columns of a table of an entity that are no elements."""
    of_others = [f"{other}.{each}" for other in RELATED[entity] for each in _fields(other)]
    return [*_fields(entity), *_counts(entity), *of_others]


def _counts(entity: str) -> dict[str, str]:
    """The relations of an entity that are counted, by the names of the counts: nImages."""
    lists = [relation.partition(".") for relation in COUNTED]
    return {f"n{of.capitalize()}": f"{owner}.{of}" for owner, _, of in lists if owner == entity}


def _fields(entity: str) -> dict[str, Column]:
    attributes = (*DESCRIBED[entity].attributes, *ROW_ATTRIBUTES)
    return {_camel_case(a.name): _field(_camel_case(a.name), entity, a) for a in attributes}


def _camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _field(name: str, entity: str, attribute: Attribute) -> Column:
    type_name = getattr(attribute.type, "__name__", "")
    kind, is_list = _KINDS[str(attribute.type) if type_name == "list" else type_name]
    notes = {"description": attribute.description}
    if attribute.unit is not None:
        notes["unit"] = attribute.unit
    return Column(name, kind, is_list, entity, attribute, notes=notes)


async def typed(store: Store, columns: Sequence[Column]) -> list[Column]:
    """The columns, those of elements with the types of what may be seen of them.

    Elements whose types conflict are texts, and a note says so; those of which the standard wants
    one value are lists where some have more.
    """
    found = []
    for column in columns:
        if column.steps:
            column = await _typed(store, column)
        elif column.csa:
            column = await _typed_csa(store, column)
        found.append(column)
    return found


async def _typed_csa(store: Store, column: Column) -> Column:
    kind = await store.csa_kind(column.csa)
    notes = {**column.notes, "description": f"{column.csa} of Siemens CSA headers"}
    is_number = kind.has_numbers and not kind.has_texts
    if kind.has_numbers and kind.has_texts:
        notes["note"] = "text: some headers have a number here, some a text"
    elif not any(kind):
        notes["note"] = "no header has this path"
    is_list = kind.has_lists
    if is_list and column.is_each:
        is_number = False
        notes["note"] = SEVERAL_ARE_ONE
    return replace(
        column,
        kind="number" if is_number else "text",
        is_list=is_list or column.is_each,
        notes=notes,
    )


async def _typed(store: Store, column: Column) -> Column:
    found, has_several = await store.kinds_at([step.condition for step in column.steps])
    tag = _tag(column.steps[-1])
    vrs = sorted({d.vr for d in found}) or [dictionary_vr(tag)]
    notes = {**column.notes, "vr": " ".join(vrs), "tag": format_tag(tag & 0xFFFFFFFF)}
    name = found[0].name if found else "" if is_private(tag) else definition(tag, "", "").name
    if name:
        notes["description"] = name
    vm = dictionary_vm(tag)
    is_list = has_several or vm not in ("1", "")
    kind, note = _kind_of(vrs)
    if note:
        is_list = False
    elif is_list and column.is_each:
        kind, note = "text", SEVERAL_ARE_ONE
    elif has_several and vm == "1":
        note = "a list: some elements have several values, of which one is allowed"
    if note:
        notes["note"] = note
    return replace(column, kind=kind, is_list=is_list or column.is_each, notes=notes)


def _kind_of(vrs: Sequence[str]) -> tuple[Kind, str]:
    """What the values of elements of these VRs are, and what is to be said of it."""
    kinds = {_OF_VR.get(vr, "text") for vr in vrs}
    if kinds == {"integer", "number"}:
        return "number", ""
    if len(kinds) > 1 or (len(vrs) > 1 and not BYTES_VRS.isdisjoint(vrs)):
        return "text", f"text: elements have the value representations {', '.join(vrs)}"
    if not BYTES_VRS.isdisjoint(vrs) or vrs == ["SQ"]:
        return "text", "how much there is of it: the values themselves are not in tables"
    return kinds.pop(), ""


def _tag(step: Step) -> int:
    if step.keyword is not None:
        return keyword_tag(step.keyword) or 0
    return step.tag or 0
