"""Faults of a question that the store finds, as errors for the client."""

from collections.abc import Awaitable
from typing import TypeVar

from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.store.read.pages import CursorError
from dicom_graph.store.sql.driver_errors import FilterError
from dicom_graph.store.storable import UnstorableText

T = TypeVar("T")


async def answered(answer: Awaitable[T]) -> T:
    """The store's answer. Raises BadInput for arguments that cannot be right."""
    try:
        return await answer
    except CursorError as error:
        raise bad_cursor(error) from None
    except (FilterError, UnstorableText) as error:
        raise BadInput(str(error), ErrorCode.BAD_FILTER) from None
    except RecursionError:
        raise BadInput("the filter is nested too deeply", ErrorCode.BAD_FILTER) from None


def bad_cursor(error: CursorError) -> BadInput:
    """The error of a cursor that a list did not give."""
    return BadInput(str(error), ErrorCode.BAD_CURSOR)
