"""Jobs as processes of this machine, forked from a preloaded server or started fresh."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sft.exceptions import MachineError, machine_kind
from sft.experiments.executors.environment import server_environment, worker_environment
from sft.experiments.executors.guard import NOT_STARTED
from sft.experiments.executors.guarded_process import Guarded, GuardedProcess, start_fresh
from sft.experiments.executors.handle import LocalHandle, Submission
from sft.experiments.executors.options import StartChoice
from sft.experiments.executors.protocol import to_stderr
from sft.experiments.executors.start_limits import StartLimits
from sft.experiments.executors.waiting import Waiter
from sft.experiments.executors.warm import CANNOT_FORK, Preload, WarmProcess, WarmServer
from sft.processes.isolation import left_out
from sft.runs.records import ErrorRecord

KILLED = -int(signal.SIGKILL)
CLOSE_SECONDS = 5.0
UNANSWERED = "the server of warm starts does not answer"


class JobProcesses:
    """Starts each job under a guard; one loop without threads. Everything is to be called from one thread."""

    def __init__(
        self,
        start: StartChoice = "auto",
        preload: Preload | None = None,
        say: Callable[[str], None] = to_stderr,
        gpus: Sequence[str] | None = None,
        limits: StartLimits | None = None,
    ) -> None:
        """Without jobs; nothing starts before the first.

        Args:
            start: how jobs start; `auto` gives up warm starts for good when one fails.
            preload: what warm starts import beforehand.
            say: called with a line for the user.
            gpus: all that jobs are given; None where they are not managed.
            limits: in which a worker writes its first line, and the server gets ready; default learnt.
        """
        self._start = start
        self._preload = preload or Preload()
        self._say = say
        self._gpus = gpus
        self._limits = limits or StartLimits()
        self._has_told_left_out = False
        self._warm = start == "warm" or (start == "auto" and sys.platform == "linux")
        self._server: WarmServer | None = None
        self._server_began, self._server_by = 0.0, float("inf")
        self._retired: list[WarmServer] = []
        """Servers that have stopped to answer; each is killed when the last of its jobs has ended."""
        self._waiter = Waiter()
        self._jobs: list[LocalHandle] = []
        self._ended: list[LocalHandle] = []
        self._guards: list[Guarded] = []

    def submit(self, job: Submission) -> LocalHandle:
        """Start a job, or have it wait until the server is ready."""
        if self._start == "warm" and sys.platform != "linux":
            raise MachineError("warm starts need Linux; choose --start fresh")
        self._waiter.hear_signals()
        self._tell_left_out()
        handle = LocalHandle(job)
        self._jobs.append(handle)
        self._begin(handle)
        return handle

    def ended(self, timeout: float) -> Sequence[LocalHandle]:
        """The jobs that have ended since the last call; waits for any, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        is_over = False
        while True:
            now = time.monotonic()
            self._tend_all(now)
            if self._ended or is_over:
                found, self._ended = self._ended, []
                return found
            due = min([deadline, self._server_by, *(handle.due_at for handle in self._jobs)])
            is_over = self._waiter.wait(due - now) or now >= deadline

    def close(self) -> None:
        """End everything that still runs."""
        for guarded in self._guards:
            guarded.hang_up()
        for server in [*self._retired, *([] if self._server is None else [self._server])]:
            server.close()
            self._guards.append(server.guarded)
        deadline = time.monotonic() + CLOSE_SECONDS
        for guarded in self._guards:
            if isinstance(guarded, GuardedProcess):
                guarded.await_end(deadline - time.monotonic())
        for handle in self._jobs:
            handle.finish(KILLED)
        self._jobs, self._guards, self._server, self._retired = [], [], None, []
        self._waiter.close()

    def _tell_left_out(self) -> None:
        names = [] if self._has_told_left_out else left_out(os.environ)
        self._has_told_left_out = True
        if names:
            self._say(f"not passed on to stages, as it could change their results: {', '.join(names)}")

    def _begin(self, handle: LocalHandle) -> None:
        try:
            # Whether the worker has written its first line is seen by this file.
            handle.submission.folder.progress.unlink(missing_ok=True)
            handle.submission.attempt.work.mkdir(parents=True, exist_ok=True)
            if self._warm:
                self._begin_warm(handle)
            else:
                self._begin_fresh(handle)
        except OSError as error:
            kind = machine_kind(error) or "crash"
            self._finish(handle, NOT_STARTED, ErrorRecord(kind, f"the worker could not be started: {error}"))

    def _begin_warm(self, handle: LocalHandle) -> None:
        handle.start = "warm"
        server = self._server or self._start_server()
        if server.is_ready:
            process = server.submit(handle.submission, self._environment(handle.submission))
            handle.process = process
            handle.await_hello(self._limits.seconds("fork", handle.kind))
            if process.code is None:
                self._watch(process)

    def _begin_fresh(self, handle: LocalHandle) -> None:
        handle.start = "fresh"
        guarded = start_fresh(handle.submission, self._environment(handle.submission))
        handle.process = guarded
        handle.await_hello(self._limits.seconds("fresh", handle.kind))
        self._watch(guarded)

    def _environment(self, job: Submission) -> dict[str, str]:
        return worker_environment(os.environ, Path.cwd(), job.lease)

    def _watch(self, guarded: Guarded) -> None:
        self._guards.append(guarded)
        self._waiter.watch(guarded.socket, lambda: self._read_guard(guarded))

    def _read_guard(self, guarded: Guarded) -> None:
        if not guarded.read():
            self._release(guarded)

    def _release(self, guarded: Guarded) -> None:
        self._waiter.unwatch(guarded.socket)
        self._guards.remove(guarded)
        guarded.hang_up()

    def _tend_all(self, now: float) -> None:
        if self._server is not None and now >= self._server_by:
            seconds = self._server_by - self._server_began
            self._server_by = float("inf")
            self._server.kill(
                f"the server of warm starts was not ready within {seconds:g} s (run-experiments --start-timeout)"
            )
        for server in self._retired:
            if server.is_idle:
                server.kill(UNANSWERED)
        for handle in list(self._jobs):
            self._tend(handle, now)

    def _tend(self, handle: LocalHandle, now: float) -> None:
        if handle.hello_by is not None and handle.submission.folder.progress.exists():
            handle.hello_by = None
            self._limits.took("fork" if handle.start == "warm" else "fresh", now - handle.began, handle.kind)
        if handle.process is None:
            if handle.stop_asked:
                self._finish(handle, -signal.SIGTERM)
        elif handle.process.code is not None:
            self._on_end(handle, handle.process.code)
        elif handle.stop_asked and isinstance(handle.process, WarmProcess) and handle.process.pid is None:
            self._release(handle.process)
            self._finish(handle, -signal.SIGTERM)
        elif handle.escalate(now):
            self._finish(handle, KILLED, ErrorRecord("killed", "the job could not be stopped"))
        elif handle.hello_by is not None and now >= handle.hello_by:
            self._look_for_hello(handle)

    def _look_for_hello(self, handle: LocalHandle) -> None:
        handle.hello_by = None
        process = handle.process
        if handle.is_being_killed:
            return
        if isinstance(process, WarmProcess) and process.pid is None:
            self._release(process)
            process.refuse(UNANSWERED)
            self._retire_server()
            return
        reason = f"worker did not start within {handle.hello_seconds:g} s"
        if handle.start == "warm":
            self._on_failed_fork(handle, f"{reason} of its fork (run-experiments --fork-timeout)")
        else:
            handle.error = ErrorRecord("crash", f"{reason} (run-experiments --start-timeout)")
        handle.kill()

    def _on_end(self, handle: LocalHandle, code: int) -> None:
        process = handle.process
        if isinstance(process, WarmProcess) and code == CANNOT_FORK and not handle.stop_asked:
            self._on_failed_fork(handle, process.refusal or "a forked process could not start CUDA")
        if handle.restarts and not handle.stop_asked:
            handle.restart()
            self._begin(handle)
            return
        lost = process is not None and process.lost_guard and not handle.is_being_killed
        error = ErrorRecord("killed", "the process that guards the worker was killed") if lost else None
        self._finish(handle, KILLED if lost else code, error)

    def _finish(self, handle: LocalHandle, code: int, error: ErrorRecord | None = None) -> None:
        handle.finish(code, error)
        self._jobs.remove(handle)
        self._ended.append(handle)

    # the server of warm starts

    def _start_server(self) -> WarmServer:
        server = WarmServer(self._preload, server_environment(os.environ, Path.cwd(), self._gpus))
        self._server = server
        self._server_began = time.monotonic()
        self._server_by = self._server_began + self._limits.seconds("server")
        self._waiter.watch(server.socket, lambda: self._read_server(server))
        self._waiter.watch(server.guarded.socket, lambda: self._read_server_guard(server))
        return server

    def _read_server(self, server: WarmServer) -> None:
        if not server.read():
            self._waiter.unwatch(server.socket)  # what is submitted now waits for the guard's word
        elif server is self._server:
            self._limits.took("server", time.monotonic() - self._server_began)
            self._server_by = float("inf")
            for handle in self._waiting():
                self._begin(handle)

    def _read_server_guard(self, server: WarmServer) -> None:
        if server.read_guard():
            return
        self._waiter.unwatch(server.guarded.socket)
        self._waiter.unwatch(server.socket)
        reason = server.why_it_ended()
        server.close()
        if server in self._retired:
            self._retired.remove(server)
            return
        self._server, self._server_by = None, float("inf")
        for handle in self._waiting():
            self._on_failed_fork(handle, reason)
        if self._start == "auto":
            self._give_up_warm(reason)

    def _retire_server(self) -> None:
        """Have no more to do with a server that does not answer; the jobs that it forked go on."""
        if self._server is not None:
            self._retired.append(self._server)
            self._server = None

    def _waiting(self) -> list[LocalHandle]:
        return [handle for handle in self._jobs if handle.process is None and not handle.stop_asked]

    def _on_failed_fork(self, handle: LocalHandle, reason: str) -> None:
        """A warm start failed: `auto` starts this job and all later ones fresh, `warm` fails it."""
        if self._start == "auto":
            self._give_up_warm(reason)
            handle.restarts = True
        else:
            handle.error = ErrorRecord("crash", f"warm start failed: {reason}")
        if handle.process is None:
            self._on_end(handle, CANNOT_FORK)

    def _give_up_warm(self, reason: str) -> None:
        if self._warm:
            self._warm = False
            self._say(f"jobs start fresh from here on: {reason}")
