"""Statistics of a value over a list or a group."""

import datetime as dt
from typing import Any

import strawberry

from dicom_graph.graph.scalars import JSON
from dicom_graph.store.read import Statistics


@strawberry.type(
    description="Statistics of a field over a whole list, of the values that are there."
)
class Aggregate:
    count: int = strawberry.field(description="How many objects have a value.")
    min: JSON | None = strawberry.field(description="The least value; a date in ISO 8601.")
    max: JSON | None = strawberry.field(description="The greatest value; a date in ISO 8601.")
    avg: float | None = strawberry.field(description="The mean; null for dates and times.")
    sum: float | None = strawberry.field(description="The sum; null for dates and times.")
    distinct: int = strawberry.field(description="How many different values there are.")

    @classmethod
    def of(cls, statistics: Statistics) -> "Aggregate":
        """The aggregate of the store's statistics."""
        return cls(
            count=statistics.count,
            min=_json(statistics.minimum),
            max=_json(statistics.maximum),
            avg=statistics.average,
            sum=statistics.total,
            distinct=statistics.distinct,
        )


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value
