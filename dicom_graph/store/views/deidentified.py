"""What the de-identified view shows of each table: a row for every column, or it is not shown.

A column that stands here is shown as it is, or as the expression beside it; any other column is
NULL, and a table that does not stand here has no rows. So whatever is added to the tables later is
withheld until somebody says here that it names nobody; of what an entity is described by, until the
confidentiality profile says so of its keyword, or the description of the field itself.
"""

from typing import Any

from sqlalchemy import ColumnElement, false

from dicom_graph.dicom.entities import IMAGE, PATIENT, SERIES, STUDY
from dicom_graph.dicom.entities.image import FORMAT_TABLE
from dicom_graph.store.views.deidentified_columns import (
    DeidentifiedTable,
    Show,
    as_it_is,
    entity_columns,
    never,
    no_moment,
    nothing,
    of_bytes,
    registered,
)
from dicom_graph.store.views.deidentified_rows import rows_of

COLUMNS: dict[str, dict[str, Show]] = {
    "patient": entity_columns(PATIENT),
    "study": entity_columns(STUDY),
    "series": entity_columns(SERIES) | {"study_id": as_it_is, "patient_id": as_it_is},
    "image": entity_columns(IMAGE)
    | {
        "series_id": as_it_is,
        "format_id": as_it_is,
        "warnings": nothing,
        "missing_since": nothing,
        "header_digest": nothing,
        "file_size": nothing,
        "header_patient_id": as_it_is,
        "header_study_id": as_it_is,
    },
    "image_format": {
        "id": as_it_is,
        "sop_class_uid": registered,
        "transfer_syntax_uid": registered,
    },
    "data_element_definition": dict.fromkeys(
        ("id", "tag", "private_creator", "vr", "keyword", "name"), as_it_is
    ),
    "data_element": dict.fromkeys(
        ("id", "definition_id", "block", "vm", "n_values", "length"), as_it_is
    )
    | {"has_warnings": never, "packed": of_bytes, "sha256": of_bytes, "warning": nothing},
    "data_element_value": dict.fromkeys(
        ("element_id", "index", "definition_id", "text", "number", "date", "time", "datetime"),
        as_it_is,
    )
    | {"warning": nothing},
    "element_set": dict.fromkeys(("id", "series_id", "members"), as_it_is),
    "element_set_member": dict.fromkeys(("element_id", "first_id", "distances"), as_it_is),
    "header": dict.fromkeys(
        ("id", "image_id", "element_id", "index", "shared_set_id", "own", "mode"), as_it_is
    ),
    "header_element": dict.fromkeys(("element_id", "first_id", "distances"), as_it_is),
    "generation": dict.fromkeys(("id", "deletions", "prunes"), as_it_is),
}
"""By table and column. Lists of element ids are shown: what is not seen of them does not exist."""
MOST_SHOWN = {
    described.name: {
        attribute.name: attribute.shown_up_to
        for attribute in described.columns
        if attribute.shown_up_to is not None
    }
    for described in (PATIENT, STUDY, SERIES, IMAGE)
}
"""By entity and column, the greatest number that is shown."""

HIDDEN = frozenset(
    {
        "directory", "file", "element_digest", "csa_path", "csa_number", "csa_text", "csa_part",
        "csa_part_element", "import_job", "import_failure", "import_batch", "queue_migration",
        "account", "access_token", "web_session", "access_group", "access_group_member",
        "access_grant", "secret", "audit", "reading_version", "protocol",
    }
)  # fmt: skip
"""Tables that are known to have no rows for the view."""


def is_withheld(table: str, column: str) -> bool:
    """Whether nobody sees anything of a column of an entity; what it is counted by is no column."""
    for name in (table, *((FORMAT_TABLE,) if table == "image" else ())):
        show = COLUMNS.get(name, {}).get(column)
        if show is not None:
            return show in (nothing, no_moment)
    return not column.startswith("n_")


def shown_columns(shown: DeidentifiedTable) -> list[ColumnElement[Any]]:
    """All columns of a table, as the view has them."""
    known = COLUMNS.get(shown.table.name, {})
    return [
        known.get(column.name, nothing)(shown, column).label(column.name)
        for column in shown.table.c
    ]


def shown_rows(shown: DeidentifiedTable) -> ColumnElement[bool]:
    """Which rows of a table the view has."""
    return rows_of(shown) if shown.table.name in COLUMNS else false()
