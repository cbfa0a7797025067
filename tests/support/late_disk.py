"""A disk that shows new files late and refuses flock and fsync, preloaded into what a test starts (late_disk.c)."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


def is_missing() -> bool:
    """Whether there is no compiler that makes it."""
    return shutil.which("cc") is None


def late_disk(library: Path, folder: Path, seconds: float, *, opened: bool = False) -> Mapping[str, str]:
    """The variables that make the disk of a folder a late one.

    Args:
        library: as `made_library` gives it.
        folder: below it files are late.
        seconds: how long a process that has looked for a file in vain does not see it.
        opened: whether it sees it as soon as it opens the folder.
    """
    return {
        "LD_PRELOAD": str(library),
        "LATE_DISK_FOLDER": str(folder),
        "LATE_DISK_SECONDS": str(seconds),
        **({"LATE_DISK_OPENED": "1"} if opened else {}),
    }


def made_library(folder: Path) -> Path:
    """The library that is preloaded, made in a folder."""
    made = folder / "late_disk.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(made), str(SOURCE), "-ldl", "-lpthread"], check=True)
    return made
