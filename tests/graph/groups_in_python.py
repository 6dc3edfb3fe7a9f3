"""What groups are, by a plain evaluation in Python over pydicom's data sets."""

import datetime as dt
import itertools
import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
from pydicom.datadict import tag_for_keyword

from tests.graph import filters_in_python
from tests.graph.filters_in_python import (
    LISTS,
    Filter,
    Groups,
    Held,
    Image,
    csa_at,
    csa_is_there,
    is_called,
    is_plain,
)
from tests.graph.filters_in_python import groups as objects_of
from tests.support.make import put_raw

By = dict[str, Any]
Keys = tuple[Any, ...]
NUMBERS = [0.30000000000000004, -0.1, 0.1, 0.7, 1e300, -2.5, 1e-7, math.nan, math.inf]
PARTIAL = ["2000", "200006", "20240630", "2024063023", "20240630235959.25-0330", "no moment"]


def fill(folder: Path) -> None:
    """The archive of the filters, and values that groups may stumble over."""
    filters_in_python.fill(folder)
    dice = random.Random(15)
    for path in sorted(folder.parent.rglob("*.dcm")):
        data_set = pydicom.dcmread(path)
        if dice.random() < 0.8:
            data_set.ExposureTimeInms = dice.choice(NUMBERS)
        moment = dice.choice([*PARTIAL, None])
        if moment is not None:
            put_raw(data_set, tag_for_keyword("FrameReferenceDateTime"), "DT", moment.encode())
        date = dice.choice(["20240229", "2024", "19991231", None])
        if date is not None:
            put_raw(data_set, tag_for_keyword("ContentDate"), "DA", date.encode())
        data_set.save_as(path)


# What the headers hold.


def _date(text: str) -> str | None:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else None


def _time(text: str) -> str:
    return dt.datetime.strptime(text, "%H%M%S.%f").time().isoformat()


def _moment(text: str) -> str | None:
    """Where it ends early, its beginning; in UTC where it has an offset."""
    body, zone = (text[:-5], text[-5:]) if text[-5:-4] in ("+", "-") else (text, "")
    whole, _, fraction = body.partition(".")
    if not whole.isdigit():
        return None
    whole += "00000101000000"[len(whole) :]
    form = "%Y%m%d%H%M%S%f" + "%z" * bool(zone)
    moment = dt.datetime.strptime(whole + (fraction or "0") + zone, form)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment.isoformat()


_READ: dict[str, Callable[[str], Any]] = {"DA": _date, "TM": _time, "DT": _moment}
_NUMBERS = {"DS", "IS", "FD", "FL", "US", "UL", "SS", "SL"}


def _values(element: Held) -> list[Any]:
    """Each value as what its VR says; None where it is no such thing."""
    if element.vr in _READ:
        return [_READ[element.vr](value.text or "") for value in element.values]
    if element.vr not in _NUMBERS:
        return [value.text for value in element.values]
    numbers = [value.number for value in element.values]
    return [n if n is not None and math.isfinite(n) else None for n in numbers]


def _elements(header: list[Held], by: By) -> list[Held]:
    *steps, last = by.get("path", by.get("keyword")).split(".")
    places = [header]
    for step in steps:
        name, _, index = step.rstrip("]").partition("[")
        chosen = slice(int(index), int(index) + 1) if index else slice(None)
        places = [i for p in places for e in p if is_called(e, name) for i in e.items[chosen]]
    creator = by.get("privateCreator")
    found = [e for place in places for e in place if is_called(e, last)]
    return [e for e in found if creator is None or e.creator == creator]


def _of_csa(header: list[Held], path: str) -> set[Any]:
    of_tag = {element.tag: element.csa for element in header if element.csa is not None}
    held = [of_tag[tag] for tag in (0x00291010, 0x00291020) if tag in of_tag]
    value = next(filter(csa_is_there, (csa_at(names, path) for names in held)), None)
    return {v for v in (value if isinstance(value, list) else [value]) if is_plain(v)}


def _of_field(entity: str, images: list[Image], by: By) -> set[Any]:
    name = _camel(by["field"])
    if name.startswith("n") and name[1].isupper():
        return {len(objects_of(images, LISTS[name[1:].lower()]))}
    value = images[0].fields[entity][name]
    if name == "time" and value is not None:
        value = dt.time.fromisoformat(value).isoformat()
    if not isinstance(value, list):
        return {value} - {None}
    return set(value) if _by_member(by) else {tuple(value)}


def _camel(name: str) -> str:
    head, *tail = name.lower().split("_")
    return head + "".join(map(str.capitalize, tail))


def _by_member(by: By) -> bool:
    return bool(by.get("each")) or not {"width", "bins", "part"}.isdisjoint(by)


def raw_keys(entity: str, images: list[Image], by: By) -> set[Any]:
    """The values of an object, before they are put into buckets."""
    if "field" in by:
        return _of_field(entity, images, by)
    if "csa" in by:
        found = {value for image in images for value in _of_csa(image.header, by["csa"])}
        is_numeric = not {"width", "bins"}.isdisjoint(by)
        return {v for v in found if not isinstance(v, str)} if is_numeric else found
    lists = [_values(e) for image in images for e in _elements(image.header, by["element"])]
    if _by_member(by):
        return {value for values in lists for value in values if value is not None}
    lists = [values for values in lists if any(value is not None for value in values)]
    return {values[0] if len(values) == 1 else tuple(values) for values in lists}


# Buckets and parts.


class Bucket(NamedTuple):
    """Where it begins."""

    start: Any


def _bucketed(by: By, values: set[Any]) -> Callable[[Any], Any]:
    """From a value to its key, given all of the list."""
    if "width" in by:
        return lambda value: _floor(value, 0.0, by["width"])
    if "bins" in by and values:
        bins, least, greatest = by["bins"], float(min(values)), float(max(values))
        width = greatest / bins - least / bins
        if width == 0:
            return lambda value: least
        return lambda value: min(_floor(value, least, width), least + (bins - 1) * width)
    if "part" in by:
        return lambda value: _part(value, by["part"])
    return lambda value: value


def _floor(value: float, start: float, width: float) -> float:
    n = math.floor((value - start) / width)
    n += (value >= start + (n + 1) * width) - (value < start + n * width)
    return start + n * width


def _part(text: str, part: str) -> str:
    if part == "HOUR":
        return f"{text[: text.index(':')]}:00:00"
    day = dt.date.fromisoformat(text[:10])
    month = {"YEAR": 1, "QUARTER": (day.month - 1) // 3 * 3 + 1}.get(part, day.month)
    begins = {
        "DAY": day, "WEEK": day - dt.timedelta(days=day.weekday()),
    }.get(part, day.replace(month=month, day=1))  # fmt: skip
    return begins.isoformat() + ("T00:00:00" if "T" in text else "")


# The groups.


def expected(entity: str, objects: Groups, by: Iterable[By]) -> dict[Keys, set[str]]:
    """The uids of the objects of each group; None where an object has no value."""
    raw = [{u: raw_keys(entity, images, one) for u, images in objects.items()} for one in by]
    made = [_bucketed(one, set().union(*of.values())) for one, of in zip(by, raw, strict=True)]
    found: dict[Keys, set[str]] = {}
    for uid in objects:
        keys = [{make(v) for v in of[uid]} or {None} for make, of in zip(made, raw, strict=True)]
        for combination in itertools.product(*keys):
            found.setdefault(combination, set()).add(uid)
    return found


def statistics(entity: str, objects: Groups, uids: Iterable[str], of: By) -> Filter:
    """What `aggregate` says of a value over objects: each different one of an object counts."""
    each = {**of, "each": True}
    values = [raw_keys(entity, objects[uid], each) for uid in uids]
    flat = [value for held in values for value in held]
    is_number = all(isinstance(value, int | float) for value in flat)
    return {
        "count": sum(map(bool, values)), "min": min(flat, default=None),
        "max": max(flat, default=None), "distinct": len(set(flat)),
        "sum": math.fsum(flat) if flat and is_number else None,
    }  # fmt: skip
