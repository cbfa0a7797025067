"""The largest and the smallest singular triplets of a weight matrix."""

from dataclasses import dataclass

import scipy.linalg
import torch

from sft.exceptions import UserError
from sft.initialization.initializers import EXACT_UP_TO

OVERSAMPLING = 32
ITERATIONS = 16
RANDOM_STATE = 0
# the Gram matrix squares the spread of the singular values; below this share of the largest they drown in fp64 noise
RELIABLE_SHARE = 1e-5
# the same for fp32, in which the right vectors stay orthonormal to 1e-5 above it
RELIABLE_SHARE_FP32 = 0.1
TURNED = 5e-3
"""Sine of the angle up to which fp32 may turn the subspace of the largest triplets: a cosine above 0.99998."""

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

    No global generator is used. Exact where the smaller side is at most 1,536: eigenvectors on that side, on the CPU
    in fp32 where their residual proves that rounding turns their subspace by less than 5e-3, else in fp64. Above, a
    randomised range finder with 2 x rank + 32 directions and 16 iterations under a fixed generator: spectra of trained
    weights are flat, and with half of the iterations the worst principal cosine falls to 0.94.

    Raises:
        UserError: the rank is above the smaller side.
    """
    smaller = _smaller_side(weight, rank)
    width = min(smaller, 2 * rank + OVERSAMPLING)
    if smaller <= EXACT_UP_TO or width == smaller:
        left, values, right = _in_fp32(weight, rank) or _exact(weight.double(), rank)
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
        values, vectors = _eigenpairs(gram, rank)
        rows = vectors.T
    else:
        _, values, rows = _randomised(gram, width)
    return _signed(rows[:rank].T, values[:rank], rows[:rank])[2].contiguous()


def _exact(weight: torch.Tensor, rank: int, smallest: bool = False) -> Triplets:
    """At least `rank` triplets from the largest on, or from the smallest on."""
    if weight.shape[0] > weight.shape[1]:
        left, values, right = _exact(weight.T, rank, smallest)
        return right.T, values, left.T
    gram = weight @ weight.T
    squares, left = _eigenpairs(gram, rank, smallest)
    values = squares.clamp_min(0).sqrt()
    about_largest = torch.linalg.matrix_norm(gram).sqrt()  # not below the largest value, nor far above
    if values.min() <= RELIABLE_SHARE * about_largest:
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        return (left.flip(1), values.flip(0), right.flip(0)) if smallest else (left, values, right)
    return left, values, (left.T @ weight) / values[:, None]


def _in_fp32(weight: torch.Tensor, rank: int) -> Triplets | None:
    """The `rank` largest triplets of an fp32 matrix on the CPU; None where fp32 does not do for them.

    The sine of the angle between the subspace that was found and the exact one is at most the norm of the residual by
    the gap to the next eigenvalue (Davis and Kahan).
    """
    if weight.dtype != torch.float32 or weight.device.type != "cpu" or rank == min(weight.shape):
        return None
    if weight.shape[0] > weight.shape[1]:
        found = _in_fp32(weight.T, rank)
        return found and (found[2].T, found[1], found[0].T)
    squares, vectors = _eigenpairs(weight @ weight.T, rank + 1)
    left, kept = vectors[:, :rank], squares[:rank]
    reached = weight.T @ left
    residual = torch.linalg.matrix_norm(weight @ reached - left * kept)
    values = reached.norm(dim=0)
    is_near = residual <= TURNED * (kept[-1] - squares[-1])
    if not is_near or values.min() <= RELIABLE_SHARE_FP32 * values.max():
        return None
    return left, values, (reached / values).T


def _eigenpairs(gram: torch.Tensor, count: int, smallest: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` largest eigenvalues, largest first, or the smallest, and their vectors as columns.

    LAPACK finds a part of them in less than half of the time of all; torch has no way to ask for a part.
    """
    if gram.device.type != "cpu" or not torch.isfinite(gram.diagonal()).all():
        values, vectors = torch.linalg.eigh(gram)
        values, vectors = (values, vectors) if smallest else (values.flip(0), vectors.flip(1))
        return values[:count], vectors[:, :count]
    first = 0 if smallest else len(gram) - count
    chosen = (first, first + count - 1)
    by_column = gram.T.numpy()  # as LAPACK stores matrices, so that none is turned round
    found = scipy.linalg.eigh(by_column, subset_by_index=chosen, driver="evr", check_finite=False)
    values, vectors = (torch.from_numpy(part) for part in found)
    return (values, vectors) if smallest else (values.flip(0), vectors.flip(1))


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
