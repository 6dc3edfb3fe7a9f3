"""Samples of what a test tries, where each of many takes long and all take the same way."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest

_FEWER = 5
_is_whole = False


def take_all() -> None:
    """From now on `examples` are as many as there may be."""
    global _is_whole
    _is_whole = True


def examples(most: int) -> int:
    """How many examples hypothesis makes: so many with `--all`, else a fifth of them.

    DICOM_GRAPH_TEST_EXAMPLES says another number.
    """
    given = os.environ.get("DICOM_GRAPH_TEST_EXAMPLES")
    if given is not None:
        return int(given)
    return most if _is_whole else -(-most // _FEWER)


def mostly_slow(
    values: Iterable[Any], step: int, name: Callable[[Any], str] | None = None
) -> list[Any]:
    """Parameters of a test, of which one in `step` is tried where not all tests run.

    A tuple is a value of each of several parameters.
    `name`: the name of the test with a value, where pytest's is not told apart.
    """
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=[] if place % step == 0 else pytest.mark.slow,
            id=name and name(value),
        )
        for place, value in enumerate(values)
    ]
