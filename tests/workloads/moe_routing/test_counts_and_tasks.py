"""Parameters counted by hand; the data sets of the routing study."""

from __future__ import annotations

import numpy as np
import pytest

from workloads.moe_routing import counts, tasks
from workloads.moe_routing.parameters import MoeRoutingParameters, expert_width, round_up


def test_the_published_counts():
    # standard: 2 experts · 2 matrices · 64 · 256 = 65,536, and a router of 64 · 8 = 512: 66,048, the source's "66K"
    standard = counts.standard(64, 8, 2)
    assert (standard.active, standard.total) == (66_048, 8 * 32_768 + 512)
    # small: 2 · 2 · 64 · 85 = 21,760, and 64 · 24 = 1,536: 23,296, the source's "23K"
    small = counts.small(64, 8, 2, 3)
    assert (small.n_experts, small.d_ff, small.active) == (24, 85, 23_296)
    # four attention matrices of 64 · 64 = 16,384 more in both blocks
    assert (small.block_active, standard.block_active) == (39_680, 82_432)
    assert small.flop(10) == 2 * 10 * 23_296


def test_nothing_of_the_egyptian_mixture_is_inactive():
    assert counts.egyptian(64, 32).inactive_share == 0.0
    # two of eight experts: 1 − 66,048/262,656 = 74.85 %
    assert counts.standard(64, 8, 2).inactive_share == pytest.approx(74.85, abs=0.01)


def test_dense_layers_of_equal_parameters():
    # 65,536 / (2 · 64) = 512; a dense FFN has no router
    assert counts.dense_with(65_536, 64) == counts.Layer(64, 512)
    assert counts.dense_with(65_536, 64).active == 65_536


def test_widths():
    assert [expert_width(64, 3), expert_width(1024, 3), expert_width(1024)] == [85, 1365, 4096]
    assert [round_up(1365, 8), round_up(1368, 8), round_up(1365, 64)] == [1368, 1368, 1408]
    assert MoeRoutingParameters(layer_experts=8, split=3).small_experts == 24


def test_the_published_split_lacks_a_class():
    data = tasks.published_spiral(0)
    assert set(data.train[1].tolist()) == set(range(7))
    # 400 test points: the last 150 of class 6, and all 250 of class 7, which training never shows: 150/400 = 37.5 %
    assert np.bincount(data.test[1], minlength=8).tolist() == [0, 0, 0, 0, 0, 0, 150, 250]
    assert data.ceiling == 37.5


def test_the_sound_split_is_whole_and_disjoint():
    data = tasks.sound_spiral(0)
    inputs, _ = tasks.spiral(0)
    parts = [part[0] for part in (data.train, data.validation, data.test)]
    assert [len(part) for part in parts] == [1200, 400, 400]
    rows = {row.tobytes() for part in parts for row in part}
    assert rows == {row.tobytes() for row in inputs}
    assert len(rows) == 2000
    assert data.ceiling == 100.0


@pytest.mark.parametrize("name", ["digits", "text"])
def test_other_data(name, tmp_path):
    data = tasks.task(name, 0, str(tmp_path))
    for inputs, labels in (data.train, data.validation, data.test):
        assert inputs.shape == (len(labels), tasks.FEATURES)
        assert inputs.dtype == np.float32
        assert 0 <= labels.min() <= labels.max() < data.n_classes
    assert 0 < data.chance < 50
