"""Parameters of the activation experiment and its presets. Light: the web server imports this."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal, Self

import pydantic

from lab import shared_parameters
from lab.parameters import ParameterError, Parameters, Plan, parameter
from lab.shared_parameters import DTYPE_LABELS, DataType, EnergyEffort
from lab.workload import DeviceKind
from workloads.activations.functions import FUNCTIONS

FunctionName = Literal["gelu_erf", "gelu_tanh", "silu", "relu", "phi6", "zeta_ln2", "phi3", "phi4", "phi8", "phi12", "copy"]
Implementation = Literal["numpy", "eager", "compiled", "fused"]
Mode = Literal["forward", "forward_backward", "ffn"]
Cache = Literal["cold", "warm"]
Expansion = Literal["4", "8/3", "2", "4/3", "1"]
Multiple = Literal["1", "64", "128"]
Study = Literal["speed", "learning"]
Training = Literal["published", "mlp", "character"]
Depth = Literal["1", "2", "3", "4", "6", "8", "12", "16"]

GELUS = ("gelu_erf", "gelu_tanh")  # the comparator of every claim; the claims do not say which form
COPY = "copy"  # moves the same bytes and computes nothing: the physical limit of an elementwise function
PUBLISHED_N = 1_000_000  # elements of the published NumPy benchmark
STANDARD_EXPANSION = 4  # of a feed-forward block, as most transformers have it
FFN_ONLY = ("d_model", "expansion", "align", "tokens")  # parameters that mean nothing outside mode "ffn"
HEADS, HEAD_DIM_LEAST = 4, 8  # of the character model
ELEMENTWISE_ONLY = ("n", "cache")  # parameters that mean nothing inside an FFN
# With which choices a parameter matters.
SPEED = {"studies": ("speed",)}
ELEMENTWISE = SPEED | {"mode": ("forward", "forward_backward")}
FFN = SPEED | {"mode": ("ffn",)}
LEARNING = {"studies": ("learning",)}
SOUND_LEARNING = LEARNING | {"trainings": ("mlp", "character")}


def round_up(width: int, multiple: int) -> int:
    """The least multiple of ``multiple`` that is at least ``width``."""
    return -(-width // multiple) * multiple


class ActivationParameters(Parameters):
    """Parameters of the activation experiment; see each field's help."""

    studies: tuple[Study, ...] = parameter(
        ("speed",),
        title="What is measured",
        help="Speed: time (and joules) of the functions. Learning: what they do to the loss of models that are trained with them.",
        labels={"speed": "Speed", "learning": "Learning"},
        group="main",
    )
    n: int = parameter(
        1 << 22,
        title="N",
        help="Elements of the tensor. Small tensors measure launch overhead, large ones memory bandwidth: sweep to see where it turns. "
        "Inside an FFN the tensor has tokens × width elements instead.",
        unit="elements",
        ge=1 << 10,
        le=1 << 28,
        scale="log2",
        group="main",
        sweep=True,
        when=ELEMENTWISE,
    )
    dtype: DataType = parameter(
        "float32",
        title="Data type",
        help="Halving the bytes halves the time of a function that is limited by memory.",
        labels=DTYPE_LABELS,
        group="main",
        sweep=True,
        when=SPEED,
    )
    mode: Mode = parameter(
        "forward",
        title="Mode",
        help="Forward alone (inference), forward and backward (training; the published benchmark then times the derivative apart), or the "
        "whole feed-forward block x → W₁ → activation → W₂ around it, forward: what the activation can save there at all.",
        labels={"forward": "Forward", "forward_backward": "Forward + backward", "ffn": "Inside an FFN"},
        group="main",
        when=SPEED,
    )
    functions: tuple[FunctionName, ...] = parameter(
        ("gelu_erf", "gelu_tanh", "phi6", "zeta_ln2", "copy"),
        title="Functions",
        help="What is measured. One GELU at least is the baseline; 'copy' moves the same bytes and is the physical limit.",
        labels={name: function.title for name, function in FUNCTIONS.items()},
        group="main",
    )
    implementations: tuple[Implementation, ...] = parameter(
        ("numpy", "eager", "compiled", "fused"),
        title="Implementations",
        help="NumPy is the published benchmark and always runs at its own N of 1,000,000 in fp32; the others run at the N chosen.",
        labels={"numpy": "NumPy (published)", "eager": "Eager", "compiled": "Compiled", "fused": "Fused"},
        when=SPEED,
    )
    cache: tuple[Cache, ...] = parameter(
        ("cold",),
        title="Cache",
        help="Cold: inputs rotate through four times the cache, so every call reads memory; verdicts rest on this. Warm: the same input at "
        "every call, which a small tensor finds in the cache.",
        labels={"cold": "Cold", "warm": "Warm"},
        when=ELEMENTWISE,
    )
    d_model: int = parameter(
        1024,
        title="d_model",
        help="Inside an FFN: features of each token, the block's input and output.",
        ge=8,
        le=16384,
        step=1,
        sweep=True,
        when=FFN,
    )
    expansion: Expansion = parameter(
        "4",
        title="Expansion",
        help="Inside an FFN: width of the hidden layer, floor(expansion × d_model). 4/3 is the published saving; its width may be odd.",
        labels={"4": "4×", "8/3": "8/3×", "2": "2×", "4/3": "4/3×", "1": "1×"},
        sweep=True,
        when=FFN,
    )
    align: Multiple = parameter(
        "1",
        title="Width rounded up to a multiple of",
        help="Inside an FFN: matrix units like widths that are multiples of 64 or 128. 1 keeps the width as published.",
        sweep=True,
        when=FFN,
    )
    tokens: int = parameter(
        1024,
        title="Tokens",
        help="Inside an FFN: tokens that go through the block together (batch × sequence).",
        unit="tokens",
        ge=1,
        le=1 << 18,
        scale="log2",
        sweep=True,
        when=FFN,
    )
    energy: EnergyEffort = shared_parameters.energy(
        "Joules from the GPU's own counter, in the largest cell only: of each function the expression as printed and its fastest "
        "single kernel. Standard takes about 20 s an arm, thorough about 70 s. Learning: of one training step of the deepest model.",
        when=(SPEED, SOUND_LEARNING),
    )
    trainings: tuple[Training, ...] = parameter(
        ("published", "mlp"),
        title="Trainings",
        help="Learning: the two published protocols with their flaws taken apart; soundly compared MLPs on digits and on the published "
        "tasks made fair; a small transformer that predicts the next character of the built-in text.",
        labels={"published": "As published", "mlp": "MLPs", "character": "Character model"},
        when=LEARNING,
    )
    depths: tuple[Depth, ...] = parameter(
        ("1", "4"),
        title="Depths",
        help="Learning: hidden layers of the MLPs, blocks of the character model. A drop-in replacement must hold at every depth.",
        when=SOUND_LEARNING,
    )
    width: int = parameter(
        64,
        title="Width",
        help="Learning: units of a hidden layer; d_model of the character model, whose feed-forward blocks are four times as wide.",
        ge=8,
        le=1024,
        scale="log2",
        when=SOUND_LEARNING,
    )
    steps: int = parameter(
        250,
        title="Steps",
        help="Learning: of each training in the sound comparison, with the learning rate falling to zero at the end.",
        ge=20,
        le=100_000,
        step=100,
        when=SOUND_LEARNING,
    )
    longer_steps: int = parameter(
        1000,
        title="Steps of the longer training",
        help="Learning: the published toy is trained for 500 steps; one training goes on for this many.",
        ge=500,
        le=100_000,
        step=500,
        when=LEARNING | {"trainings": ("published",)},
    )
    batch_size: int = parameter(
        64,
        title="Batch size",
        help="Learning: images, or windows of text, of one step. The digits have 1,078 training images.",
        ge=1,
        le=1024,
        scale="log2",
        when=SOUND_LEARNING,
    )
    seq_len: int = parameter(
        64,
        title="Sequence length",
        help="Learning: characters that the character model sees.",
        unit="tokens",
        ge=8,
        le=1024,
        scale="log2",
        when=LEARNING | {"trainings": ("character",)},
    )
    seeds: int = parameter(
        5,
        title="Seeds",
        help="Learning: trainings that are reported, paired between the functions.",
        ge=5,
        le=30,
        step=1,
        when=LEARNING,
    )
    tuning_seeds: int = parameter(
        3,
        title="Seeds of tuning",
        help="Learning: trainings at each learning rate that is tried; none of them is reported. One alone may be lucky at a rate at "
        "which most diverge.",
        ge=1,
        le=10,
        step=1,
        when=LEARNING,
    )
    rates: int = parameter(
        5,
        title="Learning rates",
        help="Learning: rates of the first grid of each function (two decades); beyond an edge more are tried where the best lies on it.",
        ge=3,
        le=25,
        step=1,
        when=LEARNING,
    )
    points: int = parameter(
        10, title="Points of a curve", help="Learning: how often a training is evaluated.", ge=1, le=100, step=1, when=SOUND_LEARNING
    )
    segment_s: float = shared_parameters.segment_s(0.1, when=SPEED)
    looks: int = shared_parameters.looks(3, when=SPEED)
    precision: float = shared_parameters.precision(0.01, when=SPEED)
    seed: int = shared_parameters.seed()

    @pydantic.model_validator(mode="after")
    def _has_a_baseline(self) -> Self:
        if not set(self.functions) & set(GELUS):
            raise ParameterError("functions", ",".join(self.functions), "gelu_erf or gelu_tanh among them", "has no baseline")
        if not set(self.functions) - {*GELUS, COPY}:
            raise ParameterError("functions", ",".join(self.functions), "a function besides GELU and copy", "has nothing to compare")
        return self

    @pydantic.model_validator(mode="after")
    def _measures_an_ffn(self) -> Self:
        if self.mode == "ffn" and set(self.implementations) == {"numpy"}:
            allowed = "one or more of eager, compiled, fused inside an FFN"
            raise ParameterError("implementations", ",".join(self.implementations), allowed, "measures nothing")
        return self

    @pydantic.model_validator(mode="after")
    def _fits_its_heads(self) -> Self:
        if self.width % self.n_heads:
            allowed = f"a multiple of {self.n_heads}, the heads of the character model"
            raise ParameterError("width", self.width, allowed, "does not share out")
        return self

    @property
    def learning_functions(self) -> tuple[str, ...]:
        """The functions that are trained: the first GELU chosen (both forms learn alike), then the others; a copy does not learn."""
        gelu = next(name for name in self.functions if name in GELUS)
        return (gelu, *(name for name in self.functions if name not in (*GELUS, COPY)))

    @property
    def reported_seeds(self) -> tuple[int, ...]:
        """Seeds of the trainings that are reported."""
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def tuning_seeds_used(self) -> tuple[int, ...]:
        """Seeds of the trainings that choose a learning rate: none of those reported."""
        first = self.seed + self.seeds
        return tuple(range(first, first + self.tuning_seeds))

    @property
    def every(self) -> int:
        """Steps between two points of a curve."""
        return max(1, self.steps // self.points)

    @property
    def n_heads(self) -> int:
        """Heads of the character model."""
        return HEADS if self.width >= HEADS * HEAD_DIM_LEAST else 1

    @property
    def exact_width(self) -> int:
        """floor(expansion × d_model): the hidden layer as published, before it is rounded."""
        return int(Fraction(self.expansion) * self.d_model)

    @property
    def d_ff(self) -> int:
        """Width of the hidden layer: ``exact_width`` rounded up to a multiple of ``align``."""
        return round_up(self.exact_width, int(self.align))

    @property
    def widths(self) -> dict[str, int]:
        """Arm → width of the comparison of widths: the standard 4×, the exact width, and the exact one rounded up; each width once."""
        named = {"width_4x": STANDARD_EXPANSION * self.d_model, "width_exact": self.exact_width}
        named |= {f"width_{multiple}": round_up(self.exact_width, multiple) for multiple in (64, 128)}
        first = {width: name for name, width in reversed(named.items())}
        return {name: width for name, width in named.items() if first[width] == name}

    @property
    def elements(self) -> int:
        """Elements that the activation is applied to: N, or tokens × d_ff inside an FFN."""
        return self.tokens * self.d_ff if self.mode == "ffn" else self.n


def measured_cells(plan: Plan) -> tuple[int, ...]:
    """Indices of the cells of ``plan`` that are timed: those that differ from every earlier one in something their mode uses."""
    if "speed" not in plan.values["studies"][0]:
        return ()
    seen: set[str] = set()
    chosen = []
    for index, cell in enumerate(plan.cells):
        assert isinstance(cell, ActivationParameters)
        key = cell.model_dump_json(exclude=set(ELEMENTWISE_ONLY if cell.mode == "ffn" else FFN_ONLY))
        if key not in seen:
            seen.add(key)
            chosen.append(index)
    return tuple(chosen)


def energy_cell(plan: Plan) -> int:
    """Index of the cell in which the joules of the functions are measured: the most elements; of several the first; −1 for none."""

    def elements(index: int) -> int:
        cell = plan.cells[index]
        assert isinstance(cell, ActivationParameters)
        return cell.elements

    return max(measured_cells(plan), key=lambda index: (elements(index), -index), default=-1)


def preset(name: str, device_kind: DeviceKind) -> Mapping[str, Any]:
    """Parameter values of a preset (a list sweeps). ``quick`` keeps to 30 s on two CPU cores and 15 s on a GPU."""
    ffn = {"d_model": 4096, "tokens": 8192} if device_kind == "cuda" else {"d_model": 512, "tokens": 256}
    if name == "published":
        return {
            **ffn,
            "studies": ("speed", "learning"),
            "trainings": ("published",),
            "n": PUBLISHED_N,
            "functions": ("gelu_erf", "gelu_tanh", "silu", "relu", "phi6", "zeta_ln2"),
            "implementations": ("numpy", "eager"),
            "looks": 2,
        }
    if name == "quick":
        # Learning is not part of it, but has values here that keep to the same time, alone.
        quick = {**ffn, "segment_s": 0.02, "looks": 1}
        if device_kind == "cuda":  # the fused kernels are the compiled ones' equals; leaving these out keeps the time budget
            functions = ("gelu_erf", "phi6", "zeta_ln2", "copy")  # of the two GELUs the framework's default
            trainings = {"trainings": ("mlp",)}
            return {**quick, **trainings, "n": 1 << 26, "functions": functions, "implementations": ("numpy", "eager", "fused")}
        return {**quick, "steps": 150, "tuning_seeds": 2, "n": [1 << 12, 1 << 16, 1 << 22]}
    powers = (10, 14, 18, 22, 26, 28) if device_kind == "cuda" else (10, 14, 18, 22, 24)
    learning: dict[str, Any] = {"depths": ("1", "2", "4", "8"), "width": 128, "steps": 1000, "batch_size": 32, "tuning_seeds": 2}
    chosen = ("published", "mlp", "character") if device_kind == "cuda" else ("published", "mlp")
    return {
        **ffn,
        **learning,
        "studies": ("speed", "learning"),
        "trainings": chosen,
        "longer_steps": 20_000 if device_kind == "cuda" else 5000,
        "n": [1 << power for power in powers],
        "functions": typing.get_args(FunctionName),
        "cache": ("cold", "warm"),
        "energy": "standard",
    }
