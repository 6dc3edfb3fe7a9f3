"""Text with escape sequences of ISO 2022, as DICOM uses them (PS3.5 6.1.2.5, PS3.3 C.12.1.1.2)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

UNKNOWN_ESCAPE = "an escape sequence that is unknown: dropped"
_ESCAPE = re.compile(rb"\x1b(?:[\x20-\x2f]+[\x30-\x7e]?)?")
_TOKENS = re.compile(rb"(\x1b(?:[\x20-\x2f]+[\x30-\x7e]?)?)|([\x80-\xff]+)|([\x00-\x1a\x1c-\x7f]+)")
_WORDS = re.compile(rb"[\x21-\x7e]+|[^\x21-\x7e]+")
_CONTROLS_1 = re.compile("[\x80-\x9f]")
_NOT_KANA = re.compile(rb"[\x80-\xa0\xe0-\xff]")
_TO_RIGHT = bytes(byte + 0x80 if 0x21 <= byte < 0x60 else byte for byte in range(256))


class _Set(NamedTuple):
    """A set of graphic characters: a codec, and what that needs before the bytes.

    `announced`: the codecs of (0008,0005) with which its escape sequence is allowed. `pairs`:
    whether two bytes make a character. `is_left`: katakana in bytes below 128.
    """

    codec: str
    announced: frozenset[str] = frozenset()
    prefix: bytes = b""
    pairs: bool = False
    is_left: bool = False


def _right(codec: str) -> _Set:
    return _Set(codec, frozenset({codec}))


_KANA = frozenset({"shift_jis"})
_ASCII = _Set("ascii")
_LEFT = {
    b"(B": _ASCII,
    b"(J": _Set("ascii", _KANA),
    b"(I": _Set("shift_jis", is_left=True),
    b"$@": _Set("iso2022_jp", prefix=b"\x1b$@", pairs=True),
    b"$B": _Set("iso2022_jp", frozenset({"iso2022_jp"}), b"\x1b$B", pairs=True),
    b"$(B": _Set("iso2022_jp", prefix=b"\x1b$B", pairs=True),
    b"$(D": _Set("iso2022_jp_2", frozenset({"iso2022_jp_2"}), b"\x1b$(D", pairs=True),
    b"$(C": _Set("iso2022_jp_2", prefix=b"\x1b$(C", pairs=True),
    b"$A": _Set("iso2022_jp_2", prefix=b"\x1b$A", pairs=True),
    b"$(A": _Set("iso2022_jp_2", prefix=b"\x1b$A", pairs=True),
}
"""What is designated as G0, for bytes below 128; some are not DICOM's, but met in its files."""
_RIGHT = {
    b"-A": _right("latin_1"),
    b"-B": _right("iso8859_2"),
    b"-C": _right("iso8859_3"),
    b"-D": _right("iso8859_4"),
    b"-F": _right("iso_ir_126"),
    b"-G": _right("iso_ir_127"),
    b"-H": _right("iso_ir_138"),
    b"-L": _right("iso_ir_144"),
    b"-M": _right("iso_ir_148"),
    b"-T": _right("iso_ir_166"),
    b"-b": _right("iso8859_15"),
    b")I": _Set("shift_jis", _KANA),
    b"$)C": _Set("euc_kr", frozenset({"euc_kr"}), pairs=True),
    b"$)A": _Set("gb2312", frozenset({"iso_ir_58", "GB2312"}), pairs=True),
}
"""What is designated as G1, for bytes from 128."""
_RIGHT_OF = {codec: each for each in _RIGHT.values() for codec in each.announced}


def read_iso2022(
    raw: bytes, encodings: Sequence[str], delimiters: bytes
) -> tuple[str, str | None, bool]:
    """The text, what is odd about it, and whether some bytes are in no set: these are replaced.

    `encodings`: the codecs of (0008,0005). After each of the `delimiters` its first value is in
    force again.
    """
    reader = _Reader(encodings, delimiters)
    for escape, right, left in _TOKENS.findall(raw):
        if escape:
            reader.switch(escape)
        elif right:
            reader.read_right(right)
        else:
            reader.read_left(left)
    return "".join(reader.text), reader.problem, reader.is_outside


def without_escapes(raw: bytes) -> bytes:
    """The bytes without escape sequences; of an escape character alone the rest is kept."""
    return _ESCAPE.sub(b"", raw)


class _Reader:
    """`left` and `right`: the sets in force for bytes below 128, and from there."""

    def __init__(self, encodings: Sequence[str], delimiters: bytes) -> None:
        self.text: list[str] = []
        self.problem: str | None = None
        self.is_outside = False
        self._encodings = encodings
        self._delimiters = re.compile(b"[" + re.escape(delimiters) + b"]")
        self._left = _ASCII
        self._first = self._right = _RIGHT_OF.get(encodings[0])
        self._before: _Set | None = None

    def switch(self, escape: bytes) -> None:
        """Put the set in force that an escape sequence announces."""
        code = escape[1:]
        if code in _LEFT:
            found = self._left = _LEFT[code]
        elif code in _RIGHT:
            found = self._right = self._before = _RIGHT[code]
        else:
            self._note(UNKNOWN_ESCAPE)
            return
        if found is not _ASCII and found.announced.isdisjoint(self._encodings):
            self._note("an escape sequence of a character set that is not declared")

    def read_left(self, raw: bytes) -> None:
        """Read bytes below 128."""
        if self._left.pairs:
            raw = self._read_pairs(raw)
        delimiter = self._delimiters.search(raw)
        end = delimiter.start() if delimiter is not None else len(raw)
        self.text.append(self._decode(raw[:end], self._left))
        if delimiter is not None:
            self._left, self._right = _ASCII, self._first
            self.text.append(raw[end:].decode("ascii"))

    def _read_pairs(self, raw: bytes) -> bytes:
        """Read characters of two bytes, up to a delimiter; returns the bytes from there."""
        end = 0
        for word in _WORDS.findall(raw):
            if word[0] not in range(0x21, 0x7F):
                if self._delimiters.search(word):
                    break
                self.text.append(word.decode("ascii"))
            elif (text := _strictly(word, self._left)) is not None:
                self.text.append(text)
            else:
                end += self._read_broken_pairs(word)
                break
            end += len(word)
        else:
            return b""
        if self._delimiters.search(raw, end):
            self._left = _ASCII
        return raw[end:]

    def _read_broken_pairs(self, word: bytes) -> int:
        """Read up to a delimiter, which is no half of a character where that makes no sense."""
        for match in self._delimiters.finditer(word):
            text = _strictly(word[: match.start()], self._left)
            if text is not None:
                self.text.append(text)
                self._note("a delimiter without an escape sequence before it")
                return match.start()
        self.text.append(self._decode(word, self._left))
        return len(word)

    def read_right(self, raw: bytes) -> None:
        """Read bytes from 128."""
        found = self._right
        if found is None and self._before is not None:
            # Many writers take a delimiter for no end of what they announced.
            found = self._before
            self._note("no escape sequence after a delimiter: the one before it is in force")
        if found is None:
            self.is_outside = True
            self.text.append("\ufffd" * len(raw))
        else:
            self.text.append(self._decode(raw, found))

    def _decode(self, raw: bytes, found: _Set) -> str:
        text = _strictly(raw, found)
        if text is not None:
            return text
        self.is_outside = True
        return _without_controls((found.prefix + raw).decode(found.codec, "replace"))

    def _note(self, problem: str) -> None:
        self.problem = self.problem or problem


def _strictly(raw: bytes, found: _Set) -> str | None:
    """The text; None where a byte is none of the set's."""
    if found.pairs and len(raw) % 2:
        return None
    if found.codec == "shift_jis":
        raw = raw.translate(_TO_RIGHT) if found.is_left else raw
        # The codec has more characters: pairs that begin with bytes outside the set.
        if _NOT_KANA.search(raw):
            return None
    try:
        text = (found.prefix + raw).decode(found.codec)
    except UnicodeDecodeError:
        return None
    return text if _without_controls(text) == text else None


def _without_controls(text: str) -> str:
    """The text with the controls of C1, which no character set of DICOM has, replaced."""
    return _CONTROLS_1.sub("\ufffd", text)
