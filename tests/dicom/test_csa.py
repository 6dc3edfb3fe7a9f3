import gzip
import json
import re
import struct
import tracemalloc
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_graph.dicom.csa.header import (
    CSA_CREATOR,
    CSA_GROUP,
    CSA_IMAGE_HEADER,
    CSA_SERIES_HEADER,
    CsaError,
    parse_csa,
)
from dicom_graph.dicom.csa.paths import CsaPathError, csa_value
from tests.support.csa import by_nibabel, csa, nibabel_read, parse_ascconv
from tests.support.data import (
    NIBABEL_DATA,
    SHARED,
    file_bytes,
    needs_shared,
    nibabel_dicom_files,
    read_header,
    shared_files,
)
from tests.support.samples import examples


@cache
def csa_headers_of_files():
    """The name of a file by its raw CSA header, each distinct header once."""
    found = {}
    for path in (*shared_files(), *nibabel_dicom_files()):
        if CSA_CREATOR.encode() not in file_bytes(path):
            continue
        header = read_header(path)
        for low_byte in (CSA_IMAGE_HEADER, CSA_SERIES_HEADER):
            try:
                element = header.private_block(CSA_GROUP, CSA_CREATOR)[low_byte]
            except KeyError:
                continue
            found.setdefault(element.value, f"{path.name}-{low_byte:x}")
    return found


def nibabel_file(name):
    raw = (NIBABEL_DATA / name).read_bytes()
    return gzip.decompress(raw) if name.endswith(".gz") else raw


def test_real_headers_are_read_as_nibabel_reads_them_and_survive_json():
    names = ("csa2_b0.bin", "csa2_b1000.bin", "csa_str_valid.bin", "csa2_zero_len.bin.gz")
    for raw, name in (
        csa_headers_of_files() | {nibabel_file(name): name for name in names}
    ).items():
        expected = by_nibabel(raw)
        parsed = parse_csa(raw)
        assert parsed == expected, name
        assert list(parsed) == list(expected), name
        assert json.loads(json.dumps(parsed, allow_nan=False)) == parsed, name


@needs_shared
def test_image_and_series_headers_with_protocols_are_among_the_files():
    parsed = [parse_csa(raw) for raw in csa_headers_of_files()]
    assert sum("NumberOfImagesInMosaic" in header for header in parsed) > 1
    assert sum("MrPhoenixProtocol" in header for header in parsed) > 1


def protocol(body, before="<XProtocol>\n", quote='"'):
    text = f"{before}### ASCCONV BEGIN ###\n{body}\n### ASCCONV END ###{quote}\n"
    return csa([("MrPhoenixProtocol", "UN", 1, [text])])


def parsed_protocol(body):
    return parse_csa(protocol(body))["MrPhoenixProtocol"]["value"]


def ascconv_lines(value, path=""):
    """A protocol tree as ASCCONV, with the list sizes of software VE."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from ascconv_lines(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        yield f"{path}.__attribute__.size\t = \t{len(value)}"
        for index, child in enumerate(value):
            yield from ascconv_lines(child, f"{path}[{index}]")
    elif value is not None:
        yield f'{path}\t = \t""{value}""' if isinstance(value, str) else f"{path}\t = \t{value!r}"


def foreign_header():
    """`csa.json`: a CSA series header as another program read it."""
    return json.loads((SHARED / "siemens/files/csa.json").read_text())


def as_items(tag):
    value = tag["value"]
    if value is None:
        return []
    if isinstance(value, dict):
        body = "\n".join(ascconv_lines(value))
        return [f"### ASCCONV BEGIN object=a version=1 ###\n{body}\n### ASCCONV END ###"]
    return [str(item) for item in (value if isinstance(value, list) else [value])]


@needs_shared
@pytest.mark.parametrize("csa_type", [1, 2])
def test_the_header_that_another_program_read(csa_type):
    truth = foreign_header()
    tags = [(name, tag["VR"], tag["VM"], as_items(tag)) for name, tag in truth.items()]
    assert parse_csa(csa(tags, csa_type)) == {
        name: {
            "vr": tag["VR"],
            "vm": tag["VM"],
            "value": [] if tag["value"] is None and tag["VM"] != 1 else tag["value"],
        }
        for name, tag in truth.items()
    }


@needs_shared
def test_tags_are_those_that_another_program_found_in_such_a_header():
    header = read_header(SHARED / "siemens/files/rsfmri/001.dcm")
    parsed = parse_csa(header[0x0029, 0x1020].value)
    assert {name: (tag["vr"], tag["vm"]) for name, tag in parsed.items()} == {
        name: (tag["VR"], tag["VM"]) for name, tag in foreign_header().items()
    }


@pytest.mark.parametrize("name", ["csa2_b0.bin", "csa2_b1000.bin"])
def test_type_1_is_read_as_type_2(name):
    raw = nibabel_file(name)
    tags = [
        (name, tag["vr"], tag["vm"], [*map(str, tag["items"]), *[""] * 5] if tag["items"] else [])
        for name, tag in nibabel_read(raw)["tags"].items()
    ]
    assert parse_csa(csa(tags, 1)) == parse_csa(raw)


@pytest.mark.parametrize(
    ("vr", "vm", "items", "value"),
    [
        ("IS", 1, ["12  "], 12),
        ("US", 1, ["", ""], None),
        ("FD", 3, ["1.5", "-2", "1e3", "", ""], [1.5, -2.0, 1000.0]),
        ("DS", 3, ["1", "", "3"], [1.0, None, 3.0]),
        ("IS", 0, ["3", "1", "", ""], [3, 1]),
        ("DS", 3, [], []),
        ("DS", 1, ["nan"], None),
        ("DS", 2, ["-inf", "1.#QNAN"], [None, None]),
        ("FD", 1, ["1e999"], None),
        ("SH", 1, [""], ""),
        ("SH", 1, ["A\0junk"], "A"),
        ("LO", 0, ["A ", "B", "", ""], ["A", "B"]),
        ("LO", 2, ["A", "", "ignored"], ["A", ""]),
        ("LO", 1, ["Müller"], "Müller"),
    ],
)
def test_values_by_vr_and_vm(vr, vm, items, value):
    tag = parse_csa(csa([("Tag", vr, vm, items)]))["Tag"]
    assert tag == {"vr": vr, "vm": vm, "value": value}
    assert type(tag["value"]) is type(value)


@pytest.mark.parametrize(
    ("body", "tree"),
    [
        ("a = 1\nb = -2.5\nc = 0x1F\nd = 1e-05", {"a": 1, "b": -2.5, "c": 31, "d": 1e-05}),
        ('a = ""x y""\nb = """"', {"a": "x y", "b": ""}),
        ('a = "x y"\nb = ""\nc = "z"', {"a": "x y", "b": "", "c": "z"}),
        ('a = ""C:\\temp\\new""', {"a": "C:\\temp\\new"}),
        ('a = ""one\ntwo""\nb = 1', {"a": "one\ntwo", "b": 1}),
        ('a = ""5 = five # no comment""', {"a": "5 = five # no comment"}),
        ("a.b[2].c = 1\na.b[0].c = 0", {"a": {"b": [{"c": 0}, None, {"c": 1}]}}),
        ("a[0][1] = 5", {"a": [[None, 5]]}),
        ("a.__attribute__.size = 3\na[1] = 7", {"a": [None, 7]}),
        ("a = 1\r\nb = 2\r", {"a": 1, "b": 2}),
        ("a = 1  # comment\n\n\nb = 2", {"a": 1, "b": 2}),
        ("a = 1.#INF\nb = nan\nc = 1e999", {"a": None, "b": None, "c": None}),
        ("a = MALE", {"a": "MALE"}),
        ("a = 1\na = 2", {"a": 2}),
        ("", {}),
    ],
)
def test_ascconv(body, tree):
    assert parsed_protocol(body) == tree


def test_the_sample_protocol_of_nibabel():
    text = (NIBABEL_DATA / "ascconv_sample.txt").read_text()
    parsed = parse_csa(csa([("MrProtocol", "UN", 1, [text])]))
    assert parsed["MrProtocol"]["value"] == parse_ascconv(text, '""')[0]


def test_a_protocol_without_ascconv_stays_text():
    parsed = parse_csa(csa([("MrProtocol", "UN", 1, ["<XProtocol> { }"])]))
    assert parsed["MrProtocol"]["value"] == "<XProtocol> { }"


ITEM_AT = 16 + 84


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "start at offset 0: 8 bytes do not fit in a CSA header of 0"),
        (b"SV10", "start at offset 8"),
        (b"not a CSA header, but text", "not a CSA header: 544501614 tags"),
        (csa([]), "not a CSA header: 0 tags"),
        (csa([("A", "IS", 1, [])], n_tags=2), "tag 1 at offset 100: 84 bytes do not fit"),
        (csa([("A", "IS", 1, [])], n_tags=1001), "not a CSA header: 1001 tags"),
        (csa([("", "IS", 1, [])]), "tag 0 '' at offset 16"),
        (csa([("A", "IS", -1, [])]), "tag 0 'A' at offset 16 cannot have VM -1"),
        (csa([("A", "IS", 1, ["1"])])[:-3], "item of tag 'A' at offset 116"),
        (csa([("A", "IS", 1, ["one"])]), "tag 'A' at offset 16: a value is not a number of IS"),
        (csa([("A", "IS", 1, ["1.5"])]), "tag 'A' at offset 16: a value is not a number of IS"),
        (csa([("A", "DS", 1, ["1_0"])]), "tag 'A' at offset 16: a value is not a number of DS"),
        (csa([("A", "IS", 1, ["9" * 5000])]), "tag 'A' at offset 16: a value is not a number"),
        (nibabel_file("csa_str_1001n_items.bin"), "cannot have VM 1 and 1001 items"),
        (protocol("a = 1\nb 2\nc = 3"), "line 2 of its ASCCONV text is not an assignment"),
        (protocol("a = 1\n\nb = "), "line 3 of its ASCCONV text is not an assignment"),
        (protocol('a = ""never closed\nb = 1'), "line 1 of its ASCCONV text is not an assignment"),
        (protocol("a = 1\na.b = 2"), "line 2 of its ASCCONV text contradicts an earlier one"),
        (protocol("a.b = 1\na = 2"), "line 2 of its ASCCONV text contradicts an earlier one"),
        (protocol("a[0] = 1\na.b = 2"), "line 2 of its ASCCONV text contradicts an earlier one"),
        (protocol("a[-1] = 1"), "line 1 of its ASCCONV text has a malformed name"),
        (protocol("a..b = 1"), "line 1 of its ASCCONV text has a malformed name"),
        (protocol("a[999999999] = 1"), "line 1 of its ASCCONV text leaves too many"),
        (protocol("a" + ".a" * 20000 + " = 1"), "line 1 of its ASCCONV text nests more than"),
        (protocol("a" + "[0]" * 5000 + " = 1"), "line 1 of its ASCCONV text nests more than"),
        (
            csa([("MrProtocol", "UN", 1, ["### ASCCONV BEGIN ###\na = 1\n"])]),
            "tag 'MrProtocol': its ASCCONV text has no end",
        ),
    ],
)
def test_malformed_headers_are_an_error_that_says_where(raw, message):
    with pytest.raises(CsaError, match=re.escape(message)) as caught:
        parse_csa(raw)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [-1, -(2**31), 2**31 - 1, 5])
def test_an_item_cannot_be_longer_than_the_header(length):
    raw = bytearray(csa([("A", "IS", 1, ["1"])]))
    struct.pack_into("<i", raw, ITEM_AT + 4, length)
    with pytest.raises(CsaError, match="item of tag 'A' at offset 116"):
        parse_csa(bytes(raw))


HOSTILE = {
    "holes": lambda: protocol("\n".join(f"a{number}[9999] = 1" for number in range(20000))),
    "beginnings": lambda: csa([("MrProtocol", "UN", 1, ["### ASCCONV BEGIN ###\n" * 50000])]),
    "quotes": lambda: protocol('a = ""' + '"" ' * 200000),
    "equals signs": lambda: protocol("= " * 300000),
    "spaces": lambda: protocol("a" + " " * 500000),
    "a long name": lambda: protocol("a" * 500000),
    "a long number": lambda: protocol("a = " + "9" * 500000),
    "many assignments": lambda: protocol('a = ""\n' * 30000),
    "many tags": lambda: csa([(f"T{number}", "IS", 0, ["1"] * 1000) for number in range(20)]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_end_and_take_little_memory(name):
    raw = HOSTILE[name]()
    tracemalloc.start()
    with suppress(CsaError):
        parse_csa(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * len(raw) + 2_000_000


def parses_or_refuses(raw):
    try:
        parsed = parse_csa(raw)
    except CsaError:
        return
    text = json.dumps(parsed, allow_nan=False)
    assert "\\u0000" not in text
    assert json.loads(text) == parsed


SMALL_PROTOCOL = 'a.b[2].c = 1\nd = ""text""\nd2.__attribute__.size = 3\ne = 0x1F\nf[1] = -1.5'
SEEDS = [
    nibabel_file("csa2_b1000.bin"),
    protocol(SMALL_PROTOCOL),
    csa([("A", "IS", 1, ["1", "", ""]), ("B", "FD", 3, ["1.5", "2", "3"])], 1),
]
flips = st.lists(st.tuples(st.integers(0, 20000), st.integers(0, 255)), max_size=12)


@settings(max_examples=examples(1500), deadline=2000)
@given(seed=st.sampled_from(SEEDS), flips=flips, cut=st.integers(0, 20000), keep=st.booleans())
def test_flipped_and_cut_bytes_only_give_a_result_or_a_csa_error(seed, flips, cut, keep):
    raw = bytearray(seed)
    for position, byte in flips:
        raw[position % len(raw)] = byte
    parses_or_refuses(bytes(raw) if keep else bytes(raw[: cut % len(raw)]))


@settings(max_examples=examples(500), deadline=2000)
@given(st.binary(max_size=400), st.sampled_from([b"", b"SV10\4\3\2\1", b"\1\0\0\0\x4d\0\0\0"]))
def test_any_bytes_only_give_a_result_or_a_csa_error(tail, start):
    parses_or_refuses(start + tail)


@pytest.mark.slow
@settings(max_examples=examples(1500), deadline=2000)
@given(st.text(alphabet='ab.[]012x="# \t\r\n-e_', max_size=60))
def test_any_ascconv_only_gives_a_result_or_a_csa_error(body):
    parses_or_refuses(protocol(body))


@pytest.mark.slow
@settings(max_examples=examples(1500), deadline=2000)
@given(st.text(max_size=30), st.sampled_from(["IS", "DS", "FD", "UL", "LO", "UN"]))
def test_any_item_only_gives_a_result_or_a_csa_error(item, vr):
    text = item.encode("latin-1", "replace").decode("latin-1")
    parses_or_refuses(csa([("A", vr, 1, [text])]))


TREE = parse_csa(
    csa(
        [
            ("B_value", "IS", 1, ["1000"]),
            ("SliceNormalVector", "FD", 3, ["0", "0.25", "1"]),
            ("Filter1", "IS", 1, []),
            (
                "MrPhoenixProtocol",
                "UN",
                1,
                ["### ASCCONV BEGIN ###\ns.as[0].d = 1.5\ns.lSize = 64\n### ASCCONV END ###"],
            ),
        ]
    )
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("B_value", 1000),
        ("Filter1", None),
        ("SliceNormalVector", [0.0, 0.25, 1.0]),
        ("SliceNormalVector[1]", 0.25),
        ("MrPhoenixProtocol.s.lSize", 64),
        ("MrPhoenixProtocol.s.as[0].d", 1.5),
        ("MrPhoenixProtocol.s.as", [{"d": 1.5}]),
    ],
)
def test_a_path_leads_to_a_value(path, value):
    assert csa_value(TREE, path) == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("b_value", "no tag 'b_value' in the CSA header; nearest: B_value"),
        ("Nothing", "no tag 'Nothing' in the CSA header"),
        ("SliceNormalVector[3]", "SliceNormalVector has 3 values, so no [3]"),
        ("B_value[0]", "B_value is not a list, so it has no [0]"),
        ("B_value.s", "B_value holds no names, so no 's'"),
        ("Filter1.s", "Filter1 holds no names, so no 's'"),
        (
            "MrPhoenixProtocol.s.lSiz",
            "MrPhoenixProtocol.s has no 'lSiz'; nearest: lSize",
        ),
        (
            "MrPhoenixProtocol.s.as[0].e.f",
            "MrPhoenixProtocol.s.as[0] has no 'e'",
        ),
        ("", "not a path: ''; write Tag, Tag[0] or Tag.name[0].name"),
        ("[0]", "not a path: '[0]'; write Tag, Tag[0] or Tag.name[0].name"),
        ("a..b", "not a path: 'a..b'; write Tag, Tag[0] or Tag.name[0].name"),
        ("a[-1]", "not a path: 'a[-1]'; write Tag, Tag[0] or Tag.name[0].name"),
    ],
)
def test_a_path_that_leads_nowhere_names_the_part_that_failed(path, message):
    with pytest.raises(CsaPathError) as caught:
        csa_value(TREE, path)
    assert str(caught.value) == message


@needs_shared
def test_the_value_of_the_guide_in_a_real_header():
    raw = read_header(SHARED / "siemens/files/rsfmri/001.dcm")[0x0029, 0x1020].value
    slices = re.search(rb"sSliceArray\.lSize\t = \t(\d+)", raw)
    assert csa_value(parse_csa(raw), "MrPhoenixProtocol.sSliceArray.lSize") == int(slices[1])
