"""Errors of the drivers of SQLite and PostgreSQL: what they mean, and what may be told of them."""

import re
import sqlite3

import psycopg
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, SQLAlchemyError

from dicom_graph.store.storable import UnstorableText

DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error, psycopg.Error)
"""What any statement may raise: the bulk statements go to the drivers without SQLAlchemy."""
REFUSED = (
    DataError, sqlite3.DataError, psycopg.DataError, psycopg.errors.ProgramLimitExceeded,
    OverflowError, UnicodeError, UnstorableText,
)  # fmt: skip
"""What a batch raises for values that the database cannot hold, where each alone may do."""


def describe_error(error: BaseException) -> str:
    """One line without values of rows, which the text of most errors may hold."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, sqlite3.OperationalError | psycopg.OperationalError):
        return str(original).strip().partition("\n")[0] or type(original).__name__
    return type(original).__name__


class FilterError(ValueError):
    """A condition that cannot be asked of this database; the message says why."""


_OF_CHARACTERS = (
    psycopg.errors.CharacterNotInRepertoire, psycopg.errors.UntranslatableCharacter,
)  # fmt: skip
_OF_NUMBERS = (psycopg.errors.NumericValueOutOfRange, psycopg.errors.DivisionByZero)
_TOO_LARGE = re.compile(
    "parser stack overflow|Expression tree is too large|too many SQL variables|"
    "number of parameters must be between"
)


def refuse_condition(context: ExceptionContext) -> None:
    """Listens to errors: says what the database has against a condition, or that time was up."""
    refuse_error(context.original_exception)


def refuse_error(error: BaseException | None) -> None:
    """The same of an error of the driver. Raises TimeoutError, UnstorableText, FilterError."""
    if is_interrupted(error):
        raise TimeoutError from None
    if isinstance(error, _OF_CHARACTERS):
        raise UnstorableText("a text with a character that the database does not hold") from None
    if isinstance(error, psycopg.errors.InvalidRegularExpression):
        raise FilterError(f"`regex`: {error.diag.message_primary}") from None
    if isinstance(error, _OF_NUMBERS):
        raise FilterError("a number is too large or too small to be computed with") from None
    if isinstance(error, DRIVER_ERRORS) and _TOO_LARGE.search(str(error)):
        raise FilterError("the filter has more parts than the database takes") from None


def is_deadlock(error: BaseException) -> bool:
    """Whether a transaction was given up for another one that it waited for, and may try again."""
    original = getattr(error, "orig", None) or error
    return isinstance(original, psycopg.errors.DeadlockDetected)


def is_interrupted(error: BaseException | None) -> bool:
    """Whether a statement ended because its time was up."""
    original = getattr(error, "orig", None) or error
    is_told = isinstance(original, sqlite3.OperationalError) and str(original) == "interrupted"
    return is_told or isinstance(original, psycopg.errors.QueryCanceled)
