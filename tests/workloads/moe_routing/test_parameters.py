"""Bad input names the field; presets are what they say."""

from __future__ import annotations

import pytest

from lab.parameters import ParameterError, validate
from workloads.moe_routing import costs
from workloads.moe_routing.parameters import PUBLISHED_SEEDS, TUNING_SEEDS, MoeRoutingParameters
from workloads.moe_routing.spec import WORKLOAD


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"top_k": 4, "n_experts": 3}, "top_k"),
        ({"n_experts": 1}, "n_experts"),
        ({"n_experts": 2}, "n_experts"),  # Egyptian weights need three
        ({"capacity_factor": 0.0}, "capacity_factor"),
        ({"routings": ["egyptian", "softmax"]}, "routings"),  # no baseline
        ({"routings": ["equal"]}, "routings"),
        ({"layer_experts": 1, "top_k": 1, "studies": ["speed"]}, "layer_experts"),
        ({"layer_experts": 2, "top_k": 3, "studies": ["speed"]}, "top_k"),
        ({"temperature": 0.0}, "temperature"),
    ],
)
def test_bad_values_are_refused(values, field):
    with pytest.raises(ParameterError) as refused:
        validate(MoeRoutingParameters, values)
    assert refused.value.name == field


def test_two_experts_suffice_without_ranked_weights_in_the_sound_protocol():
    assert validate(MoeRoutingParameters, {"n_experts": 2, "protocols": ["published"]})


def test_seeds():
    assert MoeRoutingParameters().reported_seeds == PUBLISHED_SEEDS
    many = MoeRoutingParameters(seeds=20).reported_seeds
    assert len(set(many)) == 20
    assert not set(many) & set(TUNING_SEEDS)


def test_what_belongs_to_the_run_is_measured_once():
    plan = WORKLOAD.plan("quick", "cpu", {"n_experts": "3,8"})
    first, second = (costs.part_durations_s(cell, "cpu", first=index == 0) for index, cell in enumerate(plan.cells))
    assert list(first) == [costs.ROUTING_PUBLISHED, costs.ROUTING_SOUND, costs.SPEED]
    assert list(second) == [costs.ROUTING_SOUND]
