"""Files of images, and what imports tell of files."""

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    case,
    func,
    select,
)

from dicom_graph.dicom.elements.contents import Item
from dicom_graph.dicom.entities import Entities
from dicom_graph.store.ingest.missing_images import has_header
from dicom_graph.store.ingest.origin import is_as_stored
from dicom_graph.store.read.csa_store import CsaStore
from dicom_graph.store.read.rows import ROWS_AT_ONCE, SERIES_AT_ONCE, SMALL_ROW, all_rows
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.files import Directory, File
from dicom_graph.store.tables.imports import ImportFailure, ImportJob
from dicom_graph.store.views.narrowing import WHOLE


class FileStore(CsaStore):
    """Questions about files."""

    async def files_of_series(self, series_ids: Sequence[int]) -> dict[int, list[str]]:
        """The paths of all files of series, in order."""
        found: dict[int, list[str]] = {}
        for start in range(0, len(series_ids), SERIES_AT_ONCE):
            found |= await self._files_of_series(series_ids[start : start + SERIES_AT_ONCE])
        return found

    async def _files_of_series(self, series_ids: Sequence[int]) -> dict[int, list[str]]:
        statement = (
            select(Image.series_id, Directory.path, File.name)
            .join(File, File.image_id == Image.id)
            .join(Directory, Directory.id == File.directory_id)
            .where(among(self._sqlite, Image.series_id.expression, series_ids))
            .order_by(Directory.path, File.name)
        )
        found: dict[int, list[str]] = defaultdict(list)
        async with self.database.read() as connection:
            rows = await all_rows(await connection.execute(statement), SMALL_ROW)
            for series_id, directory, name in rows:
                if series_id is not None:
                    found[series_id].append(os.path.join(directory, name))
        return found

    async def files_to_read(self, image_ids: Sequence[int]) -> dict[int, list[Any]]:
        """The files that may be given for images that are seen, for the server to read: no path of
        them is shown.

        Only those whose header and size are those of the file that the stored header came from
        (`digest`; None where that was not noted: then `is_as_stored` tells).
        """
        is_noted = Image.header_digest.is_not(None)
        statement = (
            select(
                File.image_id, Directory.path.label("directory"), Directory.real_path, File.name,
                File.size, File.mtime_ns, File.link, Image.header_digest.label("digest"),
                case((is_noted, File.stamp)).label("stamp"),
            )
            .join(Directory, Directory.id == File.directory_id)
            .join(Image, Image.id == File.image_id)
            .where(
                among(self._sqlite, File.image_id.expression, image_ids),
                has_header(),
            )
            .order_by(Directory.path, File.name)
        )  # fmt: skip
        found: dict[int, list[Any]] = defaultdict(list)
        async with self.database.read() as connection:
            for row in await connection.execute(statement, execution_options=WHOLE):
                found[row.image_id].append(row)
        return found

    def is_as_stored(self, image_id: int, entities: Entities, elements: Item) -> bool:
        """Whether a header, read whole, is the one that is stored of an image."""
        with self.database.read_whole_sync() as connection:
            return is_as_stored(connection, image_id, entities, elements)

    async def files(self, image_ids: Sequence[int]) -> dict[int, list[Any]]:
        """The files of images, in the order of their paths, as they may be shown."""
        statement = (
            select(
                File.image_id, Directory.path.label("directory"), File.name, File.size,
                File.mtime_ns, File.missing_since,
            )
            .join(Directory, Directory.id == File.directory_id)
            .where(among(self._sqlite, File.image_id.expression, image_ids))
            .order_by(Directory.path, File.name)
        )  # fmt: skip
        found: dict[int, list[Any]] = defaultdict(list)
        async with self.database.read() as connection:
            result = await connection.execute(statement)
            for row in await all_rows(result, SMALL_ROW):
                found[row.image_id].append(row)
        return found

    async def failures(
        self,
        job_ids: Sequence[int],
        *,
        skipped: bool = False,
        first: int | None = None,
        offset: int = 0,
    ) -> dict[int, list[Any]]:
        """The failures of import jobs, or what they skipped, in the order of their appearance: of
        each job all, or the `first` ones behind so many others.
        """
        place = func.row_number().over(partition_by=ImportFailure.job_id, order_by=ImportFailure.id)
        told = (
            select(ImportFailure.id, ImportFailure.job_id, ImportFailure.path)
            .add_columns(ImportFailure.message, ImportFailure.code, place.label("place"))
            .where(among(self._sqlite, ImportFailure.job_id.expression, job_ids))
            .where(ImportFailure.is_skipped == skipped)
            .subquery("told")
        )
        statement = select(told).order_by(told.c.id).limit(ROWS_AT_ONCE)
        if first is not None:
            statement = statement.where(told.c.place.between(offset + 1, offset + first))
        found: dict[int, list[Any]] = defaultdict(list)
        last: int | None = 0
        while last is not None:
            async with self.database.read() as connection:
                result = await connection.execute(statement.where(told.c.id > last))
                rows = await all_rows(result, SMALL_ROW)
            for row in rows:
                found[row.job_id].append(row)
            last = rows[-1].id if len(rows) == ROWS_AT_ONCE else None
        return found

    async def retries(self, job_ids: Sequence[int]) -> dict[int, list[Any]]:
        """The jobs that read again what jobs failed on, oldest first."""
        statement = select(ImportJob.__table__).where(
            among(self._sqlite, ImportJob.retry_of.expression, job_ids)
        )
        found: dict[int, list[Any]] = defaultdict(list)
        async with self.database.read() as connection:
            for row in await connection.execute(statement.order_by(ImportJob.id)):
                found[row.retry_of].append(row)
        return found
