"""Parameters across fields: what is refused and which field it names; batches, distances, presets."""

import pytest

from lab.parameters import ParameterError, Plan, validate
from workloads.fft_mixing.parameters import FftMixingParameters, energy_cell, preset, question_length
from workloads.fft_mixing.spec import WORKLOAD


def cell_of(**values):
    return validate(FftMixingParameters, values)


@pytest.mark.parametrize(
    ("values", "name", "allowed"),
    [
        ({"n_heads": 5}, "n_heads", "a divisor of d_model = 768: 1, 2, 3, 4, 6, 8, 12"),
        ({"windows": ["1"]}, "windows", "2, 3, 4, 6, 8, 12"),
        ({"windows": []}, "windows", "one or more"),
        ({"windows": ["6", "6"]}, "windows", "each once"),
        ({"seq_len": 64, "windows": ["6", "96"]}, "windows", "at most N = 64"),
        ({"seq_len": 1}, "seq_len", "from 64 to 131072"),
        ({"distance": 49}, "distance", "from 8 to 48"),
        ({"tasks": ["mnist"]}, "tasks", "images, digits, mnist1d, recall, copy"),
    ],
)
def test_a_refusal_names_its_field(values, name, allowed):
    with pytest.raises(ParameterError) as refused:
        cell_of(**values)
    assert refused.value.name == name
    assert allowed in str(refused.value)


def test_the_batch_holds_the_tokens_or_one_sequence():
    assert cell_of(seq_len=4096, tokens=32768).batch_size == 8
    assert cell_of(seq_len=131072, tokens=32768).batch_size == 1
    assert cell_of(seq_len=3000, tokens=8192).batch_size == 2  # 2.7 sequences: the third does not fit


def test_distances_are_halves_of_the_one_chosen():
    assert cell_of(distance=32).distances == (4, 8, 16, 32)
    assert cell_of(distance=24, n_distances=2).distances == (12, 24)


def test_the_question_stands_at_the_end_of_a_window():
    # 32 tokens back and 16 tokens of pairs make 48 = 2 · 24; 48 and 16 make 64, the next multiple of 24 is 72.
    assert question_length(cell_of(distance=32)) == 48
    assert question_length(cell_of(distance=48)) == 72
    assert question_length(cell_of(distance=48, windows=["16", "64"])) == 64


def test_joules_are_measured_at_the_longest_n_the_source_speaks_of():
    def chosen(*seq_lens):
        plan = Plan.of(FftMixingParameters, {"seq_len": list(seq_lens)})
        return plan.cells[energy_cell(plan)].seq_len

    assert chosen(64, 8192, 32768) == 8192
    assert chosen(64, 32768, 4096) == 32768


@pytest.mark.parametrize("device_kind", ["cpu", "cuda"])
def test_the_published_preset_leaves_the_sound_training_out_and_quick_has_three_n(device_kind):
    assert preset("published", device_kind)["steps"] == 0
    quick = WORKLOAD.plan("quick", device_kind)
    assert len(quick.cells) == 3
    assert all(cell.energy == "none" for cell in quick.cells)
    assert 4096 in [cell.seq_len for cell in quick.cells]
