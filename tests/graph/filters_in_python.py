"""An archive of random files, and what filters find in it by a plain evaluation in Python."""

import datetime as dt
import random
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_graph.dicom.csa.header import CSA_CREATOR
from dicom_graph.dicom.csa.header import CSA_IMAGE_HEADER as CSA_IMAGE
from dicom_graph.dicom.csa.header import CSA_SERIES_HEADER as CSA_SERIES
from tests.support.csa import by_nibabel, csa
from tests.support.make import make_data_set, put_raw, save

Filter = dict[str, Any]

# The archive: a few values for each element, so that filters meet them often.
TEXTS = ["", "ab", "AB", "a%b", "a_b", "c:\\x", "Ångström", "ÅNGSTRÖM", "x" * 70, "x" * 70 + "y"]
CODES = ["GR", "IR", "SE", "EP"]
NUMBERS = [-1.0, 0.0, 0.5, 1.0, 2.5, 3.0, 1000.25]
WHOLE = [0, 1, 2, 3, 7]
DATES = ["1999-12-31", "2000-01-01", "2000-02-29", "2024-06-30"]
TIMES = ["00:00:00.000000", "07:30:00.000000", "12:00:00.250000", "23:59:59.999999"]
MOMENTS = ["2000-01-01T00:00:00.000000", "2000-01-01T10:30:00.500000", "2024-06-30T23:59:59.000000"]
UIDS = {"image": [f"1.2.{n}" for n in range(33)], "series": [f"1.3.{n}" for n in range(11)]}
MINIMAL = UIDS["series"][-1]
"""The series that is imported without headers."""
PATIENTS = ["p1", "P1", "p_2", "p%3"]
NAMES = ["Ång^Ada", "berg^Bo^C", "Berg", "=", "O'Neil^^^Dr"]
SCHEMES = ["X", "Y"]
CREATORS = ["GEMS_ACQU_01", "SOMEONE"]


def fill(folder: Path) -> None:
    """Write 33 files of 11 series; what varies within a series is no field of it."""
    dice = random.Random(4)
    folder.with_name("minimal").mkdir(parents=True)
    for number, uid in enumerate(UIDS["series"]):
        of_series = _series_elements(dice, number)
        for image in UIDS["image"][number * 3 : number * 3 + 3]:
            data_set = make_data_set(**of_series, **_image_elements(dice))
            data_set.SeriesInstanceUID, data_set.SOPInstanceUID = uid, image
            data_set.SpecificCharacterSet = "ISO_IR 192"
            _add_sequences(dice, data_set)
            _add_private(dice, data_set)
            if dice.random() < 0.2:
                put_raw(data_set, tag_for_keyword("TriggerTime"), "DS", b"late")
            _add_csa(dice, data_set)
            place = folder.with_name("minimal") if uid == MINIMAL else folder
            save(data_set, place / f"{image}.dcm")


def _series_elements(dice: random.Random, number: int) -> Filter:
    patient = number % 5 if number % 5 < len(PATIENTS) else None
    study = number // 2
    return {
        "PatientID": None if patient is None else PATIENTS[patient],
        "PatientName": None if patient is None else NAMES[patient],
        "PatientSex": None if patient is None else "MFOX"[patient],
        "PatientBirthDate": None if patient is None else _plain(DATES[patient]),
        "StudyInstanceUID": None if study == 4 else f"1.4.{study}",
        "StudyDescription": TEXTS[study].replace("\\", ""),
        "StudyDate": _plain(DATES[study % 4]),
        "SeriesNumber": dice.choice([*WHOLE, None]),
        "SeriesDescription": dice.choice(TEXTS).replace("\\", "") if number else None,
        "Modality": dice.choice(["MR", "CT"]),
        "SeriesDate": _plain(dice.choice(DATES)),
        "SeriesTime": _plain(dice.choice(TIMES)),
        "EchoTime": dice.choice([*NUMBERS, None]),
        "PixelSpacing": dice.choice([None, [0.5, 1], [0.5, 0.5], [3, 2.5]]),
        "ScanningSequence": dice.choice([None, "GR", ["GR", "IR"], ["IR", "GR"], ["SE", "EP"]]),
    }


def _image_elements(dice: random.Random) -> Filter:
    return {
        "InstanceNumber": dice.choice([*WHOLE, None]),
        "Rows": dice.choice(WHOLE),
        "ImageComments": dice.choice([*TEXTS, None]),
        "ImageType": dice.sample(["ORIGINAL", "PRIMARY", "M", "MOSAIC", "ND"], dice.randint(1, 4)),
        "TriggerTime": dice.choice([*NUMBERS, None]),
        "SelectorFDValue": dice.sample(NUMBERS, dice.randint(1, 3)),
        "AcquisitionDate": dice.choice([*map(_plain, DATES), None]),
        "AcquisitionTime": dice.choice([*map(_plain, TIMES), None]),
        "AcquisitionDateTime": dice.choice([_plain(MOMENTS[1]), "20000101023000.5-0800", None]),
        "AccessionNumber": dice.choice(["", "ab", None]),
        "FrameIncrementPointer": dice.choice([None, 0x00181063]),
    }


def _plain(text: str) -> str:
    """A date or time as DICOM writes it."""
    return text.replace("-", "").replace(":", "").replace("T", "")


def _add_sequences(dice: random.Random, data_set: Dataset) -> None:
    if dice.random() < 0.8:
        codes = [_code(dice) for _ in range(dice.randint(0, 3))]
        data_set.ProcedureCodeSequence = Sequence(codes)
    groups = [_group(dice) for _ in range(dice.randint(0, 2))]
    if groups:
        data_set.PerFrameFunctionalGroupsSequence = Sequence(groups)


def _code(dice: random.Random) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = dice.choice(CODES), dice.choice(SCHEMES)
    if dice.random() < 0.3:
        code.EquivalentCodeSequence = Sequence([_code(dice)])
    return code


def _group(dice: random.Random) -> Dataset:
    measures, group = Dataset(), Dataset()
    measures.SliceThickness, measures.Rows = dice.choice(NUMBERS), dice.choice(WHOLE)
    group.PixelMeasuresSequence = Sequence([measures])
    _add_private(dice, group)
    _add_csa(dice, group)
    return group


def _add_private(dice: random.Random, data_set: Dataset) -> None:
    for creator in dice.sample(CREATORS, dice.randint(0, 2)):
        block = data_set.private_block(0x0019, creator, create=True)
        block.add_new(0x9C, "LO", dice.choice(["ab", "AB", "Ångström"]))


def _add_csa(dice: random.Random, data_set: Dataset) -> None:
    """CSA headers of the image, of the series, of both or none; some names are in both."""
    times = [str(dice.choice(NUMBERS)) for _ in range(dice.randint(0, 3))]
    lines = [f"lSize = {dice.choice(WHOLE)}", f"alFree[{dice.randint(0, 2)}] = 1"]
    lines += [f'asSlice[{dice.randint(0, 1)}].tName = "{dice.choice(["ab", "AB"])}"']
    body = "\n".join(dice.sample(lines, dice.randint(0, 3)))
    text = f"### ASCCONV BEGIN ###\n{body}\n### ASCCONV END ###\n"
    image = [
        ("B_value", "IS", 1, [str(dice.choice(WHOLE))]), ("Times", "FD", 0, times),
        ("Codes", "LO", 0, dice.sample(["ab", "AB", "x" * 70], dice.randint(0, 2))),
        ("Both", "DS", 1, [str(dice.choice(NUMBERS))] if dice.random() < 0.5 else []),
    ]  # fmt: skip
    series = [
        ("Both", "DS", 1, [str(dice.choice(NUMBERS))] if dice.random() < 0.5 else []),
        ("MrPhoenixProtocol", "UN", 1, [text]),
    ]
    block = data_set.private_block(0x0029, CSA_CREATOR, create=True)
    for low, tags in ((CSA_IMAGE, image), (CSA_SERIES, series)):
        if dice.random() < 0.7:
            block.add_new(low, "OB", csa(dice.sample(tags, dice.randint(1, len(tags)))))


# What the headers hold, told by pydicom and nibabel alone.


class Value(NamedTuple):
    """One value: its text, and what it means. Dates and times are ISO texts of full length."""

    text: str | None = None
    number: float | None = None
    date: str | None = None
    time: str | None = None
    datetime: str | None = None
    unreadable: bool = False


class Held(NamedTuple):
    """An element of a data set. `items` are those of a sequence, `csa` what a CSA header holds."""

    tag: int
    keyword: str
    creator: str
    vr: str
    vm: int
    values: list[Value]
    items: list["list[Held]"]
    csa: dict[str, Any] | None = None


NUMBER_CODES = {"US": "H", "UL": "L", "SS": "h", "SL": "l", "FL": "f", "FD": "d"}


def elements_of(data_set: Dataset) -> list[Held]:
    """All elements of a data set."""
    return [_held(data_set, int(tag)) for tag in data_set._dict]


def _held(data_set: Dataset, tag: int) -> Held:
    creator = _creator(data_set, tag)
    keyword = "" if tag >> 16 & 1 else keyword_for_tag(tag)
    element = data_set.get_item(tag)
    if element.VR == "SQ":
        items = [elements_of(item) for item in data_set[tag].value]
        return Held(tag, keyword, creator, "SQ", len(items), [], items)
    if element.VR == "OB":
        held = {name: found["value"] for name, found in by_nibabel(element.value).items()}
        return Held(tag, keyword, creator, "OB", 1, [], [], held)
    # pydicom decodes the character set itself.
    raw = element.value.encode() if isinstance(element.value, str) else element.value or b""
    values = _values(element.VR, raw)
    return Held(tag, keyword, creator, element.VR, len(values), values, [])


def _creator(data_set: Dataset, tag: int) -> str:
    if not tag >> 16 & 1 or tag & 0xFFFF < 0x1000:
        return ""
    raw = data_set.get_item(tag & 0xFFFF0000 | tag >> 8 & 0xFF).value
    return raw.decode().strip()


def _values(vr: str, raw: bytes) -> list[Value]:
    if vr in NUMBER_CODES:
        numbers = struct.iter_unpack(f"<{NUMBER_CODES[vr]}", raw)
        return [Value(number=float(number)) for (number,) in numbers]
    if vr == "AT":
        pairs = struct.iter_unpack("<HH", raw)
        return [Value(f"({g:04X},{e:04X})", float(g << 16 | e)) for g, e in pairs]
    text = raw.decode().rstrip(" \0")
    if not text:
        return []
    return [_value(vr, part) for part in ([text] if vr == "LT" else text.split("\\"))]


def _value(vr: str, text: str) -> Value:
    if vr in ("DS", "IS"):
        try:
            return Value(text, float(text))
        except ValueError:
            return Value(text, unreadable=True)
    if vr == "DA":
        return Value(text, date=f"{text[:4]}-{text[4:6]}-{text[6:]}")
    if vr == "TM":
        return Value(text, time=_clock(text))
    if vr == "DT":
        return Value(text, datetime=_moment(text))
    return Value(text)


def _clock(text: str) -> str:
    whole, _, fraction = text.partition(".")
    return f"{whole[:2]}:{whole[2:4]}:{whole[4:6]}.{fraction:0<6}"


def _moment(text: str) -> str:
    """In UTC where the text has an offset; what is no whole moment is none that filters ask for."""
    form = "%Y%m%d%H%M%S.%f" + ("%z" if text[-5:-4] in ("+", "-") else "")
    try:
        moment = dt.datetime.strptime(text, form)
    except ValueError:
        return ""
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="microseconds")


# What filters mean.

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, other: value == other,
    "in": lambda value, others: value in others,
    "gt": lambda value, other: value > other,
    "gte": lambda value, other: value >= other,
    "lt": lambda value, other: value < other,
    "lte": lambda value, other: value <= other,
    "between": lambda value, ends: ends[0] <= value <= ends[1],
    "contains": lambda value, other: other in value,
    "ieq": lambda value, other: other.lower() == value.lower(),
    "iin": lambda value, others: value.lower() in [other.lower() for other in others],
    "icontains": lambda value, other: other.lower() in value.lower(),
    "startsWith": lambda value, other: value.startswith(other),
    "istartsWith": lambda value, other: value.lower().startswith(other.lower()),
    "endsWith": lambda value, other: value.endswith(other),
    "exactly": lambda value, others: set(value) == set(others),
    "containsAll": lambda value, others: set(others) <= set(value),
    "containsAny": lambda value, others: not set(others).isdisjoint(value),
    "any": lambda value, tests: any(passes(item, tests) for item in value),
    "length": lambda value, tests: passes(len(value), tests),
}


def passes(value: Any, tests: Filter) -> bool:
    """Whether a value, None where it is missing, passes all tests."""
    for name, other in tests.items():
        if name == "isNull":
            passed = (value is None) == other
        elif name == "ne":
            passed = value != other
        else:
            passed = value is not None and OPERATORS[name](value, other)
        if not passed:
            return False
    return True


def logical(wanted: Filter, holds: Callable[[Filter], bool], rest: Callable[[str], bool]) -> bool:
    """`and`, `or`, `not` of filters for which `holds`, and `rest` of any other key."""
    known: dict[str, Callable[[Any], bool]] = {
        "and": lambda parts: all(map(holds, parts)),
        "or": lambda parts: any(map(holds, parts)),
        "not": lambda part: not holds(part),
    }
    return all(
        known[name](value) if name in known else rest(name) for name, value in wanted.items()
    )


def header_fits(header: list[Held], wanted: Filter) -> bool:
    """HeaderFilter."""

    def rest(name: str) -> bool:
        if name == "csa":
            return all(csa_fits(header, part) for part in wanted["csa"])
        elements = wanted[name] if name == "elements" else [wanted[name]]
        return all(element_fits(header, element) for element in elements)

    return logical(wanted, lambda part: header_fits(header, part), rest)


def csa_fits(header: list[Held], wanted: Filter) -> bool:
    """CsaFilter: what is there in the image's CSA header goes before the series'."""
    of_tag = {element.tag: element.csa for element in header if element.csa is not None}
    held = [of_tag[tag] for tag in (0x00291010, 0x00291020) if tag in of_tag]
    value = next(filter(csa_is_there, (csa_at(names, wanted["path"]) for names in held)), None)
    columns = {name: wanted[name] for name in ("text", "number") if name in wanted}
    values = [v for v in (value if isinstance(value, list) else [value]) if is_plain(v)]
    found = any(_fits(_as_value(v), columns) for v in values) if columns else value is not None
    return found != (wanted.get("exists") is False)


def csa_at(names: Filter, path: str) -> Any:
    """The value at a path; None where it leads nowhere."""
    node: Any = names
    for step in re.findall(r"[^.\[\]]+", path):
        try:
            node = node[int(step)] if isinstance(node, list) else node[step]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return node


def csa_is_there(value: Any) -> bool:
    """Whether it is a value, or a list or an object with one in it."""
    if isinstance(value, dict | list):
        return any(map(csa_is_there, value.values() if isinstance(value, dict) else value))
    return value is not None


def is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _as_value(value: Any) -> "Value":
    return Value(text=value) if isinstance(value, str) else Value(number=float(value))


def element_fits(header: list[Held], wanted: Filter) -> bool:
    """ElementFilter: whether the header holds it; with `exists: false`, that it does not."""
    starts = everywhere(header) if wanted.get("anywhere") else [header]
    found = any(holds_at(start, wanted) for start in starts)
    return found != (wanted.get("exists") is False)


def everywhere(header: list[Held]) -> Iterator[list[Held]]:
    """The header and all items in it."""
    yield header
    for element in header:
        for item in element.items:
            yield from everywhere(item)


def holds_at(header: list[Held], wanted: Filter) -> bool:
    """Whether the header's own elements have it, or those that the path leads to."""
    *steps, last = wanted.get("path", wanted.get("keyword", wanted.get("tag", ""))).split(".")
    places = [header]
    for step in steps:
        name, _, index = step.rstrip("]").partition("[")
        chosen = slice(int(index), int(index) + 1) if index else slice(None)
        places = [
            item
            for place in places
            for e in place
            if is_called(e, name)
            for item in e.items[chosen]
        ]
    return any(is_called(e, last) and fulfils(e, wanted) for place in places for e in place)


def is_called(element: Held, name: str) -> bool:
    """By keyword, by tag, or by no name at all."""
    if name.startswith("(") and "xx" in name:
        group, low = int(name[1:5], 16), int(name[8:10], 16)
        return bool(element.creator) and element.tag & 0xFFFF00FF == group << 16 | low
    if name.startswith("("):
        return element.tag == int(name[1:5] + name[6:10], 16)
    return name in ("", element.keyword)


def fulfils(element: Held, wanted: Filter) -> bool:
    """All that is asked of the element itself."""
    columns = {name: wanted[name] for name in Value._fields if name in wanted}
    unreadable = any(value.unreadable for value in element.values)
    return (
        wanted.get("privateCreator", element.creator) == element.creator
        and wanted.get("vr", element.vr) == element.vr
        and passes(element.vm, wanted.get("vm", {}))
        and wanted.get("hasWarnings", unreadable) == unreadable
        and (not columns or any(_fits(value, columns) for value in element.values))
        and ("item" not in wanted or any(header_fits(i, wanted["item"]) for i in element.items))
    )


def _fits(value: Value, columns: Filter) -> bool:
    return all(passes(getattr(value, name), tests) for name, tests in columns.items())


class Image(NamedTuple):
    """An image with the fields of its entities."""

    uid: str
    header: list[Held]
    fields: dict[str, dict[str, Any]]


FIELDS = {
    "image": {"uid": "SOPInstanceUID", "number": "InstanceNumber", "rows": "Rows"},
    "series": {
        "uid": "SeriesInstanceUID", "number": "SeriesNumber", "modality": "Modality",
        "description": "SeriesDescription", "date": "SeriesDate", "time": "SeriesTime",
        "echoTime": "EchoTime", "pixelSpacing": "PixelSpacing",
        "scanningSequence": "ScanningSequence",
    },
    "study": {"uid": "StudyInstanceUID", "description": "StudyDescription", "date": "StudyDate"},
    "patient": {"uid": "PatientID", "name": "PatientName", "sex": "PatientSex",
                "dateOfBirth": "PatientBirthDate"},
}  # fmt: skip


@cache
def archive(folder: Path) -> tuple[Image, ...]:
    """The images as pydicom reads them."""
    made = []
    for path in sorted(folder.rglob("*.dcm")):
        header = elements_of(pydicom.dcmread(path))
        fields = {entity: _fields(header, names) for entity, names in FIELDS.items()}
        name = (fields["patient"]["name"] or "").split("=")[0].split("^")
        fields["patient"]["familyName"] = name[0] or None
        fields["patient"]["givenName"] = (name[1] or None) if len(name) > 1 else None
        if fields["patient"]["sex"] not in ("M", "F", "O"):
            fields["patient"]["sex"] = None
        kept = [] if path.parent.name == "minimal" else header
        made.append(Image(fields["image"]["uid"], kept, fields))
    return tuple(made)


def _fields(header: list[Held], names: dict[str, str]) -> dict[str, Any]:
    by_keyword = {element.keyword: element for element in header}
    return {name: _field(name, by_keyword.get(keyword)) for name, keyword in names.items()}


def _field(name: str, element: Held | None) -> Any:
    if element is None or not element.values:
        return None
    if name == "pixelSpacing":
        return [value.number for value in element.values]
    if name == "scanningSequence":
        return [value.text for value in element.values]
    value = element.values[0]
    return next(v for v in (value.number, value.date, value.time, value.text) if v is not None)


Groups = dict[str, list[Image]]


def groups(images: Iterable[Image], entity: str) -> Groups:
    """The images of each object of a kind, by its uid."""
    found: Groups = {}
    for image in images:
        if image.fields[entity]["uid"] is not None:
            found.setdefault(image.fields[entity]["uid"], []).append(image)
    return found


ALL: dict[str, Groups] = {}
"""The whole archive: the images of each object of each kind."""


LISTS = {"studies": "study", "series": "series", "images": "image", "patients": "patient"}
ONES = {("series", "study"), ("series", "patient"), ("image", "series")}


def fits(entity: str, images: list[Image], wanted: Filter) -> bool:
    """Whether the object that these images are of fulfils a filter of its kind."""

    def rest(name: str) -> bool:
        return _part_fits(entity, images, name, wanted[name])

    return logical(wanted, lambda part: fits(entity, images, part), rest)


def _part_fits(entity: str, images: list[Image], name: str, value: Any) -> bool:
    if name == "header":
        return header_fits(images[0].header, value)
    if name == "missingRelation":
        owners = [images[0].fields[owner]["uid"] for owner in ("study", "patient")]
        return (None in owners) == value
    if name in ("anyImage", "everyImage"):
        quantifier = {"anyImage": "some", "everyImage": "every"}[name]
        return _list_fits(images, "image", {quantifier: value})
    if (entity, name) in ONES:
        uid = images[0].fields[name]["uid"]
        return uid is not None and fits(name, ALL[name][uid], value)
    if name in LISTS:
        return _list_fits(images, LISTS[name], value)
    if name.startswith("n") and name[1].isupper():
        return passes(len(groups(images, LISTS[name[1:].lower()])), value)
    return passes(images[0].fields[entity][name], value)


def _list_fits(images: list[Image], child: str, wanted: Filter) -> bool:
    """`some`, `none`, `every` of the objects that these images belong to."""
    quantifiers: dict[str, Callable[[Iterable[bool]], bool]] = {
        "some": any,
        "every": all,
        "none": lambda results: not any(results),
    }
    return all(
        quantifiers[name](fits(child, ALL[child][uid], part) for uid in groups(images, child))
        for name, part in wanted.items()
    )


def expected(entity: str, wanted: Filter) -> set[str]:
    """The uids of what a filter finds."""
    return {uid for uid, images in ALL[entity].items() if fits(entity, images, wanted)}
