"""What touches an entity's files: reading them again, storing them, and deleting them with it
(`removal`).
"""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from sqlalchemy import Connection

from dicom_graph.importing.removal import FileRemoval, RemovalResult
from dicom_graph.importing.storage import paths_to_store, required_root
from dicom_graph.store.edit.delete import DeletedFile, Deletion
from dicom_graph.store.edit.files import EntityFile, deciding_image, files_of_entity
from dicom_graph.store.edit.update import discard_edits, entity_exists
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.ingest.edited import Exclusion
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest, Storage, create_job

_NAMED = 3


class EntityError(ValueError):
    """What was asked for cannot be done, and nothing was changed; the message says why."""


class NoSuchEntityError(EntityError):
    """The entity is not there, or no longer."""


class NoFilesError(EntityError):
    """No file is left that could be read."""


class OutsideStorageError(EntityError):
    """A file to be deleted lies outside the storage root."""


def request_refresh(
    database: Database,
    entity: str,
    id: int,
    *,
    discard: bool = False,
    columns: Collection[str] | None = None,
    exclude: Collection[str] = (),
) -> int:
    """Record a job that reads the entity's files again; returns its id.

    Edits are kept, unless `discard`: then those of `columns`, or all, are no longer edits, and the
    job writes what the file says. The columns of `exclude` stay as they are, edits among them.
    Raises NoSuchEntityError and NoFilesError.
    """
    with database.writer.begin() as connection:
        if not entity_exists(connection, entity, id):
            raise NoSuchEntityError(f"there is no such {entity}")
        files = files_of_entity(connection, entity, id)
        if not files:
            raise NoFilesError(f"the {entity} has no file that could be read again")
        if discard:
            _require_decider(connection, entity, id, files)
            discard_edits(connection, entity, id, columns, exclude)
        # MINIMAL: of each header as much is kept as there was.
        kept = Exclusion(entity, id, tuple(sorted(exclude))) if exclude else None
        paths = tuple(file.path for file in files)
        request = JobRequest(paths, Mode.MINIMAL, verify=True, exclude=kept)
        return create_job(connection, request)


def request_storing(
    database: Database,
    entity: str,
    id: int,
    storage: Storage,
    root: Path | None,
    origin: JobOrigin = JobOrigin.API,
) -> int:
    """Record a job that copies or moves the entity's files into the storage root, those that lie
    outside it; returns its id.

    It keeps of each header as much as there was. Raises NoSuchEntityError; NoFilesError where no
    file lies outside; StorageError where one cannot be moved, or there is no root.
    """
    real = os.path.realpath(required_root(root))
    with database.writer.begin() as connection:
        if not entity_exists(connection, entity, id):
            raise NoSuchEntityError(f"there is no such {entity}")
        paths = [file.path for file in files_of_entity(connection, entity, id)]
        outside = [path for path in paths if not Path(os.path.realpath(path)).is_relative_to(real)]
        if not outside:
            inside = f"every file of the {entity} lies in the storage root already"
            raise NoFilesError(inside if paths else f"the {entity} has no file that is left")
        given = paths_to_store(storage, outside, root)
        request = JobRequest(given, Mode.MINIMAL, origin=origin, storage=storage)
        return create_job(connection, request)


def _require_decider(
    connection: Connection, entity: str, id: int, files: Sequence[EntityFile]
) -> None:
    """Raises NoFilesError where no file is left that says what the entity's fields are."""
    decider = deciding_image(connection, entity, id)
    paths = [file.path for file in files if file.image_id == decider and file.decides]
    if not any(map(os.path.isfile, paths)):
        named = " and ".join(paths[:_NAMED]) or "every file"
        raise NoFilesError(f"{named} is gone: nothing says what the {entity}'s fields were")


def delete_entity(
    database: Database,
    entity: str,
    id: int,
    *,
    delete_files: bool = False,
    storage_root: Path | None = None,
) -> RemovalResult:
    """Delete an entity with all below it, in one transaction; see `store.edit.delete`.

    `delete_files` deletes its files too, after that, if all lie inside the storage root. A file of
    the same UID whose header is not the image's stays, as does one that has changed since it was
    imported: what they hold is in no database. Raises NoSuchEntityError and OutsideStorageError.
    """
    with database.writer.begin() as connection:
        deletion = Deletion(connection, entity, id)
        if not deletion.exists:
            raise NoSuchEntityError(f"there is no such {entity}")
        files = _inside(deletion.files(), storage_root) if delete_files else []
        removal = RemovalResult(deletion.run())
    return FileRemoval(database, storage_root, removal).run(files)


def _inside(files: Iterable[DeletedFile], storage_root: Path | None) -> list[DeletedFile]:
    """The files, if all that are to be deleted are inside the root once links are resolved."""
    if storage_root is None:
        raise OutsideStorageError(
            "this server has no storage root (DICOM_GRAPH_STORAGE_ROOT), so it deletes no file"
        )
    root = os.path.realpath(storage_root)
    found = list(files)
    outside = [path for f in found if f.is_own and not _lies_in(path := _path(f), root)]
    if outside:
        named = ", ".join(outside[:_NAMED]) + (", …" if len(outside) > _NAMED else "")
        raise OutsideStorageError(
            f"{len(outside)} files lie outside the storage root and are never deleted: {named}"
        )
    return found


def _path(file: DeletedFile) -> str:
    return os.path.join(file.directory, file.name)


def _lies_in(path: str, root: str) -> bool:
    """Whether neither the file nor what it may be a link to is outside."""
    beside = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return all(Path(place).is_relative_to(root) for place in (os.path.realpath(path), beside))
