"""Entity tags tell nothing: what an answer was made of cannot be found out by guessing."""

import sqlite3
from contextlib import closing
from hashlib import md5, sha1, sha256
from pathlib import Path

from tests.support.served_archive import Archive, served

ADDRESSES = (
    "/images/{}/preview.png", "/images/{}.dcm", "/images/{}.npy",
    "/images/{}/header.json",
)  # fmt: skip
OF_SERIES = ("/series/{}/volume.npy", "/series/{}/preview.png", "/series/{}/mosaic.png")


def tags(archive: Archive, known: dict[str, str]) -> dict[str, str]:
    """The tag of each answer; `known`: what a client says that it has."""
    found = {}
    for address in (*ADDRESSES, *OF_SERIES):
        uid = archive.series("slice0") if address in OF_SERIES else archive.uid("slice0")
        named = {"If-None-Match": known[address]} if address in known else {}
        answer = archive.get(address.format(uid), headers=named)
        assert answer.status_code == 200, address
        found[address] = answer.headers["etag"]
        digests = [kind(answer.content).hexdigest() for kind in (md5, sha1, sha256)]
        assert not any(found[address].strip('"') in digest for digest in digests)
    return found


def test_they_are_under_a_key_of_the_database(tmp_path: Path) -> None:
    with served(tmp_path) as archive:
        files = archive.files
        before = tags(archive, {})
        assert len(set(before.values())) == len(before)
    with served(tmp_path, make=lambda folder: files) as archive:
        assert tags(archive, {}) == before
    with closing(sqlite3.connect(tmp_path / "database.sqlite3")) as connection:
        connection.execute("UPDATE secret SET value = randomblob(32)")
        connection.commit()
    with served(tmp_path, make=lambda folder: files) as archive:
        after = tags(archive, before)
    assert not set(before.values()) & set(after.values())
