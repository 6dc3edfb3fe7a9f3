"""From credentials to a principal."""

import asyncio
import datetime as dt
import hmac
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from dicom_graph.access.addresses import shared_by
from dicom_graph.access.principal import (
    EVERYONE,
    Principal,
    Role,
    Ungrouped,
    principal_of,
    principal_of_token,
)
from dicom_graph.access.secrets import PasswordChecker, digest_of, new_session
from dicom_graph.access.throttle import Throttle
from dicom_graph.store import accounts, former_users
from dicom_graph.store.engine import Database
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.storable import is_storable

K = TypeVar("K")
T = TypeVar("T")
_FAILURES_OF_ADDRESS, _FAILURES_OF_NAME = 30, 5
_LOOK_AGAIN = 1.0
_VERIFYING_AT_ONCE = 2
_REMEMBERED = 10_000
_MAX_NAME = 256
"""Characters of a name that a proxy vouches for: it is kept as long as its user is remembered."""


@dataclass(frozen=True, slots=True)
class Basic:
    """A name and a password, from an address."""

    name: str
    password: str
    address: str


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token."""

    text: str


@dataclass(frozen=True, slots=True)
class Cookie:
    """A session."""

    text: str


@dataclass(frozen=True, slots=True)
class Proxied:
    """A name that a trusted proxy vouches for."""

    name: str


Credentials = Basic | Bearer | Cookie | Proxied


class Authenticator:
    """Tells who somebody is. With `proxy_role`, names that a proxy vouches for need no user."""

    def __init__(
        self,
        database: Database,
        *,
        has_proxy: bool = False,
        proxy_role: Role | None = None,
        session_hours: float = 12,
        always: bool = False,
        ungrouped: Ungrouped = Ungrouped.AUTO,
    ) -> None:
        """`always`: names are asked for even where there is neither a user nor a proxy.
        `ungrouped`: what viewers see who are in no group.
        """
        self._database = database
        self._has_proxy = has_proxy
        self._always = always
        self._ungrouped = ungrouped
        self._proxy_role = proxy_role
        self._session_time = dt.timedelta(hours=session_hours)
        self._passwords = PasswordChecker()
        self._addresses = Throttle(_FAILURES_OF_ADDRESS)
        self._names = Throttle(_FAILURES_OF_NAME)
        self._verifying = asyncio.Semaphore(_VERIFYING_AT_ONCE)
        self._recent: dict[bytes, tuple[float, Principal | None]] = {}
        self._key = os.urandom(32)
        self._has_users = False
        self._looked_at = -_LOOK_AGAIN

    async def is_required(self) -> bool:
        """Whether names are asked for: as soon as there is a user, or a proxy to tell them.

        A first user is noticed within a second. From then on names are asked for, whatever becomes
        of the database.
        """
        if self._has_proxy or self._always or self._has_users:
            return True
        if time.monotonic() - self._looked_at >= _LOOK_AGAIN:
            async with self._database.read() as connection:
                self._has_users = await connection.run_sync(accounts.has_users)
            if self._has_users:
                await asyncio.to_thread(former_users.mark, self._database)
            else:
                self._has_users = await asyncio.to_thread(former_users.is_marked, self._database)
            self._looked_at = time.monotonic()
        return self._has_users

    async def principal(self, credentials: Credentials | None) -> Principal | None:
        """Who has these credentials; None where they are not good. Raises TooManyFailures.

        What was good is not asked of the database again for a second.
        """
        if credentials is None:
            return None if await self.is_required() else EVERYONE
        key = self._key_of(credentials)
        until, principal = self._recent.get(key, (0.0, None))
        if until > time.monotonic():
            return principal
        principal = await self._find(credentials)
        self._recent.pop(key, None)
        if principal is not None:
            if not self._has_users:
                self._looked_at = -_LOOK_AGAIN  # Somebody has a name: there is a user.
            while len(self._recent) >= _REMEMBERED:
                del self._recent[next(iter(self._recent))]
            self._recent[key] = (time.monotonic() + _LOOK_AGAIN, principal)
        return principal

    async def _find(self, credentials: Credentials) -> Principal | None:
        match credentials:
            case Basic():
                return await self._by_password(credentials)
            case Bearer(text):
                token = await self._read(accounts.user_by_token, digest_of(text))
                return principal_of_token(token, self._ungrouped) if token else None
            case Cookie(text):
                user = await self._read(accounts.user_by_session, digest_of(text))
                return principal_of(user, self._ungrouped) if user else None
            case Proxied(name):
                return await self._by_proxy(name)

    async def log_in(self, given: Basic) -> str | None:
        """Open a session; returns its cookie, or None for a wrong name or password.

        Raises TooManyFailures.
        """
        principal = await self._by_password(given)
        if principal is None or principal.user_id is None:
            return None
        cookie = new_session()
        expires_at = utc_now() + self._session_time
        await asyncio.to_thread(self._open_session, principal.user_id, cookie, expires_at)
        return cookie

    async def log_out(self, cookie: str) -> None:
        """End a session, if it is one."""
        self._recent.pop(self._key_of(Cookie(cookie)), None)
        await asyncio.to_thread(self._close_session, cookie)

    def _key_of(self, credentials: Credentials) -> bytes:
        """What credentials are remembered by: no password or token lies in memory for it."""
        return hmac.digest(self._key, repr(credentials).encode(), "sha256")

    async def _by_password(self, given: Basic) -> Principal | None:
        user = await self._user(given.name)
        stored = user.password_hash if user is not None and not user.disabled else None
        if user is not None and self._passwords.is_known(stored, given.password):
            return principal_of(user, self._ungrouped)
        client = shared_by(given.address)
        both = (client, given.name)
        async with self._verifying:
            self._addresses.check(client)
            self._names.check(both)
            right = await asyncio.to_thread(self._passwords.is_right, stored, given.password)
            if right and user is not None:
                self._names.succeeded(both)
                return principal_of(user, self._ungrouped)
            self._addresses.failed(client)
            self._names.failed(both)
        return None

    async def _by_proxy(self, name: str) -> Principal | None:
        if len(name) > _MAX_NAME:
            return None
        user = await self._user(name)
        if user is not None:
            return None if user.disabled else principal_of(user, self._ungrouped)
        if self._proxy_role is None or not is_storable(name):
            return None
        has_groups = await self._ask(accounts.has_groups)
        is_hidden = self._ungrouped.hides(self._proxy_role, has_groups=has_groups)
        return Principal(name, self._proxy_role, () if is_hidden else None)

    async def _user(self, name: str) -> accounts.UserRow | None:
        """The user of a name, which may be any text."""
        return await self._read(accounts.user_by_name, name) if is_storable(name) else None

    async def _read(self, question: Callable[[Connection, K], T], key: K) -> T:
        return await self._ask(lambda connection: question(connection, key))

    async def _ask(self, question: Callable[[Connection], T]) -> T:
        async with self._database.read() as connection:
            return await connection.run_sync(question)

    def _open_session(self, user_id: int, cookie: str, expires_at: dt.datetime) -> None:
        with self._database.writer.begin() as connection:
            accounts.open_session(connection, user_id, digest_of(cookie), expires_at)

    def _close_session(self, cookie: str) -> None:
        with self._database.writer.begin() as connection:
            accounts.close_session(connection, digest_of(cookie))
