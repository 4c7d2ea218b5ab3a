"""What a summary says of each FFT-Mix claim: the right rows, the faster side, the data that counts."""

import pytest

from lab.claims import claims
from lab.verdicts import judge
from tests.workloads.fft_mixing.estimates import estimate, side_by_side
from workloads.fft_mixing.findings import measure
from workloads.fft_mixing.names import (
    ACCURACY_GAIN,
    COUNT,
    GAIN_HIGH,
    GAIN_LOW,
    LAYER,
    PARAMETER_COUNT,
    PUBLISHED_TRAINING,
    SOUND_TRAINING,
    TRAINING_STEP,
    dimensions_of,
)

TIMES = {
    ("fft_mix", "eager"): 4.0,
    ("fft_mix", "fused"): 0.5,
    ("attention", "module"): 16.0,
    ("attention", "sdpa_cudnn"): 2.0,
    ("fnet", "eager"): 1.0,
}


def layers(seq_len, times=TIMES, **changes):
    return side_by_side(times, dimensions=dimensions_of(LAYER, seq_len=seq_len, batch_size=8, d_model=768, direction="forward"), **changes)


def found(claim_id, estimates):
    return {(m.protocol, m.comparison): m for m in measure(claims()[claim_id], estimates)}


def test_as_published_and_best_at_4096_are_two_pairs_of_the_same_cell():
    measured = found("fft-speed-4096", [*layers(4096), *layers(8192, {**TIMES, ("attention", "module"): 99.0})])
    assert measured["sound", "published"].value == 16.0 / 4.0
    assert measured["sound", "best"].value == 2.0 / 0.5
    assert "cuDNN" in measured["sound", "best"].pair
    assert measured["sound", "best"].hardware_class == "gpu"
    assert "never ran it" in measured["published", "best"].reason


def test_a_missing_n_and_a_side_that_was_left_out_say_why():
    assert "leaves out N = 8,192" in found("fft-speed-8192", layers(4096))["sound", "best"].reason
    without = {key: seconds for key, seconds in TIMES.items() if key[1] != "module"}
    dimensions = dimensions_of(LAYER, seq_len=4096, batch_size=8, d_model=768, direction="forward")
    refused = estimate("attention", "module", None, dimensions=dimensions, reason="left out: its matrices would take 99 GiB")
    measured = found("fft-speed-4096", [*layers(4096, without), refused])
    assert measured["sound", "published"].value is None
    assert "99 GiB" in measured["sound", "published"].reason
    assert measured["sound", "best"].value == 4.0
    assert "not asked to measure speed" in found("fft-speed-4096", [])["sound", "best"].reason


def test_the_published_training_step_is_the_cpu_one():
    dimensions = dimensions_of(TRAINING_STEP, direction="training", seq_len=28, batch_size=64, d_model=28)
    times = {("fft_mix", "eager"): 2.0, ("fft_mix", "fused"): 1.0, ("attention", "module"): 3.0, ("attention", "sdpa"): 1.5}
    rows = side_by_side(times, dimensions=dimensions, protocol="published", device="cpu", dtype="float32")
    measured = found("fft-speed", rows)
    assert measured["published", "published"].value == 1.5
    assert measured["published", "best"].value == 1.5
    assert measured["published", "best"].hardware_class == "cpu"
    assert measured["sound", "best"].value is None
    assert "on a CPU" in measured["sound", "best"].reason
    on_gpu = found("fft-speed", [*rows, *layers(4096)])["sound", "best"]  # a GPU run without its own step is not told about a CPU
    assert "leaves out the training step on the GPU" in on_gpu.reason
    assert "not asked to measure speed" in found("fft-speed", [])["sound", "best"].reason


def test_the_exponent_is_that_of_the_fastest_layer_and_names_attention_beside_it():
    rows = []
    for n in (1024, 2048, 4096, 8192, 16384):  # per call of 8 sequences: FFT-Mix grows as n, attention as n²
        rows += layers(n, {("fft_mix", "fused"): 1e-6 * n, ("attention", "sdpa_flash"): 1e-9 * n * n})
    best = found("fft-order", rows)["sound", "best"]
    assert best.value == pytest.approx(1.0)
    assert "2.00" in best.pair
    assert "from 1,024 to 16,384, where linear is 1 and n log n 1.12" in best.pair
    assert judge(claims()["fft-order"], best).verdict == "reproduced"
    published = found("fft-order", rows)["sound", "published"]
    assert published.value is None  # FFT-Mix as published was not among the arms


def counts(how, technique, baseline):
    dimensions = dimensions_of(COUNT, seq_len=28, d_model=28)
    return [
        estimate(arm, how, value, metric=PARAMETER_COUNT, statistic="exact", dimensions=dimensions)
        for arm, value in (("fft_mix", technique), ("attention", baseline))
    ]


def test_parameters_are_those_counted_and_the_stated_ones_stand_beside_them():
    (measured,) = found("fft-params", [*counts("stated", 12994, 14234), *counts("counted", 13842, 14234)]).values()
    assert measured.value == pytest.approx(2.7540, abs=1e-4)  # 392 / 14234
    assert "12,994" in measured.pair
    assert judge(claims()["fft-params"], measured).verdict == "smaller than claimed"


def gains(part, data, seeds, value, low=None, high=None, protocol="sound", reason=""):
    dimensions = dimensions_of(part, task="images", data=data, seeds=seeds)
    metrics = {ACCURACY_GAIN: value, GAIN_LOW: low, GAIN_HIGH: high}
    return [
        estimate("fft_mix", "batched", number, metric=metric, statistic="exact", protocol=protocol, dimensions=dimensions, reason=reason)
        for metric, number in metrics.items()
    ]


def test_accuracy_counts_on_mnist_only():
    on_digits = found("fft-acc", gains(SOUND_TRAINING, "digits (SHA-256 1a2b3c4d…)", 5, 1.0, 0.5, 1.5))["sound", "best"]
    assert judge(claims()["fft-acc"], on_digits).verdict == "not measured"
    on_mnist = found("fft-acc", gains(SOUND_TRAINING, "MNIST", 5, 0.55, 0.52, 0.58))["sound", "best"]
    assert (on_mnist.ci_low, on_mnist.ci_high, on_mnist.n) == (0.52, 0.58, 5)
    assert judge(claims()["fft-acc"], on_mnist).verdict == "reproduced"


def test_one_seed_is_no_evidence_and_a_grid_edge_is_a_flaw():
    published = found("fft-acc", gains(PUBLISHED_TRAINING, "MNIST", 1, 0.55, protocol="published"))["published", "published"]
    assert judge(claims()["fft-acc"], published).verdict == "inconclusive"
    rows = gains(SOUND_TRAINING, "MNIST", 5, 0.55, 0.52, 0.58, reason="grid edge: the best learning rate is the highest of 5 tried")
    assert judge(claims()["fft-acc"], found("fft-acc", rows)["sound", "best"]).verdict == "inconclusive"
    rows = gains(SOUND_TRAINING, "MNIST", 5, 0.55, 0.52, 0.58, reason="learning rates not tuned: every mixer trained at 0.01")
    untuned = judge(claims()["fft-acc"], found("fft-acc", rows)["sound", "best"])
    assert untuned.verdict == "inconclusive"
    assert "not tuned" in untuned.reason


def test_without_training_the_reason_says_so():
    measured = found("fft-acc", layers(4096))
    assert "not asked to measure accuracy" in measured["sound", "best"].reason
