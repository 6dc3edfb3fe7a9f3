"""The short form of `python -m tests.fuzz`: damaged files hurt nothing but themselves."""

from pathlib import Path

import pytest

from dicom_graph.importing.reader import FileReader
from dicom_graph.store.ingest import FileRecord, Mode
from dicom_graph.store.jobs.jobs import Failure
from tests import fuzz

pytestmark = pytest.mark.slow


def test_damaged_files_end_as_images_skips_or_failures_and_good_ones_come_in(
    tmp_path: Path,
) -> None:
    result = fuzz.run(400, seed=7, folder=tmp_path)
    print(dict(result.outcomes))
    assert result.outcomes.total() == 400
    assert result.outcomes["unexpected error"] == 0
    assert result.outcomes["image"] > 0
    assert result.outcomes["failure"] > 0
    assert result.good_files_lost == 0
    assert not result.long_messages


def test_sequences_nested_a_thousand_deep_and_a_deflate_bomb_are_refused(tmp_path: Path) -> None:
    """They are imported among those above, too."""
    for number, content in enumerate(fuzz.damaged_files(3, seed=1)):
        (tmp_path / f"{number}.dcm").write_bytes(content)
        record = FileRecord(str(tmp_path), f"{number}.dcm", len(content), 1)
        assert isinstance(FileReader(Mode.FULL).read(record), Failure)
