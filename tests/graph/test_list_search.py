"""The search of a list finds what has all words in its texts, as Python finds them."""

import pytest

from dicom_graph.store.engine import Database
from tests.graph.ordered_archive import ROOTS, fill, objects, sequence_type
from tests.support.graph import Graph

__all__ = ["fill"]


@pytest.fixture
def database(archive_database: Database) -> Database:
    """Nothing of it is changed here."""
    return archive_database


SEARCH = """
query ($patients: String, $studies: String, $series: String, $images: String) {
  patients(search: $patients, first: 1000) { totalCount nodes { uid } }
  studies(search: $studies, first: 1000) { totalCount nodes { uid } }
  series(search: $series, first: 1000) { totalCount nodes { uid } }
  images(search: $images, first: 1000) { totalCount nodes { uid } }
}
"""


async def searched(graph: Graph, entity: str, words: str) -> set[str]:
    """The uids of what a search finds; the count must agree."""
    page = (await graph(SEARCH, **{ROOTS[entity]: words}))[ROOTS[entity]]
    assert page["totalCount"] == len(page["nodes"])
    return {node["uid"] for node in page["nodes"]}


def having(entity: str, *keywords: str, words: str) -> set[str]:
    """The uids of the objects in whose elements all words occur, in either case."""
    return {
        uid
        for uid, files in objects(entity).items()
        if all(
            any(word.lower() in str(files[0].get(keyword) or "").lower() for keyword in keywords)
            for word in words.split()
        )
    }


SERIES_TEXTS = (
    "SeriesInstanceUID", "SeriesDescription", "Modality", "ProtocolName", "Manufacturer",
    "ManufacturerModelName", "DeviceSerialNumber", "InstitutionName", "StudyInstanceUID",
    "StudyDescription", "PatientID", "PatientName",
)  # fmt: skip


@pytest.mark.parametrize("words", ["ÅNGSTRÖM", "ångström", "ngstr", "berg a", "BERG", "Å c", "p3"])
async def test_search_of_patients(words: str, graph: Graph) -> None:
    expected = having("Patient", "PatientID", "PatientName", words=words)
    assert expected
    assert await searched(graph, "Patient", words) == expected


@pytest.mark.parametrize(
    "words",
    ["ångström", "mr ÅNG", "ct z", "MR 10 z", " 9\t10 ", "1.3.4", "å å å", "MR CT", "%", "_"],
)
async def test_search_of_series(words: str, graph: Graph) -> None:
    found = await searched(graph, "Series", words)
    assert found == having("Series", *SERIES_TEXTS, words=words)
    assert bool(found) == (words not in ("MR CT", "%", "_"))


async def test_search_by_the_label_of_a_sequence_type(graph: Graph) -> None:
    flair = {uid for uid, files in objects("Series").items() if sequence_type(files) == "flair"}
    assert flair
    assert await searched(graph, "Series", "FLAIR") == flair


async def test_search_of_studies_and_images(graph: Graph) -> None:
    expected = having("Study", "StudyInstanceUID", "StudyDescription", words="1.2. b")
    assert await searched(graph, "Study", "1.2. b") == expected != set()
    assert await searched(graph, "Image", "1.3.4.") == {
        uid for uid in objects("Image") if uid.startswith("1.3.4.")
    }


@pytest.mark.parametrize("entity", ROOTS)
@pytest.mark.parametrize("nothing", ["", "  \t\n"])
async def test_a_search_for_nothing_finds_all(entity: str, nothing: str, graph: Graph) -> None:
    assert await searched(graph, entity, nothing) == objects(entity).keys()


async def test_a_search_narrows_a_filter_and_a_nested_list(graph: Graph) -> None:
    data = await graph(
        """{ series(search: "mr", filter: { number: { isNull: false } }, first: 100) {
               totalCount nodes { uid } }
             patients(first: 100) { nodes { uid series(search: "ct") { totalCount } } } }"""
    )
    mr = having("Series", *SERIES_TEXTS, words="mr")
    numbered = {uid for uid in mr if objects("Series")[uid][0]["SeriesNumber"] is not None}
    assert {node["uid"] for node in data["series"]["nodes"]} == numbered != mr
    assert data["series"]["totalCount"] == len(numbered)
    ct = having("Series", *SERIES_TEXTS, words="ct")
    for patient in data["patients"]["nodes"]:
        mine = {f["SeriesInstanceUID"] for f in objects("Patient")[patient["uid"]]}
        assert patient["series"]["totalCount"] == len(mine & ct)


@pytest.mark.parametrize(
    ("words", "message"),
    [("a " * 21, "21 words; at most 20"), ("\x00", "NUL"), ("\udc00", "surrogate")],
)
async def test_a_search_that_cannot_be_right(words: str, message: str, graph: Graph) -> None:
    result = await graph.execute(SEARCH, series=words)
    assert [error.extensions["code"] for error in result.errors] == ["BAD_INPUT"]
    assert message in result.errors[0].message


async def test_twenty_words_are_not_too_many(graph: Graph) -> None:
    expected = having("Series", *SERIES_TEXTS, words="å")
    assert await searched(graph, "Series", "å " * 20) == expected
