"""What a training costs until a rule stops it."""

from __future__ import annotations

import pytest

from workloads.entropy_stopping.cost_of_training import UnitCosts, in_epochs

COSTS = UnitCosts("energy_j", "J", steps_per_epoch=10, step=2.0, evaluation=5.0, step_error=0.3, evaluation_error=4.0)


def test_a_rule_that_watches_pays_for_its_evaluations() -> None:
    assert COSTS.of(3, watched=True) == 75  # 3 · (10 · 2 + 5)
    assert COSTS.of(3, watched=False) == 60


def test_what_is_saved_counts_the_rule_s_own_cost() -> None:
    assert COSTS.saved_percent(0.5, watched=True) == 37.5  # 1 − 0.5 · 25/20
    assert COSTS.saved_percent(1.0, watched=True) == -25.0  # it never stopped, and watching was not free
    assert COSTS.saved_percent(0.5, watched=True, other_watched=True) == 50.0
    assert in_epochs().saved_percent(1 / 3, watched=True) == pytest.approx(200 / 3)  # the published count


def test_what_a_step_costs_is_known_as_well_as_it_was_measured() -> None:
    assert COSTS.unit_error == pytest.approx(0.15)  # 0.3 of 2
    assert COSTS.moved(step=0.5, evaluation=-1.0).epoch(watched=True) == 29  # 10 · 2.5 + 4
