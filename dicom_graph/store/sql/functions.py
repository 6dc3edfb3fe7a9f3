"""Functions and operators that SQLite and PostgreSQL spell differently."""

from typing import Any

from sqlalchemy import (
    Column,
    ColumnClause,
    ColumnElement,
    Integer,
    SmallInteger,
    String,
    func,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias

from dicom_graph.store.sql.driver_errors import FilterError
from dicom_graph.store.sql.postgresql_regex import for_postgresql
from dicom_graph.store.sql.regular_expressions import BadPattern, check_pattern


def fold_case(text: Any) -> ColumnElement[Any]:
    """The text in lower case, letters beyond ASCII too."""
    return _FoldCase(text)


class _FoldCase(FunctionElement[str]):
    type = String()
    inherit_cache = True


@compiles(_FoldCase, "sqlite")
def _fold_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"fold_case({compiler.process(element.clauses, **options)})"


@compiles(_FoldCase, "postgresql")
def _fold_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"lower({_cased(element, compiler, **options)})"


class _Cased(FunctionElement[str]):
    """The text with the cases of all letters, on PostgreSQL."""

    type = String()
    inherit_cache = True


@compiles(_Cased, "postgresql")
def _cased(element: Any, compiler: Any, **options: Any) -> str:
    # The columns' own collation knows ASCII only; before 17 the cluster's locale has to do.
    is_modern = (compiler.dialect.server_version_info or (0,)) >= (17,)
    collation = "pg_c_utf8" if is_modern else "default"
    text = compiler.process(element.clauses, **options)
    return f'(CAST({text} AS TEXT) COLLATE "{collation}")'


class SmallestNull(ColumnClause[Any]):
    """A column in an index, NULL before all values; SQLite has it so, and no word for it."""

    inherit_cache = True


@compiles(SmallestNull)
def _column_alone(element: Any, compiler: Any, **_options: Any) -> str:
    return str(compiler.preparer.quote(element.name))


@compiles(SmallestNull, "postgresql")
def _nulls_first(element: Any, compiler: Any, **_options: Any) -> str:
    return f"{compiler.preparer.quote(element.name)} NULLS FIRST"


def each_distance(distances: ColumnElement[Any]) -> TableValuedAlias:
    """A row with its `value` for each of the distances of a row before it; 0 where it has none."""
    return _EachDistance(distances).table_valued(Column("value", SmallInteger))


class _EachDistance(FunctionElement[Any]):
    inherit_cache = True


@compiles(_EachDistance, "sqlite")
def _each_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    distances = compiler.process(element.clauses, **options)
    unpacked = f"distances_as_json({distances})"
    return f"json_each(CASE WHEN {distances} IS NULL THEN '0' ELSE {unpacked} END)"


@compiles(_EachDistance, "postgresql")
def _each_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    distances = compiler.process(element.clauses, **options)
    return f"LATERAL (SELECT v.value FROM unnest(coalesce({distances}, '{{0}}')) AS v(value))"


def position_of(part: Any, text: ColumnElement[Any]) -> ColumnElement[int]:
    """Where a part begins in the text, from 1; 0 where it does not occur."""
    return _Position(text, part)


class _Position(FunctionElement[int]):
    type = Integer()
    inherit_cache = True


@compiles(_Position, "sqlite")
def _instr(element: Any, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(_Position, "postgresql")
def _strpos(element: Any, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


def holds_none_of(sqlite: bool, text: ColumnElement[Any], characters: str) -> ColumnElement[bool]:
    """Whether a text has no character of a class, written as between the brackets of a regular
    expression; `^` at its start means all others. A `-` stands at its end, or for a range.
    """
    if sqlite:
        return ~text.op("GLOB", is_comparison=True)(f"*[{characters}]*")
    return ~text.op("~", is_comparison=True)(f"[{characters}]")


def matches_regex(sqlite: bool, text: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """By RE2, and on PostgreSQL by what it means there. Raises FilterError.

    SQLAlchemy would take Python's on SQLite, some of which never come to an end.
    """
    try:
        check_pattern(pattern)
    except BadPattern as error:
        raise FilterError(str(error)) from None
    if sqlite:
        return func.re2_search(pattern, text, type_=Integer) == 1
    translated = for_postgresql(pattern)
    cased = _Cased(text) if translated.ignores_case else text
    return cased.regexp_match(translated.pattern)
