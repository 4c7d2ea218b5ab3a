"""Parameters of the mixture-of-experts experiment and its presets. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import pydantic

from lab import shared_parameters
from lab.parameters import ParameterError, Parameters, parameter
from lab.shared_parameters import DTYPE_LABELS, DataType, EnergyEffort
from lab.workload import DeviceKind
from workloads.moe_routing.routings import EQUAL, RANKED_EXPERTS, ROUTINGS

Study = Literal["routing", "loss", "speed"]
RoutingName = Literal["equal", "egyptian", "reversed", "softmax", "top_k", "top_k_loss", "top_k_bias"]
Task = Literal["spiral", "digits", "text"]
ProtocolName = Literal["published", "sound"]
Mode = Literal["forward", "forward_backward"]

PUBLISHED_SEEDS = (42, 123, 456, 789, 1024)
TUNING_SEEDS = (7, 8)  # of the sound protocol: never reported
PUBLISHED_EXPERTS, PUBLISHED_TOP_K = 3, 2
PUBLISHED_RATE = 0.01
PUBLISHED_STEPS = 500
STANDARD_EXPANSION = 4  # of an expert, and of the dense FFN it stands for
MULTIPLE = {"float32": 4, "bfloat16": 8, "float16": 8}  # features that make 16 bytes: rows of a grouped product
# With which choices a parameter matters.
TRAINED = {"studies": ("routing", "loss")}
ROUTED = {"studies": ("routing",)}
SOUND_ROUTING = ROUTED | {"protocols": ("sound",)}
SPEED = {"studies": ("speed",)}


class MoeRoutingParameters(Parameters):
    """Parameters of the mixture-of-experts experiment; see each field's help."""

    n_experts: int = parameter(
        3,
        title="Experts",
        help="Experts of the routing study in the sound protocol; the published one has three. Rank-constant weights (equal, Egyptian, "
        "reversed) go to the three best of them.",
        ge=2,
        le=64,
        step=1,
        group="main",
        sweep=True,
        when=SOUND_ROUTING,
    )
    top_k: int = parameter(
        2,
        title="k",
        help="Experts that a token is sent to, in top-k routings and in the mixtures of small and standard experts.",
        ge=1,
        le=16,
        step=1,
        group="main",
    )
    steps: int = parameter(
        PUBLISHED_STEPS,
        title="Training steps",
        help="Of each model. The published studies train 500 steps; a verdict needs as many.",
        ge=2,
        le=20_000,
        step=50,
        group="main",
        when=TRAINED,
    )
    seeds: int = parameter(
        5,
        title="Seeds",
        help="Models of each kind; the first five are the published seeds.",
        ge=1,
        le=20,
        step=1,
        group="main",
        when=TRAINED,
    )
    studies: tuple[Study, ...] = parameter(
        ("routing", "speed"),
        title="What is measured",
        help="Routing: how the choice of weights changes accuracy and load. Small experts, loss: character models with many small experts, "
        "few large ones, or a dense FFN. Small experts, speed: one layer of each, routing and permutation included.",
        labels={"routing": "Routing", "loss": "Small experts: loss", "speed": "Small experts: speed"},
        group="main",
    )
    protocols: tuple[ProtocolName, ...] = parameter(
        ("published", "sound"),
        title="Protocols",
        help="Published: the claim's own set-up, flaws included. Sound: shuffled and held-out data, tuned learning rates, more routings.",
        labels={"published": "Published", "sound": "Sound"},
        when=TRAINED,
    )
    routings: tuple[RoutingName, ...] = parameter(
        tuple(ROUTINGS),
        title="Routings",
        help="Compared in the sound protocol; equal weights are the baseline of the claim.",
        labels={name: routing.title for name, routing in ROUTINGS.items()},
        when=SOUND_ROUTING,
    )
    tasks: tuple[Task, ...] = parameter(
        ("spiral", "digits"),
        title="Data",
        help="Of the routing study in the sound protocol: the published spiral with a shuffled split, digits, and the next character "
        "of a text.",
        labels={"spiral": "Spiral", "digits": "Digits", "text": "Text"},
        when=SOUND_ROUTING,
    )
    temperature: float = parameter(
        1.0,
        title="Temperature",
        help="Scores are divided by it before the softmax: low sharpens, high levels.",
        ge=0.01,
        le=100.0,
        step=0.1,
        when=SOUND_ROUTING,
    )
    balance_weight: float = parameter(
        0.01,
        title="Balancing loss",
        help="Weight of the load-balancing loss where a routing has it.",
        ge=0.0,
        le=10.0,
        step=0.01,
        when=SOUND_ROUTING,
    )
    balance_rate: float = parameter(
        0.01,
        title="Balancing bias",
        help="How far the bias of an expert moves at each step, towards those with too few tokens, where a routing has it.",
        ge=0.0,
        le=1.0,
        step=0.001,
        when=SOUND_ROUTING,
    )
    capacity_factor: float = parameter(
        1.25,
        title="Capacity",
        help="Tokens that an expert can take in a batch, as a multiple of an even share. What lies beyond is counted as dropped.",
        ge=0.1,
        le=64.0,
        step=0.25,
        when=ROUTED,
    )
    drop_tokens: bool = parameter(
        False,
        title="Drop tokens beyond capacity",
        help="In training; otherwise the tokens that a limited capacity would drop are only counted.",
        when=SOUND_ROUTING,
    )
    rates: int = parameter(
        3,
        title="Learning rates tried",
        help="Per routing in the sound protocol, around the published 0.01, each √10 times the one before, chosen on validation data with "
        "other seeds. 1 keeps the published rate untuned.",
        ge=1,
        le=9,
        step=2,
        when=TRAINED | {"protocols": ("sound",)},
    )
    layer_experts: int = parameter(
        8,
        title="Standard experts",
        help="Experts of the standard mixture, each as wide as a dense FFN of expansion 4. The published training has 8.",
        ge=2,
        le=64,
        step=1,
    )
    split: int = parameter(
        3,
        title="Small experts per standard one",
        help="3 cuts 8 experts of expansion 4 into 24 of expansion 4/3, as published: equal total parameters, a third of the active ones.",
        ge=2,
        le=8,
        step=1,
    )
    d_model: int = parameter(
        1024,
        title="d_model",
        help="Features of a token in the layers that are timed (the character models have the published 64).",
        ge=16,
        le=8192,
        step=16,
    )
    tokens: int = parameter(
        16_384,
        title="Tokens",
        help="That go through a timed layer together.",
        unit="tokens",
        ge=16,
        le=1 << 18,
        scale="log2",
        when=SPEED,
    )
    dtype: DataType = parameter("bfloat16", title="Data type", help="Of the layers that are timed.", labels=DTYPE_LABELS, when=SPEED)
    mode: Mode = parameter(
        "forward",
        title="Pass",
        help="Of the layers that are timed: forward alone (inference), or forward and backward (training).",
        labels={"forward": "Forward", "forward_backward": "Forward + backward"},
        when=SPEED,
    )
    energy: EnergyEffort = shared_parameters.energy(
        "Joules of a layer from the GPU's own counter: each size of experts in its fastest implementation, the loop over experts, and the "
        "dense FFNs. Standard takes about 20 s an arm, thorough about 70 s.",
        when=SPEED,
    )
    segment_s: float = shared_parameters.segment_s(0.1, when=SPEED)
    looks: int = shared_parameters.looks(2, when=SPEED)
    precision: float = shared_parameters.precision(0.01, when=SPEED)
    seed: int = shared_parameters.seed("Of the data that are drawn and of the random inputs of the timed layers.")

    @pydantic.model_validator(mode="after")
    def _experts_suffice(self) -> Self:
        ranked = [name for name in self.routings if ROUTINGS[name].weights]
        if ranked and self.n_experts < RANKED_EXPERTS and self._has("routing", "sound"):
            allowed = f"at least {RANKED_EXPERTS} where {', '.join(ranked)} give weights to the {RANKED_EXPERTS} best"
            raise ParameterError("n_experts", self.n_experts, allowed, "is too few")
        sparse = [name for name in self.routings if ROUTINGS[name].sparse]
        if sparse and self.top_k > self.n_experts and self._has("routing", "sound"):
            raise ParameterError("top_k", self.top_k, f"from 1 to the {self.n_experts} experts", "is more than there are experts")
        if {"loss", "speed"} & set(self.studies) and self.top_k > self.layer_experts:
            allowed = f"from 1 to the {self.layer_experts} standard experts"
            raise ParameterError("top_k", self.top_k, allowed, "is more than there are experts")
        return self

    @pydantic.model_validator(mode="after")
    def _has_a_baseline(self) -> Self:
        if EQUAL not in self.routings or len(self.routings) < 2:
            raise ParameterError("routings", ",".join(self.routings), "equal and at least one other", "has nothing to compare")
        return self

    def _has(self, study: Study, protocol: ProtocolName) -> bool:
        return study in self.studies and protocol in self.protocols

    @property
    def reported_seeds(self) -> tuple[int, ...]:
        """The published seeds, continued by 1025, 1026, …"""
        return tuple([*PUBLISHED_SEEDS, *range(1025, 1045)][: self.seeds])

    @property
    def small_experts(self) -> int:
        """Experts of the mixture of small experts."""
        return self.layer_experts * self.split


def expert_width(d_model: int, split: int = 1) -> int:
    """Width of an expert: floor(4 · d_model / split), as published (85 for d_model 64 and split 3)."""
    return STANDARD_EXPANSION * d_model // split


def round_up(width: int, multiple: int) -> int:
    """The least multiple of ``multiple`` that is at least ``width``."""
    return -(-width // multiple) * multiple


def preset(name: str, device_kind: DeviceKind) -> Mapping[str, Any]:
    """Parameter values of a preset (a list sweeps). ``quick`` keeps to 30 s on two CPU cores and 15 s on a GPU."""
    shape: dict[str, Any] = {"d_model": 1024, "tokens": 16_384, "dtype": "bfloat16"}
    if device_kind == "cpu":
        shape = {"d_model": 128, "tokens": 1024, "dtype": "float32"}
    if name == "published":
        return {**shape, "studies": ("routing", "loss"), "protocols": ("published",), "looks": 1}
    if name == "quick":
        return {**shape, "studies": ("routing", "speed"), "tasks": ("spiral",), "segment_s": 0.02, "looks": 1}
    return {
        **shape,
        "studies": ("routing", "loss", "speed"),
        "tasks": ("spiral", "digits", "text"),
        "rates": 5,
        "energy": "standard",
    }
