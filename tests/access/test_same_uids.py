"""Files of equal and contradicting UIDs: nobody is given what is of somebody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from tests.same_uids import Check, Example, Site, Spec, Whose, run, site_at


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    with site_at(database_url, tmp_path) as made:
        yield made


def test_a_sample(site: Site) -> None:
    run(site, 2)
    assert site.n_answers > 5


@pytest.mark.slow
def test_many(site: Site) -> None:
    run(site, 60)


def spec(patient: int, study: int, **others: int) -> Spec:
    return Spec(
        others.get("uid", 0), others.get("series", 0), Whose(patient, study),
        others.get("variant", 0), False,
    )  # fmt: skip


def test_an_image_in_a_series_of_another_patient(site: Site) -> None:
    """Its header names patient 1, its series belongs to patient 0: who may see both sees it."""
    example = Example(site, [spec(0, 0), spec(1, 1, uid=1)])
    example.run_import([example.root])
    Check(example).run()
    query = "query ($n: String!) { images(filter: { uid: { startsWith: $n } }) { totalCount } }"

    def count(who: str) -> int:
        return int(site.ask(who, query, n=example.name)["images"]["totalCount"])

    assert (count("whole"), count("of patient"), count("of study")) == (2, 1, 0)
    with site.database.writer.begin() as connection:
        accounts.add_grant(connection, "of patient", "patient", example.patient(1))
    assert count("of patient") == 2
    archive = site.get("whole", f"/patients/{example.patient(0)}.zip")
    assert archive is not None
    assert b"its header names another patient" in archive


def test_a_file_is_read_again_after_a_remount(site: Site) -> None:
    """Another device and another inode: the header is read again, and given where it is the same;
    one that is another is refused, though size and time are those that were noted.
    """
    example = Example(site, [spec(0, 0), spec(0, 0, uid=1)])
    example.run_import([example.root])
    _replace_stamps(site.database)
    example.happen("in disguise", 0, 1)
    uid = f"/images/{example.name}1."
    assert site.get("whole", f"{uid}0.dcm") is None
    kept = example.paths[1].read_bytes()
    assert site.get("whole", f"{uid}1.dcm") == kept
    assert site.get("whole", f"{uid}1.npy") is not None


def _replace_stamps(database: Database) -> None:
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE file SET stamp = digest WHERE stamp IS NOT NULL"))
