"""What was once found by attacking this server, and the attacks that try its kind since."""

from collections.abc import Collection
from typing import NamedTuple

from tests.attacks.caches import REMEMBERED
from tests.attacks.databases import FILE_DAMAGES, LOCKS, STATEMENTS
from tests.attacks.files import LINKS, SWAPS
from tests.attacks.hanging import THINGS
from tests.attacks.heads import ENDLESS
from tests.attacks.huge_elements import KINDS
from tests.attacks.names import WRONG_DOCUMENTS
from tests.attacks.proxies import HOPS
from tests.attacks.texts import ESCAPED, HEADERS, NUMBERS, ODD
from tests.attacks.uploads import FORMS
from tests.attacks.work import WORK
from tests.dicom.hostile import AGREES, DIFFERS
from tests.dicom.test_stripped_frames import STREAMS


class Point(NamedTuple):
    """A kind. `attacks`: by name; `cases`: what these try of it; `found`: those of them that it was
    found by.
    """

    attacks: tuple[str, ...]
    cases: Collection[str]
    found: frozenset[str] = frozenset()

    @property
    def others(self) -> set[str]:
        """Cases of the kind that are not the one it was found by."""
        return set(self.cases) - self.found


POINTS: dict[str, Point] = {
    "another patient's file": Point(
        ("other-files", "contradicting-files"), [each.__name__ for each in SWAPS],
        frozenset({"_gone"}),
    ),
    "a head without an end": Point(
        ("endless-heads", "heads-under-the-limit"), ENDLESS, frozenset({"fields"})
    ),
    "a decoder that one file blinds": Point(
        ("decoder-sizes", "decoder-claims"), [*DIFFERS, *AGREES], frozenset({"jpeg-lossless"})
    ),
    "work that no limit counts": Point(
        ("work", "everything-at-once"), WORK,
        frozenset({"tables of headers", "conditions without end", "fragments"}),
    ),
    "what is remembered": Point(("remembered",), REMEMBERED, frozenset({"long documents"})),
    "the de-identified view": Point(("no-identities",), STREAMS),
    "out of the import roots": Point(("out-of-roots",), LINKS, frozenset({"file", "folder"})),
    "pipes and devices": Point(
        ("swapped-files", "stuck-mount"), THINGS, frozenset({"pipe", "kmsg"})
    ),
    "proxy headers": Point(("forged-hops",), HOPS, frozenset({"two lines"})),
    "who writes to disk": Point(("unwanted-uploads",), FORMS, frozenset({"a query"})),
    "files that others may read": Point(
        ("readable-files",), ["database", "-wal", "-shm", "stored files", "their folders"],
        frozenset({"database"}),
    ),
    "texts that no database holds": Point(
        ("odd-texts",), [*ODD, *ESCAPED, *NUMBERS, *HEADERS], frozenset({"NUL"})
    ),
    "ready where questions fail": Point(
        ("unreadable-database",), {*FILE_DAMAGES, *LOCKS, *STATEMENTS}, frozenset({"truncated"})
    ),
    "suggestions": Point(("suggested-names",), WRONG_DOCUMENTS),
    "huge elements": Point(
        ("huge-elements", "deflate-bombs", "gzip-bombs"), KINDS, frozenset({"implicit, text"})
    ),
    "before a login": Point(
        ("slow-logins", "silent-websockets", "silent-sockets", "guessed-passwords",
         "strangers-at-once"),
        ["guessed passwords", "slow logins", "silent WebSockets", "silent sockets", "all at once",
         "heads without an end"],
        frozenset({"slow logins", "silent WebSockets", "silent sockets"}),
    ),
    "signals, sockets and users that are gone": Point(
        ("hangup", "hangup-of-all", "nohup", "websocket-operations", "websocket-floods",
         "emptied-database"),
        ["one process", "two processes", "told twice", "ignored", "operations", "floods",
         "emptied"],
        frozenset({"one process"}),
    ),
}  # fmt: skip
"""In the order of the report."""
