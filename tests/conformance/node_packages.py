"""The npm packages of the conformance scripts, which `npm/package-lock.json` names, in a cache.

The folder is that of DICOM_GRAPH_TEST_NPM_CACHE, else `dicom-graph/npm` in the user's cache folder;
each state of the lock file has its own, which is installed once. Nothing is written into the
repository.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

MISSING = 77
"""The exit status of what could not be tried."""
_HERE = Path(__file__).with_name("npm")


def node_modules() -> Path:
    """The folder of the packages. Exits with MISSING, and the reason, where there can be none."""
    if not (shutil.which("node") and shutil.which("npm")):
        _skip("node and npm are not there")
    lock = (_HERE / "package-lock.json").read_bytes()
    folder = _cache() / hashlib.sha256(lock).hexdigest()[:16]
    if not (folder / "complete").exists():
        _install(folder)
    return folder / "node_modules"


def _cache() -> Path:
    given = os.environ.get("DICOM_GRAPH_TEST_NPM_CACHE")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(cache) / "dicom-graph" / "npm"


def _install(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_HERE / name, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"]
    command += ["--cache", str(folder.parent / "downloads")]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        _skip(f"npm could not install the packages: {result.stderr.strip()[-500:]}")
    (folder / "complete").touch()


def _skip(reason: str) -> None:
    print(f"skipped: {reason}", file=sys.stderr)
    sys.exit(MISSING)
