"""The server of warm starts: imports once what jobs need, then forks a guard and a worker for each job.

A forked process has the fork's memory but none of its threads, so the server must never compute with torch (a child
that computes on several threads would wait for threads that are gone) and never start CUDA. It talks with the runner
in lines of JSON: `submit` is answered by `started` or `refused`, later `ended`; `signal` has no answer.
"""

import gc
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
from sft.experiments.executors.environment import GPUS, THREAD_COUNTS
from sft.experiments.executors.preload import Preload
from sft.worker.forked import run_forked
from sft.worker.loading import load_beforehand

PER_JOB = (*THREAD_COUNTS, GPUS)
"""Variables that a job may have otherwise than the server; libraries read others while they are imported."""
NO_GPU = ("", "-1")


def serve(descriptor: int, preload: str) -> int:
    """Serve a runner until it closes its end.

    Args:
        descriptor: a socket to the runner.
        preload: the fields of a `Preload` as JSON.
    """
    environment = dict(os.environ)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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
        return "the server has started CUDA"
    if threading.active_count() > 1 or new_threads > 0:
        return "threads have started in the server"
    other = sorted(name for name in {*job, *server} - {*PER_JOB} if job.get(name) != server.get(name))
    if other:
        return f"the environment has changed ({', '.join(other)})"
    if (job.get(GPUS) in NO_GPU) != (server.get(GPUS) in NO_GPU):
        return f"the server was started with another {GPUS}"
    return None


class _Server:
    def __init__(self, runner: socket.socket, environment: Mapping[str, str]) -> None:
        self._runner = runner
        self._environment = environment
        self._children: dict[int, int] = {}
        """Process id of a guard -> number of its job."""
        self._workers: dict[int, int] = {}
        self._received = b""
        self._wakeup, self._wakeup_writer = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._wakeup_writer, False)
        self._n_threads = _native_threads()

    def run(self) -> None:
        """Do what the runner asks until it closes its end."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup_writer, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        poll.register(self._runner, select.POLLIN)
        self._send({"is": "ready"})
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                self._tell_ended()
            if self._runner.fileno() in ready and not self._read():
                return

    def _read(self) -> bool:
        told = self._runner.recv(1 << 16)
        *lines, self._received = (self._received + told).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["do"] == "submit":
                self._submit(message)
            else:
                self._pass_on(message["job"], message["number"])
        return bool(told)

    def _submit(self, message: Mapping[str, Any]) -> None:
        new_threads = _native_threads() - self._n_threads
        reason = reason_against(message["environment"], self._environment, sys.modules.get("torch"), new_threads)
        if reason is not None:
            self._send({"is": "refused", "job": message["job"], "reason": reason})
            return
        reader, writer = os.pipe()
        parent, started = os.getpid(), time.perf_counter()
        child = os.fork()
        if child == 0:
            for descriptor in (reader, self._wakeup, self._wakeup_writer, self._runner.fileno()):
                os.close(descriptor)
            _leave(message, parent, writer, started)
        os.close(writer)
        worker = int(os.read(reader, 32) or 0)
        os.close(reader)
        self._children[child], self._workers[child] = message["job"], worker
        self._send({"is": "started", "job": message["job"], "pid": worker or None})

    def _pass_on(self, job: int, number: int) -> None:
        for child, own in self._children.items():
            if own == job:
                os.kill(child, number)

    def _tell_ended(self) -> None:
        """Collect the guards that have ended; one that was killed cannot have ended its worker's session."""
        for child in list(self._children):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid == 0:
                continue
            code = os.waitstatus_to_exitcode(status)
            worker = self._workers.pop(child)
            if code < 0 and worker:
                guard.kill_group(worker)
            self._send({"is": "ended", "job": self._children.pop(child), "code": code})

    def _send(self, message: Mapping[str, Any]) -> None:
        self._runner.sendall(json.dumps(message).encode() + b"\n")


def _leave(message: Mapping[str, Any], parent: int, writer: int, started: float) -> None:
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
        code = run_forked(message, writer, started)
    except BaseException:  # noqa: BLE001  nothing of the server may run in this process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _native_threads() -> int:
    return len(os.listdir("/proc/self/task"))
