"""The experiment on the CPU, in this process: what its events say, which arms are left out and why, training at its smallest."""

import math

import pytest
import torch

from lab.energy_meter import NO_COUNTER_ON_CPU
from lab.parameters import Plan
from lab.records import Progress, Record
from lab.workload import Context
from workloads.fft_mixing import costs, speed, tasks, training_step
from workloads.fft_mixing.experiment import run
from workloads.fft_mixing.names import ACCURACY_GAIN, GAIN_LOW, LAYER, SOUND_TRAINING, TEST_ACCURACY, TRAINING_STEP, VALIDATION_ACCURACY
from workloads.fft_mixing.parameters import FftMixingParameters
from workloads.fft_mixing.spec import WORKLOAD

LAYERS = {"d_model": 8, "n_heads": 2, "tokens": 64, "segment_s": 0.001, "looks": 1, "studies": ("speed",)}
TRAINING = {"studies": ("accuracy",), "steps": 2, "seeds": 2, "n_distances": 2, "batch_size_trained": 4}


@pytest.fixture(autouse=True)
def _threads_put_back():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """A cache of 16 KiB and few sequences."""
    monkeypatch.setattr(speed, "cache_bytes", lambda device: 1 << 14)
    monkeypatch.setattr(tasks, "SIZES", (64, 8, 8))


def events_of(tmp_path, cell=0, **values):
    plan = Plan.of(FftMixingParameters, values)
    context = Context("cpu", cell, len(plan.cells), "custom", 1, str(tmp_path), plan, NO_COUNTER_ON_CPU)
    return list(run(plan.cells[cell], context))


def records_of(tmp_path, **values):
    return [event for event in events_of(tmp_path, **values) if isinstance(event, Record)]


def test_every_layer_is_timed_beside_the_others(tmp_path):
    records = records_of(tmp_path, seq_len=64, mode="forward_backward", **LAYERS)
    timed = {(r.arm, r.implementation) for r in records if r.metric == "latency_s" and r.dimensions["part"] == LAYER and r.value}
    backends = {key for key in timed if key[0] == "attention"} - {("attention", "module")}
    assert timed - backends == {
        ("fft_mix", "eager"),
        ("fft_mix", "fused"),
        ("attention", "module"),
        ("fnet", "eager"),
        ("depthwise_conv", "eager"),
        ("projection", "eager"),
        ("memory_pass", "eager"),
    }
    ((_, backend),) = backends
    assert backend.startswith("sdpa_")
    steps = {(r.arm, r.implementation) for r in records if r.dimensions["part"] == TRAINING_STEP and r.metric == "latency_s" and r.value}
    assert {("fft_mix", "eager"), ("fft_mix", "fused"), ("attention", "module")} < steps
    ((_, backend),) = steps - {("fft_mix", "eager"), ("fft_mix", "fused"), ("attention", "module")}
    assert backend.startswith("sdpa_")  # the fastest of this shape, by name
    assert all(r.protocol == "published" and r.whole_run for r in records if r.dimensions["part"] == TRAINING_STEP)
    assert all(r.metric in WORKLOAD.metrics and WORKLOAD.metrics[r.metric].unit == r.unit for r in records)


def test_an_arm_that_is_too_large_is_left_out_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setitem(costs.MATERIALISED_LIMIT_BYTES, "cpu", 1000)
    records = records_of(tmp_path, cell=1, seq_len=[64, 128], peers=False, **LAYERS)
    (module,) = [r for r in records if (r.implementation, r.metric) == ("module", "latency_s")]
    assert module.value is None
    assert "left out: its matrices of N × N" in module.reason
    assert any(r.arm == "attention" and r.value for r in records if r.metric == "latency_s")
    assert not any(r.dimensions["part"] == TRAINING_STEP for r in records)  # it belongs to the first cell


def test_a_wrong_layer_is_not_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "wrong_mixing", lambda *_: "3 of 4 elements differ")
    records = records_of(tmp_path, cell=1, seq_len=[64, 128], peers=False, **LAYERS)
    (fused,) = [r for r in records if (r.arm, r.implementation, r.metric) == ("fft_mix", "fused", "latency_s")]
    assert fused.value is None
    assert fused.reason == "wrong result: 3 of 4 elements differ"


def test_a_wrong_training_step_is_not_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(training_step, "wrong_gradients", lambda *_: "gradient by x: 3 of 4 elements differ")
    records = [r for r in records_of(tmp_path, seq_len=64, peers=False, **LAYERS) if r.dimensions["part"] == TRAINING_STEP]
    (fused,) = [r for r in records if (r.implementation, r.metric) == ("fused", "latency_s")]
    assert fused.value is None
    assert "gradient by x" in fused.reason
    assert {r.implementation for r in records if r.value} >= {"eager", "module"}  # the others are timed


def test_training_records_curves_tests_and_paired_gains(tmp_path):
    events = events_of(tmp_path, seq_len=64, tasks=("copy",), tuned=False, peers=False, **TRAINING)
    records = [r for r in events if isinstance(r, Record) and r.dimensions["part"] == SOUND_TRAINING]
    tested = {(r.arm, r.dimensions["distance"], r.seed): r.value for r in records if r.metric == TEST_ACCURACY}
    assert set(tested) == {(arm, distance, seed) for arm in ("fft_mix", "attention") for distance in (16, 32) for seed in (0, 1)}
    for gain in (r for r in records if r.metric == ACCURACY_GAIN):
        assert "learning rates not tuned: every mixer trained at 0.01" in gain.reason
        distance = gain.dimensions["distance"]
        mean = {arm: sum(tested[arm, distance, seed] for seed in (0, 1)) / 2 for arm in ("fft_mix", "attention")}
        assert gain.value == pytest.approx(mean["fft_mix"] - mean["attention"], abs=1e-4)
    assert all(r.value is None and "fewer than 5" in r.reason for r in records if r.metric == GAIN_LOW)
    steps = {r.dimensions["step"] for r in records if r.metric == VALIDATION_ACCURACY}
    assert steps == {0, 1, 2}
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert all(math.isfinite(r.value) for r in records if r.value is not None)


def test_tuning_uses_other_seeds_and_names_the_rate(tmp_path):
    records = records_of(tmp_path, seq_len=64, tasks=("recall",), peers=False, **TRAINING | {"n_distances": 1, "seeds": 1})
    rates = {r.arm: r for r in records if r.metric == "learning_rate"}
    assert set(rates) == {"fft_mix", "attention"}
    assert {r.seed for r in records if r.metric == TEST_ACCURACY} == {0}


def test_accuracy_belongs_to_the_last_cell_and_speed_can_be_left_out(tmp_path):
    assert not [e for e in events_of(tmp_path, cell=0, seq_len=[64, 128], **TRAINING) if isinstance(e, Record) and not e.whole_run]
