"""The routing study: how weights by rank, softmax and balancing change accuracy, load and what the router learns. Worker side.

All routings × seeds train as one batch. Published protocol: the unshuffled spiral, three experts, Adam at 0.01, test accuracy watched at
every point, as in the source. Sound protocol: shuffled data in three parts; each routing's learning rate chosen on validation data with
other seeds; test data used once, at the end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.measuring import within
from lab.records import Event, Phase, Progress, Protocol, Record, Role, Scalar
from lab.statistics import Interval
from lab.training.batches import Samples
from lab.training.evaluation import Evaluation
from lab.training.fit import Point, fit
from lab.training.initialisation import initialise
from lab.training.intervals import paired_difference, paired_relative_difference
from lab.training.losses import cross_entropy
from lab.training.optimisers import Adam
from lab.workload import Context
from workloads.moe_routing.model import RoutedModel, training_loss
from workloads.moe_routing.names import (
    BATCHED,
    CEILING,
    CHANCE,
    DROPPED,
    EXPERT_LOAD,
    GAIN,
    LEARNING_RATE,
    LOAD_ENTROPY,
    RELATIVE_GAIN,
    ROUTER_GRADIENT,
    ROUTING,
    TEST_ACCURACY,
    TOKEN_ENTROPY,
    TRAINING_TIME,
    VALIDATION_ACCURACY,
    dimensions_of,
    high,
    low,
)
from workloads.moe_routing.parameters import (
    PUBLISHED_EXPERTS,
    PUBLISHED_RATE,
    PUBLISHED_TOP_K,
    TUNING_SEEDS,
    MoeRoutingParameters,
)
from workloads.moe_routing.routing import entropy_share
from workloads.moe_routing.routings import EGYPTIAN, EQUAL, PUBLISHED_ROUTINGS
from workloads.moe_routing.tasks import Task, published_spiral, task

BATCH_SIZE = 128
CURVE_POINTS = 4  # of a training, besides its start
PROBE_ITEMS = 512  # training items on which the router's gradient and the loads are looked at
EXTENSIONS = 2  # of a grid of learning rates whose best one lies at its edge
FACTOR = 10**0.5  # between learning rates
UNITS = {TOKEN_ENTROPY: "1", LOAD_ENTROPY: "1", ROUTER_GRADIENT: "1", DROPPED: "%"}


@dataclass(frozen=True)
class Setting:
    """How one training routes: what tells the protocols apart."""

    n_experts: int
    top_k: int
    temperature: float = 1.0
    balance_weight: float = 0.0
    balance_rate: float = 0.0
    capacity_factor: float = 1.25
    drop_tokens: bool = False


def published_setting(params: MoeRoutingParameters) -> Setting:
    """Three experts and top-2, whatever the parameters say of the sound protocol; the capacity only counts."""
    return Setting(PUBLISHED_EXPERTS, PUBLISHED_TOP_K, capacity_factor=params.capacity_factor)


def sound_setting(params: MoeRoutingParameters) -> Setting:
    """As the parameters say."""
    return Setting(
        params.n_experts,
        params.top_k,
        params.temperature,
        params.balance_weight,
        params.balance_rate,
        params.capacity_factor,
        params.drop_tokens,
    )


class Trainer:
    """Trains models of one task together: model i routes by ``names[i]``, starts from ``seeds[i]``, learns at ``rates[i]``."""

    def __init__(self, data: Task, setting: Setting, device: str) -> None:
        self.data, self.setting, self.device = data, setting, device
        self.train, self.validation, self.test = (self._placed(part) for part in (data.train, data.validation, data.test))

    def _placed(self, part: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(part[0]).to(self.device), torch.from_numpy(part[1]).to(self.device)

    def model(self, names: Sequence[str], seeds: Sequence[int]) -> RoutedModel:
        """The models before training."""
        setting = self.setting
        built = RoutedModel(
            names,
            self.data.n_classes,
            n_experts=setting.n_experts,
            top_k=setting.top_k,
            temperature=setting.temperature,
            balance_weight=setting.balance_weight,
            balance_rate=setting.balance_rate,
            capacity_factor=setting.capacity_factor,
            drop_tokens=setting.drop_tokens,
        )
        return initialise(built, seeds).to(self.device)

    def run(
        self, model: RoutedModel, seeds: Sequence[int], rates: Sequence[float], steps: int, part: tuple[Tensor, Tensor], every: int
    ) -> Iterator[tuple[Point, dict[str, np.ndarray]]]:
        """Train; at each point also what the router does on the first training items (:func:`diagnostics`)."""
        batches = Samples(*self.train, BATCH_SIZE, seeds, drop_last=True)
        optimiser = Adam(model, torch.tensor(rates, dtype=torch.float64))
        for point in fit(model, optimiser, batches, steps, loss=training_loss, evaluate=Evaluation(*part), every=every):
            yield point, self.diagnostics(model)

    def diagnostics(self, model: RoutedModel) -> dict[str, np.ndarray]:
        """What the router does on up to 512 training items spread over the training set.

        Entropy of a token's weights and of the mean load as shares of ln E, [M]; load per expert, [M, E]: the mean weight; norm of the
        gradient of the cross-entropy that reaches the router's parameters, [M]; share of assignments beyond capacity, [M].
        """
        inputs, targets = self.train
        spread = torch.linspace(0, len(inputs) - 1, min(PROBE_ITEMS, len(inputs)), device=inputs.device).long()
        models = model.n_models
        x, y = inputs[spread].expand(models, -1, -1), targets[spread].expand(models, -1)
        router = list(model.router.parameters())
        with torch.enable_grad():
            assigned = model.assignment(model.router(x))
            loss = cross_entropy(model.logits(x, assigned.weights), y).sum()
            # Weights that are constants by rank are no function of the router's parameters: nothing reaches them, which counts as 0.
            gradients = torch.autograd.grad(loss, router, allow_unused=True)
        squares = [(g if g is not None else torch.zeros_like(p)).flatten(1).square().sum(1) for g, p in zip(gradients, router, strict=True)]
        with torch.no_grad():
            chosen = assigned.used | assigned.dropped
            load = assigned.weights.mean(1)
            shares = load / load.sum(-1, keepdim=True)
            beyond = chosen & (chosen.cumsum(1) > model.limit(len(spread))[:, None, None])
            found = {
                TOKEN_ENTROPY: entropy_share(assigned.weights / assigned.weights.sum(-1, keepdim=True).clamp(min=1e-30)).mean(1),
                LOAD_ENTROPY: entropy_share(shares),
                EXPERT_LOAD: shares,
                ROUTER_GRADIENT: torch.stack(squares).sum(0).sqrt(),
                DROPPED: 100.0 * beyond.flatten(1).sum(1) / chosen.flatten(1).sum(1),
            }
        return {name: values.double().cpu().numpy() for name, values in found.items()}


def role_of(name: str) -> Role:
    """The routing under test is the Egyptian one."""
    return "technique" if name == EGYPTIAN else "baseline"


@dataclass(frozen=True)
class _Recorder:
    """Makes the records of one training; ``curves``: also of what happens on the way to its end."""

    protocol: Protocol
    device: str
    label: str
    experts: int
    names: tuple[str, ...]
    seeds: tuple[int, ...]
    whole_run: bool
    curves: bool = True

    def record(
        self, name: str, metric: str, value: float | None, unit: str, *, seed: int | None = None, reason: str = "", **at: Scalar
    ) -> Record:
        return Record(
            protocol=self.protocol,
            arm=name,
            role=role_of(name),
            implementation=BATCHED,
            device=self.device,
            dtype="float32",
            metric=metric,
            value=value if value is None or np.isfinite(value) else None,
            unit=unit,
            seed=seed,
            reason=reason or ("" if value is None or np.isfinite(value) else "the model diverged"),
            dimensions=dimensions_of(ROUTING, data=self.label, experts=self.experts, **at),
            whole_run=self.whole_run,
        )

    def point(self, point: Point, diagnostics: Mapping[str, np.ndarray], accuracy: str, last: bool) -> Iterator[Record]:
        """With curves, accuracy of every model and what the router of the first seed does; without, accuracy at the end.

        In either case the entropy of the load at start and end and the gradient at the end, of every seed.
        """
        place, step = 0, point.step
        for name in self.names:
            for index, seed in enumerate(self.seeds):
                if self.curves or last:
                    yield self.record(name, accuracy, 100 * float(point.metrics["accuracy"][place]), "%", seed=seed, step=step)
                wanted = {LOAD_ENTROPY} if last or step == 0 else set()
                wanted |= {ROUTER_GRADIENT} if last else set()
                if index == 0 and self.curves:
                    wanted = set(UNITS)
                    for expert, share in enumerate(diagnostics[EXPERT_LOAD][place]):
                        yield self.record(name, EXPERT_LOAD, float(share), "1", seed=seed, step=step, expert=expert)
                for metric in UNITS:
                    if metric in wanted:
                        yield self.record(name, metric, float(diagnostics[metric][place]), UNITS[metric], seed=seed, step=step)
                place += 1

    def gains(self, correct: Mapping[str, np.ndarray], flaws: Mapping[str, str]) -> Iterator[Record]:
        """Accuracy above that of equal weights, in points and relative to it; ``correct`` by routing, [seeds, items]."""
        for name, values in correct.items():
            if name == EQUAL:
                continue
            flaw = "; ".join(dict.fromkeys(filter(None, (flaws.get(name, ""), flaws.get(EQUAL, "")))))
            found: tuple[tuple[str, Interval, str], ...] = (
                (GAIN, paired_difference(values, correct[EQUAL]), "points"),
                (RELATIVE_GAIN, paired_relative_difference(values, correct[EQUAL]), "%"),
            )
            for metric, interval, unit in found:
                for named, value in ((metric, interval.mean), (low(metric), interval.low), (high(metric), interval.high)):
                    scaled = None if value is None else 100 * value
                    yield self.record(name, named, scaled, unit, reason="" if value is not None else interval.reason, flaw=flaw)


def published(params: MoeRoutingParameters, context: Context) -> Generator[Event, None, None]:
    """The published study: five routings, one learning rate, the unshuffled spiral."""
    data = published_spiral(params.seed)
    yield data.used
    yield Phase("routing, published", data.label)
    recorder = _Recorder(
        "published", context.device, data.label, PUBLISHED_EXPERTS, PUBLISHED_ROUTINGS, params.reported_seeds, whole_run=True
    )
    yield from _levels(recorder, data)
    trainer = Trainer(data, published_setting(params), context.device)
    yield from _trained(recorder, trainer, {}, params.steps, trainer.test, TEST_ACCURACY, {})


def sound(params: MoeRoutingParameters, context: Context) -> Generator[Event, None, None]:
    """The sound study on every data set asked for."""
    for place, name in enumerate(params.tasks):
        data = task(name, params.seed, context.cache_dir)
        yield data.used
        yield Phase("routing, sound", data.label)
        recorder = _Recorder(
            "sound",
            context.device,
            data.label,
            params.n_experts,
            params.routings,
            params.reported_seeds,
            whole_run=False,
            curves=place == 0,  # on one data set, or the records of a thorough run would be too many to keep
        )
        yield from _levels(recorder, data)
        trainer = Trainer(data, sound_setting(params), context.device)
        rates, flaws = _tuned(trainer, params)
        yield Progress((place + 0.5) / len(params.tasks), f"{data.label}: learning rates")
        for routing, rate in rates.items():
            yield recorder.record(routing, LEARNING_RATE, rate, "1", flaw=flaws[routing])
        trained = _trained(recorder, trainer, rates, params.steps, trainer.validation, VALIDATION_ACCURACY, flaws)
        yield from within(trained, (place + 0.5) / len(params.tasks), (place + 1) / len(params.tasks))


def _levels(recorder: _Recorder, data: Task) -> Iterator[Record]:
    """What accuracy is to be compared with: guessing, and the best of a model that never names a class it has not seen."""
    yield recorder.record(EQUAL, CHANCE, data.chance, "%")
    yield recorder.record(EQUAL, CEILING, data.ceiling, "%")


def _trained(
    recorder: _Recorder,
    trainer: Trainer,
    rates: Mapping[str, float],
    steps: int,
    watched: tuple[Tensor, Tensor],
    accuracy: str,
    flaws: Mapping[str, str],
) -> Generator[Event, None, None]:
    """Train all routings × seeds, tell the curves, test."""
    names = [name for name in recorder.names for _ in recorder.seeds]
    seeds = list(recorder.seeds) * len(recorder.names)
    model = trainer.model(names, seeds)
    every = max(1, steps // CURVE_POINTS)
    all_rates = [rates.get(name, PUBLISHED_RATE) for name in names]
    for point, diagnostics in trainer.run(model, seeds, all_rates, steps, watched, every):
        yield from recorder.point(point, diagnostics, accuracy, last=point.step == steps)
        yield Progress(point.step / steps, f"{recorder.label}, step {point.step} of {steps}")
    yield recorder.record(EQUAL, TRAINING_TIME, point.seconds, "s", step=steps)
    correct = Evaluation(*trainer.test).items(model)["accuracy"].double().cpu().numpy()
    correct[point.diverged] = np.nan
    by_name = dict(zip(recorder.names, np.split(correct, len(recorder.names)), strict=True))
    if accuracy != TEST_ACCURACY:
        for name, values in by_name.items():
            for seed, value in zip(recorder.seeds, values.mean(1), strict=True):
                yield recorder.record(name, TEST_ACCURACY, 100 * float(value), "%", seed=seed, step=steps)
    yield from recorder.gains(by_name, flaws)


def _tuned(trainer: Trainer, params: MoeRoutingParameters) -> tuple[dict[str, float], dict[str, str]]:
    """The learning rate of each routing with the lowest validation loss, and what is wrong with the choice ("grid edge: …").

    All routings × rates × tuning seeds train as one batch; where a best rate lies at an edge, that routing's grid is extended.
    """
    if params.rates == 1:
        return dict.fromkeys(params.routings, PUBLISHED_RATE), dict.fromkeys(params.routings, "learning rate not tuned")
    half = params.rates // 2
    losses: dict[str, dict[int, float]] = {str(name): {} for name in params.routings}
    wanted = {str(name): list(range(-half, half + 1)) for name in params.routings}
    for _ in range(EXTENSIONS + 1):
        cells = [(name, place) for name, places in wanted.items() for place in places]
        if not cells:
            break
        names = [name for name, _ in cells for _ in TUNING_SEEDS]
        rates = [PUBLISHED_RATE * FACTOR**place for _, place in cells for _ in TUNING_SEEDS]
        seeds = list(TUNING_SEEDS) * len(cells)
        model = trainer.model(names, seeds)
        batches = Samples(*trainer.train, BATCH_SIZE, seeds, drop_last=True)
        optimiser = Adam(model, torch.tensor(rates, dtype=torch.float64))
        *_, point = fit(model, optimiser, batches, params.steps, loss=training_loss, evaluate=Evaluation(*trainer.validation))
        means = np.nan_to_num(point.metrics["loss"], nan=np.inf).reshape(len(cells), -1).mean(1)
        for (name, place), loss in zip(cells, means, strict=True):
            losses[name][place] = float(loss)
        wanted = {name: _beyond(found) for name, found in losses.items()}
    best: dict[str, int] = {name: min(found, key=found.__getitem__) for name, found in losses.items()}
    flaws = {
        name: f"grid edge: the best learning rate is at an edge of {len(losses[name])} tried" if _beyond(losses[name]) else ""
        for name in losses
    }
    return {name: PUBLISHED_RATE * FACTOR**place for name, place in best.items()}, flaws


def _beyond(found: Mapping[int, float]) -> list[int]:
    """The places to try next: the neighbour beyond the edge that the best one lies on, if it does."""
    best = min(found, key=found.__getitem__)
    return [best - 1] if best == min(found) else [best + 1] if best == max(found) else []
