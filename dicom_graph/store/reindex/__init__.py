"""Reading again, from what is stored, what a newer version of the program reads otherwise."""

from dicom_graph.store.reindex.run import Reindexed, reindex

__all__ = ["Reindexed", "reindex"]
