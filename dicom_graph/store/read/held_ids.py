"""Which elements many headers hold, by numbers alone: their own, and those of shared sets."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_graph.store.sql.id_list import unpack_each

NO_ID = 0
"""In the place of the id of an element that there is not."""


class HeldIds:
    """The ids of the elements of headers; `sets`: the packed members of theirs, by the set's id."""

    def __init__(self, headers: Sequence[Any], sets: Mapping[int | None, bytes]) -> None:
        self._own = _Lists(*unpack_each([header.own for header in headers]))
        self._sets = _Lists(*unpack_each(list(sets.values())))
        places = {id: place for place, id in enumerate(sets)}
        self._set_of = np.array([places[header.shared_set_id] for header in headers], np.int64)
        self.ids = np.unique(np.concatenate((self._own.ids, self._sets.ids)))
        """All of them, ascending."""

    def first_of(self, wanted: Sequence[int]) -> list[int]:
        """Of each header the first of these elements that it holds, `NO_ID` for none."""
        if not wanted:
            return [NO_ID] * len(self._set_of)
        ordered = np.array([*wanted, NO_ID], np.int64)
        own, of_sets = (lists.least_rank(ordered[:-1]) for lists in (self._own, self._sets))
        first: list[int] = ordered[np.minimum(own, of_sets[self._set_of])].tolist()
        return first


class _Lists:
    """Lists of ids, one behind the other, and their lengths."""

    def __init__(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        self.ids = ids
        self._list_of = np.repeat(np.arange(len(lengths)), lengths)
        self._n = len(lengths)

    def least_rank(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of each list the least place in `wanted` that one of its ids has; without, its length."""
        order = np.argsort(wanted)
        ascending = wanted[order]
        at = np.minimum(np.searchsorted(ascending, self.ids), len(wanted) - 1)
        is_wanted = ascending[at] == self.ids
        least = np.full(self._n, len(wanted), np.int64)
        np.minimum.at(least, self._list_of[is_wanted], order[at[is_wanted]])
        return least
