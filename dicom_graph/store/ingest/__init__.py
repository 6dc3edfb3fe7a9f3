"""Writing batches of read files: interned elements, shared sets, entities, files."""

from dicom_graph.store.ingest.batch import FileRecord, Mode, Outcome, ReadFile
from dicom_graph.store.ingest.files import ImageFile, KnownFile, files_of_images, known_files
from dicom_graph.store.ingest.writer import BatchWriter

__all__ = [
    "BatchWriter", "FileRecord", "ImageFile", "KnownFile", "Mode", "Outcome", "ReadFile",
    "files_of_images", "known_files",
]  # fmt: skip
