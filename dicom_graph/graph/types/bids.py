"""What series become in a BIDS data set."""

from typing import Annotated

import strawberry

from dicom_graph.exports.bids.entities import ENTITIES
from dicom_graph.exports.bids.identities import Identities
from dicom_graph.exports.bids.plan import PlanRequest, make_plan
from dicom_graph.exports.bids.planned_volume import PlannedVolume
from dicom_graph.graph.context import Info
from dicom_graph.graph.enums.confidence import Confidence
from dicom_graph.graph.inputs.clauses import condition_of
from dicom_graph.graph.inputs.entities import SeriesFilter
from dicom_graph.graph.scalars import LocalDateTime
from dicom_graph.graph.types.series import Series

_field = strawberry.field
_MOST_SERIES = 1_000


@strawberry.type(description="An entity of a name in BIDS, such as `task-rest`.")
class BidsEntity:
    key: str = _field(description="Its key: sub, ses, task, acq, ce, rec, dir, run, echo, part …")
    value: str = _field(description="Its label or index.")


@strawberry.type(
    description="What a volume of a series becomes in a BIDS data set, as `dicom-graph bids plan` "
    "says it."
)
class BidsVolume:
    series: Series = _field(description="The series.")
    stack: int = _field(description="The number of the volume in its series, from 0.")
    index: int | None = _field(
        description="Which of the volume's fourth axis, from 0, where each of it is a file of its "
        "own, as echoes are; else null."
    )
    is_included: bool = _field(description="Whether it is exported; if not, `notes` say why.")
    datatype: str | None = _field(
        description="Its datatype: anat, func, dwi, fmap, perf, pet; or derived, discard, which "
        "are none of BIDS. Null where nothing tells it."
    )
    suffix: str | None = _field(description="Its suffix, such as T1w, bold.")
    entities: list[BidsEntity] = _field(description="Its entities in the order of names.")
    name: str | None = _field(
        description="Its path in the data set, without an ending; null where it has none."
    )
    evidence: list[str] = _field(
        description="The elements that say what it is; without a datatype, those that lack."
    )
    confidence: Confidence | None = _field(description="How surely they do.")
    acquisition_time: LocalDateTime | None = _field(
        description="When its series was acquired, earlier by the same days for all of a subject; "
        "null where that is not known or not shown."
    )
    notes: list[str] = _field(description="Why it is not exported, for people.")


async def bids_plan(
    info: Info,
    filter: Annotated[
        SeriesFilter | None, strawberry.argument(description="Which series; else all, if few.")
    ] = None,
    derived: Annotated[
        bool, strawberry.argument(description="Include images computed from others.")
    ] = False,
) -> list[BidsVolume] | None:
    """Of all series of a filter, up to 1,000, since names depend on what else there is."""
    context = info.context
    resolver = None if context.store.is_deidentified else context.services.subjects
    request = PlanRequest(
        condition_of(filter) if filter is not None else None,
        await Identities.of(context.store, resolver=resolver),
        has_derived=derived,
        most_series=_MOST_SERIES,
    )
    return [_volume(each) for each in await make_plan(context.store, context.imaging, request)]


def _volume(planned: PlannedVolume) -> BidsVolume:
    entities = [
        BidsEntity(key=key, value=planned.entities[key])
        for key in ENTITIES
        if planned.entities.get(key)
    ]
    return BidsVolume(
        series=Series.from_row(planned.series),
        stack=planned.stack,
        index=planned.index,
        is_included=planned.included,
        datatype=planned.datatype or None,
        suffix=planned.suffix or None,
        entities=entities,
        name=planned.name or None,
        evidence=list(planned.evidence),
        confidence=Confidence(planned.confidence) if planned.confidence else None,
        acquisition_time=LocalDateTime(planned.acquired) if planned.acquired else None,
        notes=list(planned.notes),
    )
