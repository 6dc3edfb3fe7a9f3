"""What dcmtk's commands make of files: an oracle that is not ours."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image


def run(command: str, *arguments: Any) -> str:
    """What a command of dcmtk prints on stderr; skips the test where there is no dcmtk."""
    if shutil.which(command) is None:
        pytest.skip(f"no {command} (dcmtk) on PATH")
    done = subprocess.run(
        [command, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def decompressed(path: Path, command: str = "dcmdjpeg") -> pydicom.FileDataset:
    """A file as dcmtk decompresses it; colours stay in their colour space."""
    options = ["+cn"] if command == "dcmdjpeg" else []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "plain.dcm"
        run(command, *options, path, target)
        return pydicom.dcmread(target)


def picture(path: Path | str, *options: str) -> np.ndarray[Any, Any]:
    """The first frame as `dcm2pnm` draws it with 8 bits: (rows, columns[, 3])."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "picture.pnm"
        run("dcm2pnm", "+op", *options, path, target)
        return np.asarray(Image.open(target))
