"""What the factors of all linear layers take by each initialiser, beside a full singular value decomposition of torch.

Layer by layer all sides take their turn, in an order that moves on with each, so that what else the machine does falls
on all of them alike.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from benchmarks.initialization.layers import RANK, linears
from benchmarks.report import Figure
from sft.initialization.cached_factors import factors_of
from sft.initialization.initializers.milora import milora
from sft.initialization.initializers.pca import pca
from sft.initialization.initializers.pissa import pissa

PEER = "full SVD of torch"
WANTED = {"pissa": 6.0}


def figures(folder: Path) -> Iterator[Figure]:
    """CPU seconds of each side."""
    os.environ["XDG_CACHE_HOME"] = str(folder)
    torch.set_num_threads(1)
    layers = linears()
    sides: dict[str, Callable[[nn.Linear], object]] = {
        PEER: lambda layer: torch.linalg.svd(layer.weight, full_matrices=False),
        "pca": lambda layer: pca(layer, RANK, torch.float32),
        "pissa": lambda layer: pissa(layer, RANK, torch.float32),
        "milora": lambda layer: milora(layer, RANK, torch.float32),
        "pissa, then kept": lambda layer: factors_of(pissa, layer, RANK, torch.float32),
        "pissa, read where it was kept": lambda layer: factors_of(pissa, layer, RANK, torch.float32),
    }
    seconds = taken(sides, layers)
    for name, (on_cpu, wall) in seconds.items():
        wanted = f"; wanted: {WANTED[name]:g}" if name in WANTED else ""
        ratio = seconds[PEER][0] / on_cpu
        yield Figure(
            f"{len(layers)} layers, rank {RANK}: {name}",
            on_cpu,
            "s",
            f"{wall:.3g} s wall; {ratio:.2g} x as fast as {PEER}{wanted}",
        )


def taken(sides: dict[str, Callable[[nn.Linear], object]], layers: list[nn.Linear]) -> dict[str, tuple[float, float]]:
    """CPU and wall seconds of each side over all layers; the one that reads comes after the one that keeps."""
    names = list(sides)
    for name in names:
        sides[name](nn.Linear(256, 192))  # what is loaded at the first call
    found = dict.fromkeys(names, (0.0, 0.0))
    for number, layer in enumerate(layers):
        turn = number % (len(names) - 1)
        for name in [*names[turn:-1], *names[:turn], names[-1]]:
            before = time.process_time(), time.perf_counter()
            sides[name](layer)
            spent = time.process_time() - before[0], time.perf_counter() - before[1]
            found[name] = (found[name][0] + spent[0], found[name][1] + spent[1])
    return found
