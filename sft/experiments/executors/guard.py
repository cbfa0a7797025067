"""A process between the runner and a worker, so that nothing the worker starts outlives the runner.

Run as `python -I -S guard.py CORES COMMAND...` with a socket to the runner as stdin. It starts the command in a new
session and ends with its exit code, 128 + n for signal n. On Linux orphans become children of this process (it is
their subreaper), so that a grandchild with a session of its own is found too; elsewhere only the worker's process
group is. Standard library only, as it starts for every job; the server of warm starts uses its functions after a fork.

The socket: the guard writes the line `started WORKER GUARD` (process ids), and `ended CODE` when nothing is left below
it. The runner writes orders, one byte each. When its end closes the runner is gone, and everything is killed. Orders
are no signals, because schedulers, systemd and a logout send signals to every process of a run: whatever comes to a
guard that way is left to the runner, which decides what becomes of each job.
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
STOP, DUMP_STACKS, KILL_ALL = b"t", b"s", b"k"
"""Orders: send the worker SIGTERM, have it write its stacks, kill everything below."""
LEFT_TO_RUNNER = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that ask a run to end; guards and servers ignore them, workers all but SIGTERM."""
if sys.platform == "linux":
    STACKS = signal.SIGRTMIN + 6
    """Has a worker write its stacks; a number that no scheduler sends."""
else:
    STACKS = signal.SIGINFO if hasattr(signal, "SIGINFO") else signal.SIGURG
LEAVE_SECONDS = 0.5
"""How long what a worker started may outlive it, to leave by itself (a resource tracker does)."""
NOT_STARTED = 127
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(arguments: list[str]) -> int:
    """Start and watch the command; `arguments` are its CPU numbers (comma-separated, empty: all) and the command."""
    cores, command = arguments[0], arguments[1:]
    become_subreaper()
    if cores:
        set_cores([int(core) for core in cores.split(",")])
    leave_signals_to_runner()
    try:
        worker = os.posix_spawn(
            command[0],
            command,
            os.environ | {GUARD_PID: str(os.getpid())},
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGTERM],
        )
    except OSError as error:
        os.write(2, f"the worker could not be started: {error}\n".encode())
        return NOT_STARTED
    os.closerange(3, 1024)  # what was meant for the worker; its end of a socket must close when it dies
    return watch(worker, runner=0)


def leave_signals_to_runner() -> None:
    """Ignore what may be sent to all processes; they may have been blocked until here.

    A worker inherits that. Stacks that are asked for before it listens must not end it either.
    """
    for number in (*LEFT_TO_RUNNER, STACKS):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT_TO_RUNNER)


def watch(worker: int, runner: int) -> int:
    """Watch over a worker until nothing is left below this process; its exit code, 128 + n for signal n.

    Args:
        worker: its process id; a child of this process.
        runner: the socket to the runner.
    """
    _tell(runner, f"started {worker} {os.getpid()}")
    code = Watch(worker, listen(), runner).until_end()
    _tell(runner, f"ended {code}")
    return code


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
    """Turn the ends of children into bytes to be read from the returned descriptor."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader


def kill_group(leader: int) -> None:
    """Kill a process group, which may be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class Watch:
    """A worker, a child of this process, with everything that descends from it."""

    def __init__(self, worker: int, ends: int, runner: int) -> None:
        """Watch a worker.

        Args:
            worker: its process id.
            ends: what `listen` returned.
            runner: where orders come from; at its end everything is killed.
        """
        self._worker = worker
        self._ends = ends
        self._runner = runner
        self._code: int | None = None

    def until_end(self) -> int:
        """Wait until nothing is left; the worker's exit code, 128 + n for signal n."""
        poll = select.poll()
        poll.register(self._ends, select.POLLIN)
        poll.register(self._runner, select.POLLIN)
        while self._reap() and self._code is None:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._ends in ready:
                _read(self._ends)
            if self._runner in ready:
                self._heed(_read(self._runner) or KILL_ALL)
        self._end_leftovers()
        code = self._code or 0
        return code if code >= 0 else 128 - code

    def _heed(self, orders: bytes) -> None:
        if KILL_ALL in orders:
            self._kill_all()
            return
        for order in orders:
            if self._reap() and self._code is None:
                os.kill(self._worker, signal.SIGTERM if order == STOP[0] else STACKS)

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
            if not _proc_is_ours():
                kill_group(self._worker)
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        return killed


def descendants(root: int) -> dict[int, str]:
    """The living processes below `root`: process id -> name; nothing where /proc does not tell."""
    names: dict[int, str] = {}
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if _proc_is_ours() else []:
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


def _proc_is_ours() -> bool:
    """Whether there is a /proc that numbers processes as this one does; another PID namespace's does not."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def _tell(runner: int, line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(runner, f"{line}\n".encode())


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except (BlockingIOError, ConnectionResetError):
        return b""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
