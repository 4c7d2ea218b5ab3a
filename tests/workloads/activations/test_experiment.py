"""The experiment on the CPU, in this process: what its events say, with kernels that compile left out."""

import math
from dataclasses import replace

import pytest
import torch

from lab import energy as lab_energy
from lab.energy import ENERGY, EnergySettings
from lab.energy_meter import NO_COUNTER_ON_CPU
from lab.parameters import Plan
from lab.records import Progress, Record
from lab.rotation import Rotation
from lab.timing import Arm
from lab.workload import Context
from workloads.activations import ffn, implementations
from workloads.activations.experiment import run
from workloads.activations.findings import NO_ACTIVATION
from workloads.activations.implementations import Candidate
from workloads.activations.parameters import ActivationParameters
from workloads.activations.reference import EAGER
from workloads.activations.spec import WORKLOAD

SMALL = {"n": 1024, "functions": ("gelu_erf", "phi6", "copy"), "implementations": ("eager",), "segment_s": 0.001, "looks": 1}
BLOCK = SMALL | {"mode": "ffn", "d_model": 16, "tokens": 8, "expansion": "4/3"}


@pytest.fixture(autouse=True)
def _threads_put_back():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _one_small_cache(monkeypatch):
    """A cache of 16 KiB, so that a rotation needs few buffers."""
    monkeypatch.setattr("workloads.activations.experiment.cache_bytes", lambda device: 1 << 14)
    monkeypatch.setattr("workloads.activations.ffn.cache_bytes", lambda device: 1 << 14)


def events_of(cell=0, device="cpu", obstacle=NO_COUNTER_ON_CPU, **values):
    plan = Plan.of(ActivationParameters, values)
    context = Context(device, cell, len(plan.cells), "custom", 1, "", plan, obstacle)
    return list(run(plan.cells[cell], context))


def records_of(**values):
    return [event for event in events_of(**values) if isinstance(event, Record)]


def keys(records, metric):
    return {(r.arm, r.implementation, r.dimensions["pass"], r.dimensions["cache"]) for r in records if r.metric == metric and r.value}


def test_cold_alone_is_the_default_and_both_caches_are_comparisons_of_their_own():
    arms = {("gelu_erf", "eager"), ("phi6", "eager"), ("copy", "eager")}
    assert keys(records_of(**SMALL), "latency_s") == {(*arm, "forward", "cold") for arm in arms}
    both = records_of(**SMALL, cache=("cold", "warm"))
    assert keys(both, "latency_s") == {(*arm, "forward", cache) for arm in arms for cache in ("cold", "warm")}
    assert keys(both, "peak_memory_bytes") == {(*arm, "forward", "cold") for arm in arms}  # memory knows no cache: once
    assert {r.dimensions["cache"] for r in records_of(**SMALL, cache=("warm",)) if r.metric == "latency_s"} == {"warm"}


def test_a_rotation_that_cannot_cover_the_cache_is_called_partial(monkeypatch):
    monkeypatch.setattr("workloads.activations.experiment.cache_bytes", lambda device: 1 << 22)  # 4 KiB tensors, 512 of them: half a cache
    times = [r for r in records_of(**SMALL) if r.metric == "latency_s"]
    assert {r.dimensions["cache"] for r in times} == {"partial"}
    assert all("0.5 times the cache" in r.reason for r in times)


def test_a_block_is_measured_with_each_activation_without_one_and_at_each_width():
    records = records_of(**BLOCK)
    # floor(4 · 16 / 3) = 21, rounded to 64 = 4 · 16, which is the standard width; and 128.
    widths = {"width_4x": 64, "width_exact": 21, "width_128": 128}
    arms = {("gelu_erf", "eager", "ffn"), ("phi6", "eager", "ffn"), (NO_ACTIVATION, "eager", "ffn")}
    arms |= {(name, "eager", "ffn_widths") for name in widths}
    assert keys(records, "latency_s") == {(*arm, "cold") for arm in arms}
    assert keys(records, "peak_memory_bytes") == {(*arm, "cold") for arm in arms}
    assert {r.arm: r.value for r in records if r.metric == "ffn_width"} == widths
    assert {r.arm: r.value for r in records if r.metric == "flop_per_call"} == {name: 4 * 8 * 16 * width for name, width in widths.items()}
    assert {r.dimensions["elements"] for r in records if r.metric == "latency_s"} == {8 * 21}
    assert not [r for r in records if r.protocol == "published" and r.metric == "latency_s"]


def test_every_record_of_a_block_keeps_to_the_declaration():
    for record in records_of(**BLOCK, energy="standard"):
        assert set(record.dimensions) == set(WORKLOAD.dimensions)
        assert record.unit == WORKLOAD.metrics[record.metric].unit
        assert record.reason if record.value is None else math.isfinite(record.value)


def test_progress_reaches_the_end_and_never_beyond():
    for values in (SMALL | {"cache": ("cold", "warm")}, BLOCK, BLOCK | {"energy": "standard"}):
        fractions = [event.fraction for event in events_of(**values) if isinstance(event, Progress)]
        assert fractions == sorted(fractions)
        assert fractions[-1] == pytest.approx(1.0)


def test_a_cell_that_repeats_an_earlier_one_measures_nothing():
    (only,) = events_of(cell=1, **BLOCK | {"n": [1024, 2048]})
    assert isinstance(only, Progress)
    assert "measured there" in only.message


def test_energy_on_a_cpu_is_one_row_per_arm_with_the_reason_in_the_largest_cell_only():
    values = SMALL | {"n": [1024, 2048], "energy": "standard"}
    assert not [r for r in records_of(cell=0, **values) if r.metric == ENERGY]
    rows = [r for r in records_of(cell=1, **values) if r.metric == ENERGY]
    assert [(r.arm, r.value, r.reason) for r in rows] == [(name, None, NO_COUNTER_ON_CPU) for name in ("gelu_erf", "phi6", "copy")]
    rows = [r for r in records_of(**BLOCK, energy="standard") if r.metric == ENERGY]
    assert {(r.dimensions["pass"], r.arm) for r in rows} == {
        *(("ffn", name) for name in ("gelu_erf", "phi6", NO_ACTIVATION)),
        *(("ffn_widths", name) for name in ("width_4x", "width_exact", "width_128")),
    }


def test_energy_is_spent_on_the_eager_arm_and_the_fastest_single_kernel():
    def arm(name, way):
        return Arm(name, way, "technique", "cuda:0", "float32", lambda i: None)

    arms = [arm("phi6", "eager"), arm("phi6", "compiled"), arm("phi6", "fused"), arm("gelu_erf", "compiled"), arm("copy", "eager")]
    seconds = {
        ("phi6", "eager"): 1.0,
        ("phi6", "compiled"): 3.0,
        ("phi6", "fused"): 2.0,
        ("gelu_erf", "compiled"): 1.0,
        ("copy", "eager"): 1.0,
    }
    chosen = [("phi6", "eager"), ("phi6", "fused"), ("gelu_erf", "compiled"), ("copy", "eager")]
    assert [found.key for found in implementations.energy_arms(arms, seconds)] == chosen
    # An arm that was excluded from timing has no time, and is not measured.
    assert [found.key for found in implementations.energy_arms(arms, {("phi6", "compiled"): 1.0})] == [("phi6", "compiled")]


def test_a_block_computes_both_products_around_the_activation():
    x = torch.tensor([[1.0, -2.0]])
    w1 = torch.tensor([[1.0, 1.0], [2.0, 0.0]])  # x W₁ᵀ = [−1, 2]
    w2 = torch.tensor([[10.0, 1.0]])  # relu: [0, 2] → 2; without: −10 + 2 = −8
    assert ffn.feed_forward(torch.relu)(x, w1, w2).tolist() == [[2.0]]
    assert ffn.no_activation(x, w1, w2).tolist() == [[-8.0]]


def test_a_wrong_block_is_found():
    torch.manual_seed(0)
    buffers = (torch.randn(16, 32), torch.randn(64, 32) / 32**0.5, torch.randn(32, 64) / 8)
    right = Candidate("phi6", "fused", ffn.feed_forward(lambda x: x.clamp(-2, 2).square() - x.clamp(-2, 2) + 1))
    assert ffn.check(right, buffers) == ""
    unclamped = replace(right, function=ffn.feed_forward(lambda x: x.square() - x + 1))
    assert "wrong result" in ffn.check(unclamped, buffers)
    assert ffn.check(Candidate("phi6", "eager", ffn.feed_forward(EAGER["phi6"])), buffers) == ""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("values", [SMALL | {"n": 1 << 24}, BLOCK | {"d_model": 256, "tokens": 256}], ids=["elementwise", "ffn"])
def test_joules_on_a_gpu(values, monkeypatch):
    """Short windows: joules are there, above idle less than gross, and warm runs after cold."""
    from lab.energy_meter import obstacle

    monkeypatch.setitem(lab_energy.EFFORTS, "standard", EnergySettings(window_s=0.2, observations=2, lead_in_s=0.1, idle_lead_in_s=0.3))
    refused = obstacle("cuda:0")
    values = values | {"implementations": ("eager", "fused"), "energy": "standard", "cache": ("cold", "warm")}
    records = [e for e in events_of(device="cuda:0", obstacle=refused, **values) if isinstance(e, Record)]
    rows = [r for r in records if r.metric == ENERGY]
    assert rows
    if refused:
        assert all(r.value is None and r.reason == refused for r in rows)
        pytest.skip(refused)
    assert all(r.value is not None and r.value > 0 for r in rows)
    gross = {(r.arm, r.implementation, r.repeat): r.value for r in rows}
    net = {(r.arm, r.implementation, r.repeat): r.value for r in records if r.metric == "energy_net_j"}
    assert net.keys() == gross.keys()
    assert all(net[key] < gross[key] for key in net)
    assert all(set(r.dimensions) == set(WORKLOAD.dimensions) and r.unit == WORKLOAD.metrics[r.metric].unit for r in records)


def test_outputs_of_a_warm_call_are_kept_in_one_place():
    rotation = Rotation((torch.ones(4),))
    call = rotation.call(lambda x: x + 1)
    for i in range(3):
        call(i)
    assert len(rotation.outputs) == 1
