"""Sets of ids as bytes."""

from hypothesis import example, given
from hypothesis import strategies as st

from dicom_graph.store.sql.id_list import pack_ids, unpack_ids

IDS = st.sets(st.one_of(st.integers(0, 300), st.integers(0, 2**63 - 1)), max_size=300)


@given(IDS)
@example(set())
@example({0})
@example({0, 1, 127, 128, 255, 256, 16_383, 16_384, 2**63 - 1})
def test_unpacking_gives_the_ids_in_order(ids: set[int]) -> None:
    assert unpack_ids(pack_ids(ids)) == sorted(ids)


@given(IDS)
def test_equal_sets_have_equal_bytes_whatever_the_order(ids: set[int]) -> None:
    assert pack_ids(sorted(ids, reverse=True)) == pack_ids(sorted(ids))


def test_the_ids_of_a_real_header_take_about_a_byte_each() -> None:
    # The elements of an image are interned one after the other, so that their ids are near.
    assert len(pack_ids(range(1_000_000, 1_000_338))) == 3 + 337
