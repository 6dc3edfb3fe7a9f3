"""One server over a small archive."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from dicom_graph.store.engine import Database
from dicom_graph.web.pages import documents_file
from tests.support.people import add_person
from tests.support.served_archive import Archive, served
from tests.support.slices import make_slices

IDENTITIES = ("Quxley", "QX-4711", "19610203", "1961-02-03", "Holdsworth")
"""What the headers say of a person, which a user without identities must not read."""


def make_files(folder: Path) -> dict[str, Path]:
    """Two MR series of one patient; an element of the first varies, one is only in the second."""
    person = {
        "PatientName": "Quxley^Ann", "PatientID": "QX-4711", "PatientBirthDate": "19610203",
        "ReferringPhysicianName": "Holdsworth^Otto", "StudyDescription": "Brain",
        "StudyInstanceUID": "1.2.3", "StudyDate": "20240517", "Modality": "MR",
    }  # fmt: skip
    first = make_slices(
        folder / "first", np.arange(6.0) * 2, size=(8, 8), SeriesDescription="localizer",
        SeriesInstanceUID="1.2.3.1", EchoTime=3.5, each=lambda i: {"TriggerTime": 10.0 * i},
        **person,
    )  # fmt: skip
    step = Dataset()
    step.ScheduledProcedureStepID = "deep7"
    second = make_slices(
        folder / "second", np.arange(4.0) * 3, size=(8, 8), SeriesDescription="bold run",
        SeriesInstanceUID="1.2.3.2", EchoTime=30, ReceiveCoilName="Head32",
        RequestAttributesSequence=[step], **person,
    )  # fmt: skip
    return {f"first{i}": path for i, path in enumerate(first)} | {
        f"second{i}": path for i, path in enumerate(second)
    }


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """A server that executes the operations of the pages alone, and has users."""
    folder = tmp_path_factory.mktemp("pages")
    with served(
        folder,
        make=make_files,
        trusted_documents=documents_file(),
        introspection=False,
        login="required",
    ) as made:
        database = Database(made.server.settings.database_url)
        add_person(database, "anna", "EDITOR")
        add_person(database, "vera", "VIEWER")
        add_person(database, "blind", "VIEWER", deidentified=True)
        add_person(database, "lena", "VIEWER", limited=True)
        database.close_writer()
        yield made
