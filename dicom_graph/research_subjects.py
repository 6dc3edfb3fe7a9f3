"""Research subjects: what a function of the host's own says of patients."""

import asyncio
import datetime as dt
import inspect
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from dicom_graph.settings import SettingsError


class SubjectPatient(NamedTuple):
    """What a resolver is told of a patient; `name` is as in the file, `uid` the PatientID."""

    uid: str
    name: str | None
    given_name: str | None
    family_name: str | None
    sex: str | None
    date_of_birth: dt.date | None


Answer = Sequence[str | None]
Resolver = Callable[[Sequence[SubjectPatient]], Answer | Awaitable[Answer]]
"""From patients to their research subjects, None where one has none, in the same order."""


def load_resolver(path: str) -> Resolver:
    """The function `package.module:function`. Raises SettingsError."""
    module, _, name = path.partition(":")
    try:
        found: Any = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"DICOM_GRAPH_SUBJECT_RESOLVER: {path}: {error}") from None
    if not callable(found):
        raise SettingsError(f"DICOM_GRAPH_SUBJECT_RESOLVER: {path} is not a function")
    return found  # type: ignore[no-any-return]


async def subjects_of(resolver: Resolver, patients: Sequence[SubjectPatient]) -> Answer:
    """The subjects of patients. A function that is not asynchronous runs in a thread.

    Raises TypeError where the resolver does not keep to its word.
    """
    if inspect.iscoroutinefunction(resolver):
        found = await resolver(patients)
    else:
        found = await asyncio.to_thread(resolver, patients)
    if len(found) != len(patients) or not all(isinstance(s, str | None) for s in found):
        raise TypeError("the subject resolver must give a text or None for each patient")
    return found  # type: ignore[no-any-return]
