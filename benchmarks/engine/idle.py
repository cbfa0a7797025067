"""What the runner itself costs while its stages work."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.commands import OFFLINE, sft
from benchmarks.engine.demo_grid import demo_config
from benchmarks.report import Figure

SAMPLE_SECONDS = 30.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def figures(folder: Path) -> Iterator[Figure]:
    """CPU time of the runner's process alone, during a training of the demo model."""
    config = demo_config(True, 0, "accuracy")
    config["training"]["trainer_args"] |= {"num_train_epochs": 50}
    (folder / "long.json").write_text(json.dumps(config), "utf-8")
    with (folder / "idle.log").open("wb") as log:
        runner = subprocess.Popen(
            sft("run-experiments", "long.json", "--results-path", "idle"),
            cwd=folder,
            env=os.environ | OFFLINE,
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for_a_step(folder / "idle", runner)
            before, started = _cpu_seconds(runner.pid), time.monotonic()
            time.sleep(SAMPLE_SECONDS)
            spent, passed = _cpu_seconds(runner.pid) - before, time.monotonic() - started
        finally:
            runner.terminate()
            runner.wait()
    yield Figure("CPU of the runner while a stage works", 100 * spent / passed, "% of a core")


def _wait_for_a_step(results: Path, runner: subprocess.Popen[bytes]) -> None:
    while runner.poll() is None:
        for path in results.glob("stages/train/*/progress.json"):
            if json.loads(path.read_text("utf-8"))["step"] >= 1:
                return
        time.sleep(0.5)
    raise RuntimeError("the training ended before its first step")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
