"""What lies in the import roots, for users who may import."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Self

import strawberry

from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.graph.context import Info
from dicom_graph.graph.scalars import BigInt
from dicom_graph.importing.browse import FolderEntry, FolderPage, cursor_of, list_folder
from dicom_graph.importing.roots import ForbiddenPathError, check_path

_field = strawberry.field
_MAX_ENTRIES = 1000
# A file system that gives no answer keeps these threads, and no others.
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="dicom-graph-folders")


@strawberry.type(description="A file or a folder on the server.")
class ImportEntry:
    name: str = _field(description="Its name; bytes that are not UTF-8 are written as \\xNN.")
    path: str | None = _field(
        description="What `importPath` takes; null of a name that is not UTF-8: import its folder."
    )
    is_folder: bool = _field(description="Whether it is a folder.")
    size: BigInt | None = _field(description="The size of a file in bytes.")
    is_dicom: bool | None = _field(
        description="Whether a file begins as DICOM files do (PS3.10 7.1); null of a folder, and "
        "where it cannot be read."
    )
    cursor: str = _field(description="Its place in the folder: give it as `after` to go on.")

    @classmethod
    def of(cls, entry: FolderEntry) -> Self:
        """What an importer sees of an entry."""
        return cls(
            name=entry.name,
            path=entry.path,
            is_folder=entry.is_folder,
            size=BigInt(entry.size) if entry.size is not None else None,
            is_dicom=entry.is_dicom,
            cursor=cursor_of(entry),
        )


@strawberry.type(description="A folder inside the import roots, and what lies in it.")
class ImportFolder:
    path: str = _field(description="Its path without symbolic links.")
    parent: str | None = _field(description="The folder above it; null of an import root.")
    entries: list[ImportEntry] = _field(
        description="Folders, then files, by name. Links that lead out of the roots are left out."
    )
    has_more: bool = _field(description="Whether others follow: go on behind the last `cursor`.")
    is_complete: bool = _field(
        description="False where the folder has more than 100,000 names, of which others may be "
        "missing here."
    )

    @classmethod
    def of(cls, page: FolderPage) -> Self:
        """What an importer sees of a page."""
        entries = [ImportEntry.of(entry) for entry in page.entries]
        return cls(
            path=page.path, parent=page.parent, entries=entries, has_more=page.has_more,
            is_complete=page.is_complete,
        )  # fmt: skip


async def import_folder(
    info: Info,
    path: Annotated[str, strawberry.argument(description="A folder inside the import roots.")],
    first: Annotated[
        int, strawberry.argument(description="At most so many entries, up to 1,000.")
    ] = 200,
    after: Annotated[
        str | None, strawberry.argument(description="Only entries behind this `cursor`.")
    ] = None,
) -> ImportFolder:
    """A folder of the import roots. Raises BadInput."""
    if not 0 <= first <= _MAX_ENTRIES:
        raise BadInput(f"`first` is {first}; it must be from 0 to {_MAX_ENTRIES}")
    roots = info.context.services.import_roots
    look = partial(_look, path, roots, first, after)
    return ImportFolder.of(await asyncio.get_running_loop().run_in_executor(_THREADS, look))


def _look(path: str, roots: tuple[Path, ...], first: int, after: str | None) -> FolderPage:
    try:
        return list_folder(check_path(path, roots), roots, first, after)
    except ForbiddenPathError as error:
        raise BadInput(str(error), ErrorCode.FORBIDDEN_PATH) from None
    except OSError as error:
        raise BadInput(f"{path[:1000]}: {error.strerror}", ErrorCode.FORBIDDEN_PATH) from None
