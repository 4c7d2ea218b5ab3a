"""Rules that stop a training: hand-computed stops, and what holds for all curves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.parameters import ParameterError
from workloads.entropy_stopping.rules import (
    Curves,
    FixedBudget,
    PatienceOnAccuracy,
    PatienceOnLoss,
    Plateau,
    Rule,
    SmoothedPlateau,
    Stop,
)

NAN = math.nan


def curves(entropy: list[float], loss: list[float] | None = None, accuracy: list[float] | None = None) -> Curves:
    return Curves(entropy, loss or entropy, accuracy or entropy)


def test_a_plateau_needs_a_whole_window_of_small_changes_in_a_row() -> None:
    # Changes: 0.5, 0.004, 0.02, 0.004, 0.003, 0.009: three in a row below 0.01 end at epoch 7.
    entropy = [2.0, 1.5, 1.504, 1.524, 1.520, 1.523, 1.514, 1.0]
    assert Plateau(0.01, 3).stop(curves(entropy)) == Stop(7, 7)
    assert Plateau(0.01, 2).stop(curves(entropy)) == Stop(6, 6)
    assert Plateau(0.01, 1).stop(curves(entropy)) == Stop(3, 3)
    assert Plateau(0.01, 4).stop(curves(entropy)) == Stop(8, 8, fired=False)  # the change to 1.0 breaks the row


def test_a_change_as_large_as_the_threshold_is_not_below_it() -> None:
    # 0.25 and its multiples are exact in binary.
    assert Plateau(0.25, 1).stop(curves([1.0, 0.75, 0.5])) == Stop(3, 3, fired=False)
    assert Plateau(0.251, 1).stop(curves([1.0, 0.75, 0.5])) == Stop(2, 2)


def test_the_smoothed_average_is_compared_with_its_own_past() -> None:
    # m: 2, 0.9·2 + 0.1·1 = 1.9, 0.9·1.9 + 0.1·1 = 1.81, 1.729; changes 0.1, 0.09, 0.081.
    assert SmoothedPlateau(0.095).stop(curves([2.0, 1.0, 1.0, 1.0])) == Stop(3, 3)
    assert SmoothedPlateau(0.085).stop(curves([2.0, 1.0, 1.0, 1.0])) == Stop(4, 4)
    assert SmoothedPlateau(0.05).stop(curves([2.0, 1.0, 1.0, 1.0])) == Stop(4, 4, fired=False)


def test_an_entropy_that_moves_by_less_than_ten_thresholds_stops_the_smoothed_rule_at_once() -> None:
    assert SmoothedPlateau(0.01).stop(curves([2.0, 1.91])) == Stop(2, 2)  # 0.1 · 0.09 = 0.009


def test_patience_keeps_the_first_of_the_best_epochs() -> None:
    loss = [1.0, 0.5, 0.6, 0.5, 0.4]
    assert PatienceOnLoss(2).stop(curves([0.0] * 5, loss)) == Stop(4, 2)  # epoch 4 equals the best of epoch 2: no improvement
    assert PatienceOnLoss(3).stop(curves([0.0] * 5, loss)) == Stop(5, 5, fired=False)
    accuracy = [50.0, 80.0, 80.0, 90.0, 85.0, 85.0]
    assert PatienceOnAccuracy(2).stop(curves([0.0] * 6, accuracy=accuracy)) == Stop(6, 4)
    assert PatienceOnAccuracy(1).stop(curves([0.0] * 6, accuracy=accuracy)) == Stop(3, 2)


def test_a_fixed_budget_ends_where_it_says_or_with_the_curves() -> None:
    assert FixedBudget(2).stop(curves([1.0, 2.0, 3.0])) == Stop(2, 2)
    assert FixedBudget(3).stop(curves([1.0, 2.0, 3.0])) == Stop(3, 3)
    assert FixedBudget(5).stop(curves([1.0, 2.0, 3.0])) == Stop(3, 3, fired=False)


def test_a_constant_curve_stops_every_rule_as_early_as_it_can() -> None:
    flat = curves([1.0] * 10)
    assert Plateau(0.001, 3).stop(flat) == Stop(4, 4)  # three changes: from epoch 2 to 4
    assert SmoothedPlateau(0.001).stop(flat) == Stop(2, 2)
    assert PatienceOnLoss(3).stop(flat) == Stop(4, 1)
    assert PatienceOnAccuracy(3).stop(flat) == Stop(4, 1)


@pytest.mark.parametrize("rule", [Plateau(0.01, 2), SmoothedPlateau(0.01), PatienceOnLoss(3), PatienceOnAccuracy(3), FixedBudget(4)])
def test_a_training_that_diverges_before_the_stop_has_no_result(rule: Rule) -> None:
    values = [3.0, 2.0, NAN, NAN, NAN]
    assert rule.stop(Curves(values, values, [-value for value in values])) is None
    assert rule.stop(Curves([math.inf] * 5, [math.inf] * 5, [math.inf] * 5)) is None


def test_a_training_that_had_stopped_before_it_diverges_has_its_result() -> None:
    assert Plateau(0.01, 2).stop(curves([1.0, 1.0, 1.0, NAN])) == Stop(3, 3)
    assert PatienceOnLoss(1).stop(curves([1.0, 1.0, NAN])) == Stop(2, 1)
    assert FixedBudget(2).stop(curves([1.0, 1.0, NAN])) == Stop(2, 2)


@pytest.mark.parametrize("threshold", [0.0, -0.01, NAN, math.inf])
def test_a_threshold_must_be_above_zero(threshold: float) -> None:
    for make in (lambda: Plateau(threshold, 3), lambda: SmoothedPlateau(threshold)):
        with pytest.raises(ParameterError, match="threshold"):
            make()


def test_counts_of_epochs_must_be_at_least_one() -> None:
    for make, name in (
        (lambda: Plateau(0.01, 0), "window"),
        (lambda: PatienceOnLoss(0), "patience"),
        (lambda: FixedBudget(0), "epochs"),
    ):
        with pytest.raises(ParameterError, match=name):
            make()


VALUES = st.lists(st.one_of(st.floats(-5, 5), st.just(NAN)), min_size=1, max_size=30)
RULES = st.one_of(
    st.builds(Plateau, st.floats(1e-6, 2), st.integers(1, 6)),
    st.builds(SmoothedPlateau, st.floats(1e-6, 2)),
    st.builds(PatienceOnLoss, st.integers(1, 6)),
    st.builds(PatienceOnAccuracy, st.integers(1, 6)),
    st.builds(FixedBudget, st.integers(1, 30)),
)


@given(RULES, VALUES)
def test_a_stop_is_the_same_whatever_would_have_come_after_it(rule: Rule, values: list[float]) -> None:
    """Epoch by epoch, as a training under the rule would ask, it stops where the whole stored curve says."""
    stored = curves(values)
    seen = next((stop for n in range(1, len(values) + 1) if (stop := rule.stop(stored.first(n))) is not None and stop.fired), None)
    whole = rule.stop(stored)
    if whole is not None and whole.fired:
        assert seen == whole
    else:
        assert seen is None


@given(RULES, VALUES)
def test_a_stop_lies_within_the_training_and_keeps_a_finite_epoch(rule: Rule, values: list[float]) -> None:
    stop = rule.stop(curves(values))
    if stop is not None:
        assert 1 <= stop.kept <= stop.epoch <= len(values)
        assert math.isfinite(values[stop.kept - 1])


@given(st.floats(1e-6, 2), st.integers(1, 6), VALUES)
def test_a_plateau_never_stops_before_its_window_is_full(threshold: float, window: int, values: list[float]) -> None:
    stop = Plateau(threshold, window).stop(curves(values))
    assert stop is None or not stop.fired or stop.epoch >= window + 1


@given(st.floats(1e-6, 1), st.floats(1e-6, 1), st.integers(1, 5), st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_a_larger_threshold_never_stops_later(first: float, second: float, window: int, values: list[float]) -> None:
    small, large = sorted((first, second))
    stops = [Plateau(threshold, window).stop(curves(values)) for threshold in (small, large)]
    assert stops[0] is not None
    assert stops[1] is not None
    assert stops[1].epoch <= stops[0].epoch
