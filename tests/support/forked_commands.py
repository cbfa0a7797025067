"""A command of the project in a process that is forked, and every stage that it starts in one that is forked from it.

An interpreter imports for seconds, a fork not at all. Everything else is as in `python -m sft.cli`: there is a process
with arguments, variables, working folder, streams, signals and exit code of its own for the command, for each guard
and for what a guard starts; only what would be a new interpreter is a fork that was made to look like one. So no
module is imported anew: that each process imports what it needs is shown by the tests that start interpreters.
"""

import fcntl
import itertools
import json
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from multiprocessing import resource_tracker
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, NoReturn

from sft.processes import child
from tests.support.preloading import start_preloading

INTERPRETER = sys.executable
NOT_READ = {
    "PYTEST_CURRENT_TEST",
    *("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "CRC32C_SW_MODE", "_MLFLOW_TELEMETRY_SESSION_ID"),
}
"""Variables that make no difference to an import; libraries set most of them in the process of the tests."""
_SPAWN = os.posix_spawn


def can_fork(environment: Mapping[str, str]) -> bool:
    """Whether a fork would be as a new interpreter is: the imports read the same variables."""
    if sys.platform != "linux" or sys.executable != INTERPRETER:
        return False
    imported_with = start_preloading()
    names = {*environment, *imported_with} - NOT_READ
    return all(environment.get(name) == imported_with.get(name) for name in names)


def run_forked(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `python -m sft.cli WORDS...` in a folder with these variables, and wait for its end."""
    start_preloading()
    with tempfile.TemporaryDirectory() as place:
        outputs = [Path(place, name) for name in ("stdout", "stderr")]
        arguments = (list(words), str(folder), dict(environment), outputs)
        process = multiprocessing.get_context("forkserver").Process(target=_be_command, args=arguments)
        process.start()
        process.join()
        return subprocess.CompletedProcess(words, process.exitcode or 0, *(path.read_text() for path in outputs))


def _be_command(words: Sequence[str], folder: str, environment: Mapping[str, str], outputs: Iterable[Path]) -> None:
    from sft.cli import __main__ as entry
    from sft.experiments.executors import guard, guarded_process

    guard.become_subreaper()
    seed = _Seed()
    for number, path in enumerate(outputs, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(folder)
    _be_new(environment)
    sys.path[:] = [*filter(None, sys.path), folder]
    sys.argv[:] = [entry.__file__, *words]
    guarded_process.subprocess = SimpleNamespace(Popen=seed.start_guard, TimeoutExpired=subprocess.TimeoutExpired)
    entry.main()


class _Seed:
    """A process in which nothing was done: what is forked from it knows nothing of the command.

    The guards that it forks become children of the command, as what they were forked by ends at once.
    """

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._ours.close()
            _be(lambda: _fork_guards(theirs))
        theirs.close()

    def start_guard(
        self,
        words: Sequence[str],
        *,
        stdin: int,
        stdout: IO[bytes],
        stderr: IO[bytes],
        cwd: Path,
        env: Mapping[str, str],
        pass_fds: Sequence[int],
        start_new_session: bool,
    ) -> "_Guard":
        """In place of `subprocess.Popen`, as `GuardedProcess` calls it."""
        assert start_new_session
        asked = {"words": list(words), "folder": str(cwd), "environment": dict(env), "kept": list(pass_fds)}
        opened = [stdin, stdout.fileno(), stderr.fileno(), *pass_fds]
        socket.send_fds(self._ours, [json.dumps(asked).encode()], opened)
        return _Guard(int(self._ours.recv(32)))


class _Guard:
    """As much of a `subprocess.Popen` as `GuardedProcess` uses."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._code: int | None = None

    def kill(self) -> None:
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            end = os.pidfd_open(self._pid)
            has_ended = select.select([end], [], [], timeout)[0]
            os.close(end)
            if not has_ended:
                raise subprocess.TimeoutExpired("guard", timeout or 0.0)
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code


def _fork_guards(command: socket.socket) -> int:
    """Be the seed until the command ends."""
    while True:
        told, opened, *_ = socket.recv_fds(command, 1 << 20, 16)
        if not told:
            return 0
        command.send(_fork_guard(json.loads(told), opened))
        for descriptor in opened:
            os.close(descriptor)


def _fork_guard(asked: Mapping[str, Any], opened: Sequence[int]) -> bytes:
    """Its process id; it is the command's child by then."""
    reader, writer = os.pipe()
    if (between := os.fork()) == 0:
        if (guard := os.fork()) == 0:
            _be(lambda: _be_guard(asked, opened))
        os.write(writer, str(guard).encode())
        os._exit(0)
    os.waitpid(between, 0)
    os.close(writer)
    with open(reader, "rb", buffering=0) as told:
        return told.read(32)


def _be_guard(asked: Mapping[str, Any], opened: Sequence[int]) -> int:
    from sft.experiments.executors import guard

    os.setsid()
    os.chdir(asked["folder"])
    numbers = (0, 1, 2, *asked["kept"])
    above = 1 + max(*numbers, *opened)
    for number, descriptor in zip(numbers, [fcntl.fcntl(one, fcntl.F_DUPFD, above) for one in opened], strict=True):
        os.dup2(descriptor, number)
    for before, after in itertools.pairwise([*sorted(numbers[2:]), os.sysconf("SC_OPEN_MAX")]):
        os.closerange(before + 1, after)
    _be_new(asked["environment"])
    os.posix_spawn = _fork_below_guard
    words = asked["words"]
    return guard.main(words[words.index(guard.__file__) + 1 :])


def _fork_below_guard(_: str, words: Sequence[str], environment: Mapping[str, str], **asked: Any) -> int:
    """`os.posix_spawn` as a guard calls it."""
    worker = os.fork()
    if worker == 0:
        _be(lambda: _be_started(words, environment, asked["setsigmask"], asked["setsigdef"]))
    return worker


def _be_started(
    words: Sequence[str], environment: Mapping[str, str], mask: Collection[int], defaults: Collection[int]
) -> int:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number in defaults:
        signal.signal(number, signal.SIG_DFL)
    _be_new(environment)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.posix_spawn = _SPAWN
    if list(words[:3]) != [sys.executable, "-P", str(Path(child.__file__).resolve())]:
        os.execv(words[0], words)
    sys.argv[:] = words[2:]
    child.main()
    return 0


def _be_new(environment: Mapping[str, str]) -> None:
    """Have the variables, signals and streams of an interpreter that has just started."""
    os.environ.clear()
    os.environ |= environment
    # The tracker that the forked process inherits is not its child, and what led to it may be closed.
    resource_tracker._resource_tracker._fd = resource_tracker._resource_tracker._pid = None
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115


def _be(program: Callable[[], int]) -> NoReturn:
    """End this process with the exit code of a program; nothing of the process that it was forked from goes on."""
    code = 1
    try:
        code = program()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  as an interpreter does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
