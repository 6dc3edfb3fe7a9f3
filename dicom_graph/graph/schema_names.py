"""What errors tell of the schema where introspection is turned off: no name that was not sent."""

import re

_SUGGESTION = re.compile(r"[.;]? did you mean .*", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r"(?<!\w)'([^']*)'|`([^`]*)`")
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_OF_ALL_SCHEMAS = frozenset({"Boolean", "Float", "ID", "Int", "String"})


def without_schema_names(message: str, sent: str) -> str:
    """An error's message without suggestions, and with dots for quoted names that are not in
    `sent`, the text that the client sent.
    """
    known = _OF_ALL_SCHEMAS.union(_NAME.findall(sent))

    def shown(match: re.Match[str]) -> str:
        is_known = known.issuperset(_NAME.findall(match[0]))
        return match[0] if is_known else f"{match[0][0]}…{match[0][0]}"

    return _QUOTED.sub(shown, _SUGGESTION.sub("", message))
