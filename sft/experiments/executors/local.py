"""Jobs as fresh processes of this machine."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from sft.runs.files import AttemptFolder, JobFolder

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class LocalHandle:
    """A process, leader of its own session, so that a terminal's Ctrl-C reaches the runner alone."""

    job: JobFolder
    process: subprocess.Popen[bytes]
    pidfd: int | None
    """Becomes readable when the process ends; None where the system has no such thing."""

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while the job runs."""
        return self.process.poll()

    def stop(self, grace: float) -> None:
        """Send SIGTERM to the job's session, and SIGKILL after `grace` seconds."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class LocalExecutor:
    """Starts each job as `python -m sft.worker JOB_FOLDER` with its output in files."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._polled: list[LocalHandle] = []

    def submit(self, job: JobFolder, attempt: AttemptFolder) -> LocalHandle:
        """Start a job in a new session."""
        attempt.path.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "SFT_RUNNER_PID": str(os.getpid()),
            "TOKENIZERS_PARALLELISM": "false",
            "TQDM_DISABLE": "1",
        }
        with attempt.stdout.open("wb") as stdout, attempt.stderr.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "sft.worker", str(job.path)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                start_new_session=True,
            )
        pidfd = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
        handle = LocalHandle(job=job, process=process, pidfd=pidfd)
        if pidfd is None:
            self._polled.append(handle)
        else:
            self._selector.register(pidfd, selectors.EVENT_READ, handle)
        return handle

    def ended(self, timeout: float) -> list[LocalHandle]:
        """The jobs that have ended since the last call; waits for any, at most `timeout` seconds."""
        if self._polled:
            return self._poll(timeout)
        handles: list[LocalHandle] = [key.data for key, _ in self._selector.select(timeout)]
        for handle in handles:
            if handle.pidfd is not None:
                self._selector.unregister(handle.pidfd)
                os.close(handle.pidfd)
            handle.process.wait()
        return handles

    def _poll(self, timeout: float) -> list[LocalHandle]:
        """The same on systems without process file descriptors."""
        deadline = time.monotonic() + timeout
        while True:
            ended = [handle for handle in self._polled if handle.exit_code() is not None]
            if ended or time.monotonic() >= deadline:
                self._polled = [handle for handle in self._polled if handle not in ended]
                return ended
            time.sleep(POLL_SECONDS)
