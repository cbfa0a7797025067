"""How near the directions of the initialisers are to those of a full decomposition in fp64.

Two subspaces of one size are as near as the worst of their principal cosines says: 1 where they are the same, 0 where
one holds a direction that is orthogonal to the other.
"""

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch

from benchmarks.initialization.layers import linears
from benchmarks.report import Figure
from sft.initialization import spectrum
from sft.initialization.initializers import EXACT_UP_TO
from sft.initialization.spectrum import bottom_singular, top_singular

RANKS = (8, 64)
WANTED = 0.99


def figures(folder: Path) -> Iterator[Figure]:
    """The worst cosine over all linear layers, by rank."""
    del folder
    torch.set_num_threads(1)
    worst: dict[str, float] = {}
    for layer in linears():
        weight = layer.weight.detach()
        exact = torch.linalg.svd(weight.double(), full_matrices=False).Vh
        for rank in RANKS:
            with mock.patch.object(spectrum, "EXACT_UP_TO", 0):
                randomised = top_singular(weight, rank).right
            found = {
                f"rank {rank}, largest, as used up to {EXACT_UP_TO}": (
                    top_singular(weight, rank).right,
                    exact[:rank],
                ),
                f"rank {rank}, largest, as used above": (randomised, exact[:rank]),
                f"rank {rank}, smallest": (bottom_singular(weight, rank).right, exact[-rank:]),
            }
            for name, (rows, wanted) in found.items():
                cosine = float(torch.linalg.svdvals(rows.double() @ wanted.T).min())
                worst[name] = min(worst.get(name, 1.0), cosine)
    for name, cosine in worst.items():
        yield Figure(f"worst principal cosine, {name}", cosine, "", f"wanted: {WANTED:g}")
