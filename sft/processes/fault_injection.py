"""Faults on purpose, for tests; nothing happens unless the environment variable below is set.

It holds JSON: `stage` (a function, `/absolute/file.py:function`, that runs in place of every stage), `die_after_write`
and `enospc_at` (numbers of an atomic write of a process, from 1), `in` (`runner` or `worker`: whose writes; both when
left out), `server_matmul` (the server of warm starts computes on several threads, which it must never do).
"""

import errno
import json
import os
import signal
from pathlib import Path
from typing import Any

VARIABLE = "SFT_TEST_FAULTS"


class _Process:
    """Of this process."""

    role = "runner"
    writes = 0


def begin_worker() -> None:
    """This process is a worker; its writes are counted from here."""
    _Process.role, _Process.writes = "worker", 0


def replaced_stage() -> str | None:
    """The function that runs in place of every stage."""
    function = _setting("stage")
    return function if isinstance(function, str) else None


def server_computes() -> bool:
    """Whether the server of warm starts computes before its first fork."""
    return bool(_setting("server_matmul"))


def before_write(path: Path) -> None:
    """An atomic write begins.

    Raises:
        OSError: the disk is to be full at this one.
    """
    if not os.environ.get(VARIABLE):
        return
    _Process.writes += 1
    if _is_here() and _setting("enospc_at") == _Process.writes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def after_write() -> None:
    """An atomic write is complete."""
    if _is_here() and _setting("die_after_write") == _Process.writes:
        os.kill(os.getpid(), signal.SIGKILL)


def _is_here() -> bool:
    return _setting("in") in (None, _Process.role)


def _setting(name: str) -> Any:
    text = os.environ.get(VARIABLE)
    return json.loads(text).get(name) if text else None
