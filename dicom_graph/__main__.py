"""`python -m dicom_graph` is the command `dicom-graph`."""

from dicom_graph.cli import main

main()
