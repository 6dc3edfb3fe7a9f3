"""All attacks by the names of the command."""

import pkgutil
from collections.abc import Callable
from importlib import import_module

import tests.attacks
from tests.faults.ground import Ground

Attack = Callable[[Ground], str]
"""Returns what was seen; raises AssertionError where it succeeded, or CannotBeMade."""


def attacks() -> dict[str, Attack]:
    """The `ATTACKS` of every module of this package."""
    found: dict[str, Attack] = {}
    for module in pkgutil.iter_modules(tests.attacks.__path__, "tests.attacks."):
        if not module.name.endswith("__main__"):
            found |= getattr(import_module(module.name), "ATTACKS", {})
    return found
