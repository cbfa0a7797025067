"""What the system says about memory: how much there is, how much a process used, whom it killed for it."""

from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def oom_kills(counter: Path | None) -> int | None:
    """How often the system killed a process of a control group for want of memory; None where nobody counts.

    Args:
        counter: its `memory.events` (version 2) or `memory.oom_control` (version 1).
    """
    return None if counter is None else _field(counter, "oom_kill")


def oom_counter(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> Path | None:
    """The counter file of the control group that this process runs in."""
    names = ("memory.events", "memory.oom_control")
    return next(
        (folder / name for folder in _groups(proc, cgroups) for name in names if (folder / name).exists()), None
    )


def memory_limit(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int | None:
    """Bytes that the processes here can have together: the machine's, or less where a control group limits them."""
    total = _field(proc / "meminfo", "MemTotal:")
    limits = [] if total is None else [total * 1024]
    for folder in _groups(proc, cgroups):
        for name in ("memory.max", "memory.limit_in_bytes"):
            written = _read(folder / name).strip()
            limits += [int(written)] if written.isdecimal() else []
    return min(limits, default=None)


def peak_memory(pid: int, proc: Path = _PROC) -> int | None:
    """The most bytes that a living process had in memory at once; None when it is gone."""
    peak = _field(proc / str(pid) / "status", "VmHWM:")
    return None if peak is None else peak * 1024


def _groups(proc: Path, cgroups: Path) -> Iterator[Path]:
    """The folders of this process's control group, in a container also the top one, nearest first."""
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        top = cgroups if not controllers else cgroups / "memory"
        if not controllers or "memory" in controllers.split(","):
            yield from (top / path.strip("/"), top)


def _field(path: Path, name: str) -> int | None:
    """The number that follows a name at the start of a line."""
    for line in _read(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdecimal():
            return int(words[1])
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
