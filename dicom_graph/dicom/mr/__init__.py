"""What MR series are for, in the words of DICOM and BIDS, with what says so.

Facts about sequence names and codes are those that dcm2niix, heudiconv and BIDScoin document.
"""

from dicom_graph.dicom.mr.contrast import InferredCode, acquisition_contrast, complex_component
from dicom_graph.dicom.mr.facts import Facts
from dicom_graph.dicom.mr.label import BidsLabel, Confidence, bids_label

__all__ = [
    "BidsLabel", "Confidence", "Facts", "InferredCode", "acquisition_contrast", "bids_label",
    "complex_component",
]  # fmt: skip
