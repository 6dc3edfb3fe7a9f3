"""Writers and caches remember rows by their ids; here they learn that some were deleted.

Whoever deletes such rows writes alone (`write_alone`) and counts it. Whoever writes by remembered
ids writes beside others of its kind (`write_beside_others`), and so sees every deletion before its
transaction, and none during it.
"""

from typing import NamedTuple

from sqlalchemy import Connection, Select, select, update

from dicom_graph.store.sql.connections import lock_writers
from dicom_graph.store.tables.versions import Generation


class Generations(NamedTuple):
    """How often entities were deleted, and elements, sets, definitions or folders pruned."""

    deletions: int
    prunes: int


def write_beside_others(connection: Connection) -> Generations:
    """Begin to write by remembered ids: until the transaction ends nothing is deleted."""
    lock_writers(connection, alone=False)
    return Generations._make(connection.execute(generations()).one())


def write_alone(connection: Connection) -> None:
    """Begin to delete: waits for running writers; until the transaction ends others wait."""
    lock_writers(connection, alone=True)


def generations() -> Select[int, int]:
    """The statement that asks for the `Generations`."""
    return select(Generation.deletions, Generation.prunes)


def count_deletion(connection: Connection) -> None:
    """Tell that entities were deleted."""
    connection.execute(update(Generation).values(deletions=Generation.deletions + 1))


def count_prune(connection: Connection) -> None:
    """Tell that rows were pruned."""
    connection.execute(update(Generation).values(prunes=Generation.prunes + 1))
