"""Alarms against a known transition: hits, delays, coverage, episodes, and the interval of J, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.training_diagnostics.detection import Alarms, first_step, wilson, youden


def test_alarms_are_raised_when_their_frames_end():
    # Window 6, frames beginning at place 0 and 9 of a curve that begins after step 100: steps 101–106 and 110–115. Window 4 at 3: 104–107.
    alarms = Alarms.of([(6, np.array([0, 9])), (4, np.array([3]))], offset=100)
    assert (alarms.first.tolist(), alarms.last.tolist()) == ([101, 104, 110], [106, 107, 115])
    assert alarms.raised(106, 107).tolist() == [106, 107]
    assert alarms.episodes() == 2  # 101–107 and 110–115
    assert alarms.covered(101, 120) == pytest.approx((7 + 6) / 20)


def test_alarms_on_averaged_losses_come_back_to_steps():
    # Points of 5 steps after step 10; a frame of 4 points from point 2: steps 10 + 2·5 + 1 = 21 to 10 + 6·5 = 40.
    alarms = Alarms.of([(4, np.array([2]))], offset=10, per_point=5)
    assert (alarms.first.tolist(), alarms.last.tolist()) == ([21], [40])


def test_no_alarm_is_no_episode():
    alarms = Alarms.of([(6, np.array([], dtype=int))], offset=0)
    assert (alarms.episodes(), alarms.covered(1, 10), alarms.raised(0, 99).size) == (0, 0.0, 0)


def test_the_transition_is_the_first_step_at_the_threshold():
    assert first_step([0, 10, 20, 30], [0.0, 0.4, 0.5, 0.9], 0.5) == 20
    assert first_step([0, 10], [0.0, 0.4], 0.5) is None


def test_wilson_by_hand():
    # 8 of 10: (8 + 1.9207)/(13.8415) ± 1.96/13.8415 · √(10·0.16 + 0.9604) = 0.71674 ± 0.22658.
    assert wilson(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-4)
    assert wilson(0, 73)[1] == pytest.approx(3.8415 / 76.8415, abs=1e-5)
    with pytest.raises(ValueError, match="hits"):
        wilson(3, 2)


def test_j_of_a_filter_that_always_rings():
    # All 80 runs and all 80 controls: J = 0; each Wilson interval reaches 1 − 3.8415/83.8415 = 0.95418, so J is known to ± 0.0458.
    found = youden(80, 80, 80)
    assert (found.mean, found.n) == (0, 80)
    assert (found.low, found.high) == pytest.approx((-0.04582, 0.04582), abs=1e-5)


def test_j_by_hand():
    # Newcombe (1998), example of method 10: 56/70 − 48/80 = 0.2, interval 0.0524 to 0.3339. With equal numbers: 56/70 and 42/70: shares 0.8
    # and 0.6, Wilson 0.6918 to 0.8771 and 0.4829 to 0.7061; below √(0.1082² + 0.1061²) = 0.1516, above √(0.0771² + 0.1171²) = 0.1402.
    found = youden(56, 42, 70)
    assert found.mean == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.2 - 0.1516, 0.2 + 0.1402), abs=5e-4)


def test_without_runs_there_is_no_j():
    assert youden(0, 0, 0).mean is None


@given(st.integers(1, 300), st.data())
def test_the_interval_holds_j_and_is_symmetric_in_its_arguments(runs, data):
    hits, chance = (data.draw(st.integers(0, runs)) for _ in range(2))
    one, other = youden(hits, chance, runs), youden(chance, hits, runs)
    assert one.low is not None
    assert one.high is not None
    assert -1 <= one.low <= one.mean <= one.high <= 1
    assert (other.mean, other.low, other.high) == pytest.approx((-one.mean, -one.high, -one.low))
