"""What the system says about memory: how much there is, how much a process used, whom it killed for it."""

from pathlib import Path

from sft.processes.control_groups import CGROUPS, PROC, group_folders, read


def oom_kills(counter: Path | None) -> int | None:
    """How often the system killed a process of a control group for want of memory; None where nobody counts.

    Args:
        counter: its `memory.events` (version 2) or `memory.oom_control` (version 1).
    """
    return None if counter is None else _field(counter, "oom_kill")


def oom_counter(proc: Path = PROC, cgroups: Path = CGROUPS) -> Path | None:
    """The counter file of the control group that this process runs in."""
    names = ("memory.events", "memory.oom_control")
    files = (folder / name for folder in group_folders("memory", proc, cgroups) for name in names)
    return next((file for file in files if file.exists()), None)


def memory_limit(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """Bytes that the processes here can have together: the machine's, or less where a control group limits them."""
    total = _field(proc / "meminfo", "MemTotal:")
    limits = [] if total is None else [total * 1024]
    for folder in group_folders("memory", proc, cgroups):
        for name in ("memory.max", "memory.limit_in_bytes"):
            written = read(folder / name).strip()
            limits += [int(written)] if written.isdecimal() else []
    return min(limits, default=None)


def peak_memory(pid: int, proc: Path = PROC) -> int | None:
    """The most bytes that a living process had in memory at once; None when it is gone."""
    peak = _field(proc / str(pid) / "status", "VmHWM:")
    return None if peak is None else peak * 1024


def _field(path: Path, name: str) -> int | None:
    """The number that follows a name at the start of a line."""
    for line in read(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdecimal():
            return int(words[1])
    return None
