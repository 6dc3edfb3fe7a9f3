import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.dicom.csa.header import parse_csa
from dicom_graph.dicom.csa.paths import csa_value
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.entities import EntityReader
from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.dicom.sequence_type import (
    SequenceType,
    SequenceTypeInputs,
    phase_encoding_direction,
    sequence_type,
)
from tests.support.data import SHARED, needs_shared, read_header
from tests.support.make import make_file

OPA = r"= ORIGINAL\PRIMARY\OTHER"
DWI_VARIANT = r"= SK\SS or SK\SP or SK\SP\OSP or SK\SS\OSP"
DWI_IMAGE = r"∋ ORIGINAL\PRIMARY\DIFFUSION\NONE"
BOLD_IMAGE = (
    r"= ORIGINAL\PRIMARY\M\ND\NORM or ORIGINAL\PRIMARY\M\MB\ND\MOSAIC"
    r" or ORIGINAL\PRIMARY\M\MB\ND\NORM\MOSAIC"
)
FC = r"FC\VB_GEMS\TRF_GEMS"

# The table of PARITY.md: label, ScanningSequence, SequenceVariant, ImageType, ScanOptions,
# phase encoding directions. A column that the rule leaves alone is empty.
TABLE = (
    ("flair", r"= SE\IR", r"= SK\SP\MP", "", "", ""),
    ("flair", r"= SE\IR", "= SK", OPA, r"= FAST_GEMS\TRF_GEMS\FILTERED_GEMS", ""),
    ("ir_epi", r"= EP\IR", r"∋ SK\SP\MP", "", r"∋ IR\FS", ""),
    (
        "localizer",
        "= GR",
        r"= SP\OSP or SP",
        r"∋ ORIGINAL\PRIMARY\M\DIS2D or ORIGINAL\PRIMARY\M\ND",
        "",
        "",
    ),
    ("localizer", "= RM or GR", r"= NONE or SS\SK", OPA, r"= PFF or FAST_GEMS\SEQ_GEMS\PFF", ""),
    ("mprage", r"= GR\IR", r"= SK\SP\MP", "", "∋ IR", ""),
    ("spgr", "= GR", r"= SS\SP", OPA, r"= FAST_GEMS\FILTERED_GEMS\ACC_GEMS", ""),
    ("fspgr", "= GR", r"= SS\SP\SK", OPA, r"= FAST_GEMS\FILTERED_GEMS\ACC_GEMS", ""),
    ("t2w", "= SE", r"= SK\SP or SK\SP\OSP", "", "", ""),
    (
        "t2w",
        "= RM",
        "= NONE",
        OPA,
        rf"∋ {FC}\FC_FREQ_AX_GEMS or {FC}\FC_SLICE_AX_GEMS or {FC}\SP or {FC}\FS",
        "",
    ),
    ("tirm", r"= SE\IR", r"= SK\SP\MP\OSP", "", r"= IR\SAT1", ""),
    ("dwi", "= EP", DWI_VARIANT, DWI_IMAGE, "", "i- or j-"),
    ("dwi", r"= EP\RM", "", OPA, r"= EPI_GEMS\PFF", ""),
    ("dwi_derived", "", "", r"∋ DERIVED\PRIMARY\DIFFUSION", "", ""),
    ("dwi_fieldmap", "= EP", DWI_VARIANT, DWI_IMAGE, "", "i or j"),
    ("dwi_sbref", "= EP", r"= SK\SS", r"= ORIGINAL\PRIMARY\M\ND\MOSAIC", "= PFP or ", ""),
    ("bold", "= EP", r"= SK\SS or SK\SS\OSP or SK\SP", BOLD_IMAGE, r"= PFP\FS or FS", ""),
    ("bold", r"= EP\GR", "= SS", r"= ORIGINAL\PRIMARY\EPI\NONE", r"= EPI_GEMS\ACC_GEMS", ""),
    (
        "func_fieldmap",
        "= EP",
        r"= SK\OSP or SK",
        r"= ORIGINAL\PRIMARY\M\ND\MOSAIC",
        r"= PFP\FS or FS",
        "",
    ),
    (
        "func_sbref",
        "= EP",
        r"= SK\SS or SK\SS\OSP",
        r"= ORIGINAL\PRIMARY\M\ND\MOSAIC or ORIGINAL\PRIMARY\M\ND\NORM\MOSAIC",
        r"= PFP\FS",
        "",
    ),
    ("physio_log", "", "", r"= ORIGINAL\PRIMARY\RAWDATA\PHYSIO", "", ""),
)
FIELDS = ("scanning_sequence", "sequence_variant", "image_type", "scan_options")


def codes(text):
    return tuple(text.split("\\")) if text else ()


def alternatives(column):
    return [codes(text) for text in column[1:].removeprefix(" ").split(" or ")]


def examples(row):
    """Every combination of a row's alternatives."""
    *columns, directions = row[1:]
    for *values, direction in product(*map(alternatives, columns), directions.split(" or ")):
        lists = dict(zip(FIELDS, values, strict=True))
        yield SequenceTypeInputs("MR", **lists, phase_encoding_direction=direction or None)


CASES = [(row, inputs) for row in TABLE for inputs in examples(row)]
FIELD_CASES = [
    pytest.param(row[0], inputs, field, column[0], id=f"{number}-{row[0]}-{field}")
    for number, (row, inputs) in enumerate(CASES)
    for field, column in zip(FIELDS, row[1:], strict=False)
    if getattr(inputs, field)
]


@pytest.mark.parametrize(("row", "inputs"), CASES)
def test_each_row_gives_its_label(row, inputs):
    assert sequence_type(inputs) is SequenceType(row[0])


def test_the_labels_are_those_of_the_table():
    assert {label.value for label in SequenceType} == {row[0] for row in TABLE}


@pytest.mark.parametrize(("row", "inputs"), CASES)
def test_another_modality_has_no_sequence_type(row, inputs):
    assert sequence_type(replace(inputs, modality="CT")) is None
    assert sequence_type(replace(inputs, modality=None)) is None


@pytest.mark.parametrize(("label", "inputs", "field", "kind"), FIELD_CASES)
def test_a_missing_element_does_not_match_but_where_the_table_says_so(label, inputs, field, kind):
    allowed = (label, field) == ("dwi_sbref", "scan_options")
    assert (sequence_type(replace(inputs, **{field: ()})) == label) == allowed


@pytest.mark.parametrize(("label", "inputs", "field", "kind"), FIELD_CASES)
def test_equality_minds_further_codes_and_membership_does_not(label, inputs, field, kind):
    longer = sequence_type(replace(inputs, **{field: (*getattr(inputs, field), "OTHER_CODE")}))
    assert (longer == label) == (kind == "∋")


@pytest.mark.parametrize(("label", "inputs", "field", "kind"), FIELD_CASES)
def test_equality_minds_the_order_of_codes_and_membership_does_not(label, inputs, field, kind):
    values = getattr(inputs, field)
    backward = sequence_type(replace(inputs, **{field: values[::-1]}))
    assert (backward == label) == (kind == "∋" or len(values) < 2)


@pytest.mark.parametrize(
    ("label", "inputs", "field", "kind"), [case for case in FIELD_CASES if case.values[3] == "∋"]
)
def test_membership_needs_all_codes(label, inputs, field, kind):
    values = getattr(inputs, field)
    for missing in values:
        fewer = tuple(value for value in values if value != missing)
        assert sequence_type(replace(inputs, **{field: fewer})) != label


def test_diffusion_needs_a_phase_encoding_direction():
    inputs = SequenceTypeInputs(
        "MR", ("EP",), ("SK", "SS"), ("ORIGINAL", "PRIMARY", "DIFFUSION", "NONE")
    )
    assert sequence_type(inputs) is None
    assert sequence_type(replace(inputs, phase_encoding_direction="")) is None


DERIVED = ("DERIVED", "PRIMARY", "DIFFUSION", "ORIGINAL", "NONE")
PHYSIO = ("ORIGINAL", "PRIMARY", "RAWDATA", "PHYSIO")
EPI = SequenceTypeInputs("MR", ("EP",), ("SK", "SS"), DERIVED)


@pytest.mark.parametrize(
    ("inputs", "first"),
    [
        (SequenceTypeInputs("MR", ("SE", "IR"), ("SK", "SP", "MP"), DERIVED), "flair"),
        (SequenceTypeInputs("MR", ("SE",), ("SK", "SP"), DERIVED), "t2w"),
        (replace(EPI, phase_encoding_direction="j-"), "dwi"),
        (replace(EPI, phase_encoding_direction="j"), "dwi_derived"),
        (SequenceTypeInputs("MR", ("GR", "IR"), ("SK", "SP", "MP"), PHYSIO, ("IR",)), "mprage"),
    ],
)
def test_the_first_of_two_matching_rows_wins(inputs, first):
    assert sequence_type(inputs) == first


@pytest.mark.parametrize(
    ("in_plane", "positive", "direction"),
    [
        ("ROW", 0, "i"),
        ("ROW", 1, "i-"),
        ("COL", 0, "j"),
        ("COL", 1, "j-"),
        (None, 1, None),
        ("COL", None, None),
        ("OTHER", 1, None),
        ("COL", 2, None),
        ("", 0, None),
    ],
)
def test_phase_encoding_direction(in_plane, positive, direction):
    assert phase_encoding_direction(in_plane, positive) == direction


def inputs_of(header):
    def values(keyword):
        value = header.get(keyword)
        return () if value in (None, "") else (value,) if isinstance(value, str) else tuple(value)

    positive = None
    if (0x0029, 0x1010) in header:
        parsed = parse_csa(header[0x0029, 0x1010].value)
        positive = csa_value(parsed, "PhaseEncodingDirectionPositive")
    return SequenceTypeInputs(
        header.Modality,
        values("ScanningSequence"),
        values("SequenceVariant"),
        values("ImageType"),
        values("ScanOptions"),
        phase_encoding_direction(header.get("InPlanePhaseEncodingDirection"), positive),
    )


@needs_shared
@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("siemens/files/rsfmri/001.dcm", "bold"),
        ("siemens/files/siemens_vr.dcm", "func_fieldmap"),
        ("siemens/files/GE_localizer.dcm", "localizer"),
        ("varied/data/generic/compressed_rle/001/IM-0001-0001-0001.dcm", "flair"),
        # EPI_GEMS\PFF where the table wants EPI_GEMS\ACC_GEMS.
        ("nih/dicom/20180918GE/mr_0005/axial_epi_fmri_sequential_i_to_s-00001.dcm", None),
        # ImageType has an ECHO_00 that no row has.
        ("nih/dicom/20180918Si/mr_0003/epi_pe_ap-00001.dcm", None),
        ("varied/data/failing/gantrytilting/001/IM-0001-0001.dcm", None),
    ],
)
def test_real_files_read_by_hand(path, label):
    assert sequence_type(inputs_of(read_header(SHARED / path))) == label


@needs_shared
@pytest.mark.parametrize(
    ("path", "converted"),
    [
        ("mr_0003/epi_pe_ap-00001.dcm", "EPI_PE=AP_3.json"),
        ("mr_0004/epi_pe_pa-00001.dcm", "EPI_PE=PA_4.json"),
    ],
)
def test_column_directions_are_those_of_dcm2niix(path, converted):
    inputs = inputs_of(read_header(SHARED / "nih/dicom/20180918Si" / path))
    sidecar = json.loads((SHARED / "nih/reference" / converted).read_text())
    assert inputs.phase_encoding_direction == sidecar["PhaseEncodingDirection"]


def test_a_missing_element_matches_no_rule_about_it(tmp_path: Path) -> None:
    """`../shared/PARITY.md`: dwi_sbref has ScanOptions "= PFP or empty", and "A rule about a
    missing element does not match".
    """
    lists: dict[str, Any] = {
        "scanning_sequence": ("EP",), "sequence_variant": ("SK", "SS"),
        "image_type": ("ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"),
    }  # fmt: skip
    assert sequence_type(SequenceTypeInputs("MR", **lists, scan_options=())) == "dwi_sbref"
    assert sequence_type(SequenceTypeInputs("MR", **lists, scan_options=None)) is None
    made = {"Modality": "MR", "ScanningSequence": "EP", "SequenceVariant": ["SK", "SS"],
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}  # fmt: skip
    for more, found in (({}, None), ({"ScanOptions": ""}, "dwi_sbref")):
        path = make_file(tmp_path / "1.dcm", **made, **more)
        series = EntityReader().read(read_instance(str(path), Interner()).elements).series
        assert series is not None
        assert series.sequence_type == found
