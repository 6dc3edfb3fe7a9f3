"""Attributes of a frame: its own, those all frames share, or the image's (PS3.3 C.7.6.16)."""

from typing import Any

from pydicom.dataset import Dataset

from dicom_graph.dicom.frame_elements import PER_FRAME, SHARED

FUNCTIONAL_GROUP_TAGS = frozenset({SHARED, PER_FRAME})
"""SharedFunctionalGroupsSequence and PerFrameFunctionalGroupsSequence."""


class FunctionalGroups:
    """The functional groups of an image; an image without any has none for any frame."""

    def __init__(self, header: Dataset) -> None:
        shared = header.get("SharedFunctionalGroupsSequence")
        self._shared = shared[0] if shared else None
        self._per_frame = header.get("PerFrameFunctionalGroupsSequence") or ()

    @property
    def n_frames(self) -> int:
        """How many frames have groups of their own."""
        return len(self._per_frame)

    def item(self, frame: int, keyword: str) -> Dataset | None:
        """The first item of the group for a frame, or of the shared one, or None."""
        if frame < len(self._per_frame):
            own = _first_item(self._per_frame[frame], keyword)
            if own is not None:
                return own
        return None if self._shared is None else _first_item(self._shared, keyword)

    def differs(self, keyword: str) -> bool:
        """Whether any frame has this group for itself."""
        return any(keyword in item for item in self._per_frame)

    def value(self, frame: int, group: str, keyword: str) -> Any:
        """The value of an element of the group for a frame, or None."""
        item = self.item(frame, group)
        return None if item is None else readable(item, keyword)


def readable(data_set: Dataset, keyword: str) -> Any:
    """The value of an element; None where there is none, or pydicom cannot decode it."""
    try:
        return data_set.get(keyword)
    except Exception:
        # It raises what it likes.
        return None


def _first_item(data_set: Dataset, keyword: str) -> Dataset | None:
    sequence = data_set.get(keyword)
    return sequence[0] if sequence else None
