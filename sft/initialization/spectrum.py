"""The largest singular triplets of a weight matrix."""

from dataclasses import dataclass

import torch

from sft.exceptions import UserError

EXACT_UP_TO = 1536
OVERSAMPLING = 32
ITERATIONS = 8
RANDOM_STATE = 0
# the Gram matrix squares the spread of the singular values; below this share of the largest they drown in fp64 noise
RELIABLE_SHARE = 1e-5


@dataclass(frozen=True)
class Singular:
    """The first singular triplets, largest first, each with the largest entry of its right vector positive."""

    left: torch.Tensor
    """(out, rank), orthonormal columns."""

    values: torch.Tensor
    """(rank,), not negative."""

    right: torch.Tensor
    """(rank, in), orthonormal rows."""


def top_singular(weight: torch.Tensor, rank: int) -> Singular:
    """The `rank` largest singular triplets of `weight` (out, in), in its dtype; no global generator is used.

    Exact where the smaller side is at most 1,536: an eigendecomposition on that side in fp64. Above, a randomised
    range finder with 2 x rank + 32 directions and 8 iterations under a fixed generator.

    Raises:
        UserError: the rank is above the smaller side.
    """
    smaller = min(weight.shape)
    if rank > smaller:
        raise UserError(f"rank {rank} is above {smaller}, the smaller side of a layer of {tuple(weight.shape)}")
    width = min(smaller, 2 * rank + OVERSAMPLING)
    if smaller <= EXACT_UP_TO or width == smaller:
        left, values, right = _exact(weight.double(), rank)
    else:
        left, values, right = _randomised(weight, width)
    kept = _signed(left[:, :rank], values[:rank], right[:rank])
    return Singular(*(part.to(weight.dtype).contiguous() for part in kept))


def _exact(weight: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    if weight.shape[0] > weight.shape[1]:
        left, values, right = _exact(weight.T, rank)
        return right.T, values, left.T
    squares, vectors = torch.linalg.eigh(weight @ weight.T)
    values = squares.flip(0)[:rank].clamp_min(0).sqrt()
    if values[-1] <= RELIABLE_SHARE * values[0]:
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        return left, values, right
    left = vectors.flip(1)[:, :rank]
    return left, values, (left.T @ weight) / values[:, None]


def _randomised(weight: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(RANDOM_STATE)
    start = torch.randn(weight.shape[1], width, generator=generator).to(weight)
    basis = torch.linalg.qr(weight @ start).Q
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(weight.T @ basis).Q
        basis = torch.linalg.qr(weight @ basis).Q
    left, values, right = torch.linalg.svd(basis.T @ weight, full_matrices=False)
    return basis @ left, values, right


def _signed(
    left: torch.Tensor, values: torch.Tensor, right: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The triplets with the signs that make them unique: the largest entry of each right vector is positive."""
    largest = right.abs().argmax(dim=1, keepdim=True)
    signs = torch.where(right.gather(1, largest) < 0, -1.0, 1.0).to(right)
    return left * signs.T, values, right * signs
