"""Leading eigenvalues of a large symmetric matrix by block Lanczos with full reorthogonalisation, step by step.

After j steps the subspace is span{X, M X, …, M^(j−1) X} for a random block X; Rayleigh–Ritz on it gives the values θ and vectors y. Each θ
lies within its residual norm ‖M y − θ y‖ of an eigenvalue of M, and Ritz values approach the outer eigenvalues from inside. A block as wide
as the number of wanted eigenvalues finds those that nearly coincide, as the k leading ones of k well separated clusters do: a
single vector finds one of each. Source: Golub and Underwood, "The block Lanczos method for computing eigenvalues" (1977).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_COLUMNS = 4096  # of the subspace: with its image it is what takes memory
OVERSAMPLING = 8  # columns of the block beyond the wanted eigenvalues


@dataclass(frozen=True)
class Ritz:
    """What is known after ``step`` block steps.

    ``values``: the ``wanted`` largest Ritz values, descending. ``vectors`` [n, wanted]. ``residuals`` [wanted]: how far each value is
    from an eigenvalue at most. ``smallest``: the smallest Ritz value, an upper bound of the smallest eigenvalue.
    """

    step: int
    values: Tensor
    vectors: Tensor
    residuals: Tensor
    smallest: float

    @property
    def residual(self) -> float:
        """The largest residual norm of the wanted values."""
        return float(self.residuals.max())


def block_lanczos(
    apply: Callable[[Tensor], Tensor],
    n: int,
    wanted: int,
    generator: torch.Generator,
    *,
    tolerance: float = 1e-9,
    max_steps: int = 60,
    every: int = 1,
) -> Iterator[Ritz]:
    """Ritz pairs of the ``wanted`` largest eigenvalues of a symmetric operator after each block step.

    ``apply``: [n, b] → [n, b] in float64, on the generator's device. Ends when every residual is at most ``tolerance``, when the
    subspace is the whole space, or at ``max_steps`` (or as many columns as memory is meant for): whoever reads the last one looks at
    its residual.
    """
    block = min(wanted + OVERSAMPLING, n)
    columns = min(n, max(MAX_COLUMNS, 2 * block))
    basis = torch.empty(n, 0, dtype=torch.float64, device=generator.device)
    image = basis
    following = torch.randn(n, block, dtype=torch.float64, device=generator.device, generator=generator)
    for step in range(1, max_steps + 1):
        following = _orthogonal_to(basis, following[:, : columns - basis.shape[1]])
        following_image = apply(following)
        basis, image = torch.cat((basis, following), 1), torch.cat((image, following_image), 1)
        following = following_image
        if step % every and step < max_steps and basis.shape[1] < columns:
            continue
        projected = basis.T @ image
        theta, y = torch.linalg.eigh((projected + projected.T) / 2)
        values, y = theta.flip(0)[:wanted], y.flip(1)[:, :wanted]
        vectors = basis @ y
        residuals = torch.linalg.vector_norm(image @ y - vectors * values, dim=0)
        ritz = Ritz(step, values, vectors, residuals, float(theta[0]))
        yield ritz
        if ritz.residual <= tolerance or basis.shape[1] >= columns:
            return


def _orthogonal_to(basis: Tensor, block: Tensor) -> Tensor:
    """An orthonormal basis of ``block`` without its part in ``basis``; twice, because once leaves rounding behind."""
    for _ in range(2):
        block = block - basis @ (basis.T @ block)
        block = torch.linalg.qr(block).Q
    return block
