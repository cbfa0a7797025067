"""Which GPUs there are, as `nvidia-smi` tells; torch is never asked, because that would start CUDA in the runner."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sft.errors import MachineError, UserError

QUERY_TIMEOUT_SECONDS = 60
HIDDEN = "-1"
"""What ends the list in CUDA_VISIBLE_DEVICES."""


@dataclass(frozen=True)
class Gpu:
    """A GPU by its number in `nvidia-smi` and its UUID."""

    index: str
    uuid: str


def find_gpus(choice: str, environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """The UUIDs of the GPUs that a run may use; None where there is no `nvidia-smi` to ask.

    Args:
        choice: `all`, `none`, or indices (or UUIDs) with commas.
        environment: its `CUDA_VISIBLE_DEVICES` is the set that may be used, as indices or UUIDs.

    Raises:
        UserError: the choice is no such list.
        MachineError: a GPU that was asked for is not there or not allowed.
    """
    asked = _asked(choice)
    if asked == ():
        return ()
    present = _query()
    if present is None:
        if asked is None:
            return None
        raise MachineError(f"asked {_count(len(asked))} (--gpus {choice}), found 0: there is no nvidia-smi")
    allowed = _allowed(present, environment.get("CUDA_VISIBLE_DEVICES"))
    if asked is None:
        return tuple(gpu.uuid for gpu in allowed)
    if not allowed:
        raise MachineError(f"asked {_count(len(asked))} (--gpus {choice}), found 0")
    return tuple(dict.fromkeys(_named(allowed, name, "--gpus").uuid for name in asked))


def require_gpus(needed: Mapping[str, int], gpus: Sequence[str] | None) -> None:
    """Refuse experiments that ask for more GPUs than there are.

    Args:
        needed: experiment name -> GPUs its stages ask for.
        gpus: those there are; None where none are managed.

    Raises:
        MachineError: one asks for more.
    """
    found = len(gpus or ())
    short = {name: asked for name, asked in needed.items() if asked > found}
    if not short:
        return
    name, asked = next(iter(short.items()))
    others = f" and {len(short) - 1} more" if len(short) > 1 else ""
    raise MachineError(f'"{name}"{others}: resources.gpus: asked {_count(asked)}, found {found}')


def _asked(choice: str) -> tuple[str, ...] | None:
    """What `--gpus` names; None for all."""
    if choice == "all":
        return None
    if choice == "none":
        return ()
    names = tuple(part.strip() for part in choice.split(","))
    if not all(name.isdecimal() or name.startswith(("GPU-", "MIG-")) for name in names):
        raise UserError(f"--gpus {choice!r}: must be all, none, or numbers with commas such as 0,1")
    return names


def _allowed(present: Sequence[Gpu], visible: str | None) -> list[Gpu]:
    """Those of CUDA_VISIBLE_DEVICES, in its order; what stands behind -1 is hidden, as CUDA reads it."""
    if visible is None:
        return list(present)
    allowed: dict[str, Gpu] = {}
    for name in (part.strip() for part in visible.split(",")):
        if name in ("", HIDDEN):
            break
        gpu = Gpu(name, name) if name.startswith("MIG-") else _named(present, name, "CUDA_VISIBLE_DEVICES")
        allowed[gpu.uuid] = gpu
    return list(allowed.values())


def _named(gpus: Sequence[Gpu], name: str, source: str) -> Gpu:
    """The GPU of an index or of a UUID, which may be shortened."""
    found = [gpu for gpu in gpus if gpu.index == name or (name.startswith("GPU-") and gpu.uuid.startswith(name))]
    if not found:
        there = ", ".join(gpu.index for gpu in gpus) or "none"
        raise MachineError(f"{source}: GPU {name} is not there or not allowed; allowed: {there}")
    return found[0]


def _query() -> list[Gpu] | None:
    """The GPUs of this machine; None without `nvidia-smi`. One that cannot reach its driver finds none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=QUERY_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    if answer.returncode != 0:
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.stdout.splitlines()]
    return [Gpu(row[0], row[1]) for row in rows if len(row) == 2]


def _count(number: int) -> str:
    return f"{number} GPU" if number == 1 else f"{number} GPUs"
