"""One batch, one transaction."""

from collections.abc import Sequence

from sqlalchemy import Connection

from dicom_graph.store.generation import Generations, write_beside_others
from dicom_graph.store.ingest.batch import Outcome, ReadFile, distinct_elements
from dicom_graph.store.ingest.edited import NO_EXCLUSION, Exclusion
from dicom_graph.store.ingest.elements import ElementWriter
from dicom_graph.store.ingest.entities import EntityKeys, EntityWriter
from dicom_graph.store.ingest.files import FileWriter, WrittenFile
from dicom_graph.store.ingest.images import ImageWriter, Written
from dicom_graph.store.ingest.verify import own_changes, verified


class BatchWriter:
    """Writes batches of read files, and remembers the ids that recur. Not thread-safe."""

    def __init__(self, *, verify: bool = False, exclude: Exclusion | None = None) -> None:
        """With `verify`, a changed file whose content is what is stored counts as unchanged.
        `exclude`: what stays as it is.
        """
        exclude = exclude or NO_EXCLUSION
        self._verify = verify
        self._elements = ElementWriter()
        self._entities = EntityWriter(exclude)
        self._images = ImageWriter(exclude)
        self._files = FileWriter()
        self._generations: Generations | None = None

    def write(
        self, connection: Connection, files: Sequence[ReadFile], job_id: int | None
    ) -> list[Outcome]:
        """Write a batch inside the caller's transaction; returns what became of each file.

        The caller calls `forget` where the transaction does not commit.
        """
        if not files:
            return []
        generations = write_beside_others(connection)
        if generations != self._generations:
            self.forget()
            self._generations = generations
        files = own_changes(connection, files)
        element_ids = self._elements.write(connection, distinct_elements(files))
        for file in files:
            if file.changed:
                self._entities.refresh(connection, file.entities)
        places = self._entities.write(connection, [file.entities for file in files])
        files = verified(connection, files, places, element_ids, all_files=self._verify)
        written = self._images.write(connection, files, places, element_ids)
        records = list(map(_record, files, places, written))
        sources = [file.source for file in files if file.source]
        self._files.write(connection, records, job_id, sources)
        return [image.outcome for image in written]

    @property
    def orphaned(self) -> int:
        """How many images lost their last file to another image, in the last `write`."""
        return self._files.orphaned

    def forget(self) -> None:
        """Drop what is remembered: after a rollback or a deletion it may not be in the database."""
        for part in (self._elements, self._entities, self._images, self._files):
            part.forget()


def _record(file: ReadFile, place: EntityKeys, written: Written) -> WrittenFile:
    return WrittenFile(
        file.file, written.image_id, written.outcome, file.digest, file.stamp, file.link,
        file.real_folder,
        patient_id=place.patient_id if written.is_different_header else None,
        study_id=place.study_id if written.is_different_header else None,
    )  # fmt: skip
