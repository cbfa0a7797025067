"""The largest and the smallest singular triplets of a weight matrix."""

from dataclasses import dataclass

import torch

from sft.exceptions import UserError
from sft.initialization.initializers import EXACT_UP_TO

OVERSAMPLING = 32
ITERATIONS = 16
RANDOM_STATE = 0
# the Gram matrix squares the spread of the singular values; below this share of the largest they drown in fp64 noise
RELIABLE_SHARE = 1e-5

Triplets = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Left vectors as columns, values, right vectors as rows."""


@dataclass(frozen=True)
class Singular:
    """Some singular triplets, each with the largest entry of its right vector positive."""

    left: torch.Tensor
    """(out, rank), orthonormal columns."""

    values: torch.Tensor
    """(rank,), not negative."""

    right: torch.Tensor
    """(rank, in), orthonormal rows."""

    def factors(self, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """A = sqrt(S) V^T and B = U sqrt(S), whose product B A is the sum of these triplets."""
        root = self.values.sqrt()
        return {"lora_A": (root[:, None] * self.right).to(dtype), "lora_B": (self.left * root).to(dtype)}


def top_singular(weight: torch.Tensor, rank: int) -> Singular:
    """The `rank` largest singular triplets of `weight` (out, in), largest first, in its dtype.

    No global generator is used. Exact where the smaller side is at most 1,536: an eigendecomposition on that side in
    fp64. Above, a randomised range finder with 2 x rank + 32 directions and 16 iterations under a fixed generator:
    spectra of trained weights are flat, and with half of the iterations the worst principal cosine falls to 0.94.

    Raises:
        UserError: the rank is above the smaller side.
    """
    smaller = _smaller_side(weight, rank)
    width = min(smaller, 2 * rank + OVERSAMPLING)
    if smaller <= EXACT_UP_TO or width == smaller:
        left, values, right = _exact(weight.double(), rank)
    else:
        left, values, right = _randomised(weight, width)
    return _kept(weight, rank, (left, values, right))


def bottom_singular(weight: torch.Tensor, rank: int) -> Singular:
    """The `rank` smallest singular triplets of `weight` (out, in), smallest first, in its dtype.

    Exact at every size, because no few products with the matrix come near them: an eigendecomposition on the smaller
    side in fp64, and a full decomposition where the smallest values are below 1e-5 of the largest. Both take time with
    the cube of that side.

    Raises:
        UserError: the rank is above the smaller side.
    """
    _smaller_side(weight, rank)
    return _kept(weight, rank, _exact(weight.double(), rank, smallest=True))


def _smaller_side(weight: torch.Tensor, rank: int) -> int:
    smaller = min(weight.shape)
    if rank > smaller:
        raise UserError(f"rank {rank} is above {smaller}, the smaller side of a layer of {tuple(weight.shape)}")
    return smaller


def _kept(weight: torch.Tensor, rank: int, found: Triplets) -> Singular:
    """The first of the triplets that were found, with their signs, in the dtype of the weight."""
    left, values, right = found
    kept = _signed(left[:, :rank], values[:rank], right[:rank])
    return Singular(*(part.to(weight.dtype).contiguous() for part in kept))


def top_directions(gram: torch.Tensor, rank: int) -> torch.Tensor:
    """The eigenvectors of X^T X (n, n) with the `rank` largest eigenvalues, as rows: right singular vectors of X.

    Orthonormal, the largest entry of each positive, in the dtype of the matrix. Exact up to n = 1,536, above by the
    randomised range finder of `top_singular`.

    Raises:
        UserError: the rank is above n.
    """
    size = len(gram)
    if rank > size:
        raise UserError(f"rank {rank} is above {size}, the inputs of a layer")
    width = min(size, 2 * rank + OVERSAMPLING)
    if size <= EXACT_UP_TO or width == size:
        values, vectors = (part.flip(-1) for part in torch.linalg.eigh(gram))
        rows = vectors.T
    else:
        _, values, rows = _randomised(gram, width)
    return _signed(rows[:rank].T, values[:rank], rows[:rank])[2].contiguous()


def _exact(weight: torch.Tensor, rank: int, smallest: bool = False) -> Triplets:
    """At least `rank` triplets from the largest on, or from the smallest on."""
    if weight.shape[0] > weight.shape[1]:
        left, values, right = _exact(weight.T, rank, smallest)
        return right.T, values, left.T
    squares, vectors = torch.linalg.eigh(weight @ weight.T)
    ordered = squares if smallest else squares.flip(0)
    values = ordered[:rank].clamp_min(0).sqrt()
    if values.min() <= RELIABLE_SHARE * squares[-1].clamp_min(0).sqrt():
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        return (left.flip(1), values.flip(0), right.flip(0)) if smallest else (left, values, right)
    left = (vectors if smallest else vectors.flip(1))[:, :rank]
    return left, values, (left.T @ weight) / values[:, None]


def _randomised(weight: torch.Tensor, width: int) -> Triplets:
    generator = torch.Generator().manual_seed(RANDOM_STATE)
    start = torch.randn(weight.shape[1], width, generator=generator).to(weight)
    basis = torch.linalg.qr(weight @ start).Q
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(weight.T @ basis).Q
        basis = torch.linalg.qr(weight @ basis).Q
    left, values, right = torch.linalg.svd(basis.T @ weight, full_matrices=False)
    return basis @ left, values, right


def _signed(left: torch.Tensor, values: torch.Tensor, right: torch.Tensor) -> Triplets:
    """The triplets with the signs that make them unique: the largest entry of each right vector is positive."""
    largest = right.abs().argmax(dim=1, keepdim=True)
    signs = torch.where(right.gather(1, largest) < 0, -1.0, 1.0).to(right)
    return left * signs.T, values, right * signs
