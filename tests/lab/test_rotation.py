"""Rotated inputs: how many cover the cache, what a cap costs, and how calls go round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.rotation import ASSUMED_CPU_CACHE_BYTES, Rotation, _cpu_cache_bytes, cache_bytes, rotated_buffers


def random_array(i: int) -> np.ndarray:
    return np.random.default_rng(i).standard_normal(16)


class TestRotatedBuffers:
    def test_four_times_the_cache_by_hand(self) -> None:
        # A cache of 1,000 bytes, 300 a buffer: 4,000 / 300 = 13.3, so 14.
        rotation = rotated_buffers(random_array, 300, 1000)
        assert (rotation.period, rotation.reason) == (14, "")

    def test_one_input_larger_than_the_coverage_is_enough(self) -> None:
        rotation = rotated_buffers(random_array, 5000, 1000)
        assert (rotation.period, rotation.reason) == (1, "")

    def test_cap_on_count_is_said(self) -> None:
        # 10 × 100 bytes are 1 time the cache of 1,000.
        rotation = rotated_buffers(random_array, 100, 1000, max_buffers=10)
        assert rotation.period == 10
        assert rotation.reason == "partial cache: 10 rotated inputs hold 1 times the cache, 4 wanted"

    def test_cap_on_bytes_is_said_and_leaves_one(self) -> None:
        assert (
            rotated_buffers(random_array, 100, 1000, max_bytes=250).reason
            == "partial cache: 2 rotated inputs hold 0.2 times the cache, 4 wanted"
        )
        assert rotated_buffers(random_array, 100, 1000, max_bytes=50).period == 1

    @given(each=st.integers(1, 10**6), cache=st.integers(1, 10**6), most=st.integers(1, 60), most_bytes=st.integers(1, 10**7))
    def test_covers_or_says_so(self, each: int, cache: int, most: int, most_bytes: int) -> None:
        rotation = rotated_buffers(lambda i: object(), each, cache, max_buffers=most, max_bytes=most_bytes)
        assert 1 <= rotation.period <= most
        assert rotation.period == 1 or rotation.period * each <= most_bytes
        assert (rotation.period * each >= 4 * cache) == (rotation.reason == "")

    def test_zeros_and_twins_are_refused(self) -> None:
        with pytest.raises(ValueError, match="not zeros"):
            rotated_buffers(lambda i: np.zeros(16), 128, 64)
        with pytest.raises(ValueError, match="not zeros"):
            rotated_buffers(lambda i: (random_array(i), np.zeros(16)), 256, 64)
        assert rotated_buffers(lambda i: (random_array(i), np.empty(0)), 128, 64).period == 2  # an unused part may be empty
        one = random_array(0)
        with pytest.raises(ValueError, match="distinct"):
            rotated_buffers(lambda i: one, 128, 64)


class TestRotation:
    def test_calls_go_round_and_outputs_stay_for_one_turn(self) -> None:
        rotation = Rotation((1, 2, 3))
        call = rotation.call(lambda x: 10 * x)
        for i in range(4):
            call(i)
        assert rotation.outputs == [10, 20, 30]
        call(4)
        assert rotation.outputs == [10, 20, 30]
        rotation.drop_outputs()
        assert rotation.outputs == [None, None, None]

    def test_outputs_of_one_turn_never_share_memory(self) -> None:
        rotation = rotated_buffers(random_array, 128, 160)
        call = rotation.call(lambda x: x * 2)
        for i in range(2 * rotation.period):
            call(i)
        assert rotation.period == 5
        assert len({output.__array_interface__["data"][0] for output in rotation.outputs}) == 5

    def test_arms_share_the_ring(self) -> None:
        rotation = Rotation((1, 2))
        rotation.call(lambda x: x)(0)
        rotation.call(lambda x: -x)(0)
        assert rotation.outputs == [-1, None]


class TestCacheBytes:
    def test_highest_level_that_linux_lists(self, tmp_path: Path) -> None:
        for index, level, size in [(0, 1, "32K"), (2, 2, "1024K"), (3, 3, "32M")]:
            (tmp_path / f"index{index}").mkdir()
            (tmp_path / f"index{index}" / "level").write_text(f"{level}\n")
            (tmp_path / f"index{index}" / "size").write_text(f"{size}\n")
        assert _cpu_cache_bytes(tmp_path) == 32 * 2**20

    def test_unknown_or_unreadable_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "index0").mkdir()
        (tmp_path / "index0" / "level").write_text("three")
        assert _cpu_cache_bytes(tmp_path) is None
        assert _cpu_cache_bytes(tmp_path / "absent") is None

    def test_this_machine_has_one(self) -> None:
        assert cache_bytes("cpu") >= 2**18
        assert ASSUMED_CPU_CACHE_BYTES == 64 * 2**20
