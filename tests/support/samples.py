"""Samples of what a test tries, where each of many takes long and all take the same way."""

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_slow(values: Iterable[Any], step: int) -> list[Any]:
    """Parameters of a test, of which one in `step` is tried where not all tests run."""
    return [
        pytest.param(value, marks=[] if place % step == 0 else pytest.mark.slow)
        for place, value in enumerate(values)
    ]
