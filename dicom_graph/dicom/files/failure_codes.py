"""What kind of failure an error of the file system is."""

import errno

from dicom_graph.dicom.errors import FailureCode
from dicom_graph.dicom.files.regular_file import NotRegularFileError, OutsideRootsError

_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE}


def code_of(error: OSError) -> FailureCode:
    """Returns why a file cannot be opened or read."""
    if isinstance(error, OutsideRootsError):
        return FailureCode.FORBIDDEN_PATH
    if isinstance(error, NotRegularFileError):
        return FailureCode.NOT_A_FILE
    if isinstance(error, TimeoutError):
        return FailureCode.TOO_SLOW
    if isinstance(error, PermissionError):
        return FailureCode.NOT_PERMITTED
    if error.errno == errno.ENAMETOOLONG:
        return FailureCode.BAD_PATH
    return FailureCode.FILE_GONE if error.errno in _GONE else FailureCode.CANNOT_READ
