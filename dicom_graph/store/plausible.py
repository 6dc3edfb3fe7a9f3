"""`dicom.elements.plausible` as conditions on columns: whether texts are what their VR allows."""

from typing import Any

from sqlalchemy import ColumnElement, and_, func

from dicom_graph.dicom.elements.plausible import CONTROLS, TextRule
from dicom_graph.store.sql.functions import holds_none_of
from dicom_graph.store.sql.json_arrays import array_items


def is_plausible(sqlite: bool, text: ColumnElement[Any], rule: TextRule) -> ColumnElement[bool]:
    """Whether a text is one that a rule allows; NULL where there is no text."""
    unfit = CONTROLS if rule.only is None else f"^{rule.only}"
    return and_(func.length(text) <= rule.longest, holds_none_of(sqlite, text, unfit))


def are_plausible(sqlite: bool, texts: ColumnElement[Any], rule: TextRule) -> ColumnElement[bool]:
    """The same of all items of a JSON array."""
    return ~array_items(sqlite, texts, lambda text: ~is_plausible(sqlite, text, rule))
