"""Every attribute of every entity: read, filtered, sorted, searched, edited, withheld or shown."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_graph.access.principal import Principal, Role
from dicom_graph.dicom.confidentiality.profile import is_kept
from dicom_graph.dicom.entities import DESCRIBED, Attribute
from dicom_graph.graph.schema import schema
from tests.entity_facts import camel
from tests.support.graph import Graph
from tests.support.make import save

ROOTS = {"patient": "patients", "study": "studies", "series": "series", "image": "images"}
N_FILES = 4
"""The last one has nothing but its identities."""
TYPES = schema._schema.type_map
BLIND = Principal("blind", Role.ADMIN, deidentified=True)
IDENTITIES = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
WITHHELD = {
    "patient": {"name", "given_name", "family_name", "sex", "date_of_birth"},
    "study": {"description", "date", "time"},
    "series": {"description", "date", "time", "protocol_name", "device_serial_number",
               "institution_name", "operators_name", "pulse_sequence_name"},
    "image": {"date", "time"},
}  # fmt: skip
"""What must not be shown, whatever the description says."""
GIVEN: dict[str, list[Any]] = {
    "PatientSex": ["F", "M", "O"],
    "PatientPosition": ["HFS", "FFP", "SITTING"],
    "MRAcquisitionType": ["2D", "3D", "2D"],
    "Modality": ["MR", "MR", "MR"],
    "ScanningSequence": [["SE", "IR"], "SE", "GR"],
    "SequenceVariant": [["SK", "SP", "MP"], ["SK", "SP"], "NONE"],
}
"""Values that have to be certain codes."""


def value_of(keyword: str, number: int, several: bool) -> Any:
    """A value of its own for each keyword and file."""
    tag, vr = pydicom.tag.Tag(keyword), dictionary_VR(keyword)
    code = f"T{tag:08X}{number}"
    if vr == "UI":
        return f"1.2.{int(tag)}.{number}"
    if vr == "PN":
        return f"F{code}^G{code}^M{code}^P{code}^S{code}"
    if vr == "DA":
        return f"20{10 + number}0{1 + tag.element % 9}1{number}"
    if vr == "TM":
        return f"0{1 + number}{tag.element % 60:02}30.5"
    if vr in ("IS", "US"):
        return 10 * number + tag.element % 7
    if vr in ("DS", "FD"):
        return [number + 0.5, 9.25] if several else number + 0.5
    return [code, "SAME"] if several else code


def header(number: int) -> Dataset:
    """The file of a number."""
    made = Dataset()
    for described in DESCRIBED.values():
        for attribute in described.attributes:
            keyword, several = attribute.keyword, attribute.type in (list[str], list[float])
            if keyword is None or keyword == "TransferSyntaxUID":
                continue
            if keyword in IDENTITIES:
                setattr(made, keyword, value_of(keyword, number, several))
            elif number < N_FILES - 1:
                made.ImageType = ["ORIGINAL", "PRIMARY", "MPM"[number]]
                found = GIVEN.get(keyword)
                setattr(
                    made, keyword, found[number] if found else value_of(keyword, number, several)
                )
    if number < N_FILES - 1:
        made.PatientAge, made.NumberOfSeriesRelatedInstances = f"0{number + 30}Y", number + 5
    return made


def told(path: Path, attribute: Attribute) -> Any:
    """What a file says, by pydicom, as GraphQL writes it."""
    data_set = pydicom.dcmread(path)
    if attribute.keyword == "TransferSyntaxUID":
        return str(data_set.file_meta.TransferSyntaxUID)
    if attribute.keyword is None or attribute.derived:
        return DERIVED[attribute.name](data_set)
    element = data_set.get(attribute.keyword)
    if element is None:
        return None
    vr = dictionary_VR(attribute.keyword)
    if attribute.type == list[str]:
        return [element] if isinstance(element, str) else [str(text) for text in element]
    if attribute.type == list[float]:
        return [float(number) for number in element]
    if vr == "DA":
        return dt.datetime.strptime(element, "%Y%m%d").date().isoformat()
    if vr == "TM":
        return dt.datetime.strptime(element, "%H%M%S.%f").time().isoformat()
    return attribute.type(element)


def part(name: str) -> Callable[[Dataset], str | None]:
    """A part of the patient's name, by pydicom."""
    return lambda header: getattr(header.get("PatientName"), name, None) or None


TIMES = ["ScanningSequence", "EchoTime", "RepetitionTime"]
WEIGHTS = {
    "SE\\IR": ("T1w", "T1", "MAGNITUDE", TIMES),
    "SE": ("T1w", "T1", "PHASE", TIMES),
    "GR": ("PDw", "PROTON_DENSITY", "MAGNITUDE", [*TIMES, "FlipAngle", "MagneticFieldStrength"]),
}
"""A spin echo of short times is weighted by T1; the gradient echo, of 2.5 ms and 2.5 degrees at
2.5 T, whose Ernst angle is 3.8 degrees, by proton density.
"""
PURPOSES: dict[str, dict[str, Any]] = {
    codes: {
        "acquisition_contrast": contrast, "acquisition_contrast_confidence": "MEDIUM",
        "acquisition_contrast_evidence": evidence, "complex_component": component,
        "complex_component_confidence": "HIGH", "complex_component_evidence": ["ImageType"],
        "bids_datatype": "anat", "bids_suffix": suffix, "bids_confidence": "MEDIUM",
        "bids_evidence": evidence,
    }
    for codes, (suffix, contrast, component, evidence) in WEIGHTS.items()
}  # fmt: skip
PURPOSES[""] = {"bids_evidence": ["Modality"]}


def purpose(name: str) -> Callable[[Dataset], Any]:
    """What a series is for, by its codes."""
    return lambda header: PURPOSES[_codes(header)].get(name)


def numbers(keyword: str) -> Callable[[Dataset], list[float] | None]:
    """The numbers of an element of an image of one frame."""
    return lambda header: [float(header[keyword].value)] if keyword in header else None


DERIVED: dict[str, Callable[[Dataset], Any]] = {
    **{
        each.name: purpose(each.name)
        for each in DESCRIBED["series"].attributes
        if each.group == "Purpose"
    },
    "age_at_study": lambda header: float(header.PatientAge[:3]) if "PatientAge" in header else None,
    "images_expected": lambda header: header.get("NumberOfSeriesRelatedInstances"),
    "echo_times": numbers("EchoTime"),
    "inversion_times": numbers("InversionTime"),
    "repetition_times": numbers("RepetitionTime"),
    "flip_angles": numbers("FlipAngle"),
    "name_prefix": part("name_prefix"),
    "given_name": part("given_name"),
    "middle_name": part("middle_name"),
    "family_name": part("family_name"),
    "name_suffix": part("name_suffix"),
    "pulse_sequence_name": lambda header: header.get("PulseSequenceName"),
    "sequence_type": lambda header: {"SE\\IR": "FLAIR", "SE": "T2W"}.get(_codes(header)),
}
"""What is not one element: each has its truth here."""


def _codes(header: Dataset) -> str:
    codes = header.get("ScanningSequence") or ""
    return codes if isinstance(codes, str) else "\\".join(codes)


@pytest.fixture
def paths(tmp_path: Path, import_files: Any) -> list[Path]:
    """The files, imported one after another."""
    made = [
        save(header(number), tmp_path / f"{number}.dcm", SYNTAXES[number % 2])
        for number in range(N_FILES)
    ]
    for path in made:
        assert not import_files(path).failures
    return made


async def nodes(graph: Graph, entity: str, arguments: str = "", **given: Any) -> list[Any]:
    """The fields that are described of a list, with its ids."""
    fields = " ".join(camel(name) for name in DESCRIBED[entity].by_name)
    types = {"filter": f"{entity.capitalize()}Filter", "order": f"[{entity.capitalize()}Order!]",
             "search": "String"}  # fmt: skip
    head = ", ".join(f"${name}: {types[name]}" for name in given)
    query = f"{ROOTS[entity]}{arguments} {{ nodes {{ id {fields} editedFields }} }}"
    data = await graph(f"query {f'({head})' if head else ''} {{ {query} }}", **given)
    found: list[Any] = data[ROOTS[entity]]["nodes"]
    return found


@pytest.mark.parametrize("entity", DESCRIBED)
async def test_every_attribute(entity: str, paths: list[Path], graph: Graph) -> None:
    described = DESCRIBED[entity]
    truth = {a.name: [told(path, a) for path in paths] for a in described.attributes}
    uids = truth["uid"]
    in_order = await nodes(graph, entity, "(orderBy: [{ field: ID }])")
    assert [node["uid"] for node in in_order] == uids
    for attribute in described.attributes:
        name, values = camel(attribute.name), truth[attribute.name]
        assert [node[name] for node in in_order] == values, name
        assert len([value for value in values if value is not None]) > 1, name
        await _filtered(graph, entity, name, values, uids)
        await _sorted(graph, entity, attribute, values, uids)
        await _searched(graph, entity, attribute, values, uids)
    await _withheld(graph, entity, truth)
    for attribute in described.attributes:
        await _edited(graph, entity, attribute, truth[attribute.name][0], in_order[-1]["id"])


async def _filtered(
    graph: Graph, entity: str, name: str, values: list[Any], uids: list[str]
) -> None:
    for value in values:
        if isinstance(value, list):
            wanted = {"exactly": value} if isinstance(value[0], str) else {"any": {"eq": value[0]}}
        else:
            wanted = {"isNull": True} if value is None else {"eq": value}
        found = await nodes(graph, entity, "(filter: $filter)", filter={name: wanted})
        expected = {uid for uid, other in zip(uids, values, strict=True) if other == value}
        assert {node["uid"] for node in found} == expected, (name, wanted)


async def _sorted(
    graph: Graph, entity: str, attribute: Attribute, values: list[Any], uids: list[str]
) -> None:
    stored = values
    if attribute.choices is not None:
        stored = [v if v is None else attribute.choices[v].value for v in values]
    places = sorted(range(len(uids)), key=lambda n: (stored[n] is not None, stored[n] or 0))
    for direction, expected in (("ASC", places), ("DESC", places[::-1])):
        order = [{"field": attribute.name.upper(), "direction": direction}]
        found = await nodes(graph, entity, "(orderBy: $order)", order=order)
        ties = [stored[n] for n in expected]
        by_uid = dict(zip(uids, stored, strict=True))
        assert [by_uid[node["uid"]] for node in found] == ties, (attribute.name, direction)


async def _searched(
    graph: Graph, entity: str, attribute: Attribute, values: list[Any], uids: list[str]
) -> None:
    if attribute.type is not str or attribute.choices is not None or attribute.keyword in GIVEN:
        return
    found = await nodes(graph, entity, "(search: $search)", search=values[0].lower())
    expected = [uids[0]] if attribute.search else []
    if attribute.keyword == "TransferSyntaxUID":
        expected = [u for u, value in zip(uids, values, strict=True) if values[0] in value]
    assert sorted(node["uid"] for node in found) == sorted(expected), attribute.name


async def _edited(graph: Graph, entity: str, attribute: Attribute, value: Any, id: str) -> None:
    """The last object, which has no value, is given the first one's, and loses it again."""
    title, name = entity.capitalize(), camel(attribute.name)
    input_type = TYPES[f"Update{title}Input"]
    assert isinstance(input_type, GraphQLInputObjectType)
    assert (name in input_type.fields) == (attribute.edit is not None)
    if attribute.edit is None:
        return
    mutation = f"""mutation ($input: Update{title}Input!) {{ update{title}(input: $input) {{
      {entity} {{ {name} editedFields }} errors {{ code }} }} }}"""
    for given in (value, None):
        payload = (await graph(mutation, input={"id": id, name: given}))[f"update{title}"]
        assert payload["errors"] == [], (name, payload)
        assert payload[entity][name] == given, name
        assert attribute.name.upper() in payload[entity]["editedFields"], name


async def _withheld(graph: Graph, entity: str, truth: dict[str, list[Any]]) -> None:
    graph.principal, whole = BLIND, graph.principal
    found = await nodes(graph, entity, "(orderBy: [{ field: ID }])")
    graph.principal = whole
    for attribute in DESCRIBED[entity].attributes:
        name = attribute.name
        shown = [node[camel(name)] for node in found]
        if name == "uid":
            assert not set(shown) & set(truth["uid"])
        elif attribute.table is not None:
            continue  # UIDs of the standard's registry are shown, see test_deidentified_questions
        elif _is_shown(attribute):
            assert shown == truth[name], name
            assert name not in WITHHELD[entity]
        else:
            assert shown == [None] * N_FILES, name


def _is_shown(attribute: Attribute) -> bool:
    if attribute.shown is not None:
        return attribute.shown
    return attribute.keyword is not None and not attribute.derived and is_kept(attribute.keyword)


NOT_SORTED = {
    "AuditEntry": {"patients", "studies"},
}
"""Lists of up to 1,000 identities: a cursor would carry them all."""


@pytest.mark.parametrize("name", ["Patient", "Study", "Series", "Image", "ImportJob", "AuditEntry"])
def test_what_can_be_filtered_can_be_sorted(name: str) -> None:
    filters, orders = TYPES[f"{name}Filter"], TYPES[f"{name}OrderField"]
    assert isinstance(filters, GraphQLInputObjectType)
    assert isinstance(orders, GraphQLEnumType)
    for field, given in filters.fields.items():
        operators = getattr(given.type, "fields", {})
        if not {"isNull", "eq"} & operators.keys() or field in NOT_SORTED.get(name, ()):
            continue
        capitals = "".join(f"_{c}" if c.isupper() else c for c in field).upper()
        assert capitals in orders.values, field
