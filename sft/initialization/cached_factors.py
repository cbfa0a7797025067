"""Factors that were computed from the same weights before, kept in the user's cache.

A grid trains the same model many times from the same decompositions. Those of an initialiser that is marked
`deterministic` are kept under a hash of the weights, of what was asked for and of what decides on the last bit of a
product on this machine, so that a kept start has the bytes of a computed one. So is the source of the initialisers:
after an edit of it, factors are computed anew.
"""

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import scipy
import torch
from safetensors.torch import load, save
from torch import nn

from sft.exceptions import MachineError
from sft.initialization import initializers, spectrum
from sft.initialization.factors import Initializer
from sft.initialization.layers import linear_of
from sft.initialization.utils import dequantize
from sft.models.hashes import cache_folder
from sft.processes.environment import cpu_name
from sft.runs.atomic import atomic_file
from sft.runs.notices import say_once

MOST_BYTES = 2 * 2**30
"""What the kept factors take at most; the longest unused are removed first."""
KEPT_FROM_SIDE = 128
"""Matrices with a smaller side below this are decomposed in about the time that reading a file takes."""
OWN_PACKAGE = f"{initializers.__name__}."


def factors_folder() -> Path:
    """Where they are kept: `factors` in the project's cache folder. It may be deleted at any time."""
    return cache_folder() / "factors"


def factors_of(
    initializer: Initializer, layer: nn.Module, rank: int, dtype: torch.dtype
) -> Mapping[str, torch.Tensor]:
    """What an initialiser makes of a layer: computed, or read where the very same was computed before.

    Raises:
        UserError: see the initialiser.
    """
    if not _is_kept(initializer):
        return initializer(layer, rank, dtype)
    weight = dequantize(layer)
    if not _is_worth_hashing(weight):
        return initializer(layer, rank, dtype)
    file = factors_folder() / _key(initializer, weight, rank, dtype)
    found = _read(file)
    if found is None:
        found = initializer(linear_of(weight), rank, dtype)  # which reads no stored weights a second time
        _write(file, found)
    return found


def keep_in_bounds() -> None:
    """Remove what was not used for longest, until what is kept is within `MOST_BYTES`.

    What a process that was killed left half written counts too; what is being written is the newest, and goes last.
    """
    with contextlib.suppress(OSError):  # another process may remove the same
        kept = [(entry.stat(), entry.path) for entry in os.scandir(factors_folder())]
        kept.sort(key=lambda entry: entry[0].st_mtime)
        excess = sum(status.st_size for status, _ in kept) - MOST_BYTES
        for status, path in kept:
            if excess <= 0:
                break
            os.unlink(path)
            excess -= status.st_size


def _is_kept(initializer: Initializer) -> bool:
    """Whether it is one of the project's and marked; what own code depends on beside the weights nobody knows."""
    own = str(getattr(initializer, "__module__", "")).startswith(OWN_PACKAGE)
    return own and bool(getattr(initializer, "deterministic", False))


def _is_worth_hashing(weight: torch.Tensor) -> bool:
    """Not small ones, nor large ones of a GPU, all of which would leave it to be hashed for a fast decomposition."""
    smaller = min(weight.shape)
    return smaller >= KEPT_FROM_SIDE and (weight.device.type == "cpu" or smaller <= initializers.EXACT_UP_TO)


def _key(initializer: Initializer, weight: torch.Tensor, rank: int, dtype: torch.dtype) -> str:
    name = f"{getattr(initializer, '__module__', '')}:{getattr(initializer, '__qualname__', '')}"
    asked = [name, rank, str(dtype), list(weight.shape), *_arithmetic(weight.device), _sources()]
    digest = hashlib.sha256(json.dumps(asked).encode())
    digest.update(weight.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _arithmetic(device: torch.device) -> list[str | int]:
    """What the last bits of a product depend on beside its factors."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    threads = torch.get_num_threads(), os.environ.get("OPENBLAS_NUM_THREADS", "")
    return [torch.__version__, scipy.__version__, device.type, name, *threads]


_cpu_name = functools.cache(cpu_name)


@functools.cache
def _sources() -> str:
    """A hash of the files that say how factors are computed."""
    folder = Path(str(initializers.__file__)).parent
    files = [Path(str(spectrum.__file__)), *sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _read(file: Path) -> Mapping[str, torch.Tensor] | None:
    """What is kept in a file; None where it is not there, or not as it was written."""
    try:
        checksum, _, payload = file.read_bytes().partition(b"\n")
        if hashlib.sha256(payload).hexdigest().encode() != checksum:
            return None
        with contextlib.suppress(OSError):
            os.utime(file)
    except OSError:
        return None
    kept: Mapping[str, torch.Tensor] = load(payload)
    return kept


def _write(file: Path, factors: Mapping[str, torch.Tensor]) -> None:
    payload = save({name: tensor.cpu().contiguous() for name, tensor in factors.items()})
    try:
        with atomic_file(file, durable=False) as opened:
            opened.write(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
    except (OSError, MachineError) as error:
        say_once(
            f"factors in {file.parent}",
            f"initial factors cannot be kept in {file.parent}, and are computed each time: {error}",
        )
