"""Cost formulas against numbers worked out by hand, and what counts as a cell of its own."""

import pytest

from lab import energy
from lab.parameters import Plan
from workloads.activations.costs import arm_count, device_timed, duration_s, ffn_flop, memory
from workloads.activations.parameters import ActivationParameters, energy_cell, measured_cells
from workloads.activations.spec import WORKLOAD

MIB = 1 << 20


def plan_of(**values):
    return Plan.of(ActivationParameters, values)


def cell_of(**values):
    return plan_of(**values).cells[0]


def test_operations_of_a_block():
    # Two products of 2·m·n·k each: 2·8192·4096·16384 · 2 = 2 199 023 255 552.
    assert ffn_flop(8192, 4096, 16384) == 2_199_023_255_552


def test_arms_of_a_block_are_functions_times_implementations_and_no_activation():
    block = cell_of(mode="ffn", functions=("gelu_erf", "phi6", "copy"), implementations=("numpy", "eager", "compiled", "fused"))
    assert arm_count(block, "cuda") == 2 * 3 + 2  # copy is no activation of a block: the block without one takes its place, also compiled
    assert arm_count(block, "cpu") == 2 * 2 + 2
    assert arm_count(cell_of(functions=("gelu_erf", "phi6")), "cuda") == 2 * 3


def test_duration_of_an_elementwise_cell():
    values = {"n": 1024, "functions": ("gelu_erf", "phi6", "copy"), "implementations": ("eager",), "segment_s": 0.1, "looks": 1}
    # One timer on a CPU: 0.5 s of warm-up, 10 observations of 2 segments of 0.1 s for each of 3 arms.
    assert duration_s(plan_of(**values), "cpu") == pytest.approx(0.5 + 10 * 2 * 3 * 0.1)
    # Warm: as much again, also with three looks, which it does not use (cold is then expected to end at 20 observations).
    both = values | {"cache": ("cold", "warm"), "looks": 3}
    assert duration_s(plan_of(**both), "cpu") == pytest.approx((0.5 + 20 * 0.6) + (0.5 + 10 * 0.6))
    # Two timers on a GPU.
    assert duration_s(plan_of(**values), "cuda") == pytest.approx(2 * (0.5 + 10 * 0.6))


def test_duration_of_a_block():
    values = {"mode": "ffn", "d_model": 64, "tokens": 8, "functions": ("gelu_erf", "phi6"), "implementations": ("eager",), "looks": 1}
    # Calls far shorter than a segment. Expansion 4 is the standard width, and its multiples of 64 are the same: no widths to compare.
    assert duration_s(plan_of(**values, expansion="4"), "cpu") == pytest.approx(0.5 + 10 * 2 * 3 * 0.1)
    # Expansion 4/3: 85, rounded to 128 (both multiples); with the standard 256 three widths, a comparison of its own.
    assert duration_s(plan_of(**values, expansion="4/3"), "cpu") == pytest.approx(2 * 0.5 + 10 * 2 * (3 + 3) * 0.1)


def test_graphs_are_replayed_only_where_a_block_is_short():
    # 4 · 8192 · 4096 · 16384 operations at 3e14/s take 7.3 ms; 1024 tokens an eighth, and 0.3 ms of traffic.
    large = {"mode": "ffn", "dtype": "bfloat16", "d_model": 4096}
    assert not device_timed(cell_of(**large, tokens=8192), "cuda")
    assert device_timed(cell_of(**large, tokens=1024), "cuda")
    assert not device_timed(cell_of(**large, tokens=1024), "cpu")


def test_energy_takes_its_time_in_one_cell_and_on_a_gpu_only():
    values = {"n": [1024, 4096], "functions": ("gelu_erf", "phi6", "copy"), "implementations": ("eager", "compiled", "fused"), "looks": 1}
    without, with_energy = plan_of(**values), plan_of(**values, energy="standard")
    # Of two functions the eager arm and the fastest of the other two, and the copy: 5 arms.
    assert duration_s(with_energy, "cuda") - duration_s(without, "cuda") == pytest.approx(energy.duration_s(5, energy.STANDARD))
    assert duration_s(with_energy, "cpu") == duration_s(without, "cpu")


def test_energy_belongs_to_the_cell_with_the_most_elements():
    assert energy_cell(plan_of(n=[1 << 20, 1 << 24, 1 << 22])) == 1
    # tokens × floor(4·d_model/3): 8 · 85 against 8 · 1365
    assert energy_cell(plan_of(mode="ffn", d_model=[1024, 64], tokens=8, expansion="4/3")) == 0
    assert energy_cell(plan_of(n=[1024], dtype=["float32", "bfloat16"])) == 0


def test_cells_that_differ_in_what_their_mode_does_not_use_are_measured_once():
    assert measured_cells(plan_of(mode="ffn", n=[1024, 2048, 4096])) == (0,)
    assert measured_cells(plan_of(mode="ffn", n=[1024, 2048], tokens=[8, 16])) == (0, 1)
    assert measured_cells(plan_of(mode="forward", tokens=[8, 16], n=[1024, 2048])) == (0, 2)  # N outside, tokens inside
    assert measured_cells(plan_of(n=[1024, 2048], dtype=["float32", "bfloat16"])) == (0, 1, 2, 3)
    once, twice = plan_of(mode="ffn", n=[1024]), plan_of(mode="ffn", n=[1024, 2048])
    assert duration_s(once, "cuda") == duration_s(twice, "cuda")


def test_memory_of_a_block():
    # bf16, d_model 4096, d_ff 16384, 8192 tokens: x 64 MiB and weights 2 · 128 MiB make 320 MiB, more than four caches; twice for outputs.
    # Hidden tensors of 256 MiB, six of them; weights in float64, 2 · 512 MiB. No other width to compare: the widths are one, the same.
    block = cell_of(mode="ffn", dtype="bfloat16", d_model=4096, tokens=8192)
    need = memory(block, "cuda")
    assert need.device_bytes == (2 * 320 + 6 * 256 + 2 * 512) * MIB
    assert need.parameter == "tokens"
    assert memory(cell_of(), "cuda").parameter == "n"
    assert memory(block, "cpu").host_bytes == need.device_bytes + (1 << 30)


def test_quick_stays_within_its_budget_inside_an_ffn_too():
    for kind, limit_s in (("cpu", 30), ("cuda", 15)):
        for changes in ({"mode": "ffn"}, {"mode": "ffn", "dtype": "bfloat16", "expansion": "4/3"}):
            assert duration_s(WORKLOAD.plan("quick", kind, changes), kind) <= limit_s, (kind, changes)
