"""What a server's log tells of an import: counts, and warnings by kind, nothing of patients."""

import re
from collections import Counter

from dicom_graph.store.jobs.jobs import JobCounts

_ELEMENT = r"\([0-9a-fA-F]{4},[0-9a-fA-F]{4}\)(?: [A-Z]\w*)?"
_OF_ELEMENT = re.compile(rf"(?:{_ELEMENT}\[[0-9]+\]\.)*({_ELEMENT})")
_OTHERS = "others"
_MAX_KINDS = 1000
_MAX_TOLD = 20


class WarningCounts:
    """How often there was a warning of which element. The rest of a warning may quote the file."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, warnings: tuple[str, ...]) -> None:
        """Count the warnings of a file; from a thousand elements on, further ones as others."""
        for warning in warnings:
            found = _OF_ELEMENT.match(warning)
            kind = found[1] if found else _OTHERS
            is_new = kind not in self._counts and len(self._counts) >= _MAX_KINDS
            self._counts[_OTHERS if is_new else kind] += 1

    def __str__(self) -> str:
        """The most frequent; empty where there was none."""
        told = self._counts.most_common(_MAX_TOLD)
        rest = self._counts.total() - sum(number for _, number in told)
        parts = [f"{number} of {kind}" for kind, number in told] + [f"{rest} more"] * bool(rest)
        return ", ".join(parts)


def counts_text(counts: JobCounts) -> str:
    """The counts in a line."""
    return (
        f"{counts.created} images created, {counts.updated} updated, {counts.existing} existing, "
        f"{counts.skipped} skipped, {counts.failed} failed"
    )
