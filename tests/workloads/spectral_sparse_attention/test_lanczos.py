"""Block Lanczos against all eigenvalues, also where the leading ones coincide."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.spectral_sparse_attention.lanczos import block_lanczos


def symmetric_with(values: list[float], seed: int) -> torch.Tensor:
    """A random symmetric matrix with these eigenvalues."""
    n = len(values)
    basis = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))).Q
    return basis @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ basis.T


def test_eigenvalues_that_coincide_are_all_found():
    # Four copies of 1, as of a graph in four pieces: single-vector Lanczos would find one of them.
    matrix = symmetric_with([1.0] * 4 + [0.3 * i / 60 for i in range(60)], 1)
    *_, last = block_lanczos(lambda block: matrix @ block, 64, 5, torch.Generator().manual_seed(0))
    assert last.values.tolist() == pytest.approx([1.0, 1.0, 1.0, 1.0, 0.3 * 59 / 60], abs=1e-9)
    assert last.residual <= 1e-9


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_every_ritz_value_lies_within_its_residual_of_an_eigenvalue(seed):
    matrix = symmetric_with(torch.rand(48, generator=torch.Generator().manual_seed(seed)).tolist(), seed)
    true = torch.linalg.eigvalsh(matrix)
    for ritz in block_lanczos(lambda block: matrix @ block, 48, 3, torch.Generator().manual_seed(seed), max_steps=4):
        distances = (ritz.values[:, None] - true[None]).abs().amin(1)
        assert bool((distances <= ritz.residuals + 1e-12).all())
        assert ritz.smallest >= float(true[0]) - 1e-12
        assert torch.allclose(ritz.vectors.T @ ritz.vectors, torch.eye(3, dtype=torch.float64), atol=1e-9)


def test_pairs_come_after_every_so_many_steps_and_at_the_end():
    matrix = symmetric_with([i / 100 for i in range(100)], 3)
    found = [ritz.step for ritz in block_lanczos(lambda b: matrix @ b, 100, 2, torch.Generator().manual_seed(0), tolerance=0.0, every=3)]
    assert found[:2] == [3, 6]
    assert found[-1] == 10  # 10 columns a step fill the space of 100


def test_a_space_smaller_than_the_block_is_taken_whole():
    matrix = symmetric_with([0.1, 0.5, 0.9], 0)
    (only,) = block_lanczos(lambda b: matrix @ b, 3, 2, torch.Generator().manual_seed(0))
    assert only.values.tolist() == pytest.approx([0.9, 0.5])
