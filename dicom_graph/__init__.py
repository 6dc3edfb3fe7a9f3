"""dicom-graph: a database of DICOM headers, served over GraphQL."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_graph.importing.api import ImportReport, import_path

__all__ = ["ImportReport", "import_path"]


def __getattr__(name: str) -> object:
    if name in __all__:
        # Here, since `import dicom_graph` should cost next to nothing.
        from dicom_graph.importing import api as entry

        return getattr(entry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
