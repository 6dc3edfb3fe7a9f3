"""GraphQL on a database, without a server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event

from dicom_graph.access.principal import EVERYONE, Principal
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.options import ImportOptions
from dicom_graph.services import Services
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from tests.support import both_ways


@dataclass
class Graph:
    """Executes GraphQL operations against a database, and counts the SQL statements."""

    database: Database
    store: Store
    principal: Principal = EVERYONE
    statements: list[str] = field(default_factory=list)
    storage_root: Path | None = None

    async def __call__(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation that must not fail."""
        result = await self.execute(query, **variables)
        assert not result.errors, result.errors
        return result.data

    async def execute(self, query: str, **variables: Any) -> Any:
        """The whole result of an operation."""
        runner = JobRunner(self.database, roots=(), options=ImportOptions(batch_size=500))
        services = Services(store=self.store, runner=runner, storage_root=self.storage_root)

        async def execute() -> Any:
            self.statements.clear()
            return await schema.execute(
                query, variable_values=variables, context_value=Context.of(services, self.principal)
            )

        if both_ways.COMPARED:
            await both_ways.checked(query, execute)
        return await execute()

    def count_statements(self) -> None:
        """From now on `statements` has those of the operation that was executed last."""

        def record(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            self.statements.append(statement)

        event.listen(self.database.reader.sync_engine, "before_cursor_execute", record)
