"""Parameters of the training diagnostics and their presets. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import pydantic

from lab import shared_parameters
from lab.parameters import ParameterError, Parameters, parameter
from lab.workload import DeviceKind
from workloads.training_diagnostics.rfilter import THRESHOLD, WINDOWS
from workloads.training_diagnostics.takens import DIMENSIONS

Study = Literal["peaks", "embedding", "detection"]
WindowName = Literal["6", "12", "24", "36", "48", "96"]
Images = Literal["digits", "mnist"]
Embedded = Literal["images", "addition"]

BATCH_SIZE = {"mnist": 128, "digits": 8}  # of the image runs: digits has 1/46 of MNIST's images, and three epochs must fill the windows
DIGITS_TRAIN, MNIST_TRAIN = 1077, 50_000  # about, for estimates
ALPHA = 0.05  # share of runs without order that the calibrated rule may alarm in
# With which choices a parameter matters.
FILTERED = {"studies": ("peaks", "detection")}
EMBEDDING = {"studies": ("embedding",)}
DETECTION = {"studies": ("detection",)}
ON_IMAGES = ({"studies": ("peaks",)}, EMBEDDING | {"embedded": ("images",)})


class TrainingDiagnosticsParameters(Parameters):
    """Parameters of the training diagnostics; see each field's help."""

    windows: tuple[WindowName, ...] = parameter(
        tuple(str(window) for window in WINDOWS),
        title="Windows",
        help="Losses in a frame of the R-filter. Published: 6, 12, 24 and 36.",
        group="main",
        when=FILTERED,
    )
    threshold: float = parameter(
        THRESHOLD,
        title="Threshold",
        help="Ratio of largest to median amplitude above which the published rule sees a peak. Published: 3.",
        ge=1.0,
        le=100.0,
        step=0.5,
        group="main",
        when=FILTERED,
    )
    delay: int = parameter(
        1,
        title="Delay",
        help="Of the embedding in the sound protocol. Published: 1.",
        unit="steps",
        ge=1,
        le=50,
        step=1,
        group="main",
        when=EMBEDDING,
    )
    seeds: int = parameter(
        80,
        title="Seeds",
        help="Runs with a transition, and as many without: modular addition, and the same with random labels.",
        ge=1,
        le=400,
        step=1,
        group="main",
        when=DETECTION,
    )
    steps: int = parameter(
        800, title="Training steps", help="Of each of these runs.", ge=50, le=20_000, step=50, group="main", when=DETECTION
    )
    studies: tuple[Study, ...] = parameter(
        ("peaks", "embedding", "detection"),
        title="What is measured",
        help="Peaks: how many frames have one, on losses of three epochs on images, shuffled losses and noise. Embedding: which dimension "
        "has the best persistence. Detection: whether the filter finds a transition that is known.",
        labels={"peaks": "Peaks", "embedding": "Embedding", "detection": "Detection"},
        group="main",
    )
    images: Images = parameter(
        "digits",
        title="Images",
        help="Whose losses are filtered and embedded. MNIST (published) is downloaded on first use.",
        labels={"digits": "Digits", "mnist": "MNIST"},
        when=ON_IMAGES,
    )
    epochs: int = parameter(3, title="Epochs", help="Of the image runs. Published: 3.", ge=1, le=50, step=1, when=ON_IMAGES)
    image_seeds: int = parameter(10, title="Seeds of the image runs", help="How many runs on images.", ge=1, le=20, step=1, when=ON_IMAGES)
    embedded: tuple[Embedded, ...] = parameter(
        ("images",),
        title="Embedded losses",
        help="Which losses are embedded: of the image runs (published), of the runs with a transition.",
        labels={"images": "Images", "addition": "Modular addition"},
        when=EMBEDDING,
    )
    modulus: int = parameter(23, title="Modulus p", help="The task is a + b mod p for all p² pairs.", ge=5, le=97, step=2, when=DETECTION)
    train_share: float = parameter(
        0.5, title="Training share", help="Share of the pairs that is trained on.", ge=0.2, le=0.9, step=0.05, when=DETECTION
    )
    batch_size: int = parameter(64, title="Batch size", help="Of the runs with a transition.", ge=1, le=8192, step=1, when=DETECTION)
    width: int = parameter(64, title="Hidden units", help="Of the network that learns addition.", ge=4, le=1024, step=16, when=DETECTION)
    learning_rate: float = parameter(
        0.005, title="Learning rate", help="Of AdamW in these runs.", ge=1e-5, le=1.0, step=0.001, when=DETECTION
    )
    weight_decay: float = parameter(
        1.0,
        title="Weight decay",
        help="Of AdamW in these runs; without it, they generalise late.",
        ge=0.0,
        le=20.0,
        step=0.1,
        when=DETECTION,
    )
    transition_accuracy: float = parameter(
        0.5,
        title="Transition",
        help="Held-out accuracy at which a run has made its transition.",
        ge=0.1,
        le=1.0,
        step=0.05,
        when=DETECTION,
    )
    tolerance: int = parameter(
        150,
        title="Tolerance",
        help="An alarm raised at most this many steps before or after the transition has found it.",
        unit="steps",
        ge=1,
        le=10_000,
        step=10,
        when=DETECTION,
    )
    nulls: int = parameter(
        199,
        title="Null series",
        help="Shuffled copies of each curve that the calibrated rule compares its largest ratio with.",
        ge=19,
        le=1999,
        step=20,
        when=FILTERED,
    )
    average: int = parameter(
        5,
        title="Average",
        help="Losses whose mean is one point of the curve, for the rule on averaged losses.",
        unit="steps",
        ge=2,
        le=50,
        step=1,
        when=DETECTION,
    )
    points: int = parameter(
        100, title="Points", help="Of the embedding, drawn at random for persistent homology.", ge=20, le=500, step=20, when=EMBEDDING
    )
    surrogates: int = parameter(
        3,
        title="Surrogates",
        help="Null series of each kind and seed whose embedding is ranked too.",
        ge=1,
        le=99,
        step=1,
        when=EMBEDDING,
    )
    seed: int = shared_parameters.seed("The first of the seeds; of the splits and of everything random in the analysis.")

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if self.batch_size > self.n_train:
            allowed = f"at most {self.n_train}, the training pairs (then every step sees all of them)"
            raise ParameterError("batch_size", self.batch_size, allowed, "is larger than the training set")
        if max(self.window_sizes) * 2 > self.steps:
            raise ParameterError("steps", self.steps, f"at least {2 * max(self.window_sizes)}, two windows", "is too few")
        least = int(len(self.windows) / ALPHA)
        if self.nulls < least - 1 and {"peaks", "detection"} & set(self.studies):
            raise ParameterError("nulls", self.nulls, f"at least {least - 1} for {len(self.windows)} windows", "cannot reject anything")
        if (max(DIMENSIONS) - 1) * self.delay + self.points > self.steps and "addition" in self.embedded:
            raise ParameterError("delay", self.delay, f"one that leaves {self.points} points of {self.steps} steps", "is too long")
        if "addition" in self.embedded and "embedding" in self.studies and "detection" not in self.studies:
            raise ParameterError("embedded", "addition", "images, unless detection is measured", "needs the runs with a transition")
        return self

    @property
    def window_sizes(self) -> tuple[int, ...]:
        """The windows as numbers."""
        return tuple(int(window) for window in self.windows)

    @property
    def n_train(self) -> int:
        """Training pairs of the addition task."""
        return int(self.train_share * self.modulus**2)

    @property
    def run_seeds(self) -> tuple[int, ...]:
        """Seeds of the runs with a transition."""
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def run_image_seeds(self) -> tuple[int, ...]:
        """Seeds of the image runs."""
        return tuple(range(self.seed, self.seed + self.image_seeds))


def preset(name: str, device_kind: DeviceKind) -> Mapping[str, Any]:
    """Parameter values of a preset. ``quick`` keeps to 30 s on two CPU cores and 15 s on a GPU."""
    if name == "published":
        return {"images": "mnist"}
    if name == "quick":
        return {}
    return {
        "images": "mnist",
        "seeds": 300 if device_kind == "cuda" else 100,
        "embedded": ("images", "addition"),
        "points": 200,
        "surrogates": 5,
        "nulls": 399,
    }
