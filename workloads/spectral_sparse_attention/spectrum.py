"""What the Laplacian of an attention graph says: eigenvalues, gap, quality Q, angles between eigenspaces and their bound, mixing time.

Eigenvalues λ_1 = 0 ≤ λ_2 ≤ … ≤ λ_N of L = I − D^−½ W D^−½ (W symmetric); δ_k = λ_(k+1) − λ_k; Q = δ_k / λ_N (source, section 11.6.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MIXING_EPSILON = 0.01  # total variation at which a walk counts as mixed
SETTLED = 1e-9  # summed difference of the rows of a power of P that counts as none
MOST_DOUBLINGS = 40  # a walk that has not mixed after 2⁴⁰ steps does not mix
ROUNDING = 1e-8  # an eigenvalue of L that float64 cannot tell from 0 on matrices of this size, with a wide margin


@dataclass(frozen=True)
class Spectrum:
    """The leading end of a Laplacian's spectrum.

    ``values``: λ_1 … λ_(k+1) at least, ascending (all N where computed exactly). ``vectors`` [N, k]: orthonormal, of λ_1 … λ_k.
    ``largest``: λ_N (of Lanczos a lower bound). ``residual``: how far a value may be from an eigenvalue (0: exact up to rounding).
    """

    values: Tensor
    vectors: Tensor
    largest: float
    residual: float = 0.0

    @property
    def k(self) -> int:
        return self.vectors.shape[1]

    @property
    def gap(self) -> float:
        """δ_k = λ_(k+1) − λ_k."""
        return float(self.values[self.k] - self.values[self.k - 1])

    @property
    def quality(self) -> float:
        """Q = (λ_(k+1) − λ_k) / λ_N."""
        return self.gap / self.largest

    @property
    def second(self) -> float:
        """λ_2, which the source calls the spectral gap of the walk."""
        return float(self.values[1])


def exact_spectrum(matrix: Tensor, k: int) -> Spectrum:
    """Every eigenvalue of I − ``matrix`` (symmetric, float64) and the vectors of the k smallest."""
    theta, vectors = torch.linalg.eigh(matrix)
    values = (1 - theta).flip(0)
    return Spectrum(values, vectors.flip(1)[:, :k].contiguous(), float(values[-1]))


def sines(first: Tensor, second: Tensor) -> Tensor:
    """Sines of the principal angles between two subspaces with orthonormal bases [N, k], descending.

    Singular values of (I − U Uᵀ) V, which keeps its digits where the angles are small.
    """
    return torch.linalg.svdvals(second - first @ (first.T @ second)).clamp(max=1.0)


@dataclass(frozen=True)
class Bound:
    """sin Θ between the leading eigenspaces, and Davis and Kahan's bounds on it from E = L̃ − L and the dense gap δ_k.

    ``operator``: sin Θ's largest value is at most 2‖E‖₂/δ_k, and 1 in any case. ``printed``: ‖E‖_F/δ_k, which the source states for the
    Frobenius norm without the factor 2 that a gap of one matrix alone needs (Yu, Wang and Samworth, Biometrika 2015, theorem 2).
    """

    largest_sine: float
    frobenius: float
    error_2: float
    error_frobenius: float
    gap: float

    @property
    def operator(self) -> float:
        return 2 * self.error_2 / self.gap if self.gap > 0 else math.inf

    @property
    def printed(self) -> float:
        return self.error_frobenius / self.gap if self.gap > 0 else math.inf

    @property
    def vacuous(self) -> bool:
        """A bound of 1 or more on a sine says nothing."""
        return self.operator >= 1


def davis_kahan(dense: Spectrum, sparse: Spectrum, dense_matrix: Tensor, sparse_matrix: Tensor, error_2: float | None = None) -> Bound:
    """Angles of the two leading eigenspaces and their bounds. ``error_2``: ‖E‖₂ where it is known already."""
    error = sparse_matrix - dense_matrix
    found = sines(dense.vectors, sparse.vectors)
    norm = error_2 if error_2 is not None else spectral_norm(error)
    return Bound(float(found.max()), float(torch.linalg.vector_norm(found)), norm, float(torch.linalg.matrix_norm(error)), dense.gap)


def spectral_norm(matrix: Tensor, exact_to: int = 1024, steps: int = 60) -> float:
    """‖E‖₂ of a symmetric matrix: exactly up to ``exact_to`` rows; above by block power steps, which approach it from below."""
    if len(matrix) <= exact_to:
        return float(torch.linalg.eigvalsh(matrix).abs().max())
    generator = torch.Generator(matrix.device).manual_seed(0)
    block = torch.randn(len(matrix), 8, dtype=matrix.dtype, device=matrix.device, generator=generator)
    for _ in range(steps):
        block = matrix @ torch.linalg.qr(block).Q
    return float(torch.linalg.matrix_norm(block, 2))


def relative_errors(dense: Spectrum, sparse: Spectrum) -> Tensor:
    """|λ̃_i − λ_i| / λ_i for i = 2 … k; empty where a dense one is 0 within rounding (the graph falls apart)."""
    true, found = dense.values[1 : dense.k], sparse.values[1 : dense.k]
    if len(true) == 0 or float(true.min()) < ROUNDING:
        return true[:0]
    return (found - true).abs() / true


def mixing_time(walk: Tensor, epsilon: float = MIXING_EPSILON) -> float:
    """Steps until the walk is within ``epsilon`` of its stationary distribution in total variation, from the worst start.

    τ(ε) = min{t : max_x ‖P^t(x, ·) − π‖_TV ≤ ε} (source, theorem 8.5) of the directed walk itself, without symmetrising. P is squared
    until all its rows agree, which gives π, then bisected back; between t − 1 and t steps the distance is interpolated on a log scale,
    so that the result is not rounded to whole steps. Infinite where the walk does not settle within 2⁴⁰ steps.
    """
    powers = [walk]  # P^(2^i)
    while float((powers[-1].amax(0) - powers[-1].amin(0)).sum()) > SETTLED:
        if len(powers) > MOST_DOUBLINGS:
            return math.inf
        squared = powers[-1] @ powers[-1]
        powers.append(squared / squared.sum(1, keepdim=True))  # rounding would let rows drift away from 1
    stationary = powers[-1].mean(0)

    def distance(power: Tensor) -> float:
        return float((power - stationary).abs().sum(1).max()) / 2

    steps, reached = 0, torch.eye(len(walk), dtype=walk.dtype, device=walk.device)
    for exponent in range(len(powers) - 1, -1, -1):  # the most steps after which it is not mixed yet
        further = reached @ powers[exponent]
        if distance(further) > epsilon:
            steps, reached = steps + 2**exponent, further
    before, after = distance(reached), max(distance(reached @ walk), 1e-15)
    return steps + (math.log(before) - math.log(epsilon)) / (math.log(before) - math.log(after))


def mixing_bound(log_rarest: float, second: float, epsilon: float = MIXING_EPSILON) -> float:
    """ln(1/(ε π_min)) / λ_2, the source's bound on the mixing time of a symmetric graph; infinite where λ_2 is 0 within rounding.

    ``log_rarest``: ln π_min.
    """
    return math.inf if second < ROUNDING else -(math.log(epsilon) + log_rarest) / second
