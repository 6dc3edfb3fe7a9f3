"""Marks of resolvers whose answers the executor may find for many objects at once.

A mark says what the resolver does; the executor reads it (`graph.execution.levels`) and asks once
for all objects of a level.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Resolver = TypeVar("Resolver", bound=Callable[..., Any])
_MARK = "batch_mark"


class AllOf(NamedTuple):
    """A page of all entities of a kind: a list of the root."""

    entity: str


class Listed(NamedTuple):
    """A page of the entities that a relation leads to."""

    relation: str


class Counted(NamedTuple):
    """How many entities a relation leads to."""

    relation: str


class LeadsTo(NamedTuple):
    """One object: the entity whose row the loader of that name has for the value of a column."""

    entity: str
    column: str
    loader: str


class ElementsOf(NamedTuple):
    """The elements of a header; the arguments of its field make the query."""

    query: Callable[..., Any]


Mark = AllOf | Listed | Counted | LeadsTo | ElementsOf


def mark(resolver: Callable[..., Any], what: Mark) -> None:
    """Say what a resolver does."""
    setattr(resolver, _MARK, what)


def mark_of(resolver: Callable[..., Any]) -> Mark | None:
    """What a resolver does, if that may be asked of many objects at once."""
    return getattr(resolver, _MARK, None)


def leads_to(entity: str, by: str, loader: str = "entity") -> Callable[[Resolver], Resolver]:
    """For a resolver that loads an entity by a column of its object's row."""

    def decorate(resolver: Resolver) -> Resolver:
        mark(resolver, LeadsTo(entity, by, loader))
        return resolver

    return decorate


def elements_of(query: Callable[..., Any]) -> Callable[[Resolver], Resolver]:
    """For a resolver that loads the elements of a header that a query asks for."""

    def decorate(resolver: Resolver) -> Resolver:
        mark(resolver, ElementsOf(query))
        return resolver

    return decorate
