"""Users of every kind, with passwords, tokens and sessions, as tests need them."""

import datetime as dt
from typing import NamedTuple

from argon2 import PasswordHasher

from dicom_graph.access.secrets import digest_of, new_session, new_token
from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from dicom_graph.store.sql.types import utc_now

PASSWORD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Its hashes are verified at once: how hard they are is written in them."""
HOUR = dt.timedelta(hours=1)


class Person(NamedTuple):
    """A user and what it comes with."""

    name: str
    token: str
    token_id: int
    session: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"dicom_graph_session={self.session}"}


def add_person(
    database: Database,
    name: str,
    role: str = "VIEWER",
    *,
    limited: bool = False,
    deidentified: bool = False,
    deidentified_token: bool = False,
    token_role: str | None = None,
    lasts: dt.timedelta = HOUR,
) -> Person:
    """A user of a role, whose token and session last so long."""
    token, session = new_token(), new_session()
    with database.writer.begin() as connection:
        user_id = accounts.add_user(
            connection, name, role=role, password_hash=QUICK.hash(PASSWORD), limited=limited,
            deidentified=deidentified,
        )  # fmt: skip
        token_id = accounts.add_token(
            connection, name, digest_of(token), name="test", role=token_role or role,
            expires_at=utc_now() + lasts, deidentified=deidentified_token,
        )  # fmt: skip
        accounts.open_session(connection, user_id, digest_of(session), utc_now() + lasts)
    return Person(name, token, token_id, session)
