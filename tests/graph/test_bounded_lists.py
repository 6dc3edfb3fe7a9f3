"""Every list of the schema is a connection, takes `first`, or has a small bound: told here."""

import os
from collections.abc import Callable
from pathlib import Path

from graphql import GraphQLList, GraphQLNonNull, GraphQLObjectType

from dicom_graph.graph.schema import schema
from dicom_graph.importing.foreground import Report
from tests.support.graph import Graph
from tests.support.make import make_series

OF_PAGES = ("Connection", "Payload")
ALWAYS = {
    "editedFields": "the fields of the type",
    "texts": "the searched texts of the object",
    "warnings": "a few for each element that is odd, and headers have limits",
}
"""Fields by name, of any type."""
SMALL = {
    "AuditEntry.rootFields": "the root's fields in a document, whose length is limited",
    "AuditEntry.patients": "1,000", "AuditEntry.studies": "1,000", "AuditEntry.importJobs": "1,000",
    "BidsVolume.entities": "the entities that BIDS has",
    "BidsVolume.evidence": "a few elements", "BidsVolume.notes": "a few sentences",
    "ComparedElement.values": "the headers that are compared: 20",
    "ComparedElement.elements": "the headers that are compared: 20",
    "Compliance.notChecked": "the rules of a protocol, whose size is limited",
    "DataElement.values": "the VM of an element of a header: up to what an import keeps of it",
    "DataElement.items": "the items of a sequence of a header: as deep and as many as one holds",
    "EntityField.choices": "the values of an enum", "EntityField.operators": "a filter's fields",
    "Group.keys": "5",
    "Header.elements": "the elements of a data set", "Header.table": "the same with nested ones",
    "Header.elementsAt": "as many as keys are given",
    "HeaderComparison.nodes": "the headers that are compared: 20",
    "HeaderComparison.elements": "the elements of 20 data sets",
    "HeaderComparison.equal": "the elements of 20 data sets",
    "HeaderComparison.different": "the elements of 20 data sets",
    "HeaderComparison.missing": "the elements of 20 data sets",
    "Image.files": "its copies",
    "ImportFolder.entries": "`first` of `importFolder`, up to 1,000",
    "ImportJob.skippedFiles": "1,000", "ImportJob.retries": "as often as somebody asks for one",
    "Instance.elements": "the elements of a data set", "InstanceElement.items": "one sequence",
    "OtherWordValue.words": "64 KiB",
    "Pixels.shape": "4",
    "Protocol.acquisitions": "those of a document, whose size is limited",
    "Query.bidsPlan": "the volumes of 1,000 series; more are an error",
    "Query.importRoots": "what the server is configured with",
    "Query.entityFields": "the fields of a type",
    "Query.nodes": "as many as ids are given, up to 10,000",
    **dict.fromkeys(
        (f"SearchResult.{name}"
         for name in ("patients", "studies", "series", "definitions", "values")),
        "`first` of `search`",
    ),
    **dict.fromkeys(
        (f"Series.{name}"
         for name in ("echoTimes", "inversionTimes", "repetitionTimes", "flipAngles",
                      "pixelSpacing", "spatialResolution", "scanningSequence", "sequenceVariant",
                      "scanningSequenceDisplay", "sequenceVariantDisplay")),
        "different values of a few",
    ),
    **dict.fromkeys(
        (f"Series.{name}Evidence"
         for name in ("acquisitionContrast", "complexComponent", "bids")),
        "a few elements",
    ),
    "Series.constantElements": "the elements of a data set",
    "Series.varyingElements": "the elements of a data set",
    "Series.volumes": "a few for each series",
    "Viewer.groups": "the groups that a user is in",
    "Volume.shape": "5", "Volume.spacing": "3", "Volume.affine": "4 x 4", "Volume.axes": "5",
    **dict.fromkeys(
        (f"Volume.{name}" for name in ("fourthAxisValues", "sliceTiming", "bValues", "bVectors")),
        "one for each slice, or index of the fourth axis, of a volume",
    ),
}  # fmt: skip
"""Lists without a page, by type and field, with what bounds them."""


def test_every_list_has_a_bound() -> None:
    without = set()
    for type_ in schema._schema.type_map.values():
        if not isinstance(type_, GraphQLObjectType) or type_.name.startswith("__"):
            continue
        for name, field in type_.fields.items():
            of = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
            is_page = type_.name.endswith(OF_PAGES) or "first" in field.args
            if isinstance(of, GraphQLList) and not is_page and name not in ALWAYS:
                without.add(f"{type_.name}.{name}")
    assert without == SMALL.keys()


async def test_parts_of_long_lists(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    make_series(tmp_path, 5)
    for number in range(4):
        # After the preamble nothing that is an element.
        (tmp_path / f"x{number}.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    import_files(tmp_path)
    names = sorted(os.listdir(tmp_path))
    paths = [str(tmp_path / name) for name in names if name.endswith(".dcm")]
    failed = [path for path in paths if Path(path).name.startswith("x")]
    data = await graph("""{ series { nodes { nFiles filePaths
            some: filePaths(first: 2, offset: 1) behind: filePaths(offset: 9) } }
        importJobs { nodes { nPaths paths none: paths(first: 0) failed failures { path }
            some: failures(first: 2, offset: 1) { path }
            last: failures(offset: 3) { path } } } }""")
    (series,), (job,) = data["series"]["nodes"], data["importJobs"]["nodes"]
    kept = [path for path in paths if path not in failed]
    assert (series["nFiles"], series["filePaths"]) == (5, kept)
    assert (series["some"], series["behind"]) == (kept[1:3], [])
    assert (job["nPaths"], job["paths"], job["none"]) == (1, [str(tmp_path)], [])
    assert sorted(each["path"] for each in job["failures"]) == failed
    assert job["failed"] == 4
    assert job["some"] == job["failures"][1:3]
    assert job["last"] == job["failures"][3:]
    for wrong in ("first: -1", "first: 10001", "offset: -1"):
        for asked in (f"importJobs {{ nodes {{ failures({wrong}) {{ path }} }} }}",
                      f"series {{ nodes {{ filePaths({wrong}) }} }}"):  # fmt: skip
            result = await graph.execute(f"{{ {asked} }}")
            assert result.errors[0].extensions["code"] == "BAD_INPUT"
