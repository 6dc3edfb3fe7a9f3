"""Statements that are made and written as SQL once, and sent again with other parameters.

To put a statement together and have SQLAlchemy look it up takes ten times as long as PostgreSQL
takes for a page. So a question whose form is one of few is kept by that form, as the driver takes
it; its parameters have names (`bindparam`). It is for readers, and gives what SQLAlchemy gives.
"""

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Dialect, Select
from sqlalchemy.exc import DBAPIError

_MAX_KEPT = 500
_OFTEN = 5
"""So many times used, and PostgreSQL prepares it."""


class KeptStatement:
    """A statement in a driver's SQL, and how its parameters and rows are converted."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.sql = compiled.string
        self._dialect = dialect
        self._driver_error = dialect.loaded_dbapi.Error
        self._places: Sequence[str] | None = compiled.positiontup
        self._processors: dict[str, Any] = dict(compiled._bind_processors)
        self._fixed = dict(compiled.params)
        columns = compiled._result_columns
        self._types = [column[3] for column in columns]
        # The same as `_make` of the class, which is a function in Python for each row.
        self._make_row = partial(tuple.__new__, _row_class([column[0] for column in columns]))
        self._converters: list[tuple[int, Callable[[Any], Any]]] | None = None
        self._n_used = 0

    def parameters(self, given: Mapping[str, Any]) -> Any:
        """The parameters as the driver takes them."""
        values = {**self._fixed, **given}
        for name, process in self._processors.items():
            if name in values:
                values[name] = process(values[name])
        return values if self._places is None else tuple(values[name] for name in self._places)

    def rows(self, found: Sequence[tuple[Any, ...]], described: Any) -> list[Any]:
        """The rows of an answer, with the names of the statement's columns. `described` is what has
        the `description` of these: a cursor, which makes that anew each time.
        """
        if self._converters is None:
            kinds = [column[1] for column in described.description]
            made = [
                type_._cached_result_processor(self._dialect, kind)
                for type_, kind in zip(self._types, kinds, strict=True)
            ]
            self._converters = [(at, each) for at, each in enumerate(made) if each is not None]
        if not self._converters:
            return list(map(self._make_row, found))
        rows = []
        for row in found:
            values = list(row)
            for at, convert in self._converters:
                values[at] = convert(values[at])
            rows.append(self._make_row(values))
        return rows

    async def execute(self, driver: Any, parameters: Any) -> tuple[Sequence[Any], Any]:
        """What a driver's connection answers: rows as they are, and what describes their columns.

        Raises DBAPIError.
        """
        self._n_used += 1
        try:
            if isinstance(driver, psycopg.AsyncConnection):
                prepare = self._n_used > _OFTEN
                cursor = await driver.execute(self.sql, parameters, prepare=prepare)
                return await cursor.fetchall(), cursor
            found: tuple[Sequence[Any], Any] = await driver._execute(
                _run, driver, self.sql, parameters
            )
            return found
        except self._driver_error as error:
            raise DBAPIError.instance(
                self.sql, None, error, self._driver_error, hide_parameters=True
            ) from error


class KeptStatements:
    """Statements by their form, those used lately."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, KeptStatement] = OrderedDict()

    def get(
        self, form: Hashable, make: Callable[[], Select[Any]], dialect: Dialect
    ) -> KeptStatement:
        """The statement of a form, made where it is not known."""
        found = self._kept.get(form)
        if found is None:
            found = self._kept[form] = KeptStatement(make(), dialect)
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(form)
        return found


class _Described(NamedTuple):
    """What a cursor of SQLite said of its columns."""

    description: Any


def _run(driver: Any, sql: str, parameters: Sequence[Any]) -> tuple[list[Any], _Described]:
    """In the connection's thread of SQLite."""
    cursor = driver._conn.cursor()
    try:
        cursor.execute(sql, parameters)
        return cursor.fetchall(), _Described(cursor.description)
    finally:
        cursor.close()


def _row_class(names: Sequence[str]) -> Any:
    """A class of rows: tuples with the names, as SQLAlchemy's rows have them."""
    row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]
    return type("Row", (row,), {"__slots__": (), "_mapping": property(row._asdict)})
