"""What runs on a node of Ray: a guard, with a chain of jobs below it that ends when this does.

Ray sends it there by its code, so that it needs nothing but Python's own library.
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

POLL_SECONDS = 0.1
HOLDER = ("/bin/sh", "-c", '"$@"; exit $?', "guard")
"""Stands between the process of Ray and the guard: when that process ends, it kills its children, and a guard that is
killed while it kills leaves what it had not come to yet.
"""
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
OF_A_NODE = (
    *("PATH", "LD_LIBRARY_PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "HOSTNAME"),
    *(VISIBLE_GPUS, "NVIDIA_VISIBLE_DEVICES", "RAY_", "KUBERNETES_"),
)
"""Beginnings of variables that tell about a machine, and are not taken from the one where the run was started."""


def run_guarded(
    words: Sequence[str], variables: Mapping[str, str], log: str, grace: float, stop: bytes, sees_gpus: bool
) -> int:
    """Run a command under a guard until nothing is left of it; its exit code.

    The loop wakes up again and again because Ray cancels by an exception that does not interrupt a wait, and because
    this process, while a task runs, outlives the one of Ray that started it, which is its node's. When the loop ends,
    or this process, the guard sees its socket close and kills all that is below it.

    Args:
        words: the command of the guard with the command.
        variables: of the run, which the command gets beside those of the node.
        log: the file that its output is added to.
        grace: seconds between the request to end and the kill, when Ray cancels.
        stop: the order at which the guard passes that request on.
        sees_gpus: whether Ray gave it GPUs.

    Raises:
        OSError: this node does not have the command, or the folder of the log.
        KeyboardInterrupt: Ray cancelled it, and it has ended.
    """
    node = os.getppid()
    ours, theirs = socket.socketpair()
    with theirs:
        guard = _start(words, environment_of(os.environ, variables, sees_gpus), log, theirs)
    try:
        with ours:
            try:
                _await(guard, lambda: os.getppid() != node)
            except KeyboardInterrupt:
                with contextlib.suppress(OSError):  # it may have ended
                    ours.sendall(stop)
                deadline = time.monotonic() + grace
                _await(guard, lambda: time.monotonic() >= deadline)
                raise
    finally:
        code = guard.wait()
    return code


def environment_of(node: Mapping[str, str], variables: Mapping[str, str], sees_gpus: bool) -> dict[str, str]:
    """The variables of a command: those of the node, over them those of the run that are of no machine.

    Without GPUs it sees none, which Ray leaves to whoever asks for none.
    """
    own = {name: value for name, value in node.items() if not name.startswith("RAY_")}
    given = {name: value for name, value in variables.items() if not name.startswith(OF_A_NODE)}
    return {**own, **given} if sees_gpus else {**own, **given, VISIBLE_GPUS: ""}


def _start(
    words: Sequence[str], environment: Mapping[str, str], log: str, theirs: socket.socket
) -> subprocess.Popen[bytes]:
    try:
        with open(log, "ab") as out:
            return subprocess.Popen(
                [*HOLDER, *words],
                stdin=theirs.fileno(),
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
            )
    except OSError as error:
        raise OSError(f"{error}, on {socket.gethostname()}") from None


def _await(guard: subprocess.Popen[bytes], is_over: Callable[[], bool]) -> None:
    """Wait for its end, or until something is over."""
    while guard.poll() is None and not is_over():
        time.sleep(POLL_SECONDS)
