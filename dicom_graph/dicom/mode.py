"""How much of a header is kept."""

from enum import IntEnum


class Mode(IntEnum):
    """How much of a header is kept; a greater mode holds all of a lesser one."""

    MINIMAL = 0
    NORMAL = 1
    FULL = 2
