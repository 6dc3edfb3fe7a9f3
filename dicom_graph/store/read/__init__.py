"""Questions to the database, each one statement whatever the number of parents."""

from dicom_graph.store.read.conditions import Condition
from dicom_graph.store.read.elements import ElementQuery
from dicom_graph.store.read.facets import FacetValue
from dicom_graph.store.read.pages import CursorError, Order, Page, PageRequest
from dicom_graph.store.read.relations import ENTITY_TABLES, RELATIONS, Parent
from dicom_graph.store.read.statistics import Statistics
from dicom_graph.store.read.store import Store
from dicom_graph.store.sql.driver_errors import FilterError

__all__ = [
    "ENTITY_TABLES", "RELATIONS", "Condition", "CursorError", "ElementQuery", "FacetValue",
    "FilterError",
    "Order", "Page", "PageRequest", "Parent", "Statistics", "Store",
]  # fmt: skip
