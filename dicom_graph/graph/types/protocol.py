"""Protocols that series are held against."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import strawberry

from dicom_graph.dicom.protocols import Finding, ProtocolAcquisition, ProtocolError, read_protocol
from dicom_graph.errors import BadInput
from dicom_graph.exports.compliance import Deviation, SeriesCompliance, compliance, found_texts
from dicom_graph.graph.bounded_lists import First, Offset, part_of
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.inputs.clauses import condition_of
from dicom_graph.graph.inputs.entities import SeriesFilter
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.scalars import JSON
from dicom_graph.graph.types.series import Series
from dicom_graph.store.answer_budget import current_budget

_field = strawberry.field
_MOST = 10_000
_MEMORY = 500
"""About the bytes of memory that a deviation takes until it is sent."""
_DESCRIPTIONS = {
    Finding.COMPLIANT: "It is as the protocol wants it.",
    Finding.WARNING: "It is not, and the protocol only warns.",
    Finding.DEVIATING: "It is not.",
    Finding.MISSING: "The series does not have the element.",
    Finding.UNKNOWN: "The protocol names no element that could be looked at.",
}
ComplianceOutcome: Any = strawberry.enum(
    Finding, name="ComplianceOutcome", description="What comes of a rule of a protocol."
)
for _value in ComplianceOutcome.__strawberry_definition__.values:
    _value.description = _DESCRIPTIONS[Finding[_value.name]]


@strawberry.type(description="What of a series is not as a protocol wants it.")
class ProtocolDeviation:
    series: Series = _field(description="The series.")
    element: str = _field(description="The element, as the protocol names it.")
    outcome: ComplianceOutcome = _field(description="What came of the rule.")
    expected: str = _field(description="What the protocol wants, for a person.")
    values: strawberry.Private[Sequence[Any]]

    @classmethod
    def of(cls, series: Series, deviation: Deviation) -> "ProtocolDeviation":
        """The object of what a rule found in a series."""
        return cls(
            series=series,
            element=deviation.rule.name,
            outcome=deviation.finding,
            expected=deviation.rule.expected,
            values=deviation.found,
        )

    @computed("The different values that the series has; `nFound` says how many there are.")
    def found(self, first: First = 100, offset: Offset = 0) -> list[str]:
        return found_texts(part_of(self.values, first, offset))

    @computed("How many different values the series has.")
    def n_found(self) -> int:
        return len(self.values)


@strawberry.type(description="Series held against an acquisition of a protocol.")
class Compliance:
    results: strawberry.Private[Sequence[SeriesCompliance]]
    acquisition: str = _field(description="The acquisition.")
    compliant: int = _field(description="How many series comply.")
    deviating: int = _field(description="How many do not.")
    not_checked: list[str] = _field(
        description="What of the protocol is of no element, so that it was not looked at."
    )

    @computed("What deviates or is worth a warning, series by series.")
    async def nodes(
        self,
        info: Info,
        first: Annotated[
            int, strawberry.argument(description="Of so many series at most, up to 10,000.")
        ] = 100,
        offset: Annotated[
            int, strawberry.argument(description="How many of these series to skip.")
        ] = 0,
    ) -> list[ProtocolDeviation]:
        if not 0 <= first <= _MOST or offset < 0:
            raise BadInput(f"`first` is from 0 to {_MOST}, and `offset` not negative")
        told = [each for each in self.results if _shown(each)][offset : offset + first]
        rows = await info.context.loaders.entity("series").load_many([each.row.id for each in told])
        found: list[ProtocolDeviation] = []
        for each, row in zip(told, rows, strict=True):
            if row is not None:
                series = Series.from_row(row)
                found += [ProtocolDeviation.of(series, one) for one in _shown(each)]
                await current_budget().hold_and_share(_MEMORY * len(each.deviations))
        return found


def _shown(series: SeriesCompliance) -> list[Deviation]:
    return [each for each in series.deviations if each.finding is not Finding.UNKNOWN]


@strawberry.type(
    description="What the elements of the series of an acquisition must be, in dicompare's schema."
)
class Protocol(Node):
    row: strawberry.Private[Any]
    name: str = _field(description="Its name, which no other protocol has.")
    created: dt.datetime = _field(description="When it was made, UTC.")
    modified: dt.datetime = _field(description="When it last changed, UTC.")
    json: JSON = _field(description="The protocol as JSON in dicompare's schema.")

    @classmethod
    def from_row(cls, row: Any, origin: object = None) -> "Protocol":
        """The protocol of a row."""
        id = global_id("Protocol", row.id)
        return cls(
            id=id,
            row=row,
            name=row.name,
            created=row.created,
            modified=row.modified,
            json=row.content,
        )

    @computed("The names of its acquisitions.")
    def acquisitions(self) -> list[str]:
        return list(self.row.content["acquisitions"])

    @computed(
        "Series held against it: all, or those of a filter. Elements are those of all images."
    )
    async def compliance(
        self,
        info: Info,
        acquisition: Annotated[
            str | None,
            strawberry.argument(description="Which acquisition, where there are several."),
        ] = None,
        filter: Annotated[
            SeriesFilter | None, strawberry.argument(description="Which series.")
        ] = None,
    ) -> Compliance:
        chosen = _chosen(self.row.content, acquisition)
        wanted = condition_of(filter) if filter is not None else None
        results = await compliance(info.context.store, chosen, wanted)
        n_compliant = sum(each.is_compliant for each in results)
        return Compliance(
            results=results,
            acquisition=chosen.name,
            compliant=n_compliant,
            deviating=len(results) - n_compliant,
            not_checked=chosen.not_checked,
        )


def _chosen(content: Any, name: str | None) -> ProtocolAcquisition:
    try:
        return read_protocol(content).chosen(name)
    except ProtocolError as error:
        raise BadInput(str(error)) from None
