"""How many CPUs this process can keep busy."""

import os
from pathlib import Path

from sft.processes.control_groups import CGROUPS, PROC, group_folders, read


def allowed_cpus() -> tuple[int, ...]:
    """The numbers of the CPUs that this process may run on, ascending; empty where processes are bound to none."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def n_allowed_cpus() -> int:
    """How many CPUs this process may run on."""
    return len(allowed_cpus()) or os.cpu_count() or 1


def usable_cpus(proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """The CPUs that this process may run on, or fewer where a quota gives it less time; at least 1.

    A part of a CPU counts as none: threads that have used up a quota stand still until its next period begins.
    """
    allowed, quota = n_allowed_cpus(), cpu_quota(proc, cgroups)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def cpu_quota(proc: Path = PROC, cgroups: Path = CGROUPS) -> float | None:
    """CPU time, in CPUs, that the control groups of this process leave to it; None without a limit.

    Version 2 says quota and period in `cpu.max`, version 1 in `cpu.cfs_quota_us` and `cpu.cfs_period_us`.
    """
    found = []
    for folder in group_folders("cpu", proc, cgroups):
        second = read(folder / "cpu.max").split()
        first = [read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        for written in (second, first):
            if len(written) == 2 and all(number.isdecimal() and int(number) > 0 for number in written):
                found.append(int(written[0]) / int(written[1]))
    return min(found, default=None)
