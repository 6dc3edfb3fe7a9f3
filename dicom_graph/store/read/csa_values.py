"""What images hold at a path of their Siemens CSA headers, a row for each value."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, cast, func, literal, null, select, union_all

from dicom_graph.dicom.csa.header import CSA_IMAGE_HEADER, CSA_SERIES_HEADER
from dicom_graph.store.read.conditions import HasCsa
from dicom_graph.store.read.containing_images import images_with
from dicom_graph.store.read.csa import elements_with_csa
from dicom_graph.store.read.element_values import holders_of
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.columns import (
    CSA_NUMBER,
    CSA_PART_ELEMENT,
    CSA_PATH,
    CSA_TEXT,
    IMAGE,
    SERIES,
)


def csa_values(sqlite: bool, entity: str, path: str, *, numbers: bool, label: str) -> FromClause:
    """Rows of `holder`, the id of an entity, `value`, as JSON, and `sort`, its number if it is one.

    `numbers`: only these, as the value. What the image's header has at the path hides the series'.
    """
    of_image = _images(sqlite, CSA_IMAGE_HEADER, path, numbers, f"{label}_of_image")
    of_series = _images(sqlite, CSA_SERIES_HEADER, path, numbers, f"{label}_of_series")
    hidden = images_with(elements_with_csa(sqlite, CSA_IMAGE_HEADER, HasCsa(path))).subquery()
    seen = select(of_series).where(of_series.c.holder.not_in(select(hidden.c[0])))
    rows = union_all(select(of_image), seen).subquery(f"{label}_rows")
    joined: FromClause = rows
    owner: ColumnElement[Any] = rows.c.holder
    if entity != "image":
        joined = joined.join(IMAGE.id.table, IMAGE.id == rows.c.holder)
        owner = IMAGE.series_id
    if entity in ("study", "patient"):
        joined = joined.join(SERIES.id.table, SERIES.id == IMAGE.series_id)
        owner = SERIES.study_id if entity == "study" else SERIES.patient_id
    found = select(owner.label("holder"), rows.c.value, rows.c.sort).select_from(joined)
    return found.where(owner.is_not(None)).distinct().subquery(label)


def _images(sqlite: bool, header: int, path: str, numbers: bool, label: str) -> FromClause:
    """The same of images and their headers of one kind."""
    paths = select(CSA_PATH.id).where(
        CSA_PATH.header == header, (CSA_PATH.path == path) | (CSA_PATH.list_path == path)
    )
    number = CSA_NUMBER.number
    value = number if numbers else _json_number(sqlite, number)
    found = [
        select(CSA_NUMBER.holder_id, value.label("value"), number.label("sort")).where(
            CSA_NUMBER.path_id.in_(paths)
        )
    ]
    if not numbers:
        text = func.json_quote(CSA_TEXT.text) if sqlite else cast(func.to_json(CSA_TEXT.text), Text)
        no_number = cast(null(), number.type)
        found.append(
            select(CSA_TEXT.holder_id, text.label("value"), no_number.label("sort")).where(
                CSA_TEXT.path_id.in_(paths), CSA_TEXT.text.is_not(None)
            )
        )
    held = union_all(*found).cte()
    parts = select(CSA_PART_ELEMENT.element_id, held.c.value, held.c.sort).join(
        held, CSA_PART_ELEMENT.part_id == -held.c.holder_id
    )
    of_elements = select(held.c.holder_id, held.c.value, held.c.sort).where(held.c.holder_id > 0)
    values = union_all(of_elements, parts).cte()
    leaves = select(values.c.holder_id.label("leaf"), values.c.holder_id.label("at"))
    holders = holders_of(leaves.distinct().cte(), images=True, label=label)
    joined = holders.join(values, values.c.holder_id == holders.c.leaf)
    return (
        select(holders.c.holder, values.c.value, values.c.sort).select_from(joined).subquery(label)
    )


def _json_number(sqlite: bool, number: ColumnElement[Any]) -> ColumnElement[Any]:
    """A number as JSON that tells it exactly."""
    if sqlite:
        return func.printf(literal("%!.17g", Text), number, type_=Text)
    return cast(func.to_json(number + 0.0), Text)
