"""The command line."""

from dicom_graph.cli.app import main

__all__ = ["main"]
