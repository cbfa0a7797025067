"""A process between the runner and a worker, so that nothing the worker starts outlives the runner.

Run as `python -I -S guard.py CORES COMMAND...` with a socket to the runner as stdin. It starts the command in a new
session, tells its process id, and ends with its exit code, 128 + n for signal n. When the socket closes the runner is
gone: the worker and all that descends from it are killed. On Linux orphans become children of this process (it is
their subreaper), so that a grandchild with a session of its own is found too; elsewhere only the worker's process
group is. Standard library only, as it starts for every job; the server of warm starts uses its functions after a fork.

Signals: SIGTERM and SIGUSR1 are passed on to the worker, SIGUSR2 kills everything below.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

GUARD_PID = "SFT_GUARD_PID"
"""Names the guard to its worker."""
KILL_ALL = signal.SIGUSR2
PASSED_ON = (signal.SIGTERM, signal.SIGUSR1)
LEAVE_SECONDS = 0.5
"""How long what a worker started may outlive it, to leave by itself (a resource tracker does)."""
NOT_STARTED = 127
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_HEARD = (*PASSED_ON, KILL_ALL, signal.SIGCHLD)


def main(arguments: list[str]) -> int:
    """Start and watch the command; `arguments` are its CPU numbers (comma-separated, empty: all) and the command."""
    cores, command = arguments[0], arguments[1:]
    become_subreaper()
    if cores:
        set_cores([int(core) for core in cores.split(",")])
    # Inherited by the worker: stacks that are asked for before it listens must not end it.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        worker = os.posix_spawn(
            command[0],
            command,
            os.environ | {GUARD_PID: str(os.getpid())},
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE],
        )
    except OSError as error:
        os.write(2, f"the worker could not be started: {error}\n".encode())
        return NOT_STARTED
    signals = listen()
    with contextlib.suppress(OSError):
        os.write(0, f"{worker}\n".encode())
    return Watch(worker, signals, lifeline=0).until_end()


def become_subreaper() -> None:
    """Have orphans among the descendants become children of this process; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when `parent` dies; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)


def set_cores(cores: list[int]) -> None:
    """Bind this process, and all it starts, to CPUs where the system can and has them."""
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)


def listen() -> int:
    """Turn signals into bytes to be read from the returned descriptor; they may have been blocked until here."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _HEARD:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
    return reader


def kill_group(leader: int) -> None:
    """Kill a process group, which may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class Watch:
    """A worker, a child of this process, with everything that descends from it."""

    def __init__(self, worker: int, signals: int, lifeline: int | None = None) -> None:
        """Watch a worker.

        Args:
            worker: its process id.
            signals: what `listen` returned.
            lifeline: a descriptor at whose end everything is killed.
        """
        self._worker = worker
        self._signals = signals
        self._lifeline = lifeline
        self._code: int | None = None

    def until_end(self) -> int:
        """Wait until nothing is left; the worker's exit code, 128 + n for signal n."""
        poll = select.poll()
        for descriptor in (self._signals, self._lifeline):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        while self._reap() and self._code is None:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._lifeline in ready and not _read(self._lifeline):
                self._kill_all()
            elif self._signals in ready:
                for number in _read(self._signals):
                    self._heed(number)
        self._end_leftovers()
        code = self._code or 0
        return code if code >= 0 else 128 - code

    def _heed(self, number: int) -> None:
        if number in PASSED_ON and self._reap() and self._code is None:
            os.kill(self._worker, number)
        elif number == KILL_ALL:
            self._kill_all()

    def _reap(self) -> bool:
        """Collect children that have ended; whether others are left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._worker:
                self._code = os.waitstatus_to_exitcode(status)

    def _end_leftovers(self) -> None:
        deadline = time.monotonic() + LEAVE_SECONDS
        while self._reap() and time.monotonic() < deadline:
            time.sleep(0.01)
        killed = self._kill_all()
        if killed:
            names = ", ".join(sorted(killed.values()))
            os.write(2, f"processes that outlived the worker were ended: {len(killed)} ({names})\n".encode())

    def _kill_all(self) -> dict[int, str]:
        """Kill every descendant until none is left; their names by process id."""
        killed: dict[int, str] = {}
        pause = 0.001
        while self._reap():
            for pid, name in descendants(os.getpid()).items():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed[pid] = name
            if not os.path.isdir("/proc/self"):
                kill_group(self._worker)
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        return killed


def descendants(root: int) -> dict[int, str]:
    """The living processes below `root`: process id -> name; nothing where there is no /proc."""
    names: dict[int, str] = {}
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{int(entry)}/stat", encoding="utf-8", errors="replace") as file:
                head, _, tail = file.read().rpartition(")")
            state, parent = tail.split()[:2]
            children.setdefault(int(parent), []).append(int(entry))
            if state != "Z":
                names[int(entry)] = head.partition("(")[2]
    found, todo = [], [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return {pid: names[pid] for pid in found if pid in names}


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except (BlockingIOError, ConnectionResetError):
        return b""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
