"""Parameters of the early-stopping experiment and its presets. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import pydantic

from lab import shared_parameters
from lab.parameters import ParameterError, Parameters, parameter
from lab.shared_parameters import EnergyEffort
from lab.workload import DeviceKind
from workloads.entropy_stopping.names import MODELS
from workloads.entropy_stopping.rules import FixedBudget, PatienceOnAccuracy, PatienceOnLoss, Plateau, Rule, SmoothedPlateau

ModelName = Literal["difference", "mlp", "cnn"]
DataName = Literal["digits", "mnist", "idx", "text"]
ProtocolName = Literal["published", "sound"]

PUBLISHED_THRESHOLDS = (0.005, 0.01, 0.02, 0.05)
DATA_LABELS = {"digits": "Digits", "mnist": "MNIST", "idx": "IDX folder", "text": "Text"}


class EntropyStoppingParameters(Parameters):
    """Parameters of the early-stopping experiment; see each field's help."""

    epochs: int = parameter(
        30,
        title="Epochs",
        help="Of the full budget that stopping early is compared with. The source trains 30.",
        ge=2,
        le=200,
        step=1,
        group="main",
    )
    threshold: float = parameter(
        0.01,
        title="Threshold",
        help="Fixed beforehand, for the sound protocol: the output entropy counts as still where it moves by less. The published "
        "thresholds (0.005, 0.01, 0.02, 0.05) are evaluated in any case, and the section “Where would it have stopped?” takes any other "
        "without a new run.",
        unit="nats",
        ge=0.001,
        le=0.2,
        step=0.001,
        group="main",
    )
    window: int = parameter(
        3,
        title="Window",
        help="Epochs in a row in which the entropy must move less than the threshold. Published: 3.",
        unit="epochs",
        ge=1,
        le=50,
        step=1,
        group="main",
    )
    seeds: int = parameter(5, title="Seeds", help="Models trained side by side as one batch.", ge=1, le=20, step=1, group="main")
    model: ModelName = parameter(
        "difference",
        title="Model",
        help="Published: the difference of two MLPs with 128 hidden units each, ReLU and dropout. An MLP alone, or a CNN of two "
        "convolutions, for images.",
        labels=MODELS,
        group="main",
        sweep=True,
    )
    data: DataName = parameter(
        "digits",
        title="Data",
        help="The claims speak of MNIST, which is downloaded once; an IDX folder is named by $EFFICIENCY_LAB_IDX. Digits are built in. "
        "Text: the next character after eight of the built-in text.",
        labels=DATA_LABELS,
        group="main",
    )
    patience: int = parameter(
        3,
        title="Patience",
        help="Epochs that the rules of usual practice wait for a better loss or accuracy; they keep the best epoch's parameters.",
        unit="epochs",
        ge=1,
        le=50,
        step=1,
    )
    schedules: int = parameter(
        5,
        title="Schedule lengths",
        help="Cosine schedules of this many lengths, evenly spaced up to the full budget, each trained for itself.",
        ge=1,
        le=10,
        step=1,
    )
    protocols: tuple[ProtocolName, ...] = parameter(
        ("published", "sound"),
        title="Protocols",
        help="Published: the rule looks at the test data, and the threshold is picked after the test accuracies are known. Sound: the rule "
        "looks at validation data, the threshold is fixed beforehand, test data are used once.",
        labels={"published": "Published", "sound": "Sound"},
    )
    learning_rate: float = parameter(
        1e-3,
        title="Learning rate",
        help="Of Adam, and the highest one of a cosine schedule. Published: 0.001.",
        ge=1e-6,
        le=100.0,
        step=1e-3,
    )
    tuned: bool = parameter(
        True,
        title="Tune the learning rates",
        help="In the sound protocol: that of the constant rate and of each cosine schedule is chosen for itself, on validation data with "
        "two other seeds, from the learning rate above upwards.",
    )
    dropout: float = parameter(0.3, title="Dropout", help="After the hidden layer. Published: 0.3.", ge=0.0, le=0.9, step=0.1)
    batch_size: int = parameter(128, title="Batch", help="Examples of one step. Published: 128.", ge=8, le=1024, scale="log2")
    energy: EnergyEffort = shared_parameters.energy(
        "Joules of one training step and of one evaluation of a single model, from the GPU's own counter. Standard takes about a minute "
        "for each kind of model, thorough about three."
    )
    segment_s: float = shared_parameters.segment_s(0.1)
    looks: int = shared_parameters.looks(2)
    precision: float = shared_parameters.precision(0.01)
    seed: int = shared_parameters.seed("The first seed; the others follow it. Also of the split of the data.")

    @pydantic.model_validator(mode="after")
    def _rules_can_fire(self) -> Self:
        for name in ("window", "patience"):
            if getattr(self, name) >= self.epochs:
                allowed = f"below the {self.epochs} epochs, or the rule can never stop"
                raise ParameterError(name, getattr(self, name), allowed, "is too long")
        return self

    @pydantic.model_validator(mode="after")
    def _fits_the_data(self) -> Self:
        if self.model == "cnn" and self.data == "text":
            raise ParameterError("model", self.model, "difference, mlp for text", "needs images")
        if self.schedules > self.epochs:
            raise ParameterError("schedules", self.schedules, f"at most the {self.epochs} epochs", "is too many")
        return self

    @property
    def reported_seeds(self) -> tuple[int, ...]:
        """The seeds of the models."""
        return tuple(self.seed + i for i in range(self.seeds))

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Of the entropy rule: the published ones and the one that was fixed beforehand."""
        return tuple(sorted({*PUBLISHED_THRESHOLDS, self.threshold}))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Epochs of the shorter schedules and budgets, the full one last."""
        return tuple(sorted({round(self.epochs * (i + 1) / self.schedules) for i in range(self.schedules)}))

    def entropy_rules(self) -> list[Rule]:
        """The published rules."""
        return [*(Plateau(threshold, self.window) for threshold in self.thresholds), SmoothedPlateau(self.threshold)]

    def usual_rules(self) -> list[Rule]:
        """What people use and what can be read off the same curves; shorter schedules cannot."""
        budgets: list[Rule] = [FixedBudget(length) for length in self.lengths]
        return [PatienceOnLoss(self.patience), PatienceOnAccuracy(self.patience), *budgets]


def preset(name: str, device_kind: DeviceKind) -> Mapping[str, Any]:
    """Parameter values of a preset (a list sweeps). ``quick`` keeps to 30 s on two CPU cores and 15 s on a GPU."""
    if name == "published":
        return {"data": "mnist", "schedules": 3, "tuned": False, "segment_s": 0.05, "looks": 1}
    if name == "quick":
        return {"schedules": 4, "segment_s": 0.02, "looks": 1}
    return {"energy": "standard", "schedules": 6}
