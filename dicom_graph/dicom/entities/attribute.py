"""What a field of an entity is, said once: the element that it is, and what may be done with it.

A field stands in a class of fields as `name: Annotated[type, Attribute(…)]`, and `describe` reads
the class. From its description come the reader, the column, what the de-identified view shows of
it, the field of the GraphQL type, its filter, its order, the search, the update and its check, and
the facets. So a new field is one line here and a migration.

Whatever is not one element in one column is written by hand where it belongs: parts of a name,
relations, counts.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType, NoneType, UnionType
from typing import Any, get_args, get_type_hints

from pydicom.datadict import dictionary_description

from dicom_graph.dicom.dictionary import format_tag, keyword_tag
from dicom_graph.dicom.entities import values
from dicom_graph.dicom.frame_elements import Elements, Place, has_frames, place, with_frames

Check = Callable[[Any], Any]
"""The value that an edit sets, of the one that is given. Raises `checks.BadValue`."""

UNITS = {"T": "tesla", "deg": "degrees", "a": "years"}
"""What people call units whose codes in UCUM they may not know."""

_READ: dict[Any, values.Read] = {
    str: values.text,
    int: values.integer,
    float: values.number,
    dt.date: values.date,
    dt.time: values.time,
    list[str]: values.texts,
    list[float]: values.numbers,
}
"""How an element is read as a field of a type, unless its attribute says otherwise."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A field of an entity.

    `keyword`: the DICOM attribute that it is. `group`: the module of PS3.3 that it stands in, or
    another heading; without, the one of the field before it. `about`: what its keyword does not
    tell, a phrase. `unit`: a code of UCUM. `read`: how it is read from its element. `derived`: not
    from its element alone, but by code of its own; so is what has no keyword. `search`: whether a
    search looks into it. `edit`: what checks the value of an edit; without, it cannot be edited.
    `shown`: whether it is shown where no identities are; where this is not said the confidentiality
    profile decides by the keyword, and what is derived is not shown. `shown_up_to`: greater numbers
    are not, and are all alike to filters, orders and groups. `choices`: the values that there are.
    `table`: the table that it is kept in, where that is not the entity's. `frames`: that functional
    groups may have it, and where, as "MREchoSequence.EffectiveEchoTime".

    `name` and `type` (without None) are those of the field: `describe` knows them.
    """

    keyword: str | None = None
    about: str = ""
    unit: str | None = None
    read: values.Read | None = None
    derived: bool = False
    search: bool = False
    edit: Check | None = None
    shown: bool | None = None
    shown_up_to: float | None = None
    choices: type[Enum] | None = None
    table: str | None = None
    frames: tuple[str, ...] | None = None
    group: str = ""
    name: str = ""
    type: Any = None
    optional: bool = True

    @property
    def tag(self) -> int | None:
        """The tag of its keyword. Raises KeyError for a keyword that PS3.6 does not have."""
        if self.keyword is None:
            return None
        tag = keyword_tag(self.keyword)
        if tag is None:
            raise KeyError(self.keyword)
        return tag

    @property
    def label(self) -> str:
        """What people call it: Echo Time."""
        if self.tag is not None:
            return dictionary_description(self.tag)
        return self.name.replace("_", " ").capitalize()

    @property
    def phrase(self) -> str:
        """What it is, as a part of a sentence: EchoTime (0018,0081) in ms."""
        if self.tag is None:
            return self.about
        unit = f" in {UNITS.get(self.unit, self.unit)}" if self.unit is not None else ""
        about = f": {self.about}" if self.about else ""
        return f"{self.keyword} {format_tag(self.tag)}{unit}{about}"

    @property
    def description(self) -> str:
        """The same as a sentence."""
        return f"{self.phrase[:1].upper()}{self.phrase[1:]}."


@dataclass(frozen=True, slots=True)
class Description:
    """An entity: its name, the class of its fields, and its attributes, in order.

    `elements`: the fields that are read from one element each, with its tag. `places`: where
    functional groups have these elements, by their tags.
    """

    name: str
    fields: type[Any]
    by_name: Mapping[str, Attribute]
    elements: tuple[tuple[str, int, values.Read], ...]
    places: Mapping[int, tuple[Place, ...]]

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """All of them."""
        return tuple(self.by_name.values())

    @property
    def columns(self) -> tuple[Attribute, ...]:
        """The attributes that the entity's own table has."""
        return tuple(attribute for attribute in self.attributes if attribute.table is None)

    @property
    def editable(self) -> tuple[Attribute, ...]:
        """The attributes that an edit can set."""
        return tuple(attribute for attribute in self.attributes if attribute.edit is not None)

    @property
    def searched(self) -> tuple[Attribute, ...]:
        """The attributes that a search looks into."""
        return tuple(attribute for attribute in self.attributes if attribute.search)

    def read(self, by_tag: Elements) -> dict[str, Any]:
        """The fields that are elements, of a header; from its functional groups what it lacks."""
        if self.places and has_frames(by_tag):
            by_tag = with_frames(by_tag, self.places)
        return {name: read(by_tag.get(tag)) for name, tag, read in self.elements}


def describe(
    name: str, fields: type[Any], after: Mapping[str, Attribute] = MappingProxyType({})
) -> Description:
    """The description of an entity, from a class of fields.

    `after`: attributes that no header has, by the names of the fields after which they stand.
    Raises KeyError for a keyword that PS3.6 does not have, and for a type that nothing reads;
    TypeError for a field without an attribute.
    """
    attributes: list[Attribute] = []
    group = ""
    elements: list[tuple[str, int, values.Read]] = []
    for field, hint in get_type_hints(fields, include_extras=True).items():
        attribute = _attribute(field, hint)
        group = attribute.group or group
        attribute = replace(attribute, group=group)
        attributes.append(attribute)
        if attribute.tag is not None and not attribute.derived:
            read = attribute.read or _READ[attribute.type]
            elements.append((field, attribute.tag, read))
        if field in after:
            attributes.append(replace(after[field], group=after[field].group or group))
    by_name = {attribute.name: attribute for attribute in attributes}
    places = {
        tag: tuple(map(place, frames))
        for field, tag, _ in elements
        if (frames := by_name[field].frames) is not None
    }
    return Description(name, fields, by_name, tuple(elements), places)


def _attribute(name: str, hint: Any) -> Attribute:
    """The attribute of a field, of `Annotated[float | None, Attribute(…)]`."""
    annotated, attribute, *_ = (*get_args(hint), None, None)
    if not isinstance(attribute, Attribute):
        raise TypeError(f"{name}: a field is written as Annotated[type, Attribute(…)]")
    types = get_args(annotated) if isinstance(annotated, UnionType) else (annotated,)
    (kind,) = (part for part in types if part is not NoneType)
    return replace(attribute, name=name, type=kind, optional=NoneType in types)
