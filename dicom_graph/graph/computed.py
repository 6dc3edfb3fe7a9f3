"""Fields that a method computes."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry

Resolver = TypeVar("Resolver", bound=Callable[..., Any])


def computed(description: str) -> Callable[[Resolver], Resolver]:
    """A field that a method computes."""

    def decorate(resolver: Resolver) -> Resolver:
        return cast(Resolver, strawberry.field(resolver, description=description))

    return decorate


def subscription_field(description: str) -> Callable[[Resolver], Resolver]:
    """A subscription field that a method yields."""

    def decorate(resolver: Resolver) -> Resolver:
        return cast(Resolver, strawberry.subscription(resolver, description=description))

    return decorate
