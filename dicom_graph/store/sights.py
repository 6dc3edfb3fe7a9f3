"""What of a database's definitions the de-identified view shows, kept up with imports."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.store.account_tables import Secret
from dicom_graph.store.pseudonyms import Pseudonyms
from dicom_graph.store.tables import DataElementDefinition
from dicom_graph.store.withheld import Sight


class Sights:
    """The sight of one database, and its pseudonyms."""

    def __init__(self, sqlite: bool) -> None:
        self._sqlite = sqlite
        self._state: tuple[int | None, int] | None = None
        self._sight: Sight | None = None
        self._pseudonyms: Pseudonyms | None = None

    async def current(self, connection: AsyncConnection) -> Sight:
        """What is seen now; definitions that an import has added are looked at first."""
        table = DataElementDefinition
        state = (await connection.execute(select(func.max(table.id), func.count()))).one()
        if self._sight is None or tuple(state) != self._state:
            columns = (table.id, table.tag, table.private_creator, table.vr)
            rows = (await connection.execute(select(*columns))).all()
            self._sight = Sight.of(self._sqlite, rows)
            self._state = (max((row.id for row in rows), default=None), len(rows))
        if self._pseudonyms is None:
            secret = select(Secret.value).where(Secret.name == "pseudonyms")
            self._pseudonyms = Pseudonyms((await connection.execute(secret)).scalar_one())
        return self._sight

    @property
    def is_ready(self) -> bool:
        """Whether `current` was asked once."""
        return self._pseudonyms is not None

    @property
    def pseudonyms(self) -> Pseudonyms:
        """The pseudonyms; once `current` was asked."""
        if self._pseudonyms is None:
            raise RuntimeError("no connection of this view was opened yet")
        return self._pseudonyms
