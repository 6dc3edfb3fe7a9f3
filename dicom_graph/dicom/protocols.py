"""Protocols in the JSON of dicompare's schema: what the elements of a series must be.

A rule is of one element: a value, a set, a range, a tolerance, or a text that it contains; see
https://dicompare.org/metaschema/v1. What dicompare derives from several elements, and rules that
are programs, cannot be checked here: they are told, and nothing is run.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dicom_graph.dicom.dictionary import dictionary_vr, is_private, keyword_tag, keywords, parse_tag

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_DECIMALS = 5
"""dicompare reads numbers with so many, and writes them so into the protocols that it makes."""
Value = float | str | tuple["Value", ...]
"""A value of an element, or all of one that has several."""
_CONSTRAINTS = (
    "value", "tolerance", "min", "max", "contains", "contains_any", "contains_all", "errorMin",
    "errorMax", "errorTolerance",
)  # fmt: skip
_NUMBERS = ("tolerance", "min", "max", "errorMin", "errorMax", "errorTolerance")
_TOLERANCES = ("tolerance", "errorTolerance")
_PIXELS = 0x7FE0
MOST_RULES, MOST_LEVELS = 2_000, 32
"""So many rules and programs a protocol may have in all, and so deeply it may be nested."""


class ProtocolError(ValueError):
    """No protocol; the message says what is wrong and where."""


class Finding(Enum):
    """What comes of a rule."""

    COMPLIANT = "compliant"
    WARNING = "warning"
    DEVIATING = "deviating"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What one element must be. `given`: the constraints, by their names in the schema.

    `name` is what the protocol calls it; `keyword`, `tag`: which element; neither, none at all.
    """

    name: str
    given: Mapping[str, Any]
    keyword: str | None = None
    tag: int | None = None
    is_advice: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it is of an element that has values, as sequences and pixels have none."""
        tag = keyword_tag(self.keyword) if self.keyword is not None else self.tag
        return tag is not None and _has_values(tag)

    @property
    def expected(self) -> str:
        """What it wants, for a person."""
        given = self.given
        if "contains_any" in given:
            return f"any of {_shown(given['contains_any'])}"
        if "contains_all" in given:
            return f"all of {_shown(given['contains_all'])}"
        if "contains" in given:
            return f"contains {given['contains']!r}"
        if "min" in given or "max" in given:
            return f"{given.get('min', '…')} to {given.get('max', '…')}"
        if "value" not in given:
            return "is there"
        within = f" ± {given['tolerance']:g}" if "tolerance" in given else ""
        return f"{_shown(given['value'])}{within}"

    def finding(self, values: Sequence[Value]) -> Finding:
        """What comes of the different values that a series has, one or more."""
        if not values:
            return Finding.MISSING
        if _fulfils(self.given, values):
            return Finding.COMPLIANT
        edges = {k for k in ("errorMin", "errorMax", "errorTolerance") if k in self.given}
        if not edges:
            return Finding.WARNING if self.is_advice else Finding.DEVIATING
        return Finding.WARNING if _fulfils(self._widened(), values) else Finding.DEVIATING

    def _widened(self) -> dict[str, Any]:
        """The edges beyond which values are wrong, not only worth a warning."""
        given = self.given
        if "errorTolerance" in given:
            return {"value": given.get("value"), "tolerance": given["errorTolerance"]}
        names = {"errorMin": "min", "errorMax": "max"}
        return {short: given[long] for long, short in names.items() if long in given}


@dataclass(frozen=True, slots=True)
class ProtocolAcquisition:
    """What the series of an acquisition must be: all `rules`, and those of one of `series`."""

    name: str
    rules: tuple[FieldRule, ...]
    series: tuple[tuple[str, tuple[FieldRule, ...]], ...] = ()
    n_programs: int = 0

    @property
    def not_checked(self) -> list[str]:
        """What is of no element, for a person."""
        names = list(dict.fromkeys(rule.name for rule in self.all_rules if not rule.is_known))
        return names + [f"{self.n_programs} programs"] * bool(self.n_programs)

    @property
    def all_rules(self) -> tuple[FieldRule, ...]:
        """The rules, with those of all series."""
        return (*self.rules, *(rule for _, rules in self.series for rule in rules))


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol by its acquisitions."""

    name: str
    acquisitions: Mapping[str, ProtocolAcquisition]

    def chosen(self, name: str | None) -> ProtocolAcquisition:
        """The acquisition of a name, or the only one. Raises ProtocolError."""
        known = ", ".join(map(repr, self.acquisitions))
        if name is None:
            if len(self.acquisitions) == 1:
                return next(iter(self.acquisitions.values()))
            raise ProtocolError(f"the protocol has several acquisitions, name one: {known}")
        if name not in self.acquisitions:
            raise ProtocolError(f"the protocol has no acquisition {name!r}; it has {known}")
        return self.acquisitions[name]


def parse_protocol(text: str) -> Protocol:
    """A protocol in JSON, with or without a byte order mark. Raises ProtocolError."""
    try:
        return read_protocol(json.loads(text.removeprefix("\ufeff")))
    except (ValueError, RecursionError) as error:
        if isinstance(error, ProtocolError):
            raise
        raise ProtocolError("the protocol is no JSON") from None


def read_protocol(content: Any) -> Protocol:
    """The same of JSON that is read. Raises ProtocolError."""
    if not isinstance(content, dict) or not isinstance(content.get("acquisitions"), dict):
        raise ProtocolError("a protocol is an object with `name` and `acquisitions`, an object")
    _refuse_odd_json(content)
    acquisitions = {
        name: parse_acquisition(name, _object(given, name))
        for name, given in content["acquisitions"].items()
    }
    if not acquisitions:
        raise ProtocolError("the protocol has no acquisition")
    n_rules = sum(len(each.all_rules) + each.n_programs for each in acquisitions.values())
    if max(n_rules, len(acquisitions)) > MOST_RULES:
        raise ProtocolError(f"the protocol has more than {MOST_RULES:,} rules or acquisitions")
    return Protocol(str(content.get("name", "")), acquisitions)


def _refuse_odd_json(content: Any) -> None:
    """What Python takes for JSON, and RFC 8259 or a double do not. Raises ProtocolError."""
    waiting = [(content, 0)]
    while waiting:
        value, level = waiting.pop()
        if level > MOST_LEVELS:
            raise ProtocolError(f"the protocol is nested more than {MOST_LEVELS} levels deep")
        if isinstance(value, dict):
            waiting.extend((each, level + 1) for pair in value.items() for each in pair)
        elif isinstance(value, list):
            waiting.extend((each, level + 1) for each in value)
        elif isinstance(value, str):
            if _NO_TEXT.search(value):
                raise ProtocolError("the protocol has a text with NUL or half a character")
        elif not _is_finite(value):
            raise ProtocolError("the protocol has a number that no double holds")


def parse_acquisition(name: str, given: Mapping[str, Any]) -> ProtocolAcquisition:
    """An acquisition of JSON. Raises ProtocolError."""
    series = []
    for number, each in enumerate(_list(given.get("series"), f"{name}.series")):
        place = f"{name}.series[{number}]"
        label = str(_object(each, place).get("name", number))
        series.append((label, _rules(each.get("fields"), place)))
    programs = _list(given.get("rules"), f"{name}.rules")
    return ProtocolAcquisition(
        name, _rules(given.get("fields"), name), tuple(series), len(programs)
    )


def _rules(given: Any, place: str) -> tuple[FieldRule, ...]:
    return tuple(
        _rule(_object(each, f"{place}.fields[{number}]"), f"{place}.fields[{number}]")
        for number, each in enumerate(_list(given, f"{place}.fields"))
    )


def _rule(given: Mapping[str, Any], place: str) -> FieldRule:
    name = given.get("field")
    if not isinstance(name, str) or not name:
        raise ProtocolError(f"{place}: `field` is missing, the keyword of an element")
    constraints = {key: given[key] for key in _CONSTRAINTS if given.get(key) is not None}
    for key in _NUMBERS:
        if key in constraints and not _is_number(constraints[key]):
            raise ProtocolError(f"{place}: `{key}` is a number")
    for key in _TOLERANCES:
        wanted = _as_list(constraints.get("value", ""))
        if key in constraints and not all(map(_is_number, wanted)):
            raise ProtocolError(f"{place}: `{key}` goes with a `value` of numbers")
    for key in ("contains_any", "contains_all"):
        _list(constraints.get(key), f"{place}.{key}")
    keyword, tag = _element(name, given.get("tag"))
    return FieldRule(name, constraints, keyword, tag, given.get("severity") == "warning")


def _element(name: str, tag: Any) -> tuple[str | None, int | None]:
    """The element that a rule is of: by its keyword, however spaced, else by its tag."""
    if tag in ("derived", "custom"):
        return None, None
    keyword = "".join(name.split())
    if keyword in keywords():
        return keyword, None
    for text in (tag, name):
        try:
            return None, parse_tag(str(text))
        except ValueError:
            continue
    return None, None


def _has_values(tag: int) -> bool:
    is_standard = not is_private(tag)
    return tag >> 16 != _PIXELS and not (is_standard and dictionary_vr(tag) == "SQ")


def _fulfils(given: Mapping[str, Any], values: Sequence[Value]) -> bool:
    """Whether all values fulfil constraints; as in dicompare the first of these kinds counts."""
    if "contains_any" in given:
        return all(_contains_any(value, given["contains_any"]) for value in values)
    if "contains_all" in given:
        return all(
            isinstance(value, tuple)
            and set(map(_folded, given["contains_all"])) <= set(map(_folded, value))
            for value in values
        )
    if "contains" in given:
        part = str(given["contains"]).strip().lower()
        return all(
            any(isinstance(text, str) and part in text.lower() for text in _as_list(value))
            for value in values
        )
    if "min" in given or "max" in given:
        return all(_is_between(n, given.get("min"), given.get("max")) for n in _flat(values))
    if "tolerance" in given:
        return _is_near(values, given["value"], given["tolerance"])
    if isinstance(given.get("value"), list):
        wanted = set(map(_folded, given["value"]))
        whole = values[0] if len(values) == 1 and isinstance(values[0], tuple) else tuple(values)
        return set(map(_folded, whole)) == wanted
    if "value" in given:
        wanted_value = _folded(given["value"])
        return all(_folded(_unwrapped(value)) == wanted_value for value in values)
    return True


def _contains_any(value: Value, wanted: Sequence[Any]) -> bool:
    flat = [part for each in wanted for part in _as_list(each)]
    if isinstance(value, tuple):
        return not set(map(_folded, flat)).isdisjoint(map(_folded, value))
    if isinstance(value, str):
        return any(isinstance(each, str) and each.strip().lower() in value.lower() for each in flat)
    return False


def _is_between(number: Any, least: float | None, most: float | None) -> bool:
    if not _is_number(number):
        return False
    told = round(number, _DECIMALS)
    at_least = least is None or told >= round(least, _DECIMALS)
    return at_least and (most is None or told <= round(most, _DECIMALS))


def _is_near(values: Sequence[Value], wanted: Any, tolerance: float) -> bool:
    numbers = _flat(values)
    if isinstance(wanted, list):
        if len(numbers) != len(wanted):
            return False
        pairs = list(zip(numbers, wanted, strict=True))
    else:
        pairs = [(number, wanted) for number in numbers]
    return all(_is_between(n, w - tolerance, w + tolerance) for n, w in pairs)


def _flat(values: Sequence[Value]) -> list[Any]:
    return [part for value in values for part in _as_list(value)]


def _unwrapped(value: Value) -> Value:
    """A list of one text is that text."""
    is_single = isinstance(value, tuple) and len(value) == 1
    return value[0] if is_single and isinstance(value, tuple) else value


def _folded(value: Any) -> Any:
    """A value as it is compared: numbers to five decimals, texts without case and padding."""
    if isinstance(value, list | tuple):
        return tuple(map(_folded, value))
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return str(value).strip().lower()
    try:
        return round(float(value), _DECIMALS)
    except (ValueError, OverflowError):
        return str(value).strip().lower()


def _is_finite(value: Any) -> bool:
    """Whether a value of JSON is no number beyond those of doubles."""
    try:
        return not isinstance(value, int | float) or math.isfinite(value)
    except OverflowError:
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _shown(value: Any) -> str:
    return ", ".join(map(str, _as_list(value)))


def _object(given: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise ProtocolError(f"{place} is no object")
    return given


def _list(given: Any, place: str) -> list[Any]:
    if given is not None and not isinstance(given, list):
        raise ProtocolError(f"{place} is no list")
    return given or []
