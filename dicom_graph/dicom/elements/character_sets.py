"""Specific Character Set (0008,0005), and text from bytes (PS3.5 6.1, PS3.3 C.12.1.1.2).

Python's codecs hold the tables. What breaks the rules is read as what it most likely is, and said.
"""

import codecs
import re
from collections.abc import Sequence
from functools import cache

from pydicom.charset import default_encoding, python_encoding

from dicom_graph.dicom.elements.iso2022 import UNKNOWN_ESCAPE, read_iso2022, without_escapes

_LATIN_9 = {"ISO_IR 203": "iso8859_15", "ISO 2022 IR 203": "iso8859_15"}
_CODECS = python_encoding | _LATIN_9
_STAND_ALONE = frozenset({"UTF8", "GB18030", "GBK"})
_UNKNOWN = "?"
_PUNCTUATION = re.compile(r"[^A-Z0-9]")
_PLAIN = (rb"\x41", bytes(range(0x20, 0x7F)))
_C1 = re.compile(rb"[\x80-\x9f]")


def resolve_character_set(names: Sequence[str]) -> tuple[list[str], str | None]:
    """The Python codecs of the values of (0008,0005), and what is odd about them.

    A name that nothing knows stays in the list, marked, so that texts are read by what they hold.
    """
    codecs_of = [_codec(name) for name in names] or [default_encoding]
    problems = [
        f"the character set {name!r} is unknown"
        if codec.startswith(_UNKNOWN)
        else f"the character set {name!r} is read as {_term(codec)}"
        for name, codec in zip(names, codecs_of, strict=False)
        if name not in _CODECS
    ]
    alone = [codec for codec in codecs_of if codec in _STAND_ALONE]
    if len(codecs_of) > 1 and alone:
        # PS3.3 C.12.1.1.2: these allow no code extensions.
        is_first = codecs_of[0] in _STAND_ALONE
        codecs_of = alone[:1] if is_first else [c for c in codecs_of if c not in _STAND_ALONE]
        problems.append(f"{_term(alone[0])} stands alone: other character sets beside it")
    return codecs_of, "; ".join(problems) or None


@cache
def _codec(name: str) -> str:
    known = _CODECS.get(name)
    if known is None:
        known = _by_letters().get(_PUNCTUATION.sub("", name.upper()))
    if known is None:
        known = name if _is_codec(name) else _UNKNOWN + name
    return known


@cache
def _by_letters() -> dict[str, str]:
    """Codecs by names without punctuation: `ISO-IR 100` is met, and `iso_ir_100`."""
    return {_PUNCTUATION.sub("", name): codec for name, codec in _CODECS.items() if name}


def _is_codec(name: str) -> bool:
    """Whether it names one of Python's codecs under which ASCII means itself."""
    try:
        decode = codecs.lookup(name).decode
        return all(decode(plain)[0] == plain.decode("ascii") for plain in _PLAIN)
    except Exception:
        # Of what can be looked up, some are no character sets, and raise what they like.
        return False


@cache
def _term(codec: str) -> str:
    """The defined term of a codec, for a message."""
    terms = [name for name, known in _CODECS.items() if known == codec and name]
    if codec == default_encoding:
        return "the default repertoire (ISO_IR 6)"
    return min(terms, key=len) if terms else codec.removeprefix(_UNKNOWN)


def decode_text(
    raw: bytes, encodings: Sequence[str], *, is_name: bool = False, is_single: bool = False
) -> tuple[str, str | None]:
    """The text of bytes, and what had to be assumed or dropped; never with an escape character.

    `is_name`: of VR PN, where ^ and = end what an escape sequence has announced. `is_single`: of a
    VR in which a backslash is a character.
    """
    first = encodings[0]
    if first in _STAND_ALONE or not _extends(first):
        return _decode_alone(raw, first)
    delimiters = b"\t\n\f\r" + b"^=" * is_name + b"\\" * (not is_single)
    text, problem, is_outside = read_iso2022(raw, encodings, delimiters)
    if not is_outside:
        return text, problem
    kept = without_escapes(raw)
    if len(kept) < len(raw) and problem != UNKNOWN_ESCAPE:
        return text, f"bytes that are not in the character set {_terms(encodings)}: replaced"
    text, warning = _decode_outside(kept, encodings, text)
    return text, f"{problem}; {warning}" if problem else warning


@cache
def _extends(codec: str) -> bool:
    """Whether escape sequences may follow: not in a codec that is none of DICOM's."""
    return codec.startswith(_UNKNOWN) or codec in _CODECS.values()


def _terms(encodings: Sequence[str]) -> str:
    return ", ".join(map(_term, encodings))


def _decode_alone(raw: bytes, codec: str) -> tuple[str, str | None]:
    """By a character set that knows no escape sequences."""
    kept, problem = raw, None
    if b"\x1b" in raw:
        kept, problem = without_escapes(raw), f"escape sequences in {_term(codec)}: dropped"
    text = _strictly(kept, codec)
    if text is not None:
        return text, problem
    text = kept.decode(codec, "replace")
    if codec == "UTF8" and not re.search("[^\x00-\x7f\ufffd]", text):
        return _as_western(kept, f"bytes that are not {_term(codec)}")
    if codec != "UTF8" and (other := _as_utf8(kept)) is not None:
        return other, f"bytes that are not in the character set {_term(codec)}: read as UTF-8"
    return text, f"bytes that are not in the character set {_term(codec)}: replaced"


def _decode_outside(raw: bytes, encodings: Sequence[str], text: str) -> tuple[str, str]:
    """Bytes that the character set does not have: as UTF-8 if they are, else by the region.

    `text` is what the character set gives, with the rest replaced.
    """
    first = encodings[0]
    if first.startswith(_UNKNOWN):
        reason = f"the character set {_term(first)} is unknown"
    else:
        reason = f"bytes outside {_terms(encodings)}"
    utf_8 = _as_utf8(raw)
    if utf_8 is not None:
        return utf_8, f"{reason}: read as UTF-8"
    for codec, name, usual in _REGIONAL:
        if not usual.isdisjoint(encodings) and (other := _strictly(raw, codec)) is not None:
            return other, f"{reason}: read as {name}"
    if first.startswith(_UNKNOWN) or first in (default_encoding, "latin_1"):
        return _as_western(raw, reason)
    return text, f"{reason}: replaced"


_REGIONAL = (
    ("cp932", "Shift_JIS", frozenset({"shift_jis", "iso2022_jp", "iso2022_jp_2"})),
    ("euc_jp", "EUC-JP", frozenset({"shift_jis", "iso2022_jp", "iso2022_jp_2"})),
    ("cp949", "EUC-KR with the extensions of code page 949", frozenset({"euc_kr"})),
    ("gb18030", "GB18030", frozenset({"iso_ir_58", "GB2312"})),
)
"""What is met where only an ISO 2022 character set of the region was declared."""


def _as_western(raw: bytes, reason: str) -> tuple[str, str]:
    """ISO 8859-1, or Windows-1252, which has characters where that has control codes."""
    if _C1.search(raw) is None:
        return raw.decode("latin-1"), f"{reason}: read as ISO 8859-1"
    return raw.decode("cp1252", "replace"), f"{reason}: read as Windows-1252"


def _as_utf8(raw: bytes) -> str | None:
    """The text of UTF-8, also where a writer cut it within the last character."""
    stripped = raw.rstrip(b" \x00")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end < len(stripped) or raw[: error.start].isascii():
            return None
        return raw[: error.start].decode("utf-8") + "\ufffd" + raw[len(stripped) :].decode("ascii")


def _strictly(raw: bytes, codec: str) -> str | None:
    try:
        return raw.decode(codec)
    except Exception:
        # Any of Python's codecs can be named as a character set, and some raise what they like.
        return None
