"""Filters on the fields, counts and relations of entities; the facts are those of `fill`."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicom_graph.graph.node import global_id
from dicom_graph.store.engine import Database
from tests.support.graph import Graph
from tests.support.make import make_data_set, put_raw, save

Filter = dict[str, Any]

PATIENTS: dict[str, Filter] = {
    "A-1": {
        "PatientName": "Ångström^Anders^Jonas^Dr^PhD", "PatientSex": "M",
        "PatientBirthDate": "19500101",
    },
    "B_2": {"PatientName": "Berg^Berta", "PatientSex": "F", "PatientBirthDate": "19800229"},
    "C%3": {"PatientName": "O'Neil^Ciara^^Prof", "PatientSex": "O", "PatientBirthDate": None},
    "d.4": {"PatientName": None, "PatientSex": "X", "PatientBirthDate": "20101231"},
}  # fmt: skip
STUDIES: dict[str, Filter] = {
    "brain": {
        "StudyInstanceUID": "1.2.1", "StudyDescription": "100% brain", "StudyDate": "20190101",
        "StudyTime": "080000",
    },
    "mixed": {
        "StudyInstanceUID": "1.2.2", "StudyDescription": "100x brain_2", "StudyDate": "20190615",
        "StudyTime": "123000.5",
    },
    "knee": {
        "StudyInstanceUID": "1.2.3", "StudyDescription": "Knie LINKS", "StudyDate": "20200229",
        "StudyTime": None,
    },
    "bare": {
        "StudyInstanceUID": "1.2.4", "StudyDescription": None, "StudyDate": None,
        "StudyTime": None,
    },
    "alone": {
        "StudyInstanceUID": "1.2.5", "StudyDescription": None, "StudyDate": None,
        "StudyTime": None,
    },
}  # fmt: skip
SERIES: dict[str, tuple[str | None, str | None, int, Filter]] = {
    "mprage": ("A-1", "brain", 3, {
        "SeriesNumber": 1, "SeriesDescription": "T1_mprage", "ProtocolName": "MPRAGE iso",
        "SeriesDate": "20190101", "SeriesTime": "080500", "Manufacturer": "SIEMENS",
        "ManufacturerModelName": "Skyra", "MagneticFieldStrength": 3,
        "DeviceSerialNumber": "0001", "InstitutionName": "ÅRHUS Hospital",
        "OperatorsName": ["Ann", "Bo"], "EchoTime": 2.5, "EchoTrainLength": 1,
        "InversionTime": 900, "RepetitionTime": 2300, "FlipAngle": 9, "SliceThickness": 1,
        "PixelSpacing": [1, 1], "ScanningSequence": ["GR", "IR"],
        "SequenceVariant": ["SK", "SP", "MP"], "ScanOptions": "IR", "SequenceName": "*tfl3d1",
        "MRAcquisitionType": "3D", "PatientPosition": "HFS", "BodyPartExamined": "BRAIN",
        "InstanceCreationDate": "20190101", "InstanceCreationTime": "0806",
        "Rows": 256, "Columns": 192,
    }),
    "bold": ("A-1", "brain", 2, {
        "SeriesNumber": 2, "SeriesDescription": "bold_run%1", "ProtocolName": "rest",
        "SeriesDate": "20190101", "SeriesTime": "083000", "Manufacturer": "SIEMENS",
        "ManufacturerModelName": "Prisma", "MagneticFieldStrength": 3,
        "EchoTime": 30, "RepetitionTime": 2000, "FlipAngle": 90, "SliceThickness": 3,
        "PixelSpacing": [0.4, 0.8], "ScanningSequence": "EP", "SequenceVariant": ["SK", "SS"],
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], "ScanOptions": ["PFP", "FS"],
        "MRAcquisitionType": "2D", "NumberOfFrames": 40,
    }),
    "ge": ("A-1", "mixed", 1, {
        "SeriesNumber": 3, "SeriesDescription": "FSPGR 100%", "SeriesDate": "20190615",
        "Manufacturer": "GE MEDICAL SYSTEMS", "MagneticFieldStrength": 1.5, "EchoTime": 5,
        "ScanningSequence": ["IR", "GR"], "PixelSpacing": [0.5, 0.5],
    }),
    "ct": ("B_2", "mixed", 1, {
        "SeriesNumber": 1, "SeriesDescription": "bold run 1", "Modality": "CT",
        "SeriesDate": "20190615", "SeriesTime": "235959.999999", "EchoTime": None,
        "SliceThickness": 5, "InstitutionName": "århus clinic",
    }),
    "pd": ("C%3", "knee", 1, {
        "SeriesNumber": 7, "SeriesDescription": "Knee PD", "EchoTime": 12,
        "PulseSequenceName": "tse_pd", "SequenceVariant": "NONE",
        "InstanceNumber": None, "BodyPartExamined": "KNEE",
    }),
    "empty": ("d.4", "bare", 1, {
        "SeriesNumber": None, "SeriesDescription": None, "Modality": "OT", "EchoTime": None,
    }),
    "orphan": (None, "alone", 1, {"SeriesNumber": 9, "SeriesDescription": "no patient"}),
    "loose": ("B_2", None, 1, {"SeriesNumber": 10, "SeriesDescription": "no study"}),
}  # fmt: skip
SERIES_UIDS = {label: f"1.3.{number}" for number, label in enumerate(SERIES, 1)}
LABELS = {facts["StudyInstanceUID"]: label for label, facts in STUDIES.items()} | {
    uid: label for label, uid in SERIES_UIDS.items()
}


def fill(folder: Path) -> None:
    """Write the archive. An image is called by its series and its place in it: `bold-2`."""
    for label, (patient, study, count, facts) in SERIES.items():
        for place in range(1, count + 1):
            owner = {"PatientID": patient, **(PATIENTS[patient] if patient else {})}
            of_study = STUDIES[study] if study else {"StudyInstanceUID": None}
            uids = {
                "SeriesInstanceUID": SERIES_UIDS[label],
                "SOPInstanceUID": f"{SERIES_UIDS[label]}.{place}",
            }
            data_set = make_data_set(**uids, **owner, **of_study, **_of_image(facts, place))
            _add_oddities(data_set, label)
            save(data_set, folder / f"{label}-{place}.dcm")


def _of_image(facts: Filter, place: int) -> Filter:
    return {"InstanceNumber": place, "SpecificCharacterSet": "ISO_IR 192", **facts}


def _add_oddities(data_set: Dataset, label: str) -> None:
    if label == "ge":
        data_set.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x9C, "LO", "efgre3d")
    if label == "empty":
        put_raw(data_set, 0x00180082, "DS", b"not a number")


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


ROOTS = {"Patient": "patients", "Study": "studies", "Series": "series", "Image": "images"}


def label_of(uid: str) -> str:
    """What this module calls the object of a uid."""
    if uid in LABELS:
        return LABELS[uid]
    series, _, place = uid.rpartition(".")
    return f"{LABELS[series]}-{place}" if series in LABELS else uid


def query_of(entity: str) -> str:
    """All objects of a kind that a filter finds, and their number."""
    root = ROOTS[entity]
    return (
        f"query ($filter: {entity}Filter) "
        f"{{ found: {root}(filter: $filter, first: 100) {{ totalCount nodes {{ id uid }} }} }}"
    )


async def found(graph: Graph, entity: str, wanted: Filter) -> set[str]:
    """The labels of what a filter finds; the count must agree."""
    page = (await graph(query_of(entity), filter=wanted))["found"]
    labels = [label_of(node["uid"]) for node in page["nodes"]]
    assert page["totalCount"] == len(labels) == len(set(labels))
    return set(labels)


async def ids(graph: Graph, entity: str) -> dict[str, str]:
    """The global ids of all objects of a kind, by their labels."""
    nodes = (await graph(query_of(entity), filter={}))["found"]["nodes"]
    return {label_of(node["uid"]): node["id"] for node in nodes}


Case = tuple[str, Filter, str]


def cases(entity: str, *pairs: tuple[Filter, str]) -> list[Any]:
    """Parameters: a filter and the labels of what it finds, between spaces."""
    return [pytest.param(entity, wanted, labels, id=f"{wanted}") for wanted, labels in pairs]


PATIENT_CASES = cases(
    "Patient",
    ({"uid": {"eq": "A-1"}}, "A-1"),
    ({"uid": {"ne": "A-1"}}, "B_2 C%3 d.4"),
    ({"uid": {"in": ["A-1", "d.4", "nobody"]}}, "A-1 d.4"),
    ({"uid": {"in": []}}, ""),
    ({"uid": {"contains": "_"}}, "B_2"),
    ({"uid": {"contains": "%"}}, "C%3"),
    ({"uid": {"icontains": "D."}}, "d.4"),
    ({"uid": {"contains": "D."}}, ""),
    ({"name": {"startsWith": "Ångström^Anders"}}, "A-1"),
    ({"givenName": {"eq": "Berta"}}, "B_2"),
    ({"givenName": {"eq": "berta"}}, ""),
    ({"givenName": {"contains": "er"}}, "A-1 B_2"),
    ({"givenName": {"icontains": "CIA"}}, "C%3"),
    ({"middleName": {"eq": "Jonas"}}, "A-1"),
    ({"middleName": {"contains": "nas"}}, "A-1"),
    ({"middleName": {"icontains": "JON"}}, "A-1"),
    ({"middleName": {"isNull": True}}, "B_2 C%3 d.4"),
    ({"familyName": {"eq": "O'Neil"}}, "C%3"),
    ({"familyName": {"icontains": "ångSTRÖM"}}, "A-1"),
    ({"familyName": {"contains": "ångström"}}, ""),
    ({"familyName": {"istartsWith": "ÅNG"}}, "A-1"),
    ({"familyName": {"startsWith": "ång"}}, ""),
    ({"familyName": {"endsWith": "ström"}}, "A-1"),
    ({"familyName": {"endsWith": "Berg and more"}}, ""),
    ({"familyName": {"contains": ""}}, "A-1 B_2 C%3"),
    ({"familyName": {"endsWith": ""}}, "A-1 B_2 C%3"),
    ({"familyName": {"ne": "Berg"}}, "A-1 C%3 d.4"),
    ({"namePrefix": {"in": ["Dr", "Prof"]}}, "A-1 C%3"),
    ({"namePrefix": {"isNull": False}}, "A-1 C%3"),
    ({"nameSuffix": {"eq": "PhD"}}, "A-1"),
    ({"nameSuffix": {"isNull": False}}, "A-1"),
    ({"sex": {"eq": "F"}}, "B_2"),
    ({"sex": {"isNull": True}}, "d.4"),
    ({"dateOfBirth": {"between": ["1950-01-01", "1980-02-29"]}}, "A-1 B_2"),
    ({"dateOfBirth": {"gt": "1950-01-01", "lt": "2010-12-31"}}, "B_2"),
    ({"dateOfBirth": {"gte": "1980-02-29"}}, "B_2 d.4"),
    ({"dateOfBirth": {"isNull": True}}, "C%3"),
    ({"dateOfBirth": {"ne": "1950-01-01"}}, "B_2 C%3 d.4"),
    ({"nStudies": {"eq": 2}}, "A-1"),
    ({"nStudies": {"between": [1, 1]}}, "B_2 C%3 d.4"),
    ({"nSeries": {"gte": 2}}, "A-1 B_2"),
    ({"nImages": {"gte": 2, "lte": 5}}, "B_2"),
    ({"nImages": {"in": [1, 6]}}, "A-1 C%3 d.4"),
    ({"studies": {"some": {"uid": {"eq": "1.2.2"}}}}, "A-1 B_2"),
    ({"series": {"every": {"modality": {"eq": "MR"}}}}, "A-1 C%3"),
    ({"images": {"none": {"number": {"eq": 1}}}}, "C%3"),
    ({"anyImage": {"number": {"eq": 2}}}, "A-1"),
    ({"everyImage": {"rows": {"eq": 2}}}, "B_2 C%3 d.4"),
    ({"hasWarnings": True}, "d.4"),
    ({"created": {"gt": "2020-01-01T00:00:00+02:00"}}, "A-1 B_2 C%3 d.4"),
    ({"created": {"lt": "2020-01-01T00:00:00"}}, ""),
)
STUDY_CASES = cases(
    "Study",
    ({"uid": {"eq": "1.2.3"}}, "knee"),
    ({"uid": {"contains": "2.2"}}, "mixed"),
    ({"uid": {"icontains": ".2.3"}}, "knee"),
    ({"description": {"eq": "100% brain"}}, "brain"),
    ({"description": {"contains": "100%"}}, "brain"),
    ({"description": {"contains": "n_2"}}, "mixed"),
    ({"description": {"icontains": "links"}}, "knee"),
    ({"description": {"isNull": True}}, "bare alone"),
    ({"date": {"between": ["2019-01-01", "2019-12-31"]}}, "brain mixed"),
    ({"date": {"gte": "2020-02-29"}}, "knee"),
    ({"date": {"in": ["2020-02-29", "2019-01-01"]}}, "brain knee"),
    ({"time": {"between": ["08:00:00", "12:30:00"]}}, "brain"),
    ({"time": {"eq": "12:30:00.500"}}, "mixed"),
    ({"time": {"lte": "12:30:00.500000"}}, "brain mixed"),
    ({"time": {"isNull": True}}, "knee bare alone"),
    ({"nPatients": {"gte": 2}}, "mixed"),
    ({"nPatients": {"eq": 0}}, "alone"),
    ({"nSeries": {"eq": 2}}, "brain mixed"),
    ({"nSeries": {"between": [2, 3]}, "nPatients": {"between": [1, 1]}}, "brain"),
    ({"nImages": {"between": [2, 4]}}, "mixed"),
    ({"nImages": {"ne": 2}}, "brain knee bare alone"),
    ({"patients": {"some": {"sex": {"eq": "F"}}}}, "mixed"),
    ({"patients": {"none": {"sex": {"eq": "M"}}}}, "knee bare alone"),
    ({"patients": {"every": {"sex": {"eq": "M"}}}}, "brain alone"),
    ({"series": {"some": {"modality": {"eq": "CT"}}}}, "mixed"),
    ({"images": {"every": {"numberOfFrames": {"isNull": True}}}}, "mixed knee bare alone"),
    ({"anyImage": {"series": {"number": {"eq": 2}}}}, "brain"),
    ({"hasWarnings": False}, "brain mixed knee alone"),
)
SERIES_CASES = cases(
    "Series",
    ({"uid": {"eq": "1.3.1"}}, "mprage"),
    ({"number": {"eq": 1}}, "mprage ct"),
    ({"number": {"isNull": True}}, "empty"),
    ({"number": {"ne": 1}}, "bold ge pd empty orphan loose"),
    ({"patient": {"uid": {"eq": "B_2"}}}, "ct loose"),
    ({"study": {"uid": {"in": ["1.2.4", "1.2.5"]}}}, "empty orphan"),
    (
        {"or": [{"study": {"description": {"icontains": t}}} for t in ("LINKS", "Brain_")]},
        "ge ct pd",
    ),
    ({"modality": {"eq": "CT"}}, "ct"),
    ({"modality": {"in": ["OT", "CT"]}}, "ct empty"),
    ({"description": {"eq": "Knee PD"}}, "pd"),
    ({"description": {"contains": "bold_run%"}}, "bold"),
    ({"description": {"contains": "_"}}, "mprage bold"),
    ({"description": {"endsWith": "%"}}, "ge"),
    ({"description": {"startsWith": "bold"}}, "bold ct"),
    ({"description": {"startsWith": "Bold"}}, ""),
    ({"description": {"icontains": "fspgr"}}, "ge"),
    ({"description": {"istartsWith": "NO "}}, "orphan loose"),
    ({"protocolName": {"icontains": "mprage"}}, "mprage"),
    ({"scanningSequence": {"exactly": ["IR", "GR"]}}, "mprage ge"),
    ({"scanningSequence": {"exactly": ["GR", "IR", "GR"]}}, "mprage ge"),
    ({"scanningSequence": {"exactly": ["GR"]}}, ""),
    ({"scanningSequence": {"exactly": []}}, ""),
    ({"scanningSequence": {"isNull": True}}, "ct pd empty orphan loose"),
    ({"sequenceVariant": {"exactly": ["MP", "SK", "SP"]}}, "mprage"),
    ({"sequenceVariant": {"containsAll": ["SK"]}}, "mprage bold"),
    ({"sequenceVariant": {"containsAll": ["SK", "SS"]}}, "bold"),
    ({"sequenceVariant": {"containsAll": []}}, "mprage bold pd"),
    ({"sequenceVariant": {"containsAny": ["SS", "NONE"]}}, "bold pd"),
    ({"sequenceVariant": {"containsAny": []}}, ""),
    ({"sequenceVariant": {"length": {"gte": 2}}}, "mprage bold"),
    ({"sequenceVariant": {"length": {"gt": 1, "lt": 3}}}, "bold"),
    ({"sequenceVariant": {"length": {"ne": 2}}}, "mprage pd"),
    ({"sequenceVariant": {"length": {"isNull": True}}}, ""),
    ({"pixelSpacing": {"any": {"eq": 0.8}}}, "bold"),
    ({"pixelSpacing": {"any": {"between": [0.5, 1]}}}, "mprage bold ge"),
    ({"pixelSpacing": {"any": {"gt": 0.5, "lt": 0.7}}}, ""),
    ({"pixelSpacing": {"any": {"gt": 0.3, "lt": 0.5}}}, "bold"),
    ({"pixelSpacing": {"length": {"eq": 2}}}, "mprage bold ge"),
    ({"pixelSpacing": {"isNull": True}}, "ct pd empty orphan loose"),
    ({"flipAngle": {"between": [5, 20]}}, "mprage"),
    ({"flipAngle": {"ne": 90}}, "mprage ge ct pd empty orphan loose"),
    ({"manufacturer": {"eq": "SIEMENS"}}, "mprage bold"),
    ({"manufacturer": {"isNull": False}}, "mprage bold ge"),
    ({"manufacturerModelName": {"in": ["Skyra", "Trio"]}}, "mprage"),
    ({"magneticFieldStrength": {"lt": 3}}, "ge"),
    ({"magneticFieldStrength": {"in": [1.5, 7]}}, "ge"),
    ({"deviceSerialNumber": {"eq": "0001"}}, "mprage"),
    ({"deviceSerialNumber": {"eq": "1"}}, ""),
    ({"institutionName": {"icontains": "århus"}}, "mprage ct"),
    ({"institutionName": {"contains": "århus"}}, "ct"),
    ({"institutionName": {"startsWith": "ÅR"}}, "mprage"),
    ({"operatorsName": {"eq": "Ann\\Bo"}}, "mprage"),
    ({"operatorsName": {"contains": "\\"}}, "mprage"),
    ({"operatorsName": {"endsWith": "\\Bo"}}, "mprage"),
    ({"pulseSequenceName": {"eq": "efgre3d"}}, "ge"),
    ({"or": [{"pulseSequenceName": {"icontains": t}} for t in ("TSE", "GRE3")]}, "ge pd"),
    ({"sequenceName": {"icontains": "TFL"}}, "mprage"),
    ({"or": [{"sequenceName": {"icontains": t}} for t in ("EPFID", "TFL3")]}, "mprage"),
    ({"sequenceName": {"startsWith": "*"}}, "mprage"),
    ({"mrAcquisitionType": {"eq": "2D"}}, "bold"),
    ({"patientPosition": {"eq": "HFS"}}, "mprage"),
    ({"bodyPartExamined": {"in": ["KNEE", "BRAIN"]}}, "mprage pd"),
    ({"date": {"between": ["2019-01-01", "2019-06-14"]}}, "mprage bold"),
    ({"date": {"gt": "2019-01-01"}}, "ge ct"),
    ({"time": {"gte": "08:30:00"}}, "bold ct"),
    ({"time": {"gt": "23:59:59.999998"}}, "ct"),
    ({"sliceThickness": {"gte": 3}}, "bold ct"),
    ({"repetitionTime": {"between": [2000, 2299.9]}}, "bold"),
    ({"inversionTime": {"gt": 0}}, "mprage"),
    ({"inversionTime": {"isNull": False}}, "mprage"),
    ({"echoTime": {"between": [2.5, 12]}}, "mprage ge pd orphan loose"),
    ({"echoTime": {"gt": 2.5, "lt": 12}}, "ge"),
    ({"echoTrainLength": {"eq": 1}}, "mprage"),
    ({"sequenceType": {"eq": "MPRAGE"}}, "mprage"),
    ({"sequenceType": {"in": ["BOLD", "MPRAGE", "DWI"]}}, "mprage bold"),
    ({"sequenceType": {"isNull": True}}, "ge ct pd empty orphan loose"),
    (
        {"or": [{"sequenceType": {"eq": "BOLD"}}, {"sequenceType": {"isNull": True}}]},
        "bold ge ct pd empty orphan loose",
    ),
    ({"nImages": {"gte": 2}}, "mprage bold"),
    ({"missingRelation": True}, "orphan loose"),
    ({"missingRelation": False}, "mprage bold ge ct pd empty"),
    ({"hasWarnings": True}, "empty"),
    ({"hasWarnings": False}, "mprage bold ge ct pd orphan loose"),
    ({"anyImage": {"header": {"element": {"keyword": "Rows", "number": {"eq": 256}}}}}, "mprage"),
    ({"everyImage": {"number": {"lte": 2}}}, "bold ge ct empty orphan loose"),
    ({"images": {"some": {"number": {"eq": 3}}}}, "mprage"),
    ({"study": {"patients": {"some": {"familyName": {"eq": "Berg"}}}}}, "ge ct"),
    ({"patient": {"nStudies": {"eq": 2}}}, "mprage bold ge"),
)
IMAGE_CASES = cases(
    "Image",
    ({"uid": {"eq": "1.3.2.2"}}, "bold-2"),
    ({"number": {"gte": 2}}, "mprage-2 mprage-3 bold-2"),
    ({"number": {"isNull": True}}, "pd-1"),
    ({"series": {"uid": {"eq": "1.3.2"}}}, "bold-1 bold-2"),
    ({"series": {"description": {"icontains": "RUN"}}}, "bold-1 bold-2 ct-1"),
    ({"series": {"sequenceType": {"eq": "MPRAGE"}}}, "mprage-1 mprage-2 mprage-3"),
    ({"series": {"sequenceType": {"isNull": True}, "number": {"lt": 7}}}, "ge-1 ct-1"),
    ({"series": {"study": {"date": {"gte": "2020-01-01"}}}}, "pd-1"),
    ({"series": {"patient": {"givenName": {"eq": "Berta"}}}}, "ct-1 loose-1"),
    ({"date": {"between": ["2018-12-31", "2019-01-01"]}}, "mprage-1 mprage-2 mprage-3"),
    ({"date": {"gt": "2019-01-01"}}, ""),
    ({"time": {"between": ["08:06:00", "08:06:00"]}, "number": {"eq": 1}}, "mprage-1"),
    ({"numberOfFrames": {"gt": 1}}, "bold-1 bold-2"),
    ({"rows": {"eq": 256}, "columns": {"eq": 192}, "number": {"eq": 3}}, "mprage-3"),
    ({"rows": {"eq": 256}, "columns": {"eq": 193}}, ""),
    ({"sopClassUid": {"eq": "1.2.840.10008.5.1.4.1.1.4"}, "number": {"eq": 2}}, "mprage-2 bold-2"),
    ({"transferSyntaxUid": {"endsWith": ".1.2.1"}, "number": {"eq": 3}}, "mprage-3"),
    ({"transferSyntaxUid": {"endsWith": ".1.2"}}, ""),
    ({"hasWarnings": True}, "empty-1"),
)
LOGIC_CASES = [
    *cases(
        "Series",
        ({}, " ".join(SERIES)),
        ({"and": []}, " ".join(SERIES)),
        ({"or": []}, ""),
        ({"not": {}}, ""),
        ({"not": {"not": {"number": {"eq": 2}}}}, "bold"),
        ({"not": {"echoTime": {"gt": 3}}}, "mprage ct empty orphan loose"),
        (
            {"and": [{"echoTime": {"gt": 3}}, {"not": {"manufacturer": {"eq": "SIEMENS"}}}]},
            "ge pd",
        ),
        ({"modality": {"eq": "MR"}, "or": [{"number": {"eq": 1}}, {"number": {"eq": 7}}]},
         "mprage pd"),
        (
            {
                "or": [
                    {"and": [{"modality": {"eq": "CT"}}, {"number": {"eq": 1}}]},
                    {"not": {"or": [{"study": {}}, {"number": {"gt": 10}}]}},
                ]
            },
            "ct loose",
        ),
        ({"study": {"not": {"date": {"isNull": True}}}}, "mprage bold ge ct pd"),
        ({"not": {"patient": {"sex": {"eq": "M"}}}}, "ct pd empty orphan loose"),
        ({"echoTime": {"gt": 3, "lt": 2}}, ""),
        ({"description": None, "number": {"eq": 2, "gt": None}}, "bold"),
    ),
    *cases(
        "Patient",
        ({"series": {"some": {"modality": {"eq": "CT"}}, "none": {"number": {"eq": 3}}}}, "B_2"),
        ({"studies": {"every": {"description": {"isNull": False}}}}, "A-1 B_2 C%3"),
        ({"studies": {"some": {"series": {"some": {"patient": {"uid": {"eq": "B_2"}}}}}}},
         "A-1 B_2"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entity", "wanted", "labels"),
    [*PATIENT_CASES, *STUDY_CASES, *SERIES_CASES, *IMAGE_CASES, *LOGIC_CASES],
)
async def test_a_filter_finds(entity: str, wanted: Filter, labels: str, graph: Graph) -> None:
    assert await found(graph, entity, wanted) == set(labels.split())


@pytest.mark.parametrize(
    ("pattern", "labels"),
    [
        ("^(bold|T1)", "mprage bold ct"),
        (r"\d%$", "ge"),
        ("(?i)KNEE", "pd"),
        (r"\brun\b", "ct"),
        ("^$", ""),
    ],
)
async def test_a_regular_expression(pattern: str, labels: str, graph: Graph) -> None:
    wanted = {"description": {"regex": pattern}}
    assert await found(graph, "Series", wanted) == set(labels.split())


async def test_a_regular_expression_takes_no_longer_than_its_text(
    graph: Graph, database: Database
) -> None:
    """Python's `re` would take hours for these."""
    label = next(iter(await ids(graph, "Series")))
    update = "mutation ($i: UpdateSeriesInput!) { updateSeries(input: $i) { errors { code } } }"
    given = {"id": (await ids(graph, "Series"))[label], "description": "a" * 60 + "!"}
    assert not (await graph(update, i=given))["updateSeries"]["errors"]
    for pattern in ("^(a+)+$", "(a|aa)+$", "^(a|a?)+$"):
        wanted = {"description": {"regex": pattern}}
        assert label not in await found(graph, "Series", wanted)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (r"(a)\1", "invalid escape"), ("(?=a)", "invalid perl operator"), ("a" * 1001, "1000"),
        (r"\mrun", "invalid escape"), ("(((a{100}){100}){100})", "`regex`"),
        (r"\pL", "not both databases"), ("a(?i)b", "not both databases"),
        ("a{256}", "not both databases"), ("(?-s).", "not both databases"),
    ],
)  # fmt: skip
async def test_what_one_database_refuses_the_other_does(
    pattern: str, says: str, graph: Graph
) -> None:
    result = await graph.execute(query_of("Series"), filter={"description": {"regex": pattern}})
    assert result.errors[0].extensions["code"] == "BAD_FILTER"
    assert says in result.errors[0].message


@pytest.mark.parametrize("entity", ROOTS)
async def test_by_global_id(entity: str, graph: Graph) -> None:
    known = await ids(graph, entity)
    first, second, *_ = known
    gone = global_id(entity, 10**17)
    assert await found(graph, entity, {"id": {"eq": known[first]}}) == {first}
    assert await found(graph, entity, {"id": {"eq": gone}}) == set()
    several = [known[second], known[first], gone]
    assert await found(graph, entity, {"id": {"in": several}}) == {first, second}
    assert await found(graph, entity, {"id": {"in": []}}) == set()
    rest = {"not": {"id": {"eq": known[first]}}}
    assert await found(graph, entity, rest) == known.keys() - {first}


async def test_patients_by_the_id_of_a_study_and_series_by_that_of_a_patient(graph: Graph) -> None:
    study = (await ids(graph, "Study"))["mixed"]
    by_study = {"studies": {"some": {"id": {"eq": study}}}}
    assert await found(graph, "Patient", by_study) == {"A-1", "B_2"}
    patient = (await ids(graph, "Patient"))["B_2"]
    assert await found(graph, "Series", {"patient": {"id": {"eq": patient}}}) == {"ct", "loose"}


async def test_every_some_and_none_of_an_empty_list(graph: Graph) -> None:
    """The series of the study `alone` has no patient."""
    nobody = {"uid": {"eq": "nobody"}}
    assert await found(graph, "Study", {"patients": {"every": nobody}}) == {"alone"}
    assert await found(graph, "Study", {"patients": {"some": nobody}}) == set()
    assert await found(graph, "Study", {"patients": {"none": nobody}}) == set(STUDIES)
    assert await found(graph, "Study", {"patients": {"some": {}}}) == set(STUDIES) - {"alone"}
    assert await found(graph, "Study", {"patients": {"none": {}}}) == {"alone"}


NESTED = """
query ($patients: PatientFilter, $studies: StudyFilter, $images: ImageFilter) {
  patients(filter: $patients) { nodes { uid
    studies(filter: $studies) { totalCount nodes { uid
      series { nodes { uid
        images(filter: $images, orderBy: [{ field: NUMBER }]) { totalCount nodes { uid } } } } } }
  } }
}
"""


async def test_filters_of_nested_lists(graph: Graph) -> None:
    data = await graph(
        NESTED, studies={"date": {"gte": "2019-06-01"}}, images={"number": {"gte": 1}}
    )
    studies = {
        patient["uid"]: [label_of(study["uid"]) for study in patient["studies"]["nodes"]]
        for patient in data["patients"]["nodes"]
    }
    assert studies == {"A-1": ["mixed"], "B_2": ["mixed"], "C%3": ["knee"], "d.4": []}
    counts = [p["studies"]["totalCount"] for p in data["patients"]["nodes"]]
    assert sorted(counts) == [0, 1, 1, 1]
    images = {
        label_of(series["uid"]): [label_of(image["uid"]) for image in series["images"]["nodes"]]
        for patient in data["patients"]["nodes"]
        for study in patient["studies"]["nodes"]
        for series in study["series"]["nodes"]
    }
    assert images == {"ge": ["ge-1"], "ct": ["ct-1"], "pd": []}


async def test_the_count_of_a_nested_list_is_that_of_its_filter(graph: Graph) -> None:
    data = await graph(
        "{ series(filter: { nImages: { gte: 2 } }) { nodes { uid nImages "
        "images(filter: { number: { gte: 2 } }, first: 1) { totalCount nodes { uid } } } } }"
    )
    counts = {
        label_of(series["uid"]): (
            series["nImages"],
            series["images"]["totalCount"],
            [label_of(image["uid"]) for image in series["images"]["nodes"]],
        )
        for series in data["series"]["nodes"]
    }
    assert counts == {"mprage": (3, 2, ["mprage-2"]), "bold": (2, 1, ["bold-2"])}


async def test_nested_filters_take_as_many_statements_for_all_patients_as_for_one(
    graph: Graph,
) -> None:
    elements = {"header": {"element": {"keyword": "Rows", "number": {"gt": 1}}}}
    wanted = {"studies": {"nImages": {"gte": 1}}, "images": elements}
    one = await graph(NESTED, patients={"uid": {"eq": "A-1"}}, **wanted)
    statements = len(graph.statements)
    graph.store = type(graph.store)(graph.database)
    everyone = await graph(NESTED, **wanted)
    assert len(one["patients"]["nodes"]) == 1
    assert len(everyone["patients"]["nodes"]) == 4
    assert len(graph.statements) == statements


@pytest.mark.parametrize(
    ("entity", "wanted", "message"),
    [
        ("Series", {"echoTime": {"between": [1, 2, 3]}}, "takes two values, not 3"),
        ("Series", {"date": {"between": ["2019-01-01"]}}, "takes two values, not 1"),
        ("Series", {"pixelSpacing": {"any": {"between": []}}}, "takes two values, not 0"),
        ("Series", {"description": {"contains": "a\x00b"}}, "NUL"),
        ("Series", {"description": {"in": ["fine", "a\ud800"]}}, "surrogate"),
        ("Series", {"scanningSequence": {"exactly": ["\x00"]}}, "NUL"),
        ("Series", {"id": {"eq": global_id("Study", 1)}}, "of a Study, not of a Series"),
        ("Series", {"id": {"in": ["nonsense"]}}, "not an id that this server gave"),
        ("Patient", {"studies": {"some": {"id": {"eq": global_id("Patient", 1)}}}}, "of a Patient"),
        ("Study", {"uid": {"in": ["1"] * 10_001}}, "at most 10000"),
        ("Series", {"created": {"lt": "0001-01-01T00:00:00+01:00"}}, "before year 1"),
        ("Study", {"time": {"lt": "10:00:00+01:00"}}, "no offset"),
    ],
)
async def test_what_cannot_be_right_is_said(
    entity: str, wanted: Filter, message: str, graph: Graph
) -> None:
    result = await graph.execute(query_of(entity), filter=wanted)
    assert [error.extensions["code"] for error in result.errors] == ["BAD_INPUT"]
    assert message in result.errors[0].message


@pytest.mark.parametrize(
    ("entity", "wanted"),
    [
        ("Series", {"sequenceType": {"eq": "NO_SUCH_TYPE"}}),
        ("Series", {"number": {"eq": "one"}}),
        ("Series", {"echoTime": {"gt": float("nan")}}),
        ("Study", {"date": {"eq": "2019-02-29"}}),
        ("Study", {"time": {"eq": "25:00"}}),
        ("Patient", {"noSuchField": {"eq": "x"}}),
        ("Patient", {"uid": {"matches": "x"}}),
    ],
)
async def test_values_of_the_wrong_type_are_refused(
    entity: str, wanted: Filter, graph: Graph
) -> None:
    result = await graph.execute(query_of(entity), filter=wanted)
    assert result.data is None
    assert "Variable '$filter'" in result.errors[0].message


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "a{70000}", "a**{"])
async def test_a_malformed_regular_expression(
    pattern: str, graph: Graph, database: Database
) -> None:
    result = await graph.execute(query_of("Series"), filter={"description": {"regex": pattern}})
    assert [error.extensions["code"] for error in result.errors] == ["BAD_FILTER"]
    assert "regex" in result.errors[0].message
