"""Names of arms, implementations, parts and metrics of the FFT-Mix experiment, and what readers call them. Light."""

from __future__ import annotations

from lab.records import Scalar

FFT_MIX, ATTENTION, FNET, CONVOLUTION = "fft_mix", "attention", "fnet", "depthwise_conv"
PROJECTION, COPY = "projection", "memory_pass"
PEERS = (FNET, CONVOLUTION)
LIMITS = (PROJECTION, COPY)  # what no FFT-Mix layer can do without

EAGER, FUSED = "eager", "fused"
MODULE = "module"  # multi-head attention called so that it returns its weights
SDPA = "sdpa"  # scaled dot-product attention, the framework choosing the backend
SDPA_BACKENDS = {"sdpa_cudnn": "cuDNN", "sdpa_flash": "flash", "sdpa_efficient": "memory-efficient", "sdpa_math": "math"}

# Parts of a run, the dimension "part" of every record.
COUNT, LAYER, TRAINING_STEP = "count", "layer", "training step"
PUBLISHED_TRAINING, SOUND_TRAINING = "published training", "sound training"

PARAMETER_COUNT = "parameters"
LONGEST_WINDOW = "longest_window"
SMALLEST_CALL = "smallest_call_s"
TRAIN_LOSS, VALIDATION_LOSS = "train_loss", "validation_loss"
VALIDATION_ACCURACY, TEST_ACCURACY = "validation_accuracy", "test_accuracy"
ACCURACY_GAIN, GAIN_LOW, GAIN_HIGH = "accuracy_gain", "accuracy_gain_low", "accuracy_gain_high"
CHANCE = "chance_accuracy"
LEARNING_RATE = "learning_rate"
GRID_FLAW, UNTUNED_FLAW = "grid edge", "learning rates not tuned"  # beginnings of reasons that no verdict may hide
BATCHED = "batched"  # all models of an arm trained together

TASKS = {
    "images": "images",
    "digits": "digits in pixels",
    "mnist1d": "MNIST-1D",
    "recall": "associative recall",
    "copy": "copy from a distance",
}

DIMENSIONS = ("part", "pass", "seq_len", "batch_size", "d_model", "task", "data", "seeds", "distance", "step")


def dimensions_of(part: str, *, direction: str = "", **values: Scalar) -> dict[str, Scalar]:
    """All dimensions of a record of ``part``, ``direction`` being its "pass"; those not given are empty.

    Raises ValueError for one that is not declared.
    """
    unknown = set(values) - set(DIMENSIONS)
    if unknown:
        raise ValueError(f"dimensions {sorted(unknown)} are not declared")
    return {name: values.get(name, "") for name in DIMENSIONS} | {"part": part, "pass": direction}


LABELS = {
    FFT_MIX: "FFT-Mix",
    ATTENTION: "attention",
    FNET: "FNet",
    CONVOLUTION: "depthwise convolution",
    PROJECTION: "projection alone",
    COPY: "one pass over memory",
    EAGER: "PyTorch eager",
    FUSED: "all scales in one pass",
    MODULE: "module returning its weights",
    SDPA: "fused",
    **{name: f"fused, {title} backend" for name, title in SDPA_BACKENDS.items()},
    BATCHED: "all seeds in one batch",
    **TASKS,
    COUNT: "count",
    CHANCE: "chance",
}
