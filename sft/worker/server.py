"""The server of warm starts: imports once what jobs need, then forks a guard and a worker for each job.

A forked process has the fork's memory but none of its threads, so the server must never compute with torch (a child
that computes on several threads would wait for threads that are gone) and never start CUDA. The runner sends it a
packet for each job: JSON, and a socket through which the job's guard answers, or the server where it does not fork.
So a job that was forked does not depend on whether the server still answers.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.experiments.executors import guard
from sft.experiments.executors.environment import THREAD_COUNTS
from sft.experiments.executors.warm import Preload
from sft.objectives import objective_named, objective_registry
from sft.processes import fault_injection
from sft.processes.garbage import without_search_for_cycles
from sft.processes.visible_gpus import VISIBLE_GPUS, shows_none
from sft.runs.records import StageName
from sft.worker.forked import run_forked
from sft.worker.job import stage_function

PER_JOB = (*THREAD_COUNTS, VISIBLE_GPUS)
"""Variables that a job may have otherwise than the server; libraries read others while they are imported."""

CUDA_STARTED = "the server has started CUDA"

CUDA_DEVICE = "/dev/nvidia-uvm"
"""Open in every process that has started CUDA, in no other."""

USED_BY: dict[StageName, tuple[str, ...]] = {
    "train": ("sft.adapters.lora.method", "sft.adapters.lora.attach", "sft.adapters.lora.saving"),
    "infer": ("sft.inference.label_scoring.scoring", "sft.inference.generation"),
    "evaluate": ("evaluate",),
}
"""What a stage imports only when it needs it, which most of its jobs do."""


def serve(descriptor: int, preload: str) -> int:
    """Serve a runner until it closes its end.

    Args:
        descriptor: a socket to the runner.
        preload: the fields of a `Preload` as JSON.
    """
    environment = dict(os.environ)
    guard.leave_signals_to_runner()
    told = json.loads(preload)
    load_beforehand(Preload(tuple(told["stages"]), tuple(told["model_types"])))
    gc.collect()
    gc.freeze()  # what is here already is shared with the children; their collections must not touch it
    with socket.socket(fileno=descriptor) as runner:
        _Server(runner, environment).run()
    return 0


def reason_against(job: Mapping[str, str], server: Mapping[str, str], torch: Any, new_threads: int) -> str | None:
    """Why a fork now would not be the same as a fresh start; None where it is.

    Args:
        job: the environment of the job.
        server: that with which the server was started.
        torch: the module, None where it is not imported.
        new_threads: native threads that the server has beyond those of its imports.
    """
    if torch is not None and torch.cuda.is_initialized():
        return CUDA_STARTED
    if threading.active_count() > 1 or new_threads > 0:
        return "threads have started in the server"
    other = sorted(name for name in {*job, *server} - {*PER_JOB} if job.get(name) != server.get(name))
    if other:
        return f"the environment has changed ({', '.join(other)})"
    if shows_none(server.get(VISIBLE_GPUS)) and not shows_none(job.get(VISIBLE_GPUS)):
        return f"the server was started without a GPU ({VISIBLE_GPUS})"
    return None


class _Server:
    def __init__(self, runner: socket.socket, environment: Mapping[str, str]) -> None:
        self._runner = runner
        self._environment = environment
        self._ends = guard.listen()
        self._n_threads = _native_threads()

    def run(self) -> None:
        """Do what the runner asks until it closes its end."""
        poll = select.poll()
        poll.register(self._ends, select.POLLIN)
        poll.register(self._runner, select.POLLIN)
        self._runner.sendall(b"ready")
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._ends in ready:
                os.read(self._ends, 4096)
                _reap()
            if self._runner.fileno() in ready:
                told, sockets, *_ = socket.recv_fds(self._runner, 1 << 20, 1, socket.MSG_CMSG_CLOEXEC)
                if not told:
                    return
                self._submit(json.loads(told), sockets[0])

    def _submit(self, message: Mapping[str, Any], job: int) -> None:
        """Fork the guard of a job, or say in its socket why not."""
        new_threads = _native_threads() - self._n_threads
        reason = reason_against(message["environment"], self._environment, sys.modules.get("torch"), new_threads)
        if reason is None and _holds(CUDA_DEVICE):
            reason = CUDA_STARTED
        if reason is None:
            parent, started = os.getpid(), time.perf_counter()
            try:
                if os.fork() == 0:
                    for descriptor in (self._ends, signal.set_wakeup_fd(-1), self._runner.fileno()):
                        os.close(descriptor)
                    _leave(message, parent, job, started)
            except OSError as error:
                reason = f"no process could be forked: {error.strerror}"
        if reason is not None:
            with contextlib.suppress(OSError):  # the runner may have given the job up
                os.write(job, f"refused {reason}\n".encode())
        os.close(job)


def _reap() -> None:
    """Collect every child that has ended, as several ends may come as one signal."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _leave(message: Mapping[str, Any], parent: int, runner: int, started: float) -> None:
    """Be the guard of a job, in a process that was forked; never returns."""
    code = 1
    try:
        guard.end_with_parent(parent)
        os.setsid()
        attempt = Path(message["attempt"])
        for number, name in ((1, "stdout.log"), (2, "stderr.log")):
            opened = os.open(attempt / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            os.dup2(opened, number)
            os.close(opened)
        code = run_forked(message, runner, started)
    except BaseException:  # noqa: BLE001  nothing of the server may run in this process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _holds(device: str) -> bool:
    """Whether this process has a device file open."""
    places = Path("/proc/self/fd")
    opened = (os.readlink(place) for place in places.iterdir() if place.is_symlink())
    return device in opened


def _native_threads() -> int:
    return len(os.listdir("/proc/self/task"))


@without_search_for_cycles()
def load_beforehand(preload: Preload) -> None:
    """Import the modules of stages and of model types."""
    for stage in preload.stages:
        stage_function(stage)
        for package in () if fault_injection.replaced_stage() else USED_BY.get(stage, ()):
            importlib.import_module(package)
    for model_type in preload.model_types:
        _load_model_type(model_type)
    if fault_injection.server_computes():
        import torch

        torch.set_num_threads(2)
        ones = torch.ones(1024, 1024)
        (ones @ ones).sum()


def _load_model_type(model_type: str) -> None:
    """Import the classes of a model type; one that cannot be is told by the jobs that need it."""
    import transformers
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    try:
        for name in objective_registry:
            objective = objective_named(name)
            getattr(transformers, objective.class_of(model_type) or objective.auto_class)
        # The first call compiles the names of weights of all model types, which takes a third of a second.
        get_checkpoint_conversion_mapping(model_type)
    except (ImportError, AttributeError, RuntimeError) as error:
        sys.stderr.write(f"model type {model_type} is not loaded beforehand: {error}\n")
