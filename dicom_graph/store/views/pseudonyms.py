"""Pseudonyms of what identifies somebody: UIDs as UUID-derived ones (2.25, PS3.5 B.2), and the
PatientID in the same form.

That of a row is its kind and id, encrypted: a Feistel network of 64 + 64 bits whose rounds are
HMAC-SHA256 with the database's secret. So the server can tell the row from it, at no price, and
nobody else can. What is of no row is replaced by a digest under the same secret.
"""

import hmac

_ROUNDS = 4
_HALF = 64
_ROOT = "2.25."
_KINDS = {"patient": 1, "study": 2, "series": 3, "image": 4}
KINDS = frozenset(_KINDS)
"""The entities that have a UID."""


class Pseudonyms:
    """The pseudonyms under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of_row(self, kind: str, id: int) -> str:
        """The pseudonym of an entity's row."""
        left, right = _KINDS[kind], id
        for number in range(_ROUNDS):
            left, right = right, left ^ self._round(number, right)
        return f"{_ROOT}{left << _HALF | right}"

    def row_of(self, kind: str, pseudonym: str) -> int | None:
        """The id of the row of that kind; None for what is no pseudonym of one."""
        digits = pseudonym.removeprefix(_ROOT)
        if digits == pseudonym or not digits.isascii() or not digits.isdigit() or len(digits) > 39:
            return None
        left, right = divmod(int(digits), 1 << _HALF)
        if left >> _HALF:
            return None
        for number in reversed(range(_ROUNDS)):
            left, right = right ^ self._round(number, left), left
        is_row = left == _KINDS[kind] and right < 1 << 63
        return right if is_row and digits == str(int(digits)) else None

    def of_text(self, text: str) -> str:
        """The pseudonym of a UID or PatientID that is of no row."""
        message = b"text" + text.encode("utf-8", "surrogatepass")
        return f"{_ROOT}{int.from_bytes(hmac.digest(self._secret, message, 'sha256')[:16], 'big')}"

    def _round(self, number: int, half: int) -> int:
        message = number.to_bytes(1, "big") + half.to_bytes(_HALF // 8, "big")
        return int.from_bytes(hmac.digest(self._secret, message, "sha256")[:8], "big")
