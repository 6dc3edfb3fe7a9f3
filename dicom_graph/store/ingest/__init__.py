"""Writing batches of read files: interned elements, shared sets, entities, files."""

from dicom_graph.store.ingest.batch import FileRecord, Mode, Outcome, ReadFile
from dicom_graph.store.ingest.files import KnownFile, known_files
from dicom_graph.store.ingest.writer import BatchWriter

__all__ = [
    "BatchWriter", "FileRecord", "KnownFile", "Mode", "Outcome", "ReadFile", "known_files",
]  # fmt: skip
