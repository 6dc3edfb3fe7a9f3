"""Passwords and the secrets of tokens and sessions."""

import hashlib
import hmac
import os
import secrets
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dicom_graph.store.accounts import AccountError

MIN_PASSWORD, MAX_PASSWORD = 10, 1000
TOKEN_PREFIX = "dgt_"  # so that scanners of repositories know a leaked one
_HASHER = PasswordHasher()
_KEPT = 1000


def check_password(password: str) -> None:
    """Raises AccountError for one that is too short or too long."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise AccountError(
            f"the password has {len(password)} characters; it needs {MIN_PASSWORD} to "
            f"{MAX_PASSWORD}"
        )


def hash_password(password: str) -> str:
    """The argon2id hash, with its parameters and salt. Raises AccountError."""
    check_password(password)
    return _HASHER.hash(password)


@cache
def _hash_of_nobody() -> str:
    return _HASHER.hash(secrets.token_hex())


class PasswordChecker:
    """Verifies passwords; remembers by a keyed digest which ones it found right.

    A verification takes 50 ms and 64 MiB on purpose, too much for each request of HTTP Basic. The
    key lives in this process only; a changed hash makes what is remembered worthless.
    """

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._right: dict[bytes, None] = {}
        self._lock = threading.Lock()

    def is_known(self, password_hash: str | None, password: str) -> bool:
        """Whether this password was found right for this hash before; takes no time."""
        return password_hash is not None and self._digest(password_hash, password) in self._right

    def is_right(self, password_hash: str | None, password: str) -> bool:
        """Verify; slow. Takes the same time where there is no hash to compare with."""
        try:
            _HASHER.verify(password_hash or _hash_of_nobody(), password)
        except (VerificationError, InvalidHashError, UnicodeError):
            return False
        if password_hash is None:
            return False
        with self._lock:
            while len(self._right) >= _KEPT:
                del self._right[next(iter(self._right))]
            self._right[self._digest(password_hash, password)] = None
        return True

    def _digest(self, password_hash: str, password: str) -> bytes:
        message = f"{password_hash}\x00{password}".encode(errors="surrogatepass")
        return hmac.digest(self._key, message, "sha256")


def new_token() -> str:
    """The text of a new bearer token, 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def new_session() -> str:
    """The text of a new session cookie, 256 random bits."""
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    """What is stored of a token or session: a fast hash does, as it has nothing to guess."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
