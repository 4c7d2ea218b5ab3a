"""The study of the error against s, the grid that table 6 is searched on, and what Lanczos leaves open: no number where none is meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workloads.spectral_sparse_attention import spectral_study
from workloads.spectral_sparse_attention.parameters import SsaParameters
from workloads.spectral_sparse_attention.series import REWEIGHTED, SSA
from workloads.spectral_sparse_attention.table6 import grid_edge
from workloads.spectral_sparse_attention.tokens import Recipe


def exponents(**values):
    params = SsaParameters(n=128, spectrum_n=128, n_heads=1, head_dim=16, kmeans_steps=2, **values)
    study = spectral_study.Study(params, "cpu", None)
    records = spectral_study._error_against_samples(study, seed=1)
    return {record.arm: record for record in records if record.metric == "sine_exponent"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"data": "unclustered"}, "unclustered data have none"),
        ({"planted": 100}, "too few eigenvalues"),
        ({"k": 1}, "agree within rounding"),  # one cluster keeps every edge: dense attention itself
    ],
)
def test_there_is_no_exponent_where_nothing_can_fall(values, said):
    found = exponents(**values)
    assert set(found) == {SSA, REWEIGHTED}
    assert all(record.value is None and said in record.reason for record in found.values())


def test_planted_clusters_have_an_exponent():
    assert all(record.value is not None and record.value < 0 for record in exponents().values())


def test_causal_spectra_are_not_as_published():
    study = spectral_study.Study(SsaParameters(causal=True, reweighted=True), "cpu", None)
    assert study.record(SSA, "gap", 0.1, 1).dimensions["setting"] == "causal"  # re-weighting is an arm of its own


def test_a_setting_on_the_edge_of_the_searched_grid_is_named():
    recipe = Recipe("planted", 11, spread=0.3, sharpness=0.3, values="tokens", head_dim=64)
    assert grid_edge(recipe) == ""
    assert grid_edge(replace(recipe, spread=0.0)) == ""  # none can lie below
    assert "spread 1 and sharpness 0.1 on the edge" in grid_edge(replace(recipe, spread=1.0, sharpness=0.1))
