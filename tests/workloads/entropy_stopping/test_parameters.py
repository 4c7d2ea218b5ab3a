"""Parameters that fit together, and refusals that name the field."""

from __future__ import annotations

import pytest

from lab.parameters import ParameterError, Plan
from workloads.entropy_stopping import costs
from workloads.entropy_stopping.parameters import EntropyStoppingParameters
from workloads.entropy_stopping.rules import Plateau


def plan(**texts: str) -> Plan:
    return Plan.parse(EntropyStoppingParameters, texts)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"threshold": "0"}, "threshold: '0.0' is out of range; allowed: a number from 0.001 to 0.2 nats"),
        ({"threshold": "-1"}, "threshold: '-1.0' is out of range"),
        ({"window": "30"}, "window: '30' is too long; allowed: below the 30 epochs, or the rule can never stop"),
        ({"patience": "4", "epochs": "4"}, "patience: '4' is too long; allowed: below the 4 epochs"),
        ({"model": "cnn", "data": "text"}, "model: 'cnn' needs images"),
        ({"schedules": "5", "epochs": "4"}, "schedules: '5' is too many"),
    ],
)
def test_a_refusal_names_the_field(texts: dict[str, str], words: str) -> None:
    with pytest.raises(ParameterError) as refused:
        plan(**texts)
    assert str(refused.value).startswith(words)


def test_the_published_thresholds_are_always_evaluated_beside_the_fixed_one() -> None:
    (cell,) = plan(threshold="0.03").cells
    assert cell.thresholds == (0.005, 0.01, 0.02, 0.03, 0.05)
    assert [rule for rule in cell.entropy_rules() if rule == Plateau(0.03, 3)]


def test_lengths_end_with_the_full_budget() -> None:
    (cell,) = plan(schedules="4").cells
    assert cell.lengths == (8, 15, 22, 30)  # 7.5 and 22.5 round to even


def test_operations_of_a_step_by_hand():
    # One MLP 64 → 128 → 10 has 64 · 128 + 128 + 128 · 10 + 10 = 9,610 parameters, the difference of two 19,220; 8 models are tuned
    # together on 128 examples each: 6 · 8 · 128 · 19,220.
    assert costs.step_flop(EntropyStoppingParameters()) == 118_087_680
