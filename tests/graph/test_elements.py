"""A header's elements: found by keyword and tag, nested, shared between headers, by import mode."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.read import Store, element_path
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, save

Json = dict[str, Any]


def rich_data_set(**elements: Any) -> Dataset:
    """Standard and private elements, and a sequence of two items that hold both, one nested."""
    data_set = make_data_set(EchoTime=2.5, SOPInstanceUID="1.2.3", **elements)
    first, second, inner = Dataset(), Dataset(), Dataset()
    first.CodeValue = "one"
    second.CodeValue = "two"
    inner.CodeValue = "inner"
    second.EquivalentCodeSequence = [inner]
    for holder in (data_set, second, inner):
        holder.private_block(0x0019, "FIRST", create=True).add_new(0x10, "DS", "7")
        holder.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x9C, "LO", "epi")
    data_set.ProcedureCodeSequence = [first, second]
    return data_set


async def header_of(graph: Graph, selection: str, uid: str = "1.2.3") -> Json:
    """A selection of the header of an image."""
    data = await graph(f'{{ imageByUid(uid: "{uid}") {{ header {{ {selection} }} }} }}')
    header: Json = data["imageByUid"]["header"]
    return header


async def error_of(graph: Graph, selection: str) -> tuple[str, str]:
    """The code and the message of the error that a selection of a header must have."""
    result = await graph.execute(f'{{ imageByUid(uid: "1.2.3") {{ header {{ {selection} }} }} }}')
    assert result.errors
    (error,) = result.errors
    return (error.extensions or {})["code"], error.message


def fill(folder: Path) -> None:
    save(rich_data_set(), folder / "file.dcm")


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


class OwnGraph(Graph):
    """GraphQL on a database of a test's own."""

    def import_files(self, *paths: Path, mode: Mode = Mode.FULL) -> Report:
        """Import into it."""
        names = tuple(str(path) for path in paths)
        return run_import(self.database, JobRequest(names, mode, origin=JobOrigin.PYTHON))


@pytest.fixture
async def own(database_url: str) -> AsyncIterator[OwnGraph]:
    """An empty database of each kind."""
    opened = Database(database_url)
    yield OwnGraph(opened, Store(opened))
    await opened.close()


async def test_an_element_by_its_keyword_and_its_tag_however_written(graph: Graph) -> None:
    asked = (
        'keyword: "EchoTime"', 'tag: "(0018,0081)"', 'tag: "0018,0081"', 'tag: "00180081"',
        'tag: " (0018, 0081) "',
    )  # fmt: skip
    fields = [f"e{place}: element({how}) {{ id tag value }}" for place, how in enumerate(asked)]
    found = await header_of(graph, " ".join(fields))
    assert len({element["id"] for element in found.values()}) == 1
    assert found["e0"] | {"id": ""} == {"id": "", "tag": "(0018,0081)", "value": 2.5}


async def test_hexadecimal_digits_of_a_tag_may_be_small_or_large(graph: Graph) -> None:
    found = await header_of(
        graph,
        'small: element(tag: "(0020,000d)") { keyword }'
        'large: element(tag: "(0020,000D)") { keyword }',
    )
    assert found["small"] == found["large"] == {"keyword": "StudyInstanceUID"}


async def test_an_element_that_is_not_there_is_null(graph: Graph) -> None:
    found = await header_of(
        graph,
        'a: element(keyword: "FlipAngle") { id } b: element(tag: "(0018,1314)") { id }'
        'c: element(tag: "(0019,xx77)") { id } d: elements(keywords: ["FlipAngle"]) { id }',
    )
    assert found == {"a": None, "b": None, "c": None, "d": []}


async def test_all_elements_come_in_the_order_of_their_tags(graph: Graph) -> None:
    found = (await header_of(graph, "elements { tag }"))["elements"]
    expected = [f"({tag.group:04X},{tag.elem:04X})" for tag in sorted(rich_data_set().keys())]
    assert [element["tag"] for element in found] == expected


NARROWED = [
    ('keywords: ["EchoTime", "Modality"]', ["(0008,0060)", "(0018,0081)"]),
    ('tags: ["00180081", "(0008,0060)", "(0008,0060)"]', ["(0008,0060)", "(0018,0081)"]),
    ("keywords: []", []),
    ("tags: []", []),
    ('keywords: ["EchoTime"], tags: ["(0008,0060)"]', []),
    ('keywords: ["EchoTime"], private: true', []),
    ('keywords: ["EchoTime"], private: false', ["(0018,0081)"]),
    ("private: true", ["(0019,0010)", "(0019,0011)", "(0019,1010)", "(0019,119C)"]),
    ('tags: ["(0019,xx9C)"]', ["(0019,119C)"]),
    ('tags: ["(0019,119C)"]', ["(0019,119C)"]),
    ('tags: ["(0019,109C)"]', []),
]


@pytest.mark.parametrize(("arguments", "tags"), NARROWED)
async def test_every_argument_narrows(graph: Graph, arguments: str, tags: list[str]) -> None:
    found = (await header_of(graph, f"elements({arguments}) {{ tag }}"))["elements"]
    assert [element["tag"] for element in found] == tags


async def test_standard_and_private_elements_are_all_elements(graph: Graph) -> None:
    found = await header_of(
        graph,
        "all: elements { id } standard: elements(private: false) { id }"
        " private: elements(private: true) { id }",
    )
    ids = {name: {element["id"] for element in elements} for name, elements in found.items()}
    assert ids["standard"] | ids["private"] == ids["all"]
    assert not ids["standard"] & ids["private"]


async def test_a_private_element_by_its_creator_whatever_its_block(graph: Graph) -> None:
    found = await header_of(
        graph,
        """
        its: element(tag: "(0019,xx9C)", privateCreator: "GEMS_ACQU_01") { tag value }
        closed: element(tag: "(0019,119C)", privateCreator: "GEMS_ACQU_01") { tag value }
        anyones: element(tag: "(0019,xx9c)") { tag value }
        others: element(tag: "(0019,xx9C)", privateCreator: "FIRST") { tag value }
        """,
    )
    element = {"tag": "(0019,119C)", "value": "epi"}
    assert found == {"its": element, "closed": element, "anyones": element, "others": None}


async def test_an_open_block_does_not_find_what_reserves_the_block(graph: Graph) -> None:
    # (0019,xx10) is an element of a block; (0019,0010) is the private creator of one.
    found = await header_of(
        graph,
        'open: element(tag: "(0019,xx10)") { tag } creator: element(tag: "(0019,0010)") { tag }'
        'opens: elements(tags: ["(0019,xx10)"]) { tag }',
    )
    assert found["creator"] == {"tag": "(0019,0010)"}
    assert found["open"] == {"tag": "(0019,1010)"}
    assert found["opens"] == [{"tag": "(0019,1010)"}]


@pytest.mark.parametrize(
    ("keyword", "nearest"),
    [("EchoTim", "EchoTime"), ("echotime", "EchoTime"), ("PatientsName", "PatientName")],
)
@pytest.mark.parametrize("field", ["element(keyword: {})", "elements(keywords: [{}])"])
async def test_an_unknown_keyword_is_an_error_that_names_the_nearest(
    graph: Graph, field: str, keyword: str, nearest: str
) -> None:
    code, message = await error_of(graph, field.format(f'"{keyword}"') + " { id }")
    assert code == "BAD_INPUT"
    assert keyword in message
    assert nearest in message


async def test_a_keyword_like_no_other_is_an_error_of_one_short_line(graph: Graph) -> None:
    code, message = await error_of(graph, f'element(keyword: "{"Xyzzy" * 200}") {{ id }}')
    assert code == "BAD_INPUT"
    assert len(message) < 200


@pytest.mark.parametrize(
    "tag",
    ["", "0018", "(0018,008)", "(0018,00811)", "(001G,0081)",
     "(0019,x09C)", "(xx19,109C)", "EchoTime", "-0180081", "(0018;0081)"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["element(tag: {})", "elements(tags: [{}])"])
async def test_a_malformed_tag_is_an_error_that_shows_how_to_write_it(
    graph: Graph, field: str, tag: str
) -> None:
    code, message = await error_of(graph, field.format(f'"{tag}"') + " { id }")
    assert code == "BAD_INPUT"
    assert "(0010,0020)" in message


@pytest.mark.parametrize(
    "arguments",
    ['keyword: "EchoTime", tag: "(0018,0081)"', 'keyword: "EchoTime", privateCreator: "FIRST"',
     'privateCreator: "FIRST"'],
)  # fmt: skip
async def test_arguments_that_do_not_go_together_are_an_error(graph: Graph, arguments: str) -> None:
    assert (await error_of(graph, f"element({arguments}) {{ id }}"))[0] == "BAD_INPUT"


async def test_an_element_by_nothing_is_an_error(graph: Graph) -> None:
    code, message = await error_of(graph, "element { id }")
    assert (code, "`keyword`" in message) == ("BAD_INPUT", True)


async def test_elements_by_keys_come_in_their_order_and_null_where_there_are_none(
    graph: Graph,
) -> None:
    keys = (
        '{ path: "ProcedureCodeSequence[1].EquivalentCodeSequence.CodeValue" }',
        '{ keyword: "FlipAngle" }',
        '{ path: "ProcedureCodeSequence[1].(0019,xx9C)", privateCreator: "GEMS_ACQU_01" }',
        '{ keyword: "EchoTime" }', '{ path: "(0019,xx10)", privateCreator: "GEMS_ACQU_01" }',
        '{ path: "(0019,xx10)", privateCreator: "FIRST" }',
        '{ path: "ProcedureCodeSequence[7].CodeValue" }', '{ path: "(0019,1010)" }',
        '{ path: "(0019,1110)" }',
    )  # fmt: skip
    found = await header_of(graph, f"elementsAt(keys: [{' '.join(keys)}]) {{ value }}")
    values = [None if each is None else each["value"] for each in found["elementsAt"]]
    assert values == ["inner", None, "epi", 2.5, None, 7.0, None, 7.0, None]
    for wrong in ('{ keyword: "EchoTim" }', "{}", '{ keyword: "EchoTime", path: "EchoTime" }'):
        assert (await error_of(graph, f"elementsAt(keys: [{wrong}]) {{ id }}"))[0] == "BAD_INPUT"
    many = 'keyword: "EchoTime" } { ' * 199 + 'keyword: "EchoTime"'
    found = await header_of(graph, f"elementsAt(keys: [{{ {many} }}]) {{ value }}")
    assert found["elementsAt"] == [{"value": 2.5}] * 200
    code, message = await error_of(
        graph, f'elementsAt(keys: [{{ {many} }} {{ keyword: "Rows" }}]) {{ id }}'
    )
    assert (code, "at most 200" in message) == ("BAD_INPUT", True)


async def test_a_wrong_keyword_is_compared_with_all_others_once(graph: Graph) -> None:
    element_path._nearest_keyword.cache_clear()
    wrong = "EchoTimes" + "x" * 200
    for field in (
        "element(keyword: %s)",
        "elements(keywords: [%s])",
        "elementsAt(keys: {keyword: %s})",
    ):
        for end in "abc":
            asked = field % f'"{wrong}{end}"'
            assert (await error_of(graph, f"{asked} {{ id }}"))[0] == "BAD_INPUT"
    assert element_path._nearest_keyword.cache_info().misses == 1


async def test_items_know_their_sequence_and_their_place(graph: Graph) -> None:
    code = 'element(keyword: "CodeValue") { value }'
    header = await header_of(
        graph,
        f"""id index image {{ uid }} parent {{ id }}
        element(keyword: "ProcedureCodeSequence") {{ id vm vr value values {{ raw }} items {{
          index image {{ uid }} parent {{ id keyword }} {code}
          inner: element(keyword: "EquivalentCodeSequence") {{ id items {{
            index parent {{ id }} {code} }} }} }} }}""",
    )
    assert (header["index"], header["image"], header["parent"]) == (None, {"uid": "1.2.3"}, None)
    sequence = header["element"]
    assert (sequence["vm"], sequence["vr"], sequence["value"], sequence["values"]) == (
        2, "SQ", None, [],
    )  # fmt: skip
    first, second = sequence["items"]
    assert (first["index"], second["index"]) == (0, 1)
    assert [first["element"]["value"], second["element"]["value"]] == ["one", "two"]
    assert first["parent"] == {"id": sequence["id"], "keyword": "ProcedureCodeSequence"}
    # A sequence may be that of several images, so that an item is no image's.
    assert first["image"] is None
    assert first["inner"] is None
    (inner,) = second["inner"]["items"]
    assert (inner["index"], inner["element"]["value"]) == (0, "inner")
    assert inner["parent"]["id"] == second["inner"]["id"]


async def test_an_empty_sequence_has_no_items_and_other_elements_have_null(
    tmp_path: Path, own: OwnGraph
) -> None:
    data_set = make_data_set(SOPInstanceUID="1.2.4")
    empty = Dataset()
    data_set.ProcedureCodeSequence = []
    data_set.ReferencedStudySequence = [empty]
    own.import_files(save(data_set, tmp_path / "empty.dcm"))
    header = await header_of(
        own,
        'none: element(keyword: "ProcedureCodeSequence") { vm items { index } }'
        'one: element(keyword: "ReferencedStudySequence") { vm items { index elements { id } } }'
        'other: element(keyword: "Modality") { items { index } }',
        "1.2.4",
    )
    assert header == {
        "none": {"vm": 0, "items": []},
        "one": {"vm": 1, "items": [{"index": 0, "elements": []}]},
        "other": {"items": None},
    }


async def test_equal_elements_of_different_headers_are_one(tmp_path: Path, own: OwnGraph) -> None:
    for uid, description in (("1.1", "a"), ("1.2", "b")):
        data_set = rich_data_set(SeriesDescription=description)
        data_set.SOPInstanceUID = uid
        save(data_set, tmp_path / f"{uid}.dcm")
    own.import_files(tmp_path)
    first, second = [
        {
            element["tag"]: element["id"]
            for element in (await header_of(own, "elements { tag id }", uid))["elements"]
        }
        for uid in ("1.1", "1.2")
    ]
    different = {tag for tag in first if first[tag] != second[tag]}
    # SOPInstanceUID, StudyInstanceUID, SeriesInstanceUID, SeriesDescription; not the sequence.
    assert different == {"(0008,0018)", "(0008,103E)", "(0020,000D)", "(0020,000E)"}


async def test_equal_bytes_that_mean_other_things_are_different_elements(
    tmp_path: Path, own: OwnGraph
) -> None:
    for uid, name in (("1.1", "ISO_IR 100"), ("1.2", "ISO_IR 126")):
        data_set = make_data_set(SOPInstanceUID=uid, SpecificCharacterSet="ISO_IR 100")
        data_set.StudyDescription = "caf\xe9"
        path = save(data_set, tmp_path / f"{uid}.dcm")
        path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", name.encode()))
    own.import_files(tmp_path)
    field = 'element(keyword: "StudyDescription") { id value }'
    latin, greek = [(await header_of(own, field, uid))["element"] for uid in ("1.1", "1.2")]
    assert (latin["value"], greek["value"]) == ("café", "cafι")
    assert latin["id"] != greek["id"]


async def test_an_element_of_another_block_has_the_same_definition(
    tmp_path: Path, own: OwnGraph
) -> None:
    for uid, earlier in (("1.1", []), ("1.2", ["SOMEONE ELSE"])):
        data_set = make_data_set(SOPInstanceUID=uid)
        for creator in (*earlier, "GEMS_ACQU_01"):
            data_set.private_block(0x0019, creator, create=True).add_new(0x9C, "LO", creator)
        save(data_set, tmp_path / f"{uid}.dcm")
    own.import_files(tmp_path)
    field = """element(tag: "(0019,xx9C)", privateCreator: "GEMS_ACQU_01") {
        id tag value definition { id tag privateCreator vr keyword name } }"""
    one, other = [(await header_of(own, field, uid))["element"] for uid in ("1.1", "1.2")]
    assert (one["tag"], other["tag"]) == ("(0019,109C)", "(0019,119C)")
    assert one["value"] == other["value"] == "GEMS_ACQU_01"
    assert one["definition"] == other["definition"]
    assert one["definition"] | {"id": ""} == {
        "id": "", "tag": "(0019,xx9C)", "privateCreator": "GEMS_ACQU_01", "vr": "LO",
        "keyword": None, "name": "Pulse Sequence Name",
    }  # fmt: skip


EVERYTHING = """
fragment Plain on DataElement { tag privateCreator }
query { imageByUid(uid: "1.2.3") { header { elements { ...Plain items { elements { ...Plain
  items { elements { ...Plain } } } } } } } }
"""


def all_elements(elements: list[Json]) -> list[Json]:
    """Elements at all depths."""
    nested = [
        child
        for element in elements
        for item in element.get("items") or ()
        for child in all_elements(item["elements"])
    ]
    return [*elements, *nested]


@pytest.mark.parametrize(("mode", "count"), [(Mode.NORMAL, 0), (Mode.FULL, 3)])
async def test_private_elements_are_kept_in_full_mode_only_at_any_depth(
    tmp_path: Path, own: OwnGraph, mode: Mode, count: int
) -> None:
    own.import_files(save(rich_data_set(), tmp_path / "file.dcm"), mode=mode)
    header = (await own(EVERYTHING))["imageByUid"]["header"]
    elements = all_elements(header["elements"])
    creators = [element["privateCreator"] for element in elements]
    assert (creators.count("FIRST"), creators.count("GEMS_ACQU_01")) == (count, count)
    private = [element for element in elements if int(element["tag"][1:5], 16) % 2]
    assert len(private) == 4 * count
    # The standard ones are there in both modes, nested ones too.
    assert [element["tag"] for element in elements].count("(0008,0100)") == 3


async def test_minimal_mode_keeps_no_header_but_all_else(tmp_path: Path, own: OwnGraph) -> None:
    own.import_files(save(rich_data_set(), tmp_path / "file.dcm"), mode=Mode.MINIMAL)
    data = await own(
        '{ imageByUid(uid: "1.2.3") { header { id } number series { echoTime pulseSequenceName'
        " patient { uid } study { description } } } }"
    )
    assert data["imageByUid"] == {
        "header": None, "number": 1,
        "series": {
            "echoTime": 2.5, "pulseSequenceName": "epi", "patient": {"uid": "patient-1"},
            "study": {"description": "study"},
        },
    }  # fmt: skip


async def test_the_same_header_is_right_whether_its_elements_are_shared_or_its_own(
    tmp_path: Path, own: OwnGraph
) -> None:
    # The second batch of a series meets a shared set that the first one made.
    shared = {"StudyInstanceUID": "1.5", "SeriesInstanceUID": "1.6", "PatientComments": "same"}
    for number in range(1, 7):
        # Image 5 lacks an element that the others share, and has one of its own.
        lacks = {"PatientComments": None, "ImageComments": "own"} if number == 5 else {}
        elements = shared | lacks | {"SOPInstanceUID": f"1.7.{number}", "InstanceNumber": number}
        own.import_files(make_file(tmp_path / f"{number}.dcm", **elements))
    field = 'elements(keywords: ["InstanceNumber", "PatientComments", "ImageComments"]) { value }'
    found = [await header_of(own, field, f"1.7.{number}") for number in range(1, 7)]
    values = [[element["value"] for element in header["elements"]] for header in found]
    expected: list[list[Any]] = [["same", number] for number in range(1, 7)]
    expected[4] = [5, "own"]
    assert values == expected


async def test_a_nul_inside_a_private_creator_does_not_stop_an_import(
    tmp_path: Path, own: OwnGraph
) -> None:
    path = save(rich_data_set(), tmp_path / "file.dcm")
    path.write_bytes(path.read_bytes().replace(b"GEMS_ACQU_01", b"GEMS\0ACQU_01"))
    assert own.import_files(path).counts.created == 1
    header = await header_of(own, 'element(tag: "(0019,xx9C)") { value privateCreator }')
    assert header["element"] == {"value": "epi", "privateCreator": "GEMS\\x00ACQU_01"}
