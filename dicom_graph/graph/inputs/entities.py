"""Filters of the entities: beside what their descriptions tell, their relations and counts."""

from typing import Annotated, Any

import strawberry

from dicom_graph.dicom.entities import IMAGE, PATIENT, SERIES, STUDY
from dicom_graph.graph.inputs.clauses import (
    by_column,
    by_count,
    by_every,
    by_list,
    by_related,
    by_some,
    filter_input,
    if_true,
    where,
)
from dicom_graph.graph.inputs.elements import HeaderFilter, header_condition
from dicom_graph.graph.inputs.operators import (
    DateTimeFilter,
    ImportOriginFilter,
    ImportStatusFilter,
    IntFilter,
    StringFilter,
)
from dicom_graph.store.read.conditions import Field, Or, Some, Test

_HERE = "dicom_graph.graph.inputs.entities"
_Patient = Annotated["PatientFilter", strawberry.lazy(_HERE)]
_Study = Annotated["StudyFilter", strawberry.lazy(_HERE)]
_Series = Annotated["SeriesFilter", strawberry.lazy(_HERE)]
_Image = Annotated["ImageFilter", strawberry.lazy(_HERE)]
_WARNED = Field("warnings", Test("is_null", False))
_SOME = "At least one image fulfils this: `images.some`."
_EVERY = "All images fulfil this: `images.every`."


def _by(description: str) -> Any:
    return strawberry.field(default=None, description=description)


@strawberry.input(description="Conditions on a list of patients.")
class PatientListFilter:
    some: _Patient | None = _by("At least one fulfils this.")
    none: _Patient | None = _by("None fulfils this.")
    every: _Patient | None = _by("All fulfil this.")


@strawberry.input(description="Conditions on a list of studies.")
class StudyListFilter:
    some: _Study | None = _by("At least one fulfils this.")
    none: _Study | None = _by("None fulfils this.")
    every: _Study | None = _by("All fulfil this.")


@strawberry.input(description="Conditions on a list of series.")
class SeriesListFilter:
    some: _Series | None = _by("At least one fulfils this.")
    none: _Series | None = _by("None fulfils this.")
    every: _Series | None = _by("All fulfil this.")


@strawberry.input(description="Conditions on a list of images.")
class ImageListFilter:
    some: _Image | None = _by("At least one fulfils this.")
    none: _Image | None = _by("None fulfils this.")
    every: _Image | None = _by("All fulfil this.")


@filter_input("Which patients; all conditions must hold.", type_name="Patient", described=PATIENT)
class PatientFilter:
    n_studies: IntFilter | None = by_count("By the number of studies.", "patient.studies")
    n_series: IntFilter | None = by_count("By the number of series.", "patient.series")
    n_images: IntFilter | None = by_count("By the number of images.", "patient.images")
    studies: StudyListFilter | None = by_list("By the patient's studies.", "patient.studies")
    series: SeriesListFilter | None = by_list("By the patient's series.", "patient.series")
    images: ImageListFilter | None = by_list("By the patient's images.", "patient.images")
    any_image: _Image | None = by_some(_SOME, "patient.images")
    every_image: _Image | None = by_every(_EVERY, "patient.images")
    has_warnings: bool | None = if_true(
        "Whether an image of the patient has warnings.", Some("patient.images", _WARNED)
    )


@filter_input("Which studies; all conditions must hold.", type_name="Study", described=STUDY)
class StudyFilter:
    n_patients: IntFilter | None = by_count("By the number of patients.", "study.patients")
    n_series: IntFilter | None = by_count("By the number of series.", "study.series")
    n_images: IntFilter | None = by_count("By the number of images.", "study.images")
    patients: PatientListFilter | None = by_list(
        "By the patients of the study's series.", "study.patients"
    )
    series: SeriesListFilter | None = by_list("By the study's series.", "study.series")
    images: ImageListFilter | None = by_list("By the study's images.", "study.images")
    any_image: _Image | None = by_some(_SOME, "study.images")
    every_image: _Image | None = by_every(_EVERY, "study.images")
    has_warnings: bool | None = if_true(
        "Whether an image of the study has warnings.", Some("study.images", _WARNED)
    )


@filter_input("Which series; all conditions must hold.", type_name="Series", described=SERIES)
class SeriesFilter:
    n_images: IntFilter | None = by_count("By the number of images.", "series.images")
    images: ImageListFilter | None = by_list("By the series' images.", "series.images")
    any_image: _Image | None = by_some(_SOME, "series.images")
    every_image: _Image | None = by_every(_EVERY, "series.images")
    study: _Study | None = by_related("By its study.", "study")
    patient: _Patient | None = by_related("By its patient.", "patient")
    missing_relation: bool | None = if_true(
        "Whether its study or its patient is missing.",
        Or((Field("study_id", Test("is_null", True)), Field("patient_id", Test("is_null", True)))),
    )
    has_warnings: bool | None = if_true(
        "Whether an image of the series has warnings.", Some("series.images", _WARNED)
    )


@filter_input("Which images; all conditions must hold.", type_name="Image", described=IMAGE)
class ImageFilter:
    series: _Series | None = by_related("By its series.", "series")
    header: HeaderFilter | None = where(
        "By the elements of its header.", lambda given: [header_condition(given)]
    )
    has_warnings: bool | None = if_true("Whether it has warnings.", _WARNED)
    missing: bool | None = if_true(
        "Whether all its files were found gone.", Field("missing_since", Test("is_null", False))
    )
    missing_since: DateTimeFilter | None = by_column(
        "By when the last of its files was found gone.", "missing_since"
    )


@filter_input("Which imports; all conditions must hold.", type_name="ImportJob")
class ImportJobFilter:
    status: ImportStatusFilter | None = by_column("By where it is in its life.", "status")
    origin: ImportOriginFilter | None = by_column("By who asked for it.", "origin")
    created_at: DateTimeFilter | None = by_column("By when it was asked for.", "created")
    started_at: DateTimeFilter | None = by_column("By when it first began.", "started_at")
    finished_at: DateTimeFilter | None = by_column("By when it ended.", "finished_at")
    sync: bool | None = by_column("Whether it marks the images whose files are gone.", "sync")
    failed: IntFilter | None = by_column("By the number of files that it could not take.", "failed")
    created: IntFilter | None = by_column(
        "By the number of images that were new.", "images_created"
    )
    missing: IntFilter | None = by_column("By the number of images found missing.", "missing")
    error: StringFilter | None = by_column("By why it failed as a whole.", "error")
