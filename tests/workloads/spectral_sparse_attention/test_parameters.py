"""Parameters: what is refused, with the field and its range, and what 0 stands for."""

from __future__ import annotations

import pytest

from lab.parameters import ParameterError, Plan, validate
from workloads.spectral_sparse_attention.costs import (
    dense_obstacle,
    eager_obstacle,
    edges,
    fast_obstacle,
    memory,
    naive_bytes,
    naive_obstacle,
)
from workloads.spectral_sparse_attention.parameters import SsaParameters, energy_cells, longest, nearest_root


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"n": 256, "k": 300}, "k", "at most N = 256"),
        ({"n": 256, "s": 257}, "s", "at most N = 256"),
        ({"n": 128, "planted": 129}, "planted", "at most N = 128"),
        ({"n": 100}, "n", "128 to 131072"),
        ({"n": 1024, "k": 300, "spectrum_n": 512}, "k", "at most half the N of the spectrum, 256"),
        ({"n": 4096, "k": 300, "spectrum_n": 512, "parts": ("quality",)}, "k", "or parts without quality"),
        ({"n": 4096, "s": 600, "spectrum_n": 512}, "s", "at most the N of the spectrum, 512"),
        ({"data": "text", "n": 256, "k": 200, "spectrum_n": 1024}, "k", "at most half the N of the spectrum, 128"),
        ({"m": 65, "head_dim": 64}, "m", "at most the head dimension, 64"),
        ({"data": "text", "n": 512}, "n", "at most 256"),
    ],
)
def test_bad_input_names_the_field_and_what_is_allowed(values, field, said):
    with pytest.raises(ParameterError) as refused:
        validate(SsaParameters, values)
    assert refused.value.name == field
    assert said in str(refused.value)


def test_zero_means_the_nearest_root():
    # √1000 = 31.6, √131072 = 362.04
    assert [nearest_root(n) for n in (128, 1000, 4096, 131072)] == [11, 32, 64, 362]
    chosen = SsaParameters(n=4096, k=0, s=100, planted=0)
    assert (chosen.clusters(4096), chosen.sampled(4096), chosen.planted_clusters(1024)) == (64, 100, 32)


def test_real_text_decides_its_own_head_dimension_and_is_causal():
    own = SsaParameters(data="text", n=256).on_its_data
    assert (own.head_dim, own.causal, own.spectrum_n) == (32, True, 256)
    assert SsaParameters(n=256).on_its_data == SsaParameters(n=256)


def test_departures_from_algorithm_2_are_named():
    assert SsaParameters().departures == ""
    assert SsaParameters(causal=True, samples="per_block").departures == "causal, samples shared by blocks"
    assert SsaParameters(data="text", n=256).departures == "causal"


def test_energy_is_measured_at_the_lengths_that_the_source_names():
    assert energy_cells(Plan.of(SsaParameters, {"n": [4096, 32768, 65536, 131072]})) == (1, 3)
    plan = Plan.of(SsaParameters, {"n": [4096, 8192]})
    assert energy_cells(plan) == (1,)
    assert longest(plan) == 8192


def test_what_is_too_large_for_naive_attention_is_refused_with_its_size():
    cell = SsaParameters(n=131072, n_heads=16, dtype="bfloat16")
    # 3 tables of 16 × 131072² × 2 bytes = 1536 GiB
    assert naive_bytes(cell) == 3 * 16 * 131072**2 * 2
    assert "needs 1.54e+03 GiB" in naive_obstacle(cell, "cuda")
    assert eager_obstacle(cell, "cuda")
    assert dense_obstacle(cell, "cuda") == ""
    assert memory(cell, "cuda").device_bytes < 64 << 30  # what is left still fits
    assert "seconds" not in naive_obstacle(SsaParameters(n=1024), "cpu")


def test_few_clusters_of_a_long_sequence_are_refused_with_their_time():
    one = SsaParameters(n=131072, k=1, n_heads=1, parts=("speed",))
    # 4 × 131072² × 64 operations at 1.5e10 a second: 293 s
    assert "2.9e+02 s" in fast_obstacle(one, "cpu")
    assert fast_obstacle(SsaParameters(n=131072, n_heads=1), "cpu") == ""
    assert fast_obstacle(SsaParameters(n=131072, n_heads=16), "cuda") == ""


def test_edges_never_exceed_all():
    assert edges(4096, 64, 64) == 4096 * 128
    assert edges(128, 1, 50) == 128 * 128
