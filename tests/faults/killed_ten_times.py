"""`python -m tests.faults.killed_ten_times`: a grid that is killed again and again ends as if nothing had happened.

A grid of a tiny model (zero-shot, in-context, two trainings that write checkpoints) runs undisturbed once. Then its
runner is killed by SIGKILL at ten random moments and started again after each; where the grid ends before the next
moment, another results folder is begun. What must be equal in the end: predictions, `results`, `details` and `data`
of every experiment, and every adapter, byte for byte. After each kill no process of the run may live 2 seconds later.

`--executor NAME` kills the runner of a grid on that cluster instead, whose jobs go on, except Ray's: the next runner
takes them over, and the end is compared with that of a run on this machine. With `--detach` runners that leave are
killed, and one that stays collects what they left.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.engine.tiny_project import config, write_project
from tests.support.reproducible import reproducible

MARK = "SFT_KILLED_TEN_TIMES"
GONE_WITHIN_SECONDS = 2.0
DIE_WITH_RUNNER = ("local", "ray")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--start", choices=("auto", "warm", "fresh"), default="auto")
    parser.add_argument("--executor", default="local")
    parser.add_argument("--detach", action="store_true")
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="killed-") as folder:
        options = ["--start", given.start]
        return _run(Path(folder), random.Random(seed), given.times, options, given.executor, given.detach)


def _run(
    folder: Path, chance: random.Random, times: int, options: list[str], executor: str, detach: bool = False
) -> int:
    write_project(folder)
    (folder / "grid.json").write_text(json.dumps(small_grid()), "utf-8")
    began = time.monotonic()
    _finish(folder, "undisturbed", options)
    whole = time.monotonic() - began
    expected = reproducible(folder / "undisturbed")
    if executor != "local":
        whole *= 1 if detach else 3  # what starts later is to be killed too
        options = [*options, "--executor", executor]
    killed_options = [*options, "--detach"] if detach else options
    kills = number = 0
    while kills < times:
        number += 1
        results = f"killed-{number}"
        while kills < times and _killed(folder, results, killed_options, chance.uniform(0.3, whole), executor):
            kills += 1
        _finish(folder, results, options)
        _await_end(folder)
        found = reproducible(folder / results)
        different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        print(f"{results}: {kills} of {times} kills so far, {len(found)} files compared, different: {different}")
        if different:
            return 1
    return 0


def small_grid() -> dict[str, Any]:
    """Every way in which a stage may depend on another, with trainings that write checkpoints."""
    data = config()["dataset"]
    arguments = {"learning_rate": 1e-2, "num_train_epochs": 6, "per_device_train_batch_size": 2}
    saving = arguments | {"save_strategy": "steps", "save_steps": 3}
    shots = {"dataset": data | {"shots": 4}, "training": {"trainer_args": saving}}
    return {
        "configs": {
            "zero-shot": config(),
            "in-context": config(
                dataset=data | {"shots": 4}, adapter={"method": "none"}, inference={"icl_examples": 2}
            ),
            "lora": config(**shots, lora={"r": 4, "lora_dropout": 0.1}),
            "pissa": config(**shots, lora={"r": 4, "lora_dropout": 0.1, "init_lora_weights": "pissa"}),
        }
    }


def _started(folder: Path, results: str, options: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sft.cli", "run-experiments", "grid.json"]
    with (folder / f"{results}.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--results-path", results, *options],
            cwd=folder,
            env=os.environ | ENVIRONMENT | {MARK: str(folder)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _finish(folder: Path, results: str, options: list[str]) -> None:
    if _started(folder, results, options).wait() != 0:
        raise RuntimeError((folder / f"{results}.log").read_text("utf-8")[-3000:])


def _killed(folder: Path, results: str, options: list[str], after: float, executor: str) -> bool:
    """Whether the run was still going when its moment came; then nothing of it is left on this machine."""
    runner = _started(folder, results, options)
    try:
        runner.wait(after)
    except subprocess.TimeoutExpired:
        runner.send_signal(signal.SIGKILL)
        runner.wait()
        if executor in DIE_WITH_RUNNER:
            _await_end(folder)
        return True
    return False


def _await_end(folder: Path) -> None:
    """Until no process of the run is left."""
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    while left := _marked(folder):
        if time.monotonic() > deadline:
            raise RuntimeError(f"still alive after {GONE_WITHIN_SECONDS} s: {left}") from None
        time.sleep(0.02)


def _marked(folder: Path) -> list[str]:
    """Processes that were started for this folder and live; zombies count as dead."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()[0]
            if state not in "ZX" and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue  # it ended meanwhile, or is not ours
    return found


if __name__ == "__main__":
    sys.exit(main())
