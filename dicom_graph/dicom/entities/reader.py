"""The patient, study, series and image that a header speaks of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pydicom._dicom_dict import DicomDictionary

from dicom_graph.dicom.confidentiality.profile import is_kept
from dicom_graph.dicom.elements.contents import Changes, Element, Item
from dicom_graph.dicom.elements.plausible import most_values
from dicom_graph.dicom.entities import patient, series, study
from dicom_graph.dicom.entities.image import (
    IMAGE,
    PLACES,
    READERS,
    ImageFields,
    image_values,
    read_image,
)
from dicom_graph.dicom.entities.patient import PatientFields, read_patient
from dicom_graph.dicom.entities.series import SeriesFields, read_series
from dicom_graph.dicom.entities.study import StudyFields, read_study
from dicom_graph.dicom.frame_elements import Elements, has_frames

T = TypeVar("T")
_SHOWN_VRS = {
    tag: frozenset(DicomDictionary[tag][0].split(" or "))
    for described in (patient.PATIENT, study.STUDY, series.SERIES, IMAGE)
    for attribute in described.attributes
    if (tag := attribute.tag) and attribute.keyword and is_kept(attribute.keyword)
}
_OWNER_TAGS = frozenset((*patient.TAGS, *study.TAGS, *series.TAGS))


@dataclass(frozen=True, slots=True)
class Entities:
    """What one header belongs to; None where it does not say (never a made-up identity)."""

    patient: PatientFields | None
    study: StudyFields | None
    series: SeriesFields | None
    image: ImageFields


def odd_elements(elements: Item) -> list[Element]:
    """Those of fields that are shown without identities, which are not as PS3.6 has them: of
    another VR, with too many values, or not readable.
    """
    return [element for element in elements if element.tag in _SHOWN_VRS and _is_odd(element)]


def _is_odd(element: Element) -> bool:
    most = most_values(element.tag)
    has_too_many = most is not None and element.vm > most
    is_other = element.definition.vr not in _SHOWN_VRS[element.tag]
    return is_other or has_too_many or element.has_warnings


class EntityReader:
    """Entities of headers; equal elements give the same object without reading them again."""

    def __init__(self) -> None:
        self._last: tuple[Item, Entities] | None = None
        self._patients: dict[tuple[Element | None, ...], PatientFields | None] = {}
        self._studies: dict[tuple[Element | None, ...], StudyFields | None] = {}
        self._series: dict[tuple[Element | None, ...], SeriesFields | None] = {}

    def read(self, elements: Item, changes: Changes | None = None) -> Entities:
        """The entities of a header. The image's uid must be there (`read_instance` checks).

        `changes`: what differs from another header. Of the one read last, the rest still holds.
        """
        entities = None
        if changes is not None and self._last is not None and changes.since is self._last[0]:
            entities = _changed(self._last[1], changes)
        if entities is None:
            entities = self._read(elements)
        self._last = elements, entities
        return entities

    def _read(self, elements: Item) -> Entities:
        by_tag = {element.tag: element for element in elements}
        return Entities(
            _remembered(self._patients, by_tag, patient.TAGS, read_patient),
            _remembered(self._studies, by_tag, study.TAGS, read_study),
            # Every image with frames has others, too large to be remembered.
            read_series(by_tag)
            if has_frames(by_tag)
            else _remembered(self._series, by_tag, series.TAGS, read_series),
            read_image(by_tag),
        )


def _changed(entities: Entities, changes: Changes) -> Entities | None:
    """The entities after a change of the image's own elements; None where others changed."""
    image = list(image_values(entities.image))
    for element in changes.went:
        if element.tag in _OWNER_TAGS:
            return None
        if element.tag in PLACES:
            image[PLACES[element.tag]] = None
    for element in changes.came:
        if element.tag in _OWNER_TAGS:
            return None
        if element.tag in PLACES:
            place = PLACES[element.tag]
            image[place] = READERS[place](element)
    return Entities(entities.patient, entities.study, entities.series, ImageFields(*image))


def _remembered(
    known: dict[tuple[Element | None, ...], T],
    by_tag: Elements,
    tags: tuple[int, ...],
    make: Callable[[Elements], T],
) -> T:
    key = tuple(map(by_tag.get, tags))
    try:
        return known[key]
    except KeyError:
        if len(known) > 10_000:
            known.clear()
        fields = known[key] = make(by_tag)
        return fields
