"""The source's printed figures: the same as in the claims, and what follows from them."""

from __future__ import annotations

import pytest

from lab.claims import claims
from workloads.spectral_sparse_attention.paper import FIGURE3A, FIGURE3B, TABLE6, UNCLUSTERED


def test_the_tables_are_those_of_the_claims():
    for n, row in TABLE6.items():
        assert claims()[f"ssa-error-{n}"].value == row.error
        assert claims()[f"ssa-cosine-{n}"].value == row.cosine
        assert claims()[f"ssa-speedup-{n}"].value == pytest.approx(row.dense_s / row.ssa_s, abs=0.015)
    for name, figure in (("k", FIGURE3A), ("s", FIGURE3B)):
        for value, (speed, cosine) in figure.items():
            assert (claims()[f"ssa-ablate-{name}-speedup-{value}"].value, claims()[f"ssa-ablate-{name}-cosine-{value}"].value) == (
                speed,
                cosine,
            )
    assert (claims()["ssa-random-speedup"].value, claims()["ssa-random-cosine"].value) == UNCLUSTERED


def test_the_norm_ratio_solves_its_equation_and_grows():
    for row in TABLE6.values():
        r, c = row.norm_ratio, row.cosine
        assert r * r + 1 - 2 * r * c == pytest.approx(row.error**2)
    assert TABLE6[4096].norm_ratio == pytest.approx(4.966, abs=1e-3)  # 0.7601 + √(0.7601² − 1 + 4.2556²) = 0.7601 + 4.2056
    ratios = [row.norm_ratio for row in TABLE6.values()]
    assert ratios == sorted(ratios)
