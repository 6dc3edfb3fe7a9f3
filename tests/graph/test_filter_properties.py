"""Random filters find what a plain evaluation in Python over pydicom's data sets finds.

An example is a filter; a request asks one of images, one of series and one of patients. With
`--all` each database answers 150, else 30; the 2,000 of a release take some minutes. A tenth as
many lists are sorted by random elements and walked page by page:

    DICOM_GRAPH_TEST_EXAMPLES=2000 pytest tests/graph/test_filter_properties.py

The evaluation knows nothing of dicom-graph: it is written from the descriptions in the schema.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydicom.datadict import tag_for_keyword

from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from tests.graph.filters_in_python import (
    ALL,
    CODES,
    CREATORS,
    DATES,
    FIELDS,
    MOMENTS,
    NAMES,
    NUMBERS,
    PATIENTS,
    SCHEMES,
    TEXTS,
    TIMES,
    UIDS,
    WHOLE,
    Filter,
    Image,
    archive,
    everywhere,
    expected,
    fill,
    fits,
    groups,
    is_called,
)
from tests.support.archive import filled_database
from tests.support.graph import Graph
from tests.support.samples import examples

EXAMPLES = examples(150)
Wanted = SearchStrategy[Filter]


def some_of(**options: SearchStrategy[Any]) -> Wanted:
    """One or two of the conditions."""
    one = st.sampled_from(sorted(options)).map(lambda name: [name])
    two = st.lists(st.sampled_from(sorted(options)), min_size=1, max_size=2, unique=True)
    return st.one_of(one, one, two).flatmap(
        lambda chosen: st.fixed_dictionaries({name: options[name] for name in chosen})
    )


def ordered(values: list[Any], *, ne: bool = True) -> Wanted:
    """Conditions on numbers, dates or times."""
    value = st.sampled_from(values)
    tests: dict[str, SearchStrategy[Any]] = dict.fromkeys(("eq", "gt", "gte", "lt", "lte"), value)
    tests["in"] = st.lists(value, max_size=3)
    tests["between"] = st.lists(value, min_size=2, max_size=2)
    tests["isNull"] = st.booleans()
    return some_of(**tests, ne=value)


def textual(values: list[str]) -> Wanted:
    """Conditions on texts: whole ones, and pieces of them."""
    whole = st.sampled_from(values)
    piece = st.one_of(
        whole, st.sampled_from(["", "a", "B", "%", "_", "\\", "å", "Å", "RÖM", ".1", "x" * 64])
    )
    operators = ("ieq", "contains", "icontains", "startsWith", "istartsWith", "endsWith")
    return some_of(
        eq=whole, ne=whole, isNull=st.booleans(), **{"in": st.lists(whole, max_size=3)},
        **dict.fromkeys(operators, piece),
    )  # fmt: skip


def with_logic(plain: Wanted) -> Wanted:
    """The conditions, and `and`, `or`, `not` of them, and of those."""
    once = _logical(plain)
    twice = _logical(st.one_of(plain, once))
    both = st.builds(lambda one, other: one | other, plain, once)
    # Most have none, as filters nest and would grow large.
    weighted = [*[plain] * 6, once, once, twice, both]
    return st.sampled_from(weighted).flatmap(lambda chosen: chosen)


def _logical(inner: Wanted) -> Wanted:
    parts = st.lists(inner, max_size=2)
    return some_of(**{"and": parts, "or": parts, "not": inner})


ANY_NUMBER, ANY_TEXT = ordered([*NUMBERS, *map(float, WHOLE)]), textual([*TEXTS, *CODES, "MOSAIC"])
CONDITIONS: dict[str, tuple[str, Wanted]] = {
    "ImageComments": ("text", textual(TEXTS)),
    "ImageType": ("text", textual(["ORIGINAL", "MOSAIC", "ND", "M"])),
    "AccessionNumber": ("text", ANY_TEXT),
    "FrameIncrementPointer": ("text", textual(["(0018,1063)", "(0018,1065)"])),
    "TriggerTime": ("number", ANY_NUMBER),
    "SelectorFDValue": ("number", ANY_NUMBER),
    "Rows": ("number", ANY_NUMBER),
    "AcquisitionDate": ("date", ordered(DATES)),
    "AcquisitionTime": ("time", ordered(TIMES)),
    "AcquisitionDateTime": ("datetime", ordered(MOMENTS)),
    "CodeValue": ("text", textual(CODES)),
    "CodingSchemeDesignator": ("text", textual(SCHEMES)),
    "SliceThickness": ("number", ANY_NUMBER),
    "SeriesDescription": ("text", textual(TEXTS)),
}
SEQUENCES = [
    "ProcedureCodeSequence", "PerFrameFunctionalGroupsSequence", "PixelMeasuresSequence",
    "EquivalentCodeSequence",
]  # fmt: skip
PRIVATE = ["(0019,xx9C)", "(0019,109C)", "(0019,119C)"]
PATHS = [
    "ProcedureCodeSequence.CodeValue", "ProcedureCodeSequence[0].CodeValue",
    "ProcedureCodeSequence[1].CodeValue", "ProcedureCodeSequence.CodingSchemeDesignator",
    "ProcedureCodeSequence.EquivalentCodeSequence.CodeValue", "EquivalentCodeSequence.CodeValue",
    "PerFrameFunctionalGroupsSequence.PixelMeasuresSequence.SliceThickness",
    "PerFrameFunctionalGroupsSequence[1].PixelMeasuresSequence[0].SliceThickness",
    "PixelMeasuresSequence.SliceThickness", "(5200,9230).(0028,9110).Rows",
]  # fmt: skip
ANYWHERE = st.sampled_from([{}, {}, {"anywhere": True}, {"anywhere": False}])
EXISTS = st.sampled_from([{}, {}, {"exists": True}, {"exists": False}])


def merged(*parts: Wanted) -> Wanted:
    """All conditions of several inputs in one."""
    return st.tuples(*parts).map(lambda inputs: {k: v for one in inputs for k, v in one.items()})


def _named(keyword: str) -> Wanted:
    """An element by keyword or tag, with or without conditions on its values."""
    column, tests = CONDITIONS[keyword]
    tag = tag_for_keyword(keyword)
    names = [{"keyword": keyword}, {"tag": f"({tag >> 16:04X},{tag & 0xFFFF:04X})"}]
    extra = st.one_of(
        st.just({}), tests.map(lambda test: {column: test}), tests.map(lambda test: {column: test}),
        ANY_TEXT.map(lambda test: {"text": test}), st.booleans().map(lambda b: {"hasWarnings": b}),
        ordered([0, 1, 2, 3]).map(lambda test: {"vm": test}),
    )  # fmt: skip
    return merged(st.sampled_from(names), extra)


def _by_path(path: str) -> Wanted:
    column, tests = CONDITIONS[path.rpartition(".")[2]]
    return st.one_of(st.just({}), tests.map(lambda test: {column: test})).map(
        lambda test: {"path": path, **test}
    )


def _private() -> Wanted:
    creator = st.sampled_from([{}, *({"privateCreator": creator} for creator in CREATORS)])
    text = st.one_of(st.just({}), ANY_TEXT.map(lambda test: {"text": test}))
    return merged(
        st.sampled_from([*({"tag": tag} for tag in PRIVATE), {"vr": "LO"}]), creator, text
    )


def _sequence(header: Wanted) -> Wanted:
    bound = header.map(lambda wanted: {"item": wanted})
    counted = ordered([0, 1, 2, 3]).map(lambda test: {"vm": test})
    name = st.sampled_from([{"keyword": keyword} for keyword in SEQUENCES])
    return merged(name, st.one_of(bound, bound, counted, st.just({})))


LEAF = st.one_of(
    st.sampled_from(sorted(CONDITIONS)).flatmap(_named),
    st.sampled_from(PATHS).flatmap(_by_path),
    _private(),
    some_of(text=ANY_TEXT, number=ANY_NUMBER),
)


CSA_PATHS = [
    "B_value", "Times", "Times[0]", "Times[2]", "Codes", "Codes[1]", "Both", "MrPhoenixProtocol",
    "MrPhoenixProtocol.lSize", "MrPhoenixProtocol.alFree", "MrPhoenixProtocol.alFree[1]",
    "MrPhoenixProtocol.asSlice", "MrPhoenixProtocol.asSlice[1].tName", "Nothing", "B_value.below",
]  # fmt: skip
CSA = merged(
    st.sampled_from([{"path": path} for path in CSA_PATHS]),
    st.one_of(
        st.just({}),
        ANY_NUMBER.map(lambda test: {"number": test}),
        textual(["ab", "AB", "x" * 70]).map(lambda test: {"text": test}),
        st.tuples(ANY_NUMBER, ANY_TEXT).map(lambda both: {"number": both[0], "text": both[1]}),
    ),
    EXISTS,
)


def _headers(element: Wanted) -> Wanted:
    whole = merged(element, ANYWHERE, EXISTS)
    return with_logic(
        some_of(
            element=whole,
            elements=st.lists(whole, min_size=1, max_size=2),
            csa=st.lists(CSA, min_size=1, max_size=2),
        )
    )


HEADER_OF_ITEM = _headers(st.one_of(LEAF, _sequence(_headers(LEAF))))
HEADER = _headers(st.one_of(LEAF, _sequence(HEADER_OF_ITEM)))


def lists_of(child: Wanted) -> Wanted:
    """Conditions on a list of objects."""
    return some_of(some=child, none=child, every=child)


COUNT = ordered([0, 1, 2, 3, 5, 6, 9])
IMAGE_FIELDS = {
    "uid": textual(UIDS["image"]), "number": ordered(WHOLE), "rows": ordered(WHOLE),
}  # fmt: skip
STUDY = some_of(
    uid=textual(["1.4.0", "1.4.3"]), description=textual(TEXTS), date=ordered(DATES),
    nSeries=COUNT, nImages=COUNT, nPatients=COUNT,
)  # fmt: skip
SERIES_FIELDS = {
    "uid": textual(UIDS["series"]), "number": ordered(WHOLE), "description": textual(TEXTS),
    "modality": textual(["MR", "CT"]), "date": ordered(DATES), "time": ordered(TIMES),
    "echoTime": ANY_NUMBER, "nImages": COUNT, "missingRelation": st.booleans(), "study": STUDY,
    "pixelSpacing": some_of(any=ANY_NUMBER, length=COUNT, isNull=st.booleans()),
    "scanningSequence": some_of(
        length=COUNT, isNull=st.booleans(),
        **dict.fromkeys(
            ("exactly", "containsAll", "containsAny"), st.lists(st.sampled_from(CODES), max_size=3)
        ),
    ),
}  # fmt: skip
PATIENT_FIELDS = {
    "uid": textual(PATIENTS), "name": textual(NAMES), "familyName": textual(["Ång", "berg"]),
    "givenName": textual(["Ada", "Bo"]), "sex": textual(["M", "F"]),
    "dateOfBirth": ordered(DATES), "nStudies": COUNT, "nSeries": COUNT, "nImages": COUNT,
}  # fmt: skip
ABOVE = some_of(**SERIES_FIELDS, patient=with_logic(some_of(**PATIENT_FIELDS)))
IMAGE_FILTERS = with_logic(
    st.one_of(HEADER.map(lambda wanted: {"header": wanted}), some_of(**IMAGE_FIELDS, series=ABOVE))
)
SERIES_FILTERS = with_logic(
    st.one_of(
        ABOVE,
        some_of(
            images=lists_of(IMAGE_FILTERS), anyImage=IMAGE_FILTERS, everyImage=IMAGE_FILTERS,
            study=with_logic(st.one_of(STUDY, some_of(series=lists_of(ABOVE)))),
        ),
    )
)  # fmt: skip
PATIENT_FILTERS = with_logic(
    st.one_of(
        some_of(**PATIENT_FIELDS),
        some_of(
            studies=lists_of(STUDY), series=lists_of(SERIES_FILTERS),
            images=lists_of(IMAGE_FILTERS), anyImage=IMAGE_FILTERS, everyImage=IMAGE_FILTERS,
        ),
    )
)  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def archive_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The archive, imported once into each kind of database."""
    folder = tmp_path_factory.mktemp("properties")
    with filled_database(request, folder, fill) as url:
        database = Database(url)
        paths = (str(folder / "minimal"),)
        run_import(database, JobRequest(paths, Mode.MINIMAL, origin=JobOrigin.PYTHON))
        database.close_writer()
        images = archive(folder)
        ALL.update((entity, groups(images, entity)) for entity in FIELDS)
        yield url


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


QUERY = """
query ($image: ImageFilter, $series: SeriesFilter, $patient: PatientFilter) {
  image: images(filter: $image, first: 100) { totalCount nodes { uid } }
  series: series(filter: $series, first: 100) { totalCount nodes { uid } }
  patient: patients(filter: $patient, first: 100) { totalCount nodes { uid } }
}
"""


@settings(
    max_examples=-(-EXAMPLES // 3),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(image=IMAGE_FILTERS, series=SERIES_FILTERS, patient=PATIENT_FILTERS)
async def test_filters_find_what_python_finds(
    graph: Graph, image: Filter, series: Filter, patient: Filter
) -> None:
    wanted = {"image": image, "series": series, "patient": patient}
    data = await graph(QUERY, **wanted)
    for entity, page in data.items():
        uids = {node["uid"] for node in page["nodes"]}
        assert uids == expected(entity, wanted[entity])
        assert page["totalCount"] == len(page["nodes"]) == len(uids)
        some = bool(uids) and len(uids) < len(ALL[entity])
        event(f"{entity}: {'some' if some else 'all' if uids else 'none'}")


def _name_of(name: str) -> Filter:
    return {"path": name} if "." in name else {"tag" if "(" in name else "keyword": name}


SORTED_BY = [
    "TriggerTime", "SelectorFDValue", "Rows", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionDateTime", "ImageComments", "AccessionNumber", "ProcedureCodeSequence.CodeValue",
    "ProcedureCodeSequence[1].CodeValue", "(0019,xx9C)", "EchoTime",
    "PerFrameFunctionalGroupsSequence.PixelMeasuresSequence.SliceThickness",
]  # fmt: skip
ORDER = st.fixed_dictionaries(
    {
        "direction": st.sampled_from(["ASC", "DESC"]),
        "by": st.sampled_from(["NUMBER", "UID", *SORTED_BY, *SORTED_BY]),
    }
)


def sort_key(image: Image, name: str) -> tuple[Any, ...]:
    """The first value; nothing, which is less than anything, where there is none."""
    if name in ("NUMBER", "UID"):
        value = image.fields["image"][name.lower()]
        return () if value is None else (value,)
    *steps, last = name.split(".")
    header = image.header
    for step in steps:
        keyword, _, index = step.rstrip("]").partition("[")
        items = [item for e in header if is_called(e, keyword) for item in e.items]
        header = items[int(index or 0)] if int(index or 0) < len(items) else []
    found = sorted((e for e in header if is_called(e, last)), key=lambda e: e.tag)
    if not found or not found[0].values:
        return ()
    first = found[0].values[0]
    kinds = {"DS": "number", "FD": "number", "US": "number", "DA": "date", "TM": "time"}
    value = getattr(first, {**kinds, "DT": "datetime"}.get(found[0].vr, "text"))
    return () if value is None else (value,)


LISTED = """query ($filter: ImageFilter, $order: [ImageOrder!], $size: Int, $after: String) {
  page: images(filter: $filter, orderBy: $order, first: $size, after: $after) {
    nodes { uid } pageInfo { endCursor hasNextPage } } }"""


@settings(
    max_examples=-(-EXAMPLES // 10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    order=st.lists(ORDER, min_size=1, max_size=3, unique_by=lambda one: one["by"]),
    wanted=st.one_of(st.none(), st.none(), IMAGE_FILTERS),
    size=st.integers(5, 20),
)
async def test_pages_are_in_the_order_of_python(
    graph: Graph, order: list[Filter], wanted: Filter | None, size: int
) -> None:
    given = [
        {"field": one["by"], "direction": one["direction"]}
        if one["by"] in ("NUMBER", "UID")
        else {"element": _name_of(one["by"]), "direction": one["direction"]}
        for one in order
    ]
    by_id = await graph(LISTED, order=[{"field": "ID"}], size=100)
    uids = [node["uid"] for node in by_id["page"]["nodes"]]
    if order[-1]["direction"] == "DESC":
        uids.reverse()
    images = [ALL["image"][uid][0] for uid in uids]
    images = [image for image in images if wanted is None or fits("image", [image], wanted)]
    for one in reversed(order):
        name, down = one["by"], one["direction"] == "DESC"
        images.sort(key=lambda image, name=name: sort_key(image, name), reverse=down)
    found: list[str] = []
    after, more = None, True
    while more:
        data = await graph(LISTED, filter=wanted, order=given, size=size, after=after)
        found += [node["uid"] for node in data["page"]["nodes"]]
        after, more = data["page"]["pageInfo"]["endCursor"], data["page"]["pageInfo"]["hasNextPage"]
    assert found == [image.uid for image in images]


def test_the_archive_has_what_the_filters_ask_for(archive_url: str) -> None:
    images = [image for images in ALL["image"].values() for image in images]
    everything = [e for image in images for place in everywhere(image.header) for e in place]
    assert len(images) == 33
    assert sum(not image.header for image in images) == 3
    assert {e.keyword for e in everything} >= {*CONDITIONS, *SEQUENCES}
    assert {e.creator for e in everything} >= set(CREATORS)
    assert any(value.unreadable for e in everything for value in e.values)
    assert len(ALL["patient"]) == 4
    assert any(image.fields["patient"]["uid"] is None for image in images)
    assert any(image.fields["study"]["uid"] is None for image in images)
