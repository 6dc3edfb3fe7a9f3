"""Compiled modules for the processes that tests start."""

import os
import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[2] / ".pytest_cache" / "compiled"


def keep_compiled_modules() -> None:
    """Let each process that a test starts find what it imports compiled.

    Where PYTHONDONTWRITEBYTECODE is set, and packages were installed without compiled modules,
    each would compile all of them for two seconds. They are written beside no source file.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None) is None:
        return
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(_FOLDER))
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"]
    sys.dont_write_bytecode = False
