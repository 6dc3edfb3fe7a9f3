"""Words of descriptions that may stand in a label: they name nobody, and are no date."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

_WORD = re.compile(r"[^\W_]+")
_MONTH = "(?:jan|feb|mar|m[äa]e?r|mrz|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[^\\W\\d_]*"
_DATES = re.compile(
    r"(?<!\d)(?:\d{4}([-./_ ])\d{1,2}\1\d{1,2}|\d{1,2}([-./_ ])\d{1,2}\2(?:\d{4}|\d{2}))(?!\d)"
    rf"|(?<!\d)\d{{1,2}}[-./_ ]*{_MONTH}[-./_ ]*\d{{2,4}}(?!\d)"
    rf"|{_MONTH}[-./_ ]*\d{{1,2}}[-./_, ]+\d{{4}}(?!\d)"
    r"|\d{6,}|(?<!\d)(?:19|20)\d\d(?!\d)",
    re.IGNORECASE,
)
"""Also years alone, and long numbers, which may be dates, times or identifiers."""
_DIGRAPHS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "ß": "ss"})
_NUMBER = re.compile(r"\d{3,}")


def plain(text: str) -> str:
    """The text without accents."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))


def harmless_words(text: str, names: Sequence[str]) -> list[str]:
    """The words of a text, without accents, that have nothing of `names` (of `name_parts`) and of
    dates.
    """
    kept = _WORD.sub(lambda found: " " if _may_name(found[0], names) else found[0], text)
    return [plain(word) for word in _WORD.findall(_DATES.sub(" ", kept))]


def _may_name(word: str, names: Sequence[str]) -> bool:
    spellings = set(_spellings(word))
    return any(
        name in spelled if len(name) > 2 else name == spelled
        for name in names
        for spelled in spellings
    )


def name_parts(*texts: str | None) -> tuple[str, ...]:
    """The words of names and identifiers, however they are spelled, to be kept out of labels."""
    words = {word for text in texts if text for word in _WORD.findall(text)}
    found = {spelled for word in words for spelled in _spellings(word)}
    found |= {number.lstrip("0") for word in words for number in _NUMBER.findall(word)}
    return tuple(sorted(part for part in found if len(part) > 1))


def _spellings(word: str) -> Iterator[str]:
    folded = unicodedata.normalize("NFC", word).casefold()
    yield folded
    yield plain(folded)
    yield plain(word.lower().translate(_DIGRAPHS))
