"""Regular expressions of RE2 as PostgreSQL writes them, so that both databases find the same.

Whether something matches is all that is asked: which of several matches makes no difference. What
PostgreSQL has no words for is refused on both.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_LAST = 0x10FFFF
_MAX_REPEATS = 255
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_FLAGS = re.compile(r"\(\?([a-zA-Z-]*)([):])")
_NAMED = re.compile(r"\(\?P?<\w+>")
_HEX = re.compile(r"x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))")
_OCTAL = re.compile(r"[0-7]{1,3}")
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}

Ranges = list[tuple[int, int]]

_DIGITS: Ranges = [(0x30, 0x39)]
_UPPER: Ranges = [(0x41, 0x5A)]
_LOWER: Ranges = [(0x61, 0x7A)]
_WORD: Ranges = [*_DIGITS, *_UPPER, (0x5F, 0x5F), *_LOWER]
_CLASSES: dict[str, Ranges] = {
    "alnum": [*_DIGITS, *_UPPER, *_LOWER], "alpha": [*_UPPER, *_LOWER], "ascii": [(0, 0x7F)],
    "blank": [(9, 9), (32, 32)], "cntrl": [(0, 31), (127, 127)], "digit": _DIGITS,
    "graph": [(33, 126)], "lower": _LOWER, "print": [(32, 126)],
    "punct": [(33, 47), (58, 64), (91, 96), (123, 126)], "space": [(9, 13), (32, 32)],
    "upper": _UPPER, "word": _WORD, "xdigit": [*_DIGITS, (0x41, 0x46), (0x61, 0x66)],
}  # fmt: skip
_PERL: dict[str, Ranges] = {"d": _DIGITS, "s": [(9, 10), (12, 13), (32, 32)], "w": _WORD}
"""Of ASCII alone, as RE2 has them."""


class NotInBoth(ValueError):
    """The message says what only one of the databases has."""


class Translated(NamedTuple):
    """An expression for PostgreSQL, and whether case makes no difference to it."""

    pattern: str
    ignores_case: bool


def for_postgresql(pattern: str) -> Translated:
    """What a pattern that RE2 takes is for PostgreSQL. Raises NotInBoth."""
    flags, start = "", 0
    while (found := _FLAGS.match(pattern, start)) and found[2] == ")":
        flags += found[1]
        start = found.end()
    if not set(flags) <= set("imsU"):
        raise NotInBoth(f"the flags {flags}: i, m, s and U there are")
    options = "i" * ("i" in flags) + "w" * ("m" in flags)
    body = "".join(_parts(pattern, start))
    return Translated((f"(?{options})" if options else "") + body, "i" in flags)


def _parts(text: str, at: int) -> Iterator[str]:
    while at < len(text):
        if text.startswith("\\Q", at):
            end = text.find("\\E", at)
            end = len(text) if end < 0 else end
            yield from map(_literal, text[at + 2 : end])
            at = end + 2
            continue
        part, at = _READERS.get(text[at], _character)(text, at)
        yield part


def _character(text: str, at: int) -> tuple[str, int]:
    return _literal(text[at]), at + 1


def _as_it_is(text: str, at: int) -> tuple[str, int]:
    return text[at], at + 1


def _anchor(text: str, at: int) -> tuple[str, int]:
    # PostgreSQL repeats no anchor, but for one in brackets.
    is_repeated = text[at + 1 : at + 2] in ("*", "+", "?", "{")
    return f"(?:{text[at]})" if is_repeated else text[at], at + 1


def _quantifier(text: str, at: int) -> tuple[str, int]:
    """Whether it takes as little or as much as it can makes no difference."""
    end = at + 1
    if text[at] == "{":
        found = _REPEAT.match(text, at)
        if found is None:
            return "\\{", end
        if any(int(number) > _MAX_REPEATS for number in found.groups() if number):
            raise NotInBoth(f"{found[0]}: {_MAX_REPEATS} repeats at most there are")
        end = found.end()
    quantifier = text[at:end]
    return quantifier, end + (text[end : end + 1] == "?")


def _group(text: str, at: int) -> tuple[str, int]:
    if not text.startswith("(?", at):
        return "(?:", at + 1
    if named := _NAMED.match(text, at):
        return "(?:", named.end()
    flags = _FLAGS.match(text, at)
    if flags is None or flags[0] != "(?:":
        raise NotInBoth("flags other than at its beginning: (?i)…")
    return "(?:", flags.end()


_IS_WORD = "[0-9A-Za-z_]"
_EDGE = f"(?<!{_IS_WORD})(?={_IS_WORD})|(?<={_IS_WORD})(?!{_IS_WORD})"
_NO_EDGE = f"(?<!{_IS_WORD})(?!{_IS_WORD})|(?<={_IS_WORD})(?={_IS_WORD})"
_PLACES = {
    "A": r"(?:\A)", "z": r"(?:\Z)", "b": f"(?:{_EDGE})", "B": f"(?:{_NO_EDGE})",
}  # fmt: skip


def _escape(text: str, at: int) -> tuple[str, int]:
    name = text[at + 1]
    if name in _PLACES:
        return _PLACES[name], at + 2
    ranges, end = _escaped(text, at)
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _literal(chr(ranges[0][0])), end
    return _bracket_of(ranges), end


def _escaped(text: str, at: int) -> tuple[Ranges, int]:
    """The characters that an escape stands for."""
    name = text[at + 1]
    if name.lower() in _PERL:
        ranges = _PERL[name.lower()]
        return ranges if name.islower() else _others(ranges), at + 2
    if name in "pPC":
        raise NotInBoth(f"\\{name}")
    if name in _CONTROLS:
        code, end = _CONTROLS[name], at + 2
    elif found := _HEX.match(text, at + 1):
        code, end = int(found[1] or found[2], 16), found.end()
    elif found := _OCTAL.match(text, at + 1):
        code, end = int(found[0], 8), found.end()
    else:
        code, end = ord(name), at + 2
    return [(code, code)], end


def _bracket(text: str, at: int) -> tuple[str, int]:
    at += 1
    is_negated = text[at] == "^"
    at += is_negated
    ranges: Ranges = []
    is_first = True
    while text[at] != "]" or is_first:
        is_first = False
        found, at = _member(text, at)
        if len(found) == 1 and text[at] == "-" and text[at + 1] != "]":
            (last,), at = _member(text, at + 1)
            found = [(found[0][0], last[1])]
        ranges += found
    return _bracket_of(ranges, is_negated), at + 1


def _member(text: str, at: int) -> tuple[Ranges, int]:
    if text.startswith("[:", at):
        end = text.index(":]", at)
        name = text[at + 2 : end]
        ranges = _CLASSES[name.removeprefix("^")]
        return _others(ranges) if name.startswith("^") else ranges, end + 2
    if text[at] == "\\":
        return _escaped(text, at)
    return [(ord(text[at]), ord(text[at]))], at + 1


def _others(ranges: Ranges) -> Ranges:
    """All characters that are in none of the ranges."""
    found, start = [], 0
    for first, last in sorted(ranges):
        if start < first:
            found.append((start, first - 1))
        start = max(start, last + 1)
    return [*found, (start, _LAST)] if start <= _LAST else found


def _bracket_of(ranges: Ranges, is_negated: bool = False) -> str:
    # Texts of PostgreSQL have no NUL.
    held = [(max(first, 1), last) for first, last in ranges if last]
    if not held:
        held, is_negated = [(1, _LAST)], not is_negated
    members = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in held)
    return f"[{'^' * is_negated}{members}]"


def _literal(character: str) -> str:
    if not character.isascii() or character.isalnum() or character in "_ ":
        return character
    return f"\\U{ord(character):08x}"


_READERS: dict[str, Callable[[str, int], tuple[str, int]]] = {
    "\\": _escape, "[": _bracket, "(": _group, "^": _anchor, "$": _anchor,
    **dict.fromkeys("*+?{", _quantifier), **dict.fromkeys(").|", _as_it_is),
}  # fmt: skip
