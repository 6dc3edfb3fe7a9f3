"""What a compressed frame says of itself, read without decoding it.

A decoder believes the codestream and not the header of the file, and takes the memory that the
codestream asks for. So sizes and depths are read here first, for each syntax that is decoded, and
compared with the header before a decoder sees the bytes.
"""

from dicom_graph.dicom.pixels.codestream.description import Codestream, Coding
from dicom_graph.dicom.pixels.codestream.reading import coding_of, frame_precision, read_codestream
from dicom_graph.dicom.pixels.codestream.stripped import stripped_frame

__all__ = [
    "Codestream",
    "Coding",
    "coding_of",
    "frame_precision",
    "read_codestream",
    "stripped_frame",
]  # fmt: skip
