"""The plan of a data set: of each volume of series the name that it gets, and why."""

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dicom_graph.errors import BadInput
from dicom_graph.exports.bids.acquisitions import with_acquisitions, with_inversions, with_runs
from dicom_graph.exports.bids.data_set import DataSet
from dicom_graph.exports.bids.entities import problems
from dicom_graph.exports.bids.existing_data_set import ExistingDataSet
from dicom_graph.exports.bids.identities import Identities
from dicom_graph.exports.bids.label_words import name_parts
from dicom_graph.exports.bids.labels import VolumeLabel, label_of
from dicom_graph.exports.bids.metadata import Metadata, lacking, metadata_of, missing_text
from dicom_graph.exports.bids.planned_volume import Key, PlannedVolume, key_of
from dicom_graph.imaging.archive import matching_series
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import series_files
from dicom_graph.imaging.service import Imaging
from dicom_graph.imaging.worker import DescribedVolume
from dicom_graph.store.read import Condition, Store
from dicom_graph.store.read.conditions import HasElement

_AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """`wanted`: which series. `has_derived`: with images computed from others. `dates`: how a
    moment is told, of a subject's label; `most_series`: the most that are taken. `data_set`: one
    that is there, which the plan goes on with.
    """

    wanted: Condition | None
    identities: Identities
    has_derived: bool = False
    dates: Callable[[str, dt.datetime], dt.datetime | None] | None = None
    most_series: int | None = None
    data_set: DataSet | None = None


async def make_plan(
    store: Store,
    imaging: Imaging,
    request: PlanRequest,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[PlannedVolume]:
    """The volumes of series, as far as a store shows them, by subject, session and time.

    Raises BadInput.
    """
    rows: list[Any] = []
    async for some in matching_series(store, request.wanted):
        rows += some
        if request.most_series is not None and len(rows) > request.most_series:
            raise BadInput(f"a plan is of {request.most_series} series at most: filter them")
    patients = await store.by_ids("patient", ids_of(row.patient_id for row in rows))
    studies = await store.by_ids("study", ids_of(row.study_id for row in rows))
    there = ExistingDataSet(request.data_set, request.identities)
    subjects = await request.identities.labels(list(patients.values()))
    described = await describe(store, imaging, rows, progress)
    agents = await _agents(store, [row.id for row in rows])
    found: list[PlannedVolume] = []
    for row in rows:
        moment = moment_of(row, studies.get(row.study_id))
        shift = request.dates or request.identities.shift
        patient = patients.get(row.patient_id)
        sub = subjects.get(row.patient_id) or request.identities.code("no patient", row.study_id)
        acquired = None if moment is None else shift(sub, moment)
        base = {"sub": sub if patient is None else there.subject(patient) or sub}
        names = () if patient is None else name_parts(patient.name, patient.uid)
        shared = PlannedVolume(row.uid, acquired=acquired, series=row)
        volumes = described[row.id]
        if isinstance(volumes, str):
            found.append(replace(shared, entities=base, notes=(volumes,)))
        else:
            found += _volumes(
                shared, base, volumes, names, agents.get(row.id), has_derived=request.has_derived
            )
    ordered = sorted(_with_sessions(found, studies, there), key=_place)
    return _checked(there.named(with_runs(with_acquisitions(with_inversions(ordered)))))


async def _agents(store: Store, series_ids: Sequence[int]) -> dict[int, str | None]:
    """The contrast agents that headers name, by the keys of series."""
    name = HasElement(keyword="ContrastBolusAgent")
    held, elements = await store.elements_of_series(name, series_ids)
    return {
        id: elements[element_id].values[0].text
        for id, element_id in held
        if element_id in elements and elements[element_id].values
    }


async def describe(
    store: Store, imaging: Imaging, rows: Sequence[Any], progress: Callable[[int, int], None]
) -> dict[int, list[DescribedVolume] | str]:
    """The volumes of series (rows), or why there are none, by the keys of series."""
    found: dict[int, list[DescribedVolume] | str] = {}
    places = asyncio.Semaphore(_AT_A_TIME)

    async def one(row: Any) -> None:
        async with places:
            try:
                files = await series_files(imaging.files, store, row.id)
                found[row.id] = await imaging.described_volumes(files)
            except ImagingError as error:
                found[row.id] = error.message
        progress(len(found), len(rows))

    await asyncio.gather(*map(one, rows))
    return found


def ids_of(ids: Iterable[int | None]) -> list[int]:
    """Those that are known, each once."""
    return list({id for id in ids if id is not None})


def _with_sessions(
    planned: Sequence[PlannedVolume], studies: Mapping[int, Any], there: ExistingDataSet
) -> list[PlannedVolume]:
    """Each with its session: a subject's studies that are exported are 01, 02 … by their dates,
    after those that are there.
    """
    of_subject: dict[str, set[Any]] = defaultdict(set)
    for each in planned:
        if each.included:
            of_subject[each.entities["sub"]].add(each.series.study_id)
    labels: dict[tuple[str, Any], str] = {}
    for sub, found in of_subject.items():
        number = there.last_session(sub)
        for study_id in sorted(found, key=lambda id: _when(studies.get(id))):
            known = there.session(studies.get(study_id))
            number += known is None
            labels[sub, study_id] = f"{number:02}" if known is None else known
    return [
        replace(each, entities={**each.entities, "ses": said})
        if (said := labels.get((each.entities["sub"], each.series.study_id)))
        else each
        for each in planned
    ]


def _when(study: Any) -> tuple[dt.date, dt.time, str]:
    if study is None:
        return dt.date.max, dt.time.min, ""
    return study.date or dt.date.max, study.time or dt.time.min, study.uid


def moment_of(row: Any, study: Any) -> dt.datetime | None:
    """When a series was acquired, as far as it is known."""
    date, time = row.date, row.time
    if date is None and study is not None:
        date, time = study.date, time or study.time
    if date is None:
        return None
    return dt.datetime.combine(date, (time or dt.time.min).replace(tzinfo=None, microsecond=0))


def _volumes(
    shared: PlannedVolume,
    base: Mapping[str, str],
    volumes: Sequence[DescribedVolume],
    names: Sequence[str],
    agent: str | None,
    *,
    has_derived: bool,
) -> list[PlannedVolume]:
    """The volumes of a series; those along an axis of echoes are volumes of their own."""
    found: list[PlannedVolume] = []
    for volume in volumes:
        times = sorted(
            {t for each in volumes if _lie_alike(each, volume) for t in _echo_times(each)}
        )
        axis = volume.summary.axes[3:4]
        indexes = range(volume.summary.shape[3]) if axis == ("echo",) else (None,)
        echo_times: Sequence[float | None] = _echo_times(volume) or (None,)
        for index, echo_time in zip(indexes, echo_times, strict=False):
            echo = times.index(echo_time) + 1 if echo_time and len(times) > 1 else None
            acquisition = volume.acquisition
            if echo_time is not None and index is not None:
                acquisition = replace(acquisition, echo_time=echo_time / 1000)
            own = label_of(shared.series, volume.summary, acquisition, echo, names, agent)
            planned = replace(
                shared,
                stack=volume.summary.stack,
                index=index,
                datatype=own.datatype,
                suffix=own.suffix,
                entities={**base, **own.entities},
                evidence=own.evidence,
                confidence=own.confidence,
                notes=() if own.why_not is None else (own.why_not,),
                volume=volume._replace(acquisition=acquisition),
            )
            found.append(_included(planned, own, found, has_derived=has_derived))
    return found


def _lie_alike(one: DescribedVolume, other: DescribedVolume) -> bool:
    """Whether they may be echoes of one acquisition."""
    a, b = one.summary, other.summary
    return (a.shape[:3], a.orientation) == (b.shape[:3], b.orientation)


def _echo_times(volume: DescribedVolume) -> list[float]:
    """In ms: of its axis of echoes, else its own."""
    if volume.summary.axes[3:4] == ("echo",):
        return [round(value, 3) for value in volume.summary.fourth_axis_values or ()]
    own = volume.acquisition.echo_time
    return [] if own is None else [round(own * 1000, 3)]


def _included(
    planned: PlannedVolume,
    own: VolumeLabel,
    before: Sequence[PlannedVolume],
    *,
    has_derived: bool,
) -> PlannedVolume:
    if own.why_not is not None:
        return planned
    if own.is_derived and not has_derived:
        return replace(planned, notes=("it is computed from other images: --derived takes them",))
    if any(_is_rest(planned, other) for other in before):
        note = "slices that belong to no complete volume of the series"
        return replace(planned, notes=(note,))
    return replace(planned, included=True)


def _is_rest(planned: PlannedVolume, other: PlannedVolume) -> bool:
    """Whether it is what was left over of another volume of its series."""
    assert planned.volume is not None
    assert other.volume is not None
    one, two = planned.volume.summary, other.volume.summary
    return (
        (planned.name, one.label, one.orientation) == (other.name, two.label, two.orientation)
        and planned.index is None
        and one.shape[:2] == two.shape[:2]
        and one.shape[2] < two.shape[2]
    )


def _place(planned: PlannedVolume) -> tuple[Any, ...]:
    number = planned.series.number
    return (
        planned.entities["sub"], planned.entities.get("ses", ""),
        planned.acquired or dt.datetime.max, number if number is not None else 1 << 40,
        planned.series_uid, planned.stack, -1 if planned.index is None else planned.index,
    )  # fmt: skip


def _checked(planned: Sequence[PlannedVolume]) -> list[PlannedVolume]:
    """Without those of which BIDS requires what is not known."""
    metadata = with_field_map_times(planned)
    checked = []
    for each in planned:
        is_new = each.included and not each.is_there
        wrong = tuple(problems(each.datatype, each.suffix, each.entities)) if is_new else ()
        if wrong:
            each = replace(each, included=False, notes=(*each.notes, *wrong))
        missing = missing_of(each, metadata[key_of(each)]) if is_new else []
        if missing:
            note = missing_text(each.suffix, missing)
            each = replace(each, included=False, notes=(*each.notes, note))
        checked.append(each)
    return [_with_magnitude(each, checked) for each in checked]


def _with_magnitude(each: PlannedVolume, planned: Sequence[PlannedVolume]) -> PlannedVolume:
    is_new = each.included and not each.is_there
    if each.suffix != "fieldmap" or not is_new or has_magnitude(each, planned):
        return each
    note = "BIDS requires a magnitude image beside it"
    return replace(each, included=False, notes=(*each.notes, note))


def has_magnitude(each: PlannedVolume, planned: Iterable[PlannedVolume]) -> bool:
    """Whether a magnitude image with the same entities is there."""
    return any(
        other.included
        and (other.datatype, other.suffix) == ("fmap", "magnitude")
        and dict(other.entities) == dict(each.entities)
        for other in planned
    )


def missing_of(planned: PlannedVolume, metadata: Metadata) -> list[str]:
    """What BIDS requires of a volume, and is not known."""
    assert planned.volume is not None
    return lacking(
        planned.datatype,
        planned.suffix,
        planned.entities,
        metadata,
        planned.volume,
        is_one_of_many=planned.index is not None,
    )


def with_field_map_times(planned: Sequence[PlannedVolume]) -> dict[Key, Metadata]:
    """The metadata of volumes, also what phase differences take from their magnitudes."""
    found: dict[Key, Metadata] = {}
    for each in planned:
        if each.volume is None:
            continue
        own = metadata_of(each.series, each.volume.acquisition, each.entities)
        if each.suffix == "phasediff":
            times = _magnitude_times(each, planned)
            if len(times) >= 2:
                own |= {"EchoTime1": times[0], "EchoTime2": times[1]}
            own.pop("EchoTime", None)
        if each.suffix == "fieldmap":
            # A map that its scanner computed is in Hz, as those of GE and Philips are.
            own.setdefault("Units", "Hz")
        found[key_of(each)] = own | each.metadata
    return found


def _magnitude_times(each: PlannedVolume, planned: Iterable[PlannedVolume]) -> list[float]:
    """The echo times, s, of the magnitudes of the same session and run."""
    told = {
        other.volume.acquisition.echo_time
        for other in planned
        if other.volume is not None
        and other.suffix in ("magnitude1", "magnitude2")
        and dict(other.entities) == dict(each.entities)
    }
    return sorted(time for time in told if time is not None)
