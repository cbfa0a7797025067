"""What a number depends on beside its config: library versions, device, threads, commit."""

import functools
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from sft.processes.cpus import n_allowed_cpus
from sft.processes.memory import memory_limit

PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "evaluate", "accelerate", "bitsandbytes", "numpy")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries that move numbers; those not installed are left out."""
    found = {"python": platform.python_version()}
    for package in ("sft-grid", *PACKAGES):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_name() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def git_commit(folder: Path) -> str | None:
    """The commit of the work tree that holds `folder`, None outside one or without git."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def peak_rss_bytes() -> int:
    """The largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_memory_bytes(kind: str) -> int | None:
    """The whole memory of this process's first device of a kind (`cuda`, or `cpu` for the machine's own)."""
    if kind != "cuda":
        return memory_limit()
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory)


def peak_gpu_bytes() -> int | None:
    """The most GPU memory that this process has had so far; None where there is no GPU.

    The sum over the visible devices of the most that each had: what a model spread over several of them takes in all.
    """
    import torch

    if not torch.cuda.is_available():
        return None
    return sum(torch.cuda.max_memory_allocated(device) for device in range(torch.cuda.device_count()))


def device_record() -> dict[str, Any]:
    """Device, its name, threads and peak GPU memory of a process that has used torch."""
    import torch

    on_gpu = torch.cuda.is_available()
    return {
        "device": "cuda" if on_gpu else "cpu",
        "device_name": torch.cuda.get_device_name() if on_gpu else cpu_name(),
        "threads": torch.get_num_threads(),
        "cpus": n_allowed_cpus(),
        "peak_gpu_bytes": peak_gpu_bytes(),
    }
