"""The options of the command `export`."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from dicom_graph.cli.export_many import VOLUME_ENDINGS
from dicom_graph.cli.export_table import TABLE_ENDINGS

ENDINGS = (*VOLUME_ENDINGS, ".zip", *TABLE_ENDINGS)


class TableName(Enum):
    """What the rows of a table are."""

    PATIENTS = "patients"
    STUDIES = "studies"
    SERIES = "series"
    IMAGES = "images"
    ELEMENTS = "elements"


class VolumeForm(Enum):
    """In which form volumes are written, by the ending of their names."""

    NIFTI_GZ = "nii.gz"
    NIFTI = "nii"
    NPY = "npy"


To = Annotated[
    Path,
    typer.Option(
        help=f"The file to write; its ending says what: {', '.join(ENDINGS)}. "
        "Of many series the folder."
    ),
]
SeriesUids = Annotated[
    list[str] | None,
    typer.Argument(
        help="SeriesInstanceUIDs of series in the database; without, those of --filter, or all."
    ),
]
Stack = Annotated[
    int | None,
    typer.Option(help="Of one series: which volume, from 0, where it makes several."),
]
Name = Annotated[
    str | None,
    typer.Option(
        help="Of many series: their names, such as '{patientId}/{studyDate}_{number:03}'.",
    ),
]
Form = Annotated[
    VolumeForm, typer.Option("--form", help="Of many series: how volumes are written.")
]
Sidecars = Annotated[
    bool, typer.Option(help="Of many series: BIDS' .json, and .bval and .bvec, beside each.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Of many series: so many processes; else one of each processor.",
        show_default=False,
    ),
]
Table = Annotated[TableName, typer.Option(help="With a table: what its rows are.")]
Filter = Annotated[
    str | None,
    typer.Option(
        help="Which series or rows of a table, as in GraphQL, in JSON; of elements: of which "
        "images."
    ),
]
Elements = Annotated[
    str | None,
    typer.Option(help="With --table elements: which elements, a filter of them in JSON."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(help="With a table: a field or an element, such as EchoTime; repeat."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
