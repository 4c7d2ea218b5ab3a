"""Cost formulas against numbers derived by hand."""

import pytest

from lab.parameters import validate
from workloads.fft_mixing import costs
from workloads.fft_mixing.parameters import FftMixingParameters


def cell_of(**values):
    return validate(FftMixingParameters, values)


def test_operations_by_hand():
    # 10 tokens of 4 features, windows 2 and 3: projection 2 · 10 · (2 · 4) · 4 = 640; circulant 2 · 10 · 4 · 5 = 400 more.
    assert costs.projection_flop(10, 4, (2, 3)) == 640
    assert costs.circulant_flop(10, 4, (2, 3)) == 1040
    # Window 2: (5 · 2 · log₂ 2 + 2 · 2)/2 = 7 per feature; 10 · 4 · 7 = 280, projection 2 · 10 · 4 · 4 = 320.
    assert costs.fft_mix_flop(10, 4, (2,)) == pytest.approx(600)
    # 3 sequences of 5 tokens of 2 features: 3 · (8 · 5 · 4 + 4 · 25 · 2) = 3 · 360
    assert costs.attention_flop(5, 3, 2) == 1080


def test_the_reference_shape_costs_what_its_products_say():
    # 32,768 tokens of 768 features: the projection 2 · 32768 · 2304 · 768 = 1.16e11; at 700 TFLOP/s that is 0.166 ms.
    assert costs.projection_flop(32768, 768, (6, 12, 24)) == 115_964_116_992


def test_returned_weights_are_refused_by_their_size_and_fused_attention_by_its_time():
    small = cell_of(seq_len=4096, d_model=768, n_heads=12, tokens=4096, dtype="bfloat16")
    assert costs.weights_bytes(small) == 3 * 12 * 4096**2 * 2
    assert costs.why_not_materialised(small, "cuda") == ""
    large = cell_of(seq_len=131072, d_model=768, n_heads=12, tokens=4096, dtype="bfloat16")
    # 3 · 12 · 131072² · 2 bytes = 1,152 GiB
    assert "1,152.0 GiB" in costs.why_not_materialised(large, "cuda")
    assert costs.why_not_timed(large, "cuda") == ""
    assert "one call would take" in costs.why_not_timed(large, "cpu")


def test_matrices_may_take_a_share_of_what_is_free():
    cell = cell_of(seq_len=4096, d_model=768, n_heads=12, tokens=4096, dtype="bfloat16")
    need = costs.weights_bytes(cell)
    assert costs.why_not_materialised(cell, "cuda", free_bytes=2 * need) == ""
    assert "left out" in costs.why_not_materialised(cell, "cuda", free_bytes=need)


def test_the_run_goes_on_without_the_arm_that_does_not_fit():
    fits, refused = (cell_of(seq_len=n, tokens=65536, d_model=64, n_heads=4) for n in (1024, 65536))
    assert costs.why_not_materialised(refused, "cuda")
    # The same tokens; N × N matrices are not in what the run needs, the float64 check of one sequence is.
    more = costs.memory(refused, "cuda").device_bytes - costs.memory(fits, "cuda").device_bytes
    assert more == 8 * 4 * 64 * (65536 - 1024)
    assert len(costs.arm_calls_s(refused, "cuda")) == len(costs.arm_calls_s(fits, "cuda")) - 1


def test_backward_needs_more():
    forward, backward = (cell_of(mode=mode) for mode in ("forward", "forward_backward"))
    assert costs.memory(backward, "cuda").device_bytes > costs.memory(forward, "cuda").device_bytes
    assert costs.attention_s(backward, "cuda") > costs.attention_s(forward, "cuda")
    assert costs.weights_bytes(backward) == 2 * costs.weights_bytes(forward)
