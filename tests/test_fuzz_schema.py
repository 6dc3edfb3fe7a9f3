"""Operations made at random end well: the short form of `python -m tests.fuzz_schema`."""

from pathlib import Path

import pytest

from tests import fuzz_schema


@pytest.mark.slow
def test_operations_made_at_random_end_well(empty_database_url: str, tmp_path: Path) -> None:
    with fuzz_schema.served(tmp_path, empty_database_url) as url:
        result = fuzz_schema.run(60, 11, url)
    assert not result.wrong, result.wrong[0]
    assert result.ends["data"] > 5
