"""What the routing study records of a training that is watched, and of one that is not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lab.training.fit import Point
from workloads.moe_routing.names import EXPERT_LOAD, LOAD_ENTROPY, ROUTER_GRADIENT, VALIDATION_ACCURACY
from workloads.moe_routing.routing_study import UNITS, _Recorder

NAMES, SEEDS = ("equal", "egyptian"), (42, 123)


def recorded(step: int, curves: bool) -> Counter:
    """How many records of each metric a point of 2 routings × 2 seeds with 3 experts gives; the last step is 500."""
    recorder = _Recorder("sound", "cpu", "digits", 3, NAMES, SEEDS, whole_run=False, curves=curves)
    point = Point(step, np.zeros(4), {"accuracy": np.full(4, 0.5)}, 0.0, np.full(4, -1), np.zeros((1, 4)))
    diagnostics = {metric: np.full(4, 0.5) for metric in UNITS} | {EXPERT_LOAD: np.full((4, 3), 1 / 3)}
    return Counter(record.metric for record in recorder.point(point, diagnostics, VALIDATION_ACCURACY, last=step == 500))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, {LOAD_ENTROPY: 4}),
        (250, {}),
        (500, {VALIDATION_ACCURACY: 4, LOAD_ENTROPY: 4, ROUTER_GRADIENT: 4}),
    ],
)
def test_of_a_study_that_is_not_watched_only_what_bears_on_claims_is_kept(step, expected):
    assert recorded(step, curves=False) == expected


def test_of_a_watched_study_the_first_seed_is_followed():
    # each step: accuracy of 2 × 2 models; of the first seed of 2 routings every diagnostic, and the loads of 3 experts
    assert recorded(250, curves=True) == {VALIDATION_ACCURACY: 4, **dict.fromkeys(UNITS, 2), EXPERT_LOAD: 6}
    assert recorded(500, curves=True)[ROUTER_GRADIENT] == 4
