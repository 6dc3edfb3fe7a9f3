"""How much fields count in the cost of an operation, beside the objects of their pages.

The unit is an object of a page: up to 0.1 ms of the server's time. Measured on 10,000 images whose
headers have 338 elements (the docs have the table). What an operation really takes is held by its
time, its bytes and its memory: see `store.answer_budget`.
"""

from typing import NamedTuple


class Weight(NamedTuple):
    """What a field weighs, and how often what is asked below it counts."""

    own: float
    size: float = 1.0


RELATED = Weight(0.3)
"""One object that a field leads to, such as the series of an image: many lead to the same one."""

WEIGHTS: dict[str, Weight] = {
    # Of some 300 elements few lead to much else.
    "Header.elements": Weight(9, 10),
    "Header.table": Weight(45),
    "Header.json": Weight(25),
    "Header.html": Weight(20),
    "Protocol.compliance": Weight(1000),
    "Compliance.nodes": Weight(100, 100),
    "Query.bidsPlan": Weight(1000, 100),
    "Query.compareHeaders": Weight(100),
    "HeaderComparison.elements": Weight(50, 30),
    "HeaderComparison.equal": Weight(50, 30),
    "HeaderComparison.different": Weight(20, 10),
    "HeaderComparison.missing": Weight(20, 10),
    "Header.csaHeader": Weight(25),
    "Image.instance": Weight(50),
    "Header.instance": Weight(50),
    "Series.instance": Weight(50),
    "DataElement.definition": Weight(0),
    "DataElement.values": Weight(0.1),
    "DataElement.items": Weight(0.03, 0.03),
    "DataElement.bytes": Weight(3),
    "VaryingElement.definition": Weight(0),
    "Image.files": Weight(0.3),
    "Image.sequenceType": Weight(0.3),
    "Image.defaultPath": Weight(1),
    "Series.filePaths": Weight(8),
    "Series.nFiles": Weight(8),
    "Series.path": Weight(5),
    "Series.sampleHeader": Weight(1),
    "Series.constantElements": Weight(30, 10),
    "Series.varyingElements": Weight(30, 10),
    "Series.volume": Weight(100),
    "Series.volumes": Weight(100),
    "Pixels.shape": Weight(5),
    "Pixels.dtype": Weight(5),
    "Pixels.photometricInterpretation": Weight(5),
    "Pixels.windowCenter": Weight(5),
    "Pixels.windowWidth": Weight(5),
    "Pixels.minimum": Weight(50),
    "Pixels.maximum": Weight(50),
    "Pixels.mean": Weight(50),
    "Patient.subject": Weight(5),
    # A statement each, that looks at all texts; `first` of the search counts what it finds.
    "SearchResult.patients": Weight(1),
    "SearchResult.studies": Weight(1),
    "SearchResult.series": Weight(1),
    "SearchResult.definitions": Weight(1),
    "SearchResult.values": Weight(10),
    "ImportJob.failures": Weight(10),
    "ImportJob.skippedFiles": Weight(10),
    "ImportJob.retries": Weight(1, 3),
}
"""By type and field. An object that is no `Node`, and a field that is not here, weigh nothing."""

SMALL = {
    "Series.filePaths": 0.01, "ImportJob.paths": 0.01, "ImportJob.failures": 0.05,
    "ProtocolDeviation.found": 0.01,
}  # fmt: skip
"""What each thing of a list weighs that is no object of its own."""
NAMED = 0.03
"""Each of the elements that are asked for by name."""
FREE_FIELDS = 10
"""So many plain fields of an object weigh nothing."""
FIELD = 0.1
"""What each further one weighs."""
CONDITION = 0.5
"""A condition of a filter, for each object whose list is narrowed by it."""
VALUE = 0.02
"""A value of any other list in an argument, for each object whose field it belongs to."""
