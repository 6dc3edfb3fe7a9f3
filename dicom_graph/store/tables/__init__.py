"""The tables; importing one of these modules makes all of them known to `Base.metadata`."""

from dicom_graph.store.tables import (
    accounts,
    audit,
    csa,
    entities,
    files,
    headers,
    imports,
    protocols,
    versions,
)

__all__ = [
    "accounts",
    "audit",
    "csa",
    "entities",
    "files",
    "headers",
    "imports",
    "protocols",
    "versions",
]
