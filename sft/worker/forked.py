"""A job in a process that was forked from the server: below a guard, and in the state of a fresh one."""

import os
import random
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.experiments.executors import guard
from sft.experiments.executors.environment import THREAD_COUNTS
from sft.experiments.executors.warm import CANNOT_FORK
from sft.processes.visible_gpus import VISIBLE_GPUS, shows_none
from sft.runs.files import AttemptFolder
from sft.worker.job import run_job

SIDE = 512
"""Of a matrix whose product takes all threads."""
REMEMBER_DEVICES = ("transformers.utils.import_utils", "accelerate.utils.imports", "peft.import_utils")
"""Modules whose functions keep what they once found out, also whether there is a GPU."""


def run_forked(message: Mapping[str, Any], runner: int, started: float) -> int:
    """Fork the worker of a job and watch over it; the worker's exit code, 128 + n for signal n.

    Args:
        message: what the runner submitted.
        runner: a socket to the runner.
        started: `time.perf_counter()` before the fork.
    """
    guard.become_subreaper()
    if message["cores"]:
        guard.set_cores(message["cores"])
    this = os.getpid()
    worker = os.fork()
    if worker == 0:
        os.close(runner)
        _work(message, this, started)
    return guard.watch(worker, runner)


def _work(message: Mapping[str, Any], parent: int, started: float) -> None:
    """Be the worker; never returns."""
    code = 1
    try:
        os.setsid()
        guard.end_with_parent(parent)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _set_variables(message["environment"])
        attempt = AttemptFolder(Path(message["attempt"]))
        os.chdir(attempt.work)
        _reseed()
        sys.argv = [sys.argv[0], message["folder"], attempt.path.name]
        code = run_job(Path(message["folder"]), started, attempt.path.name, _check_fork)
    except BaseException:  # noqa: BLE001  nothing of the server may run in this process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _set_variables(environment: Mapping[str, str]) -> None:
    """Only what may differ from job to job: libraries have added variables of their own, as in a fresh process."""
    had_none = shows_none(os.environ.get(VISIBLE_GPUS))
    for name in (*THREAD_COUNTS, VISIBLE_GPUS):
        if name in environment:
            os.environ[name] = environment[name]
        else:
            os.environ.pop(name, None)
    if shows_none(os.environ.get(VISIBLE_GPUS)) != had_none:
        _forget_devices()


def _forget_devices() -> None:
    """The server sees the GPUs of all jobs; whether this job has one, libraries are to find out again."""
    for module in [sys.modules[name] for name in REMEMBER_DEVICES if name in sys.modules]:
        for found in vars(module).values():
            if hasattr(found, "cache_clear"):
                found.cache_clear()


def _reseed() -> None:
    """Random states that a fresh process takes from the system; forked ones would all have the server's."""
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
    if (torch := sys.modules.get("torch")) is not None:
        torch.default_generator.seed()
    fingerprints = sys.modules.get("datasets.fingerprint")
    generator = getattr(fingerprints, "fingerprint_rng", None)
    if isinstance(generator, random.Random):
        generator.seed()


def _check_fork() -> None:
    """Do at once what fails or hangs in a process that should not have been forked, before the first line."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.get_num_threads() > 1:
        ones = torch.ones(SIDE, SIDE)
        (ones @ ones).sum()
    if shows_none(os.environ.get(VISIBLE_GPUS)) or not torch.cuda.is_available():
        return
    try:
        torch.zeros(1, device="cuda")
    except RuntimeError as error:
        sys.stderr.write(f"CUDA does not start in a forked process: {error}\n")
        sys.stderr.flush()
        os._exit(CANNOT_FORK)
