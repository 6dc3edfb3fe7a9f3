"""What a client takes an answer as, by its Accept header (RFC 9110 12.5.1)."""

_EVENTS = "text/event-stream"
_JSON = ("application/json", "application/graphql-response+json", "application/graphql+json")


def prefers_events(accept: str) -> bool:
    """Whether a client wants server-sent events rather than JSON.

    Clients such as urql name all that they can read, JSON first: they are given JSON, also where
    they take both as gladly.
    """
    if _EVENTS not in accept.lower():
        return False
    wanted: dict[bool, float] = {}
    for part in accept.lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        if media_type in (_EVENTS, *_JSON):
            is_event = media_type == _EVENTS
            wanted[is_event] = max(wanted.get(is_event, 0.0), _weight(parameters))
    if True not in wanted or not wanted[True]:
        return False
    others = wanted.get(False, 0.0)
    return wanted[True] > others or (wanted[True] == others and next(iter(wanted)))


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
