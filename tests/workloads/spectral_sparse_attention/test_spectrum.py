"""Spectra, angles, bounds and mixing times on graphs whose answers can be derived by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.spectral_sparse_attention import graph
from workloads.spectral_sparse_attention.spectrum import (
    Bound,
    Spectrum,
    davis_kahan,
    exact_spectrum,
    mixing_bound,
    mixing_time,
    relative_errors,
    sines,
    spectral_norm,
)


def two_blocks(inside: float, between: float) -> torch.Tensor:
    """ln W of four tokens in two clusters of two."""
    weights = torch.full((4, 4), between, dtype=torch.float64)
    weights[:2, :2] = weights[2:, 2:] = inside
    return weights.log()


def test_two_clusters_have_the_eigenvalues_derived_by_hand():
    # All degrees are 2a + 2b. M's eigenvectors: (1,1,1,1) → 1; (1,1,−1,−1) → (2a − 2b)/(2a + 2b); differences inside a cluster → 0.
    a, b = 3.0, 1.0
    found = exact_spectrum(graph.normalised(two_blocks(a, b)), 2)
    assert found.values.tolist() == pytest.approx([0.0, 1 - (a - b) / (a + b), 1.0, 1.0], abs=1e-12)
    assert found.second == pytest.approx(0.5)
    assert found.gap == pytest.approx(0.5)  # λ₃ − λ₂ = 1 − 0.5
    assert found.largest == pytest.approx(1.0)
    assert found.quality == pytest.approx(0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 5.0))
def test_dense_attention_with_equal_queries_and_keys_has_a_laplacian_between_0_and_1(seed, scale):
    # exp of a Gram matrix is positive semidefinite, so M has eigenvalues in [0, 1], and 1 belongs to D^½·1.
    x = scale * torch.randn(12, 3, generator=torch.Generator().manual_seed(seed))
    values = exact_spectrum(graph.normalised(graph.dense_logits(x, x)), 3).values
    assert values[0] == pytest.approx(0.0, abs=1e-10)
    assert values.min() >= -1e-10
    assert values.max() <= 1 + 1e-10


def test_sines_of_a_rotated_plane_are_those_of_its_angles():
    # span{e₁, e₂} against span{cos a e₁ + sin a e₃, e₂}: principal angles a and 0.
    angle = 1e-7  # small enough that √(1 − cos²) would have no digit left
    first = torch.eye(4, dtype=torch.float64)[:, :2]
    second = first.clone()
    second[:, 0] = torch.tensor([math.cos(angle), 0.0, math.sin(angle), 0.0], dtype=torch.float64)
    assert sines(first, second).tolist() == pytest.approx([angle, 0.0], rel=1e-6, abs=1e-15)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-4, 1.0))
def test_the_bound_with_its_factor_2_is_never_exceeded(seed, size):
    generator = torch.Generator().manual_seed(seed)

    def symmetric() -> torch.Tensor:
        x = torch.randn(8, 8, dtype=torch.float64, generator=generator)
        return (x + x.T) / 2

    matrix, error = symmetric(), size * symmetric()
    found = davis_kahan(exact_spectrum(matrix, 3), exact_spectrum(matrix + error, 3), matrix, matrix + error)
    assert found.largest_sine <= min(1.0, found.operator) + 1e-9
    assert found.error_2 == pytest.approx(float(torch.linalg.matrix_norm(error, 2)))
    assert found.frobenius <= 2 * found.error_frobenius / found.gap + 1e-9


def test_the_printed_bound_is_false():
    # A = diag(0, 1) has the gap 1. E = diag(0.6, −0.6) makes diag(0.6, 0.4): the leading vector is now the other one, sin θ = 1, while
    # ‖E‖_F = 0.6 √2 = 0.849 promises less. With the factor 2: 2 · 0.6 = 1.2.
    dense = torch.diag(torch.tensor([0.0, 1.0], dtype=torch.float64))
    error = torch.diag(torch.tensor([0.6, -0.6], dtype=torch.float64))
    # exact_spectrum takes M = 1 − L.
    found = davis_kahan(
        exact_spectrum(1 * (torch.eye(2) - dense), 1), exact_spectrum(torch.eye(2) - dense - error, 1), dense, dense + error
    )
    assert found.largest_sine == pytest.approx(1.0)
    assert found.printed == pytest.approx(0.6 * math.sqrt(2))
    assert found.printed < found.largest_sine <= found.operator
    assert found.vacuous


def test_a_bound_without_a_gap_is_vacuous():
    assert Bound(0.5, 0.5, 1.0, 1.0, 0.0).operator == math.inf
    assert Bound(0.5, 0.5, 1.0, 1.0, 0.0).vacuous


def test_relative_errors_leave_out_the_first_and_say_nothing_of_a_graph_that_falls_apart():
    vectors = torch.zeros(4, 3)
    dense = Spectrum(torch.tensor([0.0, 0.1, 0.4, 0.9]), vectors, 1.0)
    sparse = Spectrum(torch.tensor([0.0, 0.05, 0.5, 0.8]), vectors, 1.0)
    assert relative_errors(dense, sparse).tolist() == pytest.approx([0.5, 0.25])  # λ₂ and λ₃; λ₄ is not among the k = 3
    apart = Spectrum(torch.tensor([0.0, 0.0, 0.4, 0.9]), vectors, 1.0)
    assert len(relative_errors(apart, sparse)) == 0


def test_the_mixing_time_of_two_states_follows_from_their_second_eigenvalue():
    # P = [[1 − p, p], [p, 1 − p]]: distance to (½, ½) after t steps is ½ |1 − 2p|^t; ½ · 0.8^t = 0.01 at t = ln 50 / −ln 0.8 = 17.53.
    p = 0.1
    walk = torch.tensor([[1 - p, p], [p, 1 - p]], dtype=torch.float64)
    assert mixing_time(walk) == pytest.approx(math.log(0.5 / 0.01) / -math.log(1 - 2 * p))


def test_a_walk_that_cannot_leave_its_cluster_never_mixes():
    walk = graph.transition(two_blocks(1.0, 0.0))
    assert mixing_time(walk) == math.inf
    assert mixing_bound(math.log(0.25), 0.0) == math.inf


def test_the_bound_on_mixing_is_the_sources():
    # Equal degrees: π_min = 1/4, λ₂ = 0.5, ε = 0.01: ln(400)/0.5.
    assert mixing_bound(graph.rarest(two_blocks(3.0, 1.0)), 0.5, 0.01) == pytest.approx(math.log(400) / 0.5)


def test_the_spectral_norm_by_power_steps_is_that_of_all_eigenvalues():
    x = torch.randn(40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = x + x.T
    assert spectral_norm(x, exact_to=10, steps=200) == pytest.approx(spectral_norm(x), rel=1e-6)
