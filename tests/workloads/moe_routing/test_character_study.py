"""The character models: blocks of equal parameters, a whole sound study at its smallest, and the relative reduction of a loss."""

from __future__ import annotations

import pytest
import torch

from lab.records import DataUsed, Phase, Record
from lab.statistics import Interval
from lab.training.initialisation import initialise, n_parameters
from lab.workload import Context
from workloads.moe_routing import character_study as study
from workloads.moe_routing.names import DENSE_TOTAL, FINAL_LOSS, LOSS_REDUCTION, SMALL, STANDARD, TEST_LOSS, TRAIN_LOSS
from workloads.moe_routing.spec import WORKLOAD


def test_blocks_have_the_parameters_they_are_named_for():
    layers = study.blocks(8, 2, 3)
    for name, layer in layers.items():
        block = study.build(layer, 10, 1).blocks[0].ffn
        assert n_parameters(block) == layer.total, name
    assert layers[DENSE_TOTAL].total == layers[STANDARD].total - layers[STANDARD].router


def test_a_model_predicts_from_what_came_before():
    model = initialise(study.build(study.blocks(8, 2, 3)[SMALL], 12, 1), [3]).eval()
    ids = torch.randint(12, (1, 2, study.CONTEXT), generator=torch.Generator().manual_seed(0))
    changed = ids.clone()
    changed[..., -1] = (changed[..., -1] + 1) % 12
    with torch.no_grad():
        torch.testing.assert_close(model(ids)[:, :, :-1], model(changed)[:, :, :-1])


def test_reduction_from_a_ratio():
    # standard/small = 1.25: small is 0.8 of standard, 20 % lower; 1.1 → 9.09 %
    found = study._reduction_of(Interval(1.25, 1.1, 1.6, 5))
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 1 - 1 / 1.1, 0.375))


def test_the_sound_study_at_its_smallest(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "TEST_WINDOWS", 2)
    monkeypatch.setattr(study, "BATCH_SIZE", 1)
    texts = {"studies": "loss", "protocols": "sound", "steps": "2", "seeds": "1", "layer_experts": "2"}
    plan = WORKLOAD.plan("quick", "cpu", texts)
    context = Context("cpu", 0, 1, "custom", 1, str(tmp_path), plan)
    events = list(study.sound(plan.cells[0], context))
    records = [event for event in events if isinstance(event, Record)]
    assert sum(isinstance(event, DataUsed) for event in events) == 1
    assert {r.arm for r in records if r.metric == TEST_LOSS} == set(study.blocks(2, 2, 3))
    assert all((r.value is None and r.reason) or r.value is not None for r in records)
    assert all(r.whole_run and r.protocol == "sound" for r in records)
    (reduction,) = (r for r in records if r.metric == LOSS_REDUCTION and r.arm == SMALL)
    losses = {r.arm: r.value for r in records if r.metric == TEST_LOSS}
    assert reduction.value == pytest.approx(100 * (1 - losses[SMALL] / losses[STANDARD]), rel=1e-6)
    assert "not the published 24 × 4/3 and 8 × 4" in str(reduction.dimensions["flaw"])


def test_the_published_study_trains_the_published_layers_whatever_is_chosen(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "BATCH_SIZE", 1)
    texts = {"studies": "loss", "protocols": "published", "steps": "3", "seeds": "1", "layer_experts": "2", "split": "2", "top_k": "1"}
    plan = WORKLOAD.plan("quick", "cpu", texts)
    monkeypatch.setattr(study, "LAST_STEPS", 2)
    events = list(study.published(plan.cells[0], Context("cpu", 0, 1, "custom", 1, str(tmp_path), plan)))
    assert [event.detail for event in events if isinstance(event, Phase)] == ["8 × 256", "24 × 85", "1 × 256"]
    records = [event for event in events if isinstance(event, Record) and event.arm == SMALL]
    curve = {r.dimensions["step"]: r.value for r in records if r.metric == TRAIN_LOSS}  # a point after each of the three steps
    (final,) = (r for r in records if r.metric == FINAL_LOSS)
    assert final.value == pytest.approx((curve[2] + curve[3]) / 2)
