"""From values of Siemens CSA headers up to the headers and images that hold them."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, select, union_all
from sqlalchemy.sql.selectable import CompoundSelect

from dicom_graph.dicom.csa.entries import MAX_PATH_LENGTH
from dicom_graph.dicom.csa.header import CSA_IMAGE_HEADER, CSA_SERIES_HEADER
from dicom_graph.dicom.csa.paths import CsaPathSyntaxError, normal_path
from dicom_graph.errors import BadInput
from dicom_graph.store.postings import postings
from dicom_graph.store.read.compare import compare, passes_null
from dicom_graph.store.read.conditions import HasCsa
from dicom_graph.store.read.containing_images import images_with
from dicom_graph.store.read.text_prefixes import as_range, of_beginning
from dicom_graph.store.storable import UnstorableText, check_text
from dicom_graph.store.tables.columns import CSA_NUMBER, CSA_PART_ELEMENT, CSA_PATH, CSA_TEXT
from dicom_graph.store.tables.headers import HeaderElement

Ids = Select[Any] | CompoundSelect[Any]


def checked_path(path: str) -> str:
    """The path as the database has it. Raises BadInput."""
    try:
        normal = normal_path(check_text(path))
    except (CsaPathSyntaxError, UnstorableText) as error:
        raise BadInput(str(error)) from None
    if len(normal) > MAX_PATH_LENGTH:
        raise BadInput(f"the path has {len(normal)} characters, more than {MAX_PATH_LENGTH}")
    return normal


def images_with_csa(sqlite: bool, wanted: HasCsa) -> CompoundSelect[Any]:
    """The ids of images whose header has such a value."""
    return _holders(sqlite, wanted, images_with)


def items_with_csa(sqlite: bool, wanted: HasCsa) -> CompoundSelect[Any]:
    """The ids of sequence items, or other headers, that have such a value of their own."""
    return _holders(sqlite, wanted, _headers_with)


def _headers_with(elements: Ids) -> Select[Any]:
    held = postings(HeaderElement)
    return held.holders().where(held.element_id.in_(elements))


def _holders(sqlite: bool, wanted: HasCsa, holding: Callable[[Ids], Ids]) -> CompoundSelect[Any]:
    """The image's header comes first: what it has at the path hides the series'."""
    of_image = holding(elements_with_csa(sqlite, CSA_IMAGE_HEADER, wanted)).subquery()
    of_series = holding(elements_with_csa(sqlite, CSA_SERIES_HEADER, wanted)).subquery()
    hidden = holding(elements_with_csa(sqlite, CSA_IMAGE_HEADER, HasCsa(wanted.path))).subquery()
    seen = select(of_series.c[0]).where(of_series.c[0].not_in(select(hidden.c[0])))
    return union_all(select(of_image.c[0]), seen)


def elements_with_csa(sqlite: bool, header: int, wanted: HasCsa) -> Select[Any]:
    """The ids of CSA headers of a kind that have such a value."""
    numbers, texts = CSA_NUMBER, CSA_TEXT
    paths = _paths(header, wanted)
    found: list[Select[Any]] = []
    if all(column == "number" or passes_null(test) for column, test in wanted.values):
        tests = [
            compare(sqlite, numbers.number, test)
            for column, test in wanted.values
            if column == "number"
        ]
        found.append(select(numbers.holder_id).where(numbers.path_id.in_(paths), *tests))
    if all(column == "text" or passes_null(test) for column, test in wanted.values):
        tests = _text_tests(sqlite, wanted)
        found.append(select(texts.holder_id).where(texts.path_id.in_(paths), *tests))
    if not found:
        return select(numbers.holder_id).where(numbers.holder_id.is_(None))
    holders = union_all(*found).cte()
    parts = select(CSA_PART_ELEMENT.element_id).where(
        CSA_PART_ELEMENT.part_id.in_(select(-holders.c.holder_id).where(holders.c.holder_id < 0))
    )
    elements = union_all(select(holders.c.holder_id), parts).cte()
    return select(elements.c.holder_id)


def _paths(header: int, wanted: HasCsa) -> Ids:
    """The path itself; for tests on values also those of the values of a list."""
    paths = select(CSA_PATH.id).where(CSA_PATH.header == header, CSA_PATH.path == wanted.path)
    if not wanted.values:
        return paths
    listed = select(CSA_PATH.id).where(CSA_PATH.header == header, CSA_PATH.list_path == wanted.path)
    return union_all(paths, listed)


def _text_tests(sqlite: bool, wanted: HasCsa) -> list[ColumnElement[bool]]:
    """Tests on texts; rows without one are lists and objects, whose being there alone counts."""
    text = CSA_TEXT.text
    if not wanted.values:
        return []
    conditions: list[ColumnElement[bool]] = [text.is_not(None)]
    for column, test in wanted.values:
        if column == "text":
            conditions += [compare(sqlite, text, part) for part in as_range(test)]
            conditions += of_beginning(text, test)
    return conditions
