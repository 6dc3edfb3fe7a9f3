"""Memory for what clients are sending, all of them together."""

_FREE = 8192


class IncomingMemory:
    """So many bytes of heads, bodies and messages that have begun to come in."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def share(self) -> "IncomingShare":
        """The part of one connection or request, nothing at first."""
        return IncomingShare(self)

    def take(self, n_bytes: int) -> bool:
        """Whether so many more are there; a negative number gives back."""
        if n_bytes > self._left:
            return False
        self._left -= n_bytes
        return True


class IncomingShare:
    """What one connection or request holds. The first 8 kB are not counted: what is small always
    comes in, however much others send.
    """

    __slots__ = ("_incoming", "_taken")

    def __init__(self, incoming: IncomingMemory) -> None:
        self._incoming = incoming
        self._taken = 0

    def hold(self, n_bytes: int) -> bool:
        """Hold so many in all from now on; False, and as before, where there are no more."""
        wanted = max(0, n_bytes - _FREE)
        if wanted > self._taken and not self._incoming.take(wanted - self._taken):
            return False
        if wanted < self._taken:
            self._incoming.take(wanted - self._taken)
        self._taken = wanted
        return True
