"""Who claims a folder, and whether that process is known to live or to be gone."""

import dataclasses
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_MAX_PID = 2**31 - 1


@dataclass(frozen=True)
class Owner:
    """A process that claims a folder."""

    host: str
    pid: int
    since: str
    """By the clock of its host: for people, never compared."""
    place: str | None
    """The boot and the process namespace in which its pid means this process; None where the system does not tell."""
    started: int | None
    """When it was started, in ticks since that boot: a pid is later given to another process."""
    nonce: str
    """Random, so that no two claims are equal."""

    @property
    def text(self) -> str:
        """In the words of a lock file."""
        return f"pid {self.pid} on host {self.host}, since {self.since}"

    @property
    def lives(self) -> bool | None:
        """Whether its process is there; None where that cannot be seen from here."""
        if self.place is None or self.place != _place():
            return None
        try:
            return _started(self.pid) == self.started
        except FileNotFoundError:
            return None if _is_hidden(self.pid) else False
        except OSError:
            return None


def this_process() -> Owner:
    """This process, about to make a claim."""
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        started = _started(os.getpid())
    except OSError:
        started = None
    place = None if started is None else _place()
    return Owner(socket.gethostname(), os.getpid(), since, place, started, secrets.token_hex(8))


def owner_of(record: Any) -> Owner | None:
    """The owner of a record; None where it is none."""
    names = [item.name for item in dataclasses.fields(Owner)]
    if not isinstance(record, Mapping) or not all(name in record for name in names):
        return None
    if not isinstance(record["pid"], int) or not 0 < record["pid"] <= _MAX_PID:
        return None
    return Owner(**{name: record[name] for name in names})


def _place() -> str | None:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """When a process was started; None of one that is dead and not yet waited for.

    Raises:
        FileNotFoundError: there is none, or it is not shown to this user.
    """
    words = (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return None if words[0] in "ZX" else int(words[19])


def _is_hidden(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
