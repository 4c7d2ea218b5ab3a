"""Parameters of the FFT-Mix experiment and its presets. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import pydantic

from lab import shared_parameters
from lab.parameters import ParameterError, Parameters, Plan, parameter
from lab.shared_parameters import DTYPE_LABELS, DataType, EnergyEffort
from lab.workload import DeviceKind

Window = Literal["2", "3", "4", "6", "8", "12", "16", "24", "32", "48", "64", "96", "128", "192", "256"]
Mode = Literal["forward", "forward_backward"]
Study = Literal["speed", "accuracy"]
Task = Literal["images", "digits", "mnist1d", "recall", "copy"]

PUBLISHED_WINDOWS: tuple[Window, ...] = ("6", "12", "24")
QUESTION_TOKENS = 16  # of recall's key-value pairs, before which nothing is asked for
CLAIMED_SEQ_LENS = (4096, 8192)  # of which the source estimates savings
ENERGY_SEQ_LEN = 8192  # where joules are measured if it is among those swept: the longest of which the source speaks
# With which choices a parameter matters.
SPEED = {"studies": ("speed",)}
ACCURACY = {"studies": ("accuracy",)}
AT_A_DISTANCE = ACCURACY | {"tasks": ("recall", "copy")}


class FftMixingParameters(Parameters):
    """Parameters of the FFT-Mix experiment; see each field's help."""

    seq_len: int = parameter(
        4096,
        title="N",
        help="Tokens of one sequence. Attention compares every token with every other, a window does not grow with N: sweep to see the "
        "exponents and where the lines cross.",
        unit="tokens",
        ge=64,
        le=131_072,
        scale="log2",
        group="main",
        sweep=True,
        when=SPEED,
    )
    windows: tuple[Window, ...] = parameter(
        PUBLISHED_WINDOWS,
        title="Windows",
        help="Lengths of the blocks that FFT-Mix transforms; no token sees beyond its block. None may be longer than the sequence.",
        group="main",
    )
    distance: int = parameter(
        32,
        title="Distance",
        help="Of the answer from the question in associative recall, and of the copied token. Models are trained and tested at this "
        "distance, at a half of it, and so on.",
        unit="tokens",
        ge=8,
        le=48,
        step=8,
        group="main",
        when=AT_A_DISTANCE,
    )
    studies: tuple[Study, ...] = parameter(
        ("speed", "accuracy"),
        title="What is measured",
        help="Speed: one layer of each kind at every N, and one training step of the published models. Accuracy: training of small models.",
        labels={"speed": "Speed", "accuracy": "Accuracy"},
        group="main",
    )
    d_model: int = parameter(
        768,
        title="d_model",
        help="Features of each token in the layers that are timed. (The models that are trained have the published 28.)",
        ge=8,
        le=8192,
        step=8,
        when=SPEED,
    )
    n_heads: int = parameter(
        12, title="Heads", help="Of attention; they share out d_model, so they must divide it.", ge=1, le=128, step=1, when=SPEED
    )
    tokens: int = parameter(
        32_768,
        title="Tokens in the batch",
        help="Sequences of N tokens are stacked until they hold this many tokens; a longer N makes a batch of one sequence.",
        unit="tokens",
        ge=64,
        le=1 << 20,
        scale="log2",
        when=SPEED,
    )
    dtype: DataType = parameter(
        "float32",
        title="Data type",
        help="Of activations and weights. FFTs on a CPU, and FFTs of most lengths on a GPU, exist in fp32 only: there narrower types are "
        "widened before and narrowed after, which is part of the time.",
        labels=DTYPE_LABELS,
        when=SPEED,
    )
    mode: Mode = parameter(
        "forward",
        title="Pass",
        help="Forward alone (inference), or forward and backward (training).",
        labels={"forward": "Forward", "forward_backward": "Forward + backward"},
        when=SPEED,
    )
    peers: bool = parameter(
        True,
        title="Peers",
        help="Also time FNet (a Fourier transform over tokens and features) and a depthwise convolution of the longest window's reach.",
    )
    device_step: bool = parameter(
        True,
        title="Training step on the GPU",
        help="Time a training step of the published models on the GPU as well. On the CPU, as published, it is always timed.",
        when=SPEED,
    )
    tasks: tuple[Task, ...] = parameter(
        ("recall",),
        title="Tasks",
        help="What the models learn in the sound protocol. Images: the published task (MNIST where it can be had, else the folder of IDX "
        "files, else digits). Recall: a question whose answer stands at a distance, found by content. Copy: the token at a fixed distance, "
        "found by place alone.",
        labels={
            "images": "Images in rows (published)",
            "digits": "Digits in pixels",
            "mnist1d": "MNIST-1D",
            "recall": "Associative recall",
            "copy": "Copy from a distance",
        },
        when=ACCURACY,
    )
    published_epochs: int = parameter(
        0,
        title="Epochs of the published training",
        help="Of the published protocol: one seed, Adam at 0.001, batches of 64. The source trains 10 epochs; 0 leaves it out.",
        ge=0,
        le=50,
        step=1,
        when=ACCURACY,
    )
    n_distances: int = parameter(
        4,
        title="Distances compared",
        help="The distance chosen, a half, a quarter and an eighth of it: how many of these.",
        ge=1,
        le=4,
        step=1,
        when=AT_A_DISTANCE,
    )
    seeds: int = parameter(
        5, title="Seeds", help="Models of each kind in the sound protocol, trained side by side.", ge=1, le=20, step=1, when=ACCURACY
    )
    steps: int = parameter(
        300,
        title="Training steps",
        help="Of each model in the sound protocol, the learning rate falling to zero at the end. 0 leaves it out.",
        ge=0,
        le=20_000,
        step=50,
        when=ACCURACY,
    )
    batch_size_trained: int = parameter(
        64,
        title="Examples in a training batch",
        help="Of each model in the sound protocol.",
        ge=1,
        le=512,
        step=8,
        when=ACCURACY,
    )
    tuned: bool = parameter(
        True,
        title="Learning rates tuned",
        help="Each kind of model gets the learning rate that is best on validation data with other seeds; else all train at 0.01.",
        when=ACCURACY,
    )
    energy: EnergyEffort = shared_parameters.energy(
        f"Joules of a layer from the GPU's own counter, at N = {ENERGY_SEQ_LEN:,} where it is swept, else at the largest N: FFT-Mix as "
        "published and fastest, attention as published and fastest. Standard takes about 20 s an arm, thorough about 70 s.",
        when=SPEED,
    )
    segment_s: float = shared_parameters.segment_s(0.1, when=SPEED)
    looks: int = shared_parameters.looks(2, when=SPEED)
    precision: float = shared_parameters.precision(0.01, when=SPEED)
    seed: int = shared_parameters.seed("Of the random inputs; the models of the sound protocol take this seed and the following ones.")

    @pydantic.model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.d_model % self.n_heads:
            divisors = [n for n in range(1, min(self.d_model, 128) + 1) if self.d_model % n == 0]
            allowed = f"a divisor of d_model = {self.d_model}: " + ", ".join(map(str, divisors))
            raise ParameterError("n_heads", self.n_heads, allowed, "does not divide d_model")
        return self

    @pydantic.model_validator(mode="after")
    def _windows_fit_the_sequence(self) -> Self:
        longest = max(self.window_lengths)
        if longest > self.seq_len:
            allowed = f"windows of at most N = {self.seq_len} tokens"
            raise ParameterError("windows", longest, allowed, "is longer than the sequence")
        return self

    @property
    def window_lengths(self) -> tuple[int, ...]:
        """The windows as numbers, shortest first."""
        return tuple(sorted(map(int, self.windows)))

    @property
    def batch_size(self) -> int:
        """Sequences in the batch: as many as hold ``tokens`` tokens, at least one."""
        return max(1, self.tokens // self.seq_len)

    @property
    def distances(self) -> tuple[int, ...]:
        """Distances of recall and copy, shortest first: ``distance`` halved again and again."""
        return tuple(self.distance >> halvings for halvings in reversed(range(self.n_distances)))


def question_length(params: FftMixingParameters) -> int:
    """Tokens of a sequence of recall or copy: the least multiple of the longest window that holds the distance and the pairs."""
    longest = params.window_lengths[-1]
    return -(-(params.distance + QUESTION_TOKENS) // longest) * longest


def energy_cell(plan: Plan) -> int:
    """Index of the cell in which energy is measured: N = :data:`ENERGY_SEQ_LEN`, else the largest N."""

    def rank(index: int) -> tuple[bool, int]:
        cell = plan.cells[index]
        assert isinstance(cell, FftMixingParameters)
        return cell.seq_len == ENERGY_SEQ_LEN, cell.seq_len

    return max(range(len(plan.cells)), key=rank)


def preset(name: str, device_kind: DeviceKind) -> Mapping[str, Any]:
    """Parameter values of a preset (a list sweeps). ``quick`` keeps to 30 s on two CPU cores and 15 s on a GPU."""
    if device_kind == "cuda":
        shape = {"d_model": 768, "n_heads": 12, "tokens": 32_768, "dtype": "bfloat16"}
    else:
        shape = {"d_model": 64, "n_heads": 2, "tokens": 4096, "dtype": "float32"}
    if name == "published":
        return {**shape, "seq_len": list(CLAIMED_SEQ_LENS), "tasks": ("images",), "published_epochs": 10, "steps": 0}
    if name == "quick":
        quick = {**shape, "segment_s": 0.02, "looks": 1, "tuned": False, "peers": False, "device_step": False}
        if device_kind == "cuda":
            # Copy, because attention solves it from every seed in this time; of recall it leaves some seeds unsolved.
            return {**quick, "seq_len": [1024, 4096, 8192], "tasks": ("copy",), "steps": 200}
        return {**quick, "seq_len": [256, 1024, 4096], "tasks": ("copy",), "steps": 130, "seeds": 1, "n_distances": 2}
    on_gpu = device_kind == "cuda"
    return {
        **shape,
        "seq_len": [1 << power for power in range(6, 18 if on_gpu else 14)],
        "tasks": ("digits", "mnist1d", "recall", "copy") if on_gpu else ("digits", "recall"),
        "published_epochs": 10,
        "steps": 1500 if on_gpu else 300,  # after 500 one seed in five had not solved recall with attention
        "energy": "standard",
    }
