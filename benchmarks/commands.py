"""Runs commands and takes their time."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "data" / "demo"
PEERS = ROOT / ".venv-peers" / "bin"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def seconds_of(command: Sequence[str], cwd: Path, environment: Mapping[str, str] = {}) -> float:
    """Wall time of a command that must succeed.

    Raises:
        RuntimeError: it did not; with the end of what it printed.
    """
    started = time.perf_counter()
    ended = subprocess.run(
        command, cwd=cwd, env={**os.environ, **OFFLINE, **environment}, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - started
    if ended.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)} ended with {ended.returncode}:\n{(ended.stdout + ended.stderr)[-3000:]}"
        )
    return took


def use_one_core() -> None:
    """Keep this process, and all that it starts, on the last core it may use; before torch is imported."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ.update(OFFLINE, OMP_NUM_THREADS="1")


def sft(*arguments: str) -> list[str]:
    """A command line of this project."""
    return [sys.executable, "-m", "sft.cli", *arguments]
