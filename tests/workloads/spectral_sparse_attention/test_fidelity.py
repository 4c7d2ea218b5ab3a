"""Levels of fidelity: hand-derived on small outputs, and 1 where SSA keeps every edge."""

from __future__ import annotations

import math

import pytest
import torch

from workloads.spectral_sparse_attention import dense
from workloads.spectral_sparse_attention.fidelity import GRADIENTS, Case, compared, cosine, exact_attention, gradients, outputs, purity
from workloads.spectral_sparse_attention.parameters import SsaParameters
from workloads.spectral_sparse_attention.series import DENSE, MEAN_OF_V, REWEIGHTED, RIVALS, SSA, TRUE_CLUSTERS
from workloads.spectral_sparse_attention.tokens import Recipe


def case_of(k: int, s: int, n: int = 128, **values) -> tuple[SsaParameters, Case]:
    params = SsaParameters(n=n, k=k, s=s, spectrum_n=1024, **values)
    return params, Case.of(params, Recipe.of(params, n), n, k, s, 0, "cpu")


def test_levels_of_two_small_outputs():
    y, truth = torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    found = compared(y, truth)
    assert found["output_cosine"] == pytest.approx(9 / 25)  # ⟨y, t⟩ = 9, norms 5 and 5
    assert found["norm_ratio"] == pytest.approx(1.0)
    assert found["relative_error"] == pytest.approx(math.sqrt(32) / 5)  # difference (0, −4; 0, 4)
    assert found["row_cosine"] == pytest.approx((3 / 5 + 0) / 2)


def test_an_error_follows_from_cosine_and_norm_ratio():
    generator = torch.Generator().manual_seed(0)
    found = compared(torch.randn(9, 5, generator=generator), torch.randn(9, 5, generator=generator))
    c, r = found["output_cosine"], found["norm_ratio"]
    assert found["relative_error"] ** 2 == pytest.approx(r * r + 1 - 2 * r * c)


@pytest.mark.parametrize("causal", [False, True])
def test_exact_attention_is_dense_attention(causal):
    q, k, v = torch.randn(3, 40, 8, generator=torch.Generator().manual_seed(1)).unbind(0)
    assert torch.allclose(exact_attention(q, k, v, causal=causal), dense.naive(q.double(), k.double(), v.double(), causal=causal))


@pytest.mark.parametrize(("k", "s"), [(1, 0), (4, 128)])
def test_where_every_edge_is_kept_output_and_gradients_are_dense(k, s):
    params, case = case_of(k, s or 1)
    found = dict(outputs(params, case, 0))
    assert compared(found[SSA](), case.dense())["output_cosine"] == pytest.approx(1.0, abs=1e-6)
    for arm in (SSA, REWEIGHTED):
        assert [gradients(case, 0)[arm][metric] for metric in GRADIENTS] == pytest.approx([1.0] * 3, abs=1e-9)


def test_every_rival_is_there_and_dense_is_not_among_them():
    params, case = case_of(8, 8)
    names = [name for name, _ in outputs(params, case, 0)]
    assert set(RIVALS) <= set(names)
    assert DENSE not in names
    assert TRUE_CLUSTERS in names
    assert all(attend().shape == case.tokens.value.shape for _, attend in outputs(params, case, 0))


def test_the_mean_of_v_is_the_same_for_every_token():
    params, case = case_of(8, 8)
    found = dict(outputs(params, case, 0))[MEAN_OF_V]()
    assert torch.allclose(found, case.tokens.value.mean(0).expand_as(found))


def test_tokens_on_one_point_are_clustered_without_fault():
    _, case = case_of(8, 8, spread=0.0, planted=8)
    assert purity(case) == pytest.approx(1.0)
    assert compared(case.attended(case.clusters, case.samples), case.dense())["output_cosine"] > 0.99


def test_cosine_of_flattened_tensors():
    assert cosine(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])) == pytest.approx(math.sqrt(0.5))
