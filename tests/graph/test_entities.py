"""Patients, studies, series and images: each field from its element, and what belongs to what."""

import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from dicom_graph.importing.foreground import Report
from dicom_graph.store.ingest import Mode
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, make_series, save

Import = Callable[..., Report]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


async def only(graph: Graph, entity: str, fields: str) -> dict[str, Any]:
    """The fields of the only entity of a kind."""
    (found,) = (await graph(f"{{ {entity} {{ nodes {{ {fields} }} }} }}"))[entity]["nodes"]
    return found


async def by_uid(graph: Graph, entity: str, fields: str) -> dict[str, dict[str, Any]]:
    """The fields of all entities of a kind."""
    data = await graph(f"{{ {entity} {{ nodes {{ uid {fields} }} }} }}")
    return {node.pop("uid"): node for node in data[entity]["nodes"]}


# --- patient


async def test_patient_fields(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    import_files(make_file(tmp_path / "a.dcm", PatientName="van Dyck^Anna^Maria^Dr.^PhD"))
    fields = """uid name namePrefix givenName middleName familyName nameSuffix fullName sex
        sexDisplay dateOfBirth"""
    assert await only(graph, "patients", fields) == {
        "uid": "patient-1",
        "name": "van Dyck^Anna^Maria^Dr.^PhD",
        "namePrefix": "Dr.",
        "givenName": "Anna",
        "middleName": "Maria",
        "familyName": "van Dyck",
        "nameSuffix": "PhD",
        "fullName": "Dr. Anna Maria van Dyck PhD",
        "sex": "F",
        "sexDisplay": "Female",
        "dateOfBirth": "1980-02-29",
    }


NAMES = {
    "Only": ("Only", None, "Only"),
    "Family^Given": ("Family", "Given", "Given Family"),
    "^Given": (None, "Given", "Given"),
    "Yamada^Tarou=山田^太郎=やまだ^たろう": ("Yamada", "Tarou", "Tarou Yamada"),
    "Family ^ Given ": ("Family", "Given", "Given Family"),
    "": (None, None, None),
}


async def test_names_with_parts_missing(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    for number, name in enumerate(NAMES):
        make_file(
            tmp_path / f"{number}.dcm",
            PatientID=str(number), PatientName=name, SpecificCharacterSet="ISO_IR 192",
        )  # fmt: skip
    import_files(tmp_path)
    found = await by_uid(graph, "patients", "familyName givenName fullName")
    for number, expected in enumerate(NAMES.values()):
        assert tuple(found[str(number)].values()) == expected


SEXES = {"M": ("M", "Male"), "F": ("F", "Female"), "O": ("O", "Other"), "X": (None, None),
         "female": (None, None), "": (None, None), None: (None, None)}  # fmt: skip


async def test_sex_is_null_for_odd_codes(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    for sex in SEXES:
        make_file(tmp_path / f"{sex}.dcm", PatientID=f"sex is {sex}.", PatientSex=sex)
    import_files(tmp_path)
    found = await by_uid(graph, "patients", "sex sexDisplay")
    for sex, expected in SEXES.items():
        assert tuple(found[f"sex is {sex}."].values()) == expected


async def test_latest_study_time_and_counts(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    studies = {
        "both": [("20190101", "235959"), ("20200101", "010000"), ("20200101", "")],
        "no time": [("20200101", ""), ("20190101", "120000")],
        "no date": [("", "120000")],
    }
    for patient, moments in studies.items():
        for number, (date, time) in enumerate(moments):
            folder = tmp_path / patient / str(number)
            make_series(folder, 2, PatientID=patient, StudyDate=date, StudyTime=time)
    import_files(tmp_path)
    found = await by_uid(graph, "patients", "latestStudyTime nStudies nSeries nImages")
    assert {uid: list(fields.values()) for uid, fields in found.items()} == {
        "both": ["2020-01-01T01:00:00", 3, 3, 6],
        "no time": ["2020-01-01T00:00:00", 2, 2, 4],
        "no date": [None, 1, 1, 2],
    }


# --- study


async def test_study_fields_and_counts(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    study = {"StudyInstanceUID": "1.2.3", "StudyDescription": "Head, follow-up"}
    make_series(tmp_path / "1", 2, **study)
    make_series(tmp_path / "2", 3, **study)
    import_files(tmp_path)
    fields = "uid description date time datetime nPatients nSeries nImages"
    assert await only(graph, "studies", fields) == {
        "uid": "1.2.3",
        "description": "Head, follow-up",
        "date": "2020-01-02",
        "time": "03:04:05.678900",
        "datetime": "2020-01-02T03:04:05.678900",
        "nPatients": 1,
        "nSeries": 2,
        "nImages": 5,
    }


async def test_a_study_may_hold_several_patients(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_series(tmp_path / "1", 1, StudyInstanceUID="1.2.3", PatientID="mother")
    make_series(tmp_path / "2", 2, StudyInstanceUID="1.2.3", PatientID="child")
    make_series(tmp_path / "3", 3, StudyInstanceUID="1.2.3", PatientID="child")
    import_files(tmp_path)
    study = await only(graph, "studies", "nPatients nSeries nImages patients { nodes { uid } }")
    assert (study["nPatients"], study["nSeries"], study["nImages"]) == (2, 3, 6)
    assert sorted(node["uid"] for node in study["patients"]["nodes"]) == ["child", "mother"]
    own = """nSeries nImages studies {
        edges { nSeries nImages series { nodes { uid } } node { uid nSeries } } }"""
    patients = await by_uid(graph, "patients", own)
    assert (patients["mother"]["nSeries"], patients["mother"]["nImages"]) == (1, 1)
    (studied,) = patients["child"]["studies"]["edges"]
    assert studied["node"] == {"uid": "1.2.3", "nSeries": 3}
    assert (studied["nSeries"], studied["nImages"]) == (2, 5)
    assert len(studied["series"]["nodes"]) == 2


# --- series

SERIES = {
    "number": ("SeriesNumber", 7, 7),
    "description": ("SeriesDescription", "t1_mprage", "t1_mprage"),
    "date": ("SeriesDate", "20200103", "2020-01-03"),
    "time": ("SeriesTime", "1011", "10:11:00"),
    "modality": ("Modality", "MR", "MR"),
    "bodyPartExamined": ("BodyPartExamined", "BRAIN", "BRAIN"),
    "patientPosition": ("PatientPosition", "HFS", "HFS"),
    "protocolName": ("ProtocolName", "T1 sag", "T1 sag"),
    "manufacturer": ("Manufacturer", "SIEMENS", "SIEMENS"),
    "manufacturerModelName": ("ManufacturerModelName", "Prisma", "Prisma"),
    "deviceSerialNumber": ("DeviceSerialNumber", "0042", "0042"),
    "institutionName": ("InstitutionName", "A Hospital", "A Hospital"),
    "operatorsName": ("OperatorsName", ["One^A", "Two^B"], "One^A\\Two^B"),
    "magneticFieldStrength": ("MagneticFieldStrength", "2.89", 2.89),
    "echoTime": ("EchoTime", "2.32", 2.32),
    "echoTrainLength": ("EchoTrainLength", "1", 1),
    "inversionTime": ("InversionTime", "900", 900),
    "repetitionTime": ("RepetitionTime", "2300", 2300),
    "flipAngle": ("FlipAngle", "8", 8),
    "sliceThickness": ("SliceThickness", "0.9", 0.9),
    "pixelSpacing": ("PixelSpacing", ["0.8", "0.75"], [0.8, 0.75]),
    "scanningSequence": ("ScanningSequence", ["GR", "IR"], ["GR", "IR"]),
    "sequenceVariant": ("SequenceVariant", ["SK", "SP", "MP"], ["SK", "SP", "MP"]),
    "sequenceName": ("SequenceName", "*tfl3d1_16ns", "*tfl3d1_16ns"),
    "pulseSequenceName": ("PulseSequenceName", "tfl", "tfl"),
    "mrAcquisitionType": ("MRAcquisitionType", "3D", "3D"),
}
DERIVED = {
    "datetime": "2020-01-03T10:11:00",
    "spatialResolution": [0.8, 0.75, 0.9],
    "modalityDisplay": "Magnetic Resonance",
    "patientPositionDisplay": "Head First-Supine",
    "scanningSequenceDisplay": ["Gradient Recalled", "Inversion Recovery"],
    "sequenceVariantDisplay": ["Segmented k-Space", "Spoiled", "MAG Prepared"],
    "sequenceType": "MPRAGE",
    "missingRelation": False,
}


async def test_series_fields(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    given = {keyword: value for keyword, value, _ in SERIES.values()}
    import_files(
        make_file(
            tmp_path / "a.dcm", SeriesInstanceUID="1.2.3.4", StudyInstanceUID="1.2.3",
            ScanOptions=["IR", "PFP"], **given,
        )
    )  # fmt: skip
    expected = {field: value for field, (_, _, value) in SERIES.items()} | DERIVED
    found = await only(
        graph, "series", f"uid {' '.join(expected)} study {{ uid }} patient {{ uid }}"
    )
    assert found == expected | {
        "uid": "1.2.3.4",
        "study": {"uid": "1.2.3"},
        "patient": {"uid": "patient-1"},
    }


async def test_series_fields_are_null_where_the_header_is_silent(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    silent = dict.fromkeys((keyword for keyword, *_ in SERIES.values()), None)
    import_files(make_file(tmp_path / "a.dcm", **silent))
    fields = [*SERIES, *DERIVED]
    found = await only(graph, "series", " ".join(fields))
    assert found == dict.fromkeys(fields) | {"missingRelation": False}


async def test_displays_of_unknown_codes_are_null_in_their_place(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(
        make_file(
            tmp_path / "a.dcm",
            Modality="QQ",
            PatientPosition="UPSIDE",
            SequenceVariant=["SK", "ZZ"],
        )
    )
    found = await only(
        graph, "series", "modality modalityDisplay patientPositionDisplay sequenceVariantDisplay"
    )
    assert found == {
        "modality": "QQ", "modalityDisplay": None, "patientPositionDisplay": None,
        "sequenceVariantDisplay": ["Segmented k-Space", None],
    }  # fmt: skip


RESOLUTIONS = {
    "1.1": ({"PixelSpacing": ["1", "2"]}, [1, 2]),
    "1.2": ({"SliceThickness": "3"}, [3]),
    "1.3": ({"PixelSpacing": ["1", "2"], "SliceThickness": "3"}, [1, 2, 3]),
    "1.4": ({"PixelSpacing": ["1.5", "1.5"], "SliceThickness": ""}, [1.5, 1.5]),
}


async def test_spatial_resolution(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    for uid, (given, _) in RESOLUTIONS.items():
        make_file(tmp_path / f"{uid}.dcm", SeriesInstanceUID=uid, **given)
    import_files(tmp_path)
    found = await by_uid(graph, "series", "spatialResolution")
    for uid, (_, expected) in RESOLUTIONS.items():
        assert found[uid]["spatialResolution"] == expected


def ge_header(uid: str, block: int, **elements: Any) -> Dataset:
    """A header in which GE's block is not the first one."""
    header = make_data_set(SeriesInstanceUID=uid, **elements)
    header.add_new(0x00190010, "LO", "SOMEONE ELSE")
    header.add_new(0x0019109C, "LO", "not this")
    if block:
        header.add_new(0x00190000 + block, "LO", "GEMS_ACQU_01")
        header.add_new(0x0019009C + (block << 8), "LO", "EFGRE3D")
    return header


async def test_pulse_sequence_name_is_ges_in_whichever_block_or_the_standards(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    cases = {
        "1.1": ge_header("1.1", 0x11, PulseSequenceName="standard"),
        "1.2": ge_header("1.2", 0x42),
        "1.3": ge_header("1.3", 0, PulseSequenceName="standard"),
        "1.4": ge_header("1.4", 0),
    }
    for uid, header in cases.items():
        save(header, tmp_path / f"{uid}.dcm")
    import_files(tmp_path)
    found = await by_uid(graph, "series", "pulseSequenceName")
    assert {uid: fields["pulseSequenceName"] for uid, fields in found.items()} == {
        "1.1": "EFGRE3D", "1.2": "EFGRE3D", "1.3": "standard", "1.4": None,
    }  # fmt: skip


async def test_files_and_sample_header_of_a_series(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    shared = {"SeriesInstanceUID": "1.2", "StudyInstanceUID": "1"}
    paths = [
        make_file(tmp_path / "s" / "a" / "3.dcm", InstanceNumber=3, **shared),
        make_file(tmp_path / "s" / "b" / "1.dcm", InstanceNumber=1, **shared),
        make_file(tmp_path / "s" / "b" / "2.dcm", InstanceNumber=2, **shared),
    ]
    import_files(tmp_path / "s")
    found = await only(
        graph,
        "series",
        'filePaths path nImages sampleHeader { element(keyword: "InstanceNumber") { value } }',
    )
    assert found == {
        "filePaths": [str(path) for path in paths],
        "path": str(tmp_path / "s"),
        "nImages": 3,
        "sampleHeader": {"element": {"value": 1}},
    }


# --- image


async def test_image_fields(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    header = make_data_set(
        SOPInstanceUID="1.2.3.4.5", InstanceNumber=9, InstanceCreationDate="20200104",
        InstanceCreationTime="1213", NumberOfFrames=3, Rows=4, Columns=5,
    )  # fmt: skip
    path = save(header, tmp_path / "a.dcm")
    import_files(path)
    fields = """uid number date time datetime sopClassUid transferSyntaxUid numberOfFrames rows
        columns warnings patient { uid } series { uid } files { path size } header { id }"""
    found = await only(graph, "images", fields)
    assert found.pop("header")["id"]
    assert found == {
        "uid": "1.2.3.4.5",
        "number": 9,
        "date": "2020-01-04",
        "time": "12:13:00",
        "datetime": "2020-01-04T12:13:00",
        "sopClassUid": MRImageStorage,
        "transferSyntaxUid": ExplicitVRLittleEndian,
        "numberOfFrames": 3,
        "rows": 4,
        "columns": 5,
        "warnings": [],
        "patient": {"uid": "patient-1"},
        "series": {"uid": header.SeriesInstanceUID},
        "files": [{"path": str(path), "size": str(path.stat().st_size)}],
    }


async def test_facets_of_lists_by_member(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    """Counted by hand; what is no list is as without `each`."""
    for number, (codes, spacing) in enumerate(
        [(["SK", "SP"], [0.5, 0.5]), (["SP", "SP"], [0.5, 2]), ("SK", None), (None, None)]
    ):
        make_file(
            tmp_path / "files" / f"{number}.dcm", SequenceVariant=codes, PixelSpacing=spacing,
            SOPInstanceUID=f"1.{number}", SeriesInstanceUID=f"2.{number}",
        )  # fmt: skip
    import_files(tmp_path / "files")
    data = await graph("""{
        codes: facet(entity: SERIES, field: SEQUENCE_VARIANT, each: true) { value count }
        numbers: facet(entity: SERIES, field: PIXEL_SPACING, each: true, filter: {
            series: { sequenceVariant: { containsAny: ["SP"] } } }) { value count }
        most: facet(entity: SERIES, field: SEQUENCE_VARIANT, each: true, first: 1) { value count }
        plain: facet(entity: SERIES, field: MODALITY, each: true) { value count } }""")
    told = {name: [(each["value"], each["count"]) for each in rows] for name, rows in data.items()}
    assert told == {
        "codes": [("SK", 2), ("SP", 2), (None, 1)],
        "numbers": [(0.5, 2), (2, 1)],
        "most": [("SK", 2)],
        "plain": [("MR", 4)],
    }


async def test_images_are_asked_for_by_their_format(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    for number, sop_class in enumerate([MRImageStorage, MRImageStorage, CTImageStorage, None]):
        uids = {"SOPInstanceUID": f"1.{number}", "SeriesInstanceUID": f"2.{number}"}
        make_file(tmp_path / "files" / f"{number}.dcm", SOPClassUID=sop_class, **uids)
    import_files(tmp_path / "files")
    data = await graph(
        """query ($ct: String!) {
            facet(entity: IMAGE, field: SOP_CLASS_UID) { value count }
            isCt: images(filter: { sopClassUid: { eq: $ct } }) { nodes { uid sopClassUid } }
            isNotMr: images(filter: { sopClassUid: { ne: "1.2.840.10008.5.1.4.1.1.4" } }) {
                nodes { uid } }
            unknown: images(filter: { sopClassUid: { isNull: true } }) { nodes { uid sopClassUid } }
            found: images(search: "4.1.1.2") { nodes { uid } }
            series(filter: { images: { some: { sopClassUid: { eq: $ct } } } }) { nodes { uid
                images { nodes { sopClassUid transferSyntaxUid } } } }
        }""",
        ct=CTImageStorage,
    )
    assert data == {
        "facet": [
            {"value": MRImageStorage, "count": 2},
            {"value": None, "count": 1},
            {"value": CTImageStorage, "count": 1},
        ],
        "isCt": {"nodes": [{"uid": "1.2", "sopClassUid": CTImageStorage}]},
        "isNotMr": {"nodes": [{"uid": "1.2"}, {"uid": "1.3"}]},
        "unknown": {"nodes": [{"uid": "1.3", "sopClassUid": None}]},
        "found": {"nodes": [{"uid": "1.2"}]},
        "series": {
            "nodes": [
                {
                    "uid": "2.2",
                    "images": {
                        "nodes": [
                            {
                                "sopClassUid": CTImageStorage,
                                "transferSyntaxUid": ExplicitVRLittleEndian,
                            }
                        ]
                    },
                }
            ]
        },
    }


async def test_an_image_in_two_files_is_one_image(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    paths = [make_file(tmp_path / "1.dcm"), tmp_path / "copy" / "2.dcm"]
    paths[1].parent.mkdir()
    shutil.copy(*paths)
    report = import_files(tmp_path)
    assert (report.counts.created, report.counts.existing) == (1, 1)
    image = await only(graph, "images", "warnings files { path } series { filePaths nImages }")
    assert sorted(file["path"] for file in image["files"]) == sorted(map(str, paths))
    assert sorted(image["series"]["filePaths"]) == sorted(map(str, paths))
    assert (image["series"]["nImages"], image["warnings"]) == (1, [])


async def test_sequence_type_of_an_image_is_that_of_its_series(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    codes = {"ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK", "SP", "MP"]}
    make_file(tmp_path / "mr.dcm", SOPInstanceUID="1.1", Modality="MR", **codes)
    make_file(tmp_path / "ct.dcm", SOPInstanceUID="1.2", Modality="CT", **codes)
    import_files(tmp_path)
    found = await by_uid(graph, "images", "sequenceType series { sequenceType }")
    assert found["1.1"] == {"sequenceType": "FLAIR", "series": {"sequenceType": "FLAIR"}}
    assert found["1.2"] == {"sequenceType": None, "series": {"sequenceType": None}}


ODD_IDS = ["../../etc", "..", ".", "CON", "nul.dcm", "a/b", "a\\b", "a:b", "a b", "ä", "x" * 200]
RESERVED = {"con", "prn", "aux", "nul"}


async def test_default_paths_are_safe_and_unique(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    for number, patient in enumerate(ODD_IDS):
        for copy in "12":
            make_file(
                tmp_path / f"{number}-{copy}.dcm",
                PatientID=patient, SpecificCharacterSet="ISO_IR 192",
                SOPInstanceUID=f"1.{number}.{copy}", SeriesInstanceUID=f"1.{number}",
                InstanceNumber=1,
            )  # fmt: skip
    make_file(
        tmp_path / "nothing.dcm", PatientID=None, StudyInstanceUID=None, SeriesInstanceUID=None
    )
    import_files(tmp_path)
    data = await graph("{ images(first: 100) { nodes { defaultPath patient { uid } } } }")
    paths = [image["defaultPath"] for image in data["images"]["nodes"]]
    assert len(paths) == len({path.casefold() for path in paths}) == 2 * len(ODD_IDS) + 1
    for path in map(PurePosixPath, paths):
        assert not path.is_absolute()
        assert (len(path.parts), path.suffix) == (4, ".dcm")
        for part in path.parts:
            assert part.strip(".")
            assert part.split(".")[0].casefold() not in RESERVED
            assert len(part) < 120
            assert all(c.isascii() and (c.isalnum() or c in "._-") for c in part)
    folders = {PurePosixPath(path).parts[0] for path in paths}
    assert len(folders) == len(ODD_IDS) + 1, "no two patients share a folder"


# --- what is missing

RELATIONS = "missingRelation study { uid } patient { uid }"


async def test_no_two_series_without_a_patient_id_are_merged(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_series(tmp_path / "1", 2, PatientID=None)
    make_series(tmp_path / "2", 2, PatientID="")
    make_series(tmp_path / "3", 2)
    report = import_files(tmp_path)
    assert (report.counts.created, report.counts.failed) == (6, 0)
    data = await graph(f"""{{ patients {{ nodes {{ uid nImages }} }}
        series {{ nodes {{ nImages {RELATIONS} }} }} studies {{ nodes {{ nPatients }} }} }}""")
    assert data["patients"]["nodes"] == [{"uid": "patient-1", "nImages": 2}]
    assert sorted(study["nPatients"] for study in data["studies"]["nodes"]) == [0, 0, 1]
    lonely = [series for series in data["series"]["nodes"] if series["missingRelation"]]
    assert [(s["nImages"], s["patient"]) for s in lonely] == [(2, None), (2, None)]
    assert all(series["study"] for series in lonely)


async def test_no_study_uid_leaves_the_series_with_its_patient_alone(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_series(tmp_path / "1", 1, StudyInstanceUID=None)
    make_series(tmp_path / "2", 1, StudyInstanceUID=None)
    import_files(tmp_path)
    data = await graph(f"{{ studies {{ totalCount }} series {{ nodes {{ {RELATIONS} }} }} }}")
    assert data["studies"]["totalCount"] == 0
    assert (
        data["series"]["nodes"]
        == [{"missingRelation": True, "study": None, "patient": {"uid": "patient-1"}}] * 2
    )


async def test_no_series_uid_leaves_the_image_without_series(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_file(tmp_path / "1.dcm", SOPInstanceUID="1.1", SeriesInstanceUID=None)
    make_file(tmp_path / "2.dcm", SOPInstanceUID="1.2", SeriesInstanceUID=None)
    import_files(tmp_path)
    assert (await graph("{ series { totalCount } }"))["series"]["totalCount"] == 0
    found = await by_uid(
        graph, "images", 'series { uid } header { element(keyword: "PatientID") { value } }'
    )
    alone = {"series": None, "header": {"element": {"value": "patient-1"}}}
    assert found == {"1.1": alone, "1.2": alone}


async def test_no_sop_instance_uid_is_a_failure_that_says_so(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = make_file(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"\x08\x00\x18\x00UI", b"\x08\x00\x17\x00UI"))
    report = import_files(path)
    (failure,) = report.failures
    assert failure.path == str(path)
    assert "SOPInstanceUID" in failure.message
    assert (await graph("{ images { totalCount } }"))["images"]["totalCount"] == 0


# --- what contradicts

CONTRADICTIONS = {
    "PatientID": "someone else",
    "StudyInstanceUID": "9.9.9",
    "Modality": "CT",
}


async def test_an_image_that_contradicts_its_series_is_kept_with_a_warning(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    make_series(tmp_path / "0", 2, SeriesInstanceUID="1.2", StudyInstanceUID="1")
    import_files(tmp_path / "0")
    for keyword, value in CONTRADICTIONS.items():
        same = {"SeriesInstanceUID": "1.2", "StudyInstanceUID": "1"}
        make_file(tmp_path / "1" / f"{keyword}.dcm", **same | {keyword: value})
    report = import_files(tmp_path / "1")
    assert (report.counts.created, report.counts.failed) == (3, 0)
    data = await graph("""{ images(filter: {hasWarnings: true}) { nodes { warnings
        files { path } series { uid modality patient { uid } } } }
        fine: images(filter: {hasWarnings: false}) { totalCount }
        series(filter: {hasWarnings: true}) { nodes { uid nImages study { uid } } } }""")
    found = {Path(i["files"][0]["path"]).stem: i for i in data["images"]["nodes"]}
    assert found.keys() == CONTRADICTIONS.keys()
    for keyword, image in found.items():
        (warning,) = image["warnings"]
        assert keyword in warning
        assert image["series"] == {"uid": "1.2", "modality": "MR", "patient": {"uid": "patient-1"}}
    assert data["fine"]["totalCount"] == 2
    assert data["series"]["nodes"] == [{"uid": "1.2", "nImages": 5, "study": {"uid": "1"}}]


async def test_another_patient_id_for_a_known_image_is_a_warning(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    uids = {"SOPInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2", "StudyInstanceUID": "1"}
    import_files(make_file(tmp_path / "1.dcm", **uids))
    assert (await only(graph, "images", "warnings"))["warnings"] == []
    import_files(make_file(tmp_path / "2.dcm", PatientID="someone else", **uids))
    data = await graph("""{ images(filter: {hasWarnings: true}) { nodes {
        uid warnings patient { uid } files { path } } } }""")
    (image,) = data["images"]["nodes"]
    assert (image["uid"], image["patient"]["uid"]) == ("1.2.3", "patient-1")
    assert any("PatientID" in warning for warning in image["warnings"])
    assert len(image["files"]) == 2


async def test_warnings_of_contradiction_are_kept_in_minimal_mode(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(make_file(tmp_path / "1.dcm", SeriesInstanceUID="1.2"), mode=Mode.MINIMAL)
    import_files(
        make_file(tmp_path / "2.dcm", SeriesInstanceUID="1.2", PatientID="other"), mode=Mode.MINIMAL
    )
    data = await graph("{ images(filter: {hasWarnings: true}) { nodes { warnings } } }")
    ((warning, *_),) = [image["warnings"] for image in data["images"]["nodes"]]
    assert "differs" in warning
