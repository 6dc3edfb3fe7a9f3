"""DICOM files, elements and values: pure functions that know nothing of the database."""
