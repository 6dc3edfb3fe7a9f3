"""Searching everything: patients, studies, series, definitions and values by one text."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar

import strawberry

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.errors import BadInput
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.inputs.search import (
    DEFINITION_TEXTS,
    definition_search,
    search_words,
)
from dicom_graph.graph.registry import ENTITIES
from dicom_graph.graph.types.element import DataElement, DataElementDefinition
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.types.series import Series
from dicom_graph.graph.types.study import Study
from dicom_graph.graph.types.value import DataElementValue
from dicom_graph.graph.types.values import make_values
from dicom_graph.store.read import Condition, PageRequest
from dicom_graph.store.read.client_errors import answered
from dicom_graph.store.read.relations import DEFAULT_ORDERS

T = TypeVar("T")
_field = strawberry.field
_MOST = 100


@strawberry.enum(description="What a text that a search found is a text of.")
class SearchedType(Enum):
    PATIENT = strawberry.enum_value("patient", description="A patient.")
    STUDY = strawberry.enum_value("study", description="A study.")
    SERIES = strawberry.enum_value("series", description="A series.")
    DATA_ELEMENT_DEFINITION = strawberry.enum_value(
        "data_element_definition", description="What an element is."
    )
    DATA_ELEMENT_VALUE = strawberry.enum_value(
        "data_element_value", description="A value of an element."
    )


def _searched_names() -> dict[str, str]:
    """By their names in the enum, the fields whose texts a search looks into."""
    found: dict[str, list[str]] = {}
    for entity in ("patient", "study", "series"):
        for attribute in DESCRIBED[entity].searched:
            found.setdefault(attribute.name, []).append(f"{entity}: {attribute.phrase}")
    for name, about in DEFINITION_TEXTS.items():
        found.setdefault(name, []).append(f"definition: {about}")
    found["value"] = ["value: its text"]
    return {name: "; ".join(about) for name, about in found.items()}


_MEMBERS: Any = {
    name.upper(): strawberry.enum_value(name, description=f"Of a {about}.")
    for name, about in _searched_names().items()
}
_NAMES: Any = Enum("SearchedField", _MEMBERS, module=__name__)  # type: ignore[misc]
SearchedField: Any = strawberry.enum(_NAMES, description="The fields that a search looks into.")


@strawberry.type(description="A text in which a word of a search was found.")
class MatchedText:
    of: SearchedType = _field(description="Whose text it is: of a series also its study's.")
    field: SearchedField = _field(description="Which text of it.")
    text: str = _field(description="The whole text.")
    word: str = _field(description="The word that was found, as it was asked for.")
    start: int = _field(description="Where in the text the word begins, in characters from 0.")


@strawberry.type(description="An object that a search found, and where.")
class Match(Generic[T]):
    node: T = _field(description="The object.")
    texts: list[MatchedText] = _field(description="In which of its texts which words were found.")


@strawberry.type(description="A value that a search found: one for all that are equal.")
class DataElementValueMatch:
    node: DataElementValue = _field(description="The value.")
    element: DataElement = _field(description="An element that has it: the first that was stored.")
    definition: DataElementDefinition = _field(description="What that element is.")
    texts: list[MatchedText] = _field(description="Where in its text which words were found.")


@strawberry.type(
    description="What a search found, of each kind so many as were asked for; more of a kind are "
    "listed by its own field of the root, such as `series(search:)`."
)
class SearchResult:
    words: strawberry.Private[tuple[str, ...]]
    first: strawberry.Private[int]

    @computed(f"Patients, by name. Looked into: {ENTITIES['patient'].searched_in}.")
    async def patients(self, info: Info) -> list[Match[Patient]]:
        return await self._matches(info, "patient")

    @computed(f"Studies, the latest first. Looked into: {ENTITIES['study'].searched_in}.")
    async def studies(self, info: Info) -> list[Match[Study]]:
        return await self._matches(info, "study")

    @computed(f"Series, the latest first. Looked into: {ENTITIES['series'].searched_in}.")
    async def series(self, info: Info) -> list[Match[Series]]:
        return await self._matches(info, "series")

    @computed(
        "Definitions of elements that occur, by keyword, private ones first. Looked into: keyword, "
        "name and private creator; a word that is a tag, as 0018,0081 or (0019,xx9C), finds it."
    )
    async def definitions(self, info: Info) -> list[Match[DataElementDefinition]]:
        wanted = definition_search(self.words)
        rows = await self._rows(info, "data_element_definition", wanted)
        return [
            Match(
                node=DataElementDefinition.from_row(row),
                texts=_of_definition(row, self.words),
            )
            for row in rows
        ]

    @computed(
        "Values of elements, the shortest texts first, equal ones of a definition once. Looked "
        "into: texts of AE, CS, LO, LT, PN, SH, ST, UC, UR and UT, and of UN where that is "
        "printable; of DA, DT, TM and UI, as in the file, the beginning, for a search of one word."
    )
    async def values(self, info: Info) -> list[DataElementValueMatch]:
        if not self.words:
            return []
        found = await answered(info.context.store.search_values(self.words, self.first))
        rows = await info.context.loaders.element.load_many([each.element_id for each in found])
        matches: list[DataElementValueMatch] = []
        for each, row in zip(found, rows, strict=True):
            if row is None:
                continue
            place = next((v.position for v in row.values if v.text == each.text), None)
            node = next((v for v in make_values(row) if v.index == place), None)
            if node is not None:
                element = DataElement.made_once(info, row)
                texts = _matched(SearchedType.DATA_ELEMENT_VALUE, {"value": each.text}, self.words)
                matches.append(
                    DataElementValueMatch(
                        node=node,
                        element=element,
                        definition=element.definition(),
                        texts=list(texts),
                    )
                )
        return matches

    async def _matches(self, info: Info, name: str) -> list[Match[Any]]:
        entity = ENTITIES[name]
        rows = await self._rows(info, name, entity.wanted(None, " ".join(self.words)))
        related = {
            other: await info.context.loaders.entity(other).load_many(
                [key for row in rows if (key := getattr(row, f"{other}_id")) is not None]
            )
            for other in entity.searched_with
        }
        by_id = {other: {row.id: row for row in found if row} for other, found in related.items()}
        return [
            Match(node=entity.type.from_row(row), texts=list(self._texts(name, row, by_id)))
            for row in rows
        ]

    def _texts(
        self, name: str, row: Any, related: Mapping[str, Mapping[int, Any]]
    ) -> Iterator[MatchedText]:
        yield from _matched(SearchedType(name), _of_entity(name, row), self.words)
        for other, rows in related.items():
            found = rows.get(getattr(row, f"{other}_id"))
            if found is not None:
                texts = _of_entity(other, found)
                yield from _matched(SearchedType(other), texts, self.words)

    async def _rows(self, info: Info, name: str, wanted: Condition | None) -> Sequence[Any]:
        if not self.words:
            return ()
        request = PageRequest(DEFAULT_ORDERS[name], first=self.first)
        return (await answered(info.context.store.page(name, request, wanted))).rows


def _named(row: Any, names: Sequence[str]) -> dict[str, str | None]:
    return {name: row._mapping[name] for name in names}


def _of_entity(name: str, row: Any) -> dict[str, str | None]:
    """The texts of an entity that a search looks into, codes as the schema has them."""
    texts: dict[str, str | None] = {}
    for attribute in DESCRIBED[name].searched:
        text = row._mapping[attribute.name]
        choices = attribute.choices
        texts[attribute.name] = choices(text).name if choices is not None and text else text
    return texts


def _of_definition(row: Any, words: Sequence[str]) -> list[MatchedText]:
    of = SearchedType.DATA_ELEMENT_DEFINITION
    names = [name for name in DEFINITION_TEXTS if name != "tag"]
    found = list(_matched(of, _named(row, names), words))
    tag = format_tag(row.tag, any_block=bool(row.private_creator))
    # A word that is in no other text is the tag, however that was written.
    of_tag = [word for word in words if all(match.word != word for match in found)]
    field = SearchedField("tag")
    found += [MatchedText(of=of, field=field, text=tag, word=w, start=0) for w in of_tag]
    return found


def _matched(
    of: SearchedType, texts: Mapping[str, str | None], words: Sequence[str]
) -> Iterator[MatchedText]:
    for name, text in texts.items():
        folded = (text or "").lower()
        for word in words:
            start = folded.find(word.lower())
            if text and start >= 0:
                field = SearchedField(name)
                yield MatchedText(of=of, field=field, text=text, word=word, start=start)


Text = Annotated[
    str,
    strawberry.argument(
        description="Words that must all occur in the texts of one object, in either case; up to "
        "20. Without a word nothing is found."
    ),
]
First = Annotated[
    int, strawberry.argument(description=f"At most so many of each kind, from 0 to {_MOST}.")
]


async def search(text: Text, first: First = 10) -> SearchResult:
    """What is found of each kind, when that is asked for. Raises BadInput."""
    if not 0 <= first <= _MOST:
        raise BadInput(f"`first` is {first}; it must be from 0 to {_MOST}")
    return SearchResult(words=tuple(search_words(text)), first=first)
