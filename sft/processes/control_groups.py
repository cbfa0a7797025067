"""The control groups that limit this process, of both versions that Linux has."""

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


def group_folders(controller: str, proc: Path = PROC, cgroups: Path = CGROUPS) -> Iterator[Path]:
    """The folders of this process's control group and of those above it, nearest first; some may not exist.

    A limit holds for all that is below it, so that whoever looks for limits has to read every folder. In a container
    the path may be that of the host, of which only the top is there.

    Args:
        controller: what limits, such as `memory` or `cpu`.
        proc: where processes are described.
        cgroups: where control groups are mounted.
    """
    for line in read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        # Version 1 has a tree for each controller, or for a few together.
        tops = dict.fromkeys((cgroups / controller, cgroups / controllers)) if controllers else (cgroups,)
        parts = [part for part in path.split("/") if part]
        for top in tops:
            # A process outside of the tree that is mounted here has a path that leads out of it.
            for depth in range(0 if ".." in parts else len(parts), -1, -1):
                yield top.joinpath(*parts[:depth])


def read(path: Path) -> str:
    """The text of a file of the system; empty where it cannot be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
