"""Conditions that many images fulfil are looked up another way, and find the same images."""

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from dicom_graph.store.read import Store
from tests.graph.test_filter_properties import (
    ANYWHERE,
    EXAMPLES,
    EXISTS,
    LEAF,
    Filter,
    archive_url,
    database,
    expected,
    merged,
    some_of,
)  # fmt: skip
from tests.support.graph import Graph

__all__ = ["archive_url", "database"]
ELEMENT = merged(LEAF, ANYWHERE, EXISTS)
TOGETHER = some_of(element=ELEMENT, elements=st.lists(ELEMENT, min_size=1, max_size=2))
QUERY = """query ($filter: ImageFilter) { images(filter: $filter, first: 100) { nodes { uid } } }"""


@pytest.mark.parametrize("many_images", [1, 2, 5])
@settings(
    max_examples=-(-EXAMPLES // 10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(header=TOGETHER)
async def test_common_conditions_find_what_python_finds(
    graph: Graph, many_images: int, header: Filter
) -> None:
    graph.store = Store(graph.database, many_images=many_images)
    found = await graph(QUERY, filter={"header": header})
    uids = {node["uid"] for node in found["images"]["nodes"]}
    assert uids == expected("image", {"header": header})
    event("some" if uids else "none")
