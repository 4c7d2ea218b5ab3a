"""Small experts against large ones in a character model: training loss on repeated sentences, held-out loss on real text. Worker side.

All models have 4 layers, d_model 64, 4 heads, context 32 and see batches of 16, and differ in their feed-forward blocks alone: 8 experts of
width 256 or 24 of width 85, two for each token, and dense FFNs. **Published**: AdamW at 0.001, six sentences repeated 200 times (the
source's own are not printed in it: these are the lab's), the training loss at the end. **Sound**: the built-in text, each block's learning
rate chosen on validation text with other seeds, the loss on test text.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from lab.data import load
from lab.data.dataset import fingerprint
from lab.records import DataUsed, Event, Phase, Progress, Protocol, Record
from lab.statistics import Interval, ratio_interval
from lab.training.batches import Windows, consecutive_windows
from lab.training.evaluation import Evaluation
from lab.training.fit import Point
from lab.training.intervals import in_blocks, paired_relative_difference
from lab.training.losses import item_cross_entropy
from lab.training.models import CharacterModel
from lab.training.optimisers import AdamW
from lab.training.recipe import Recipe
from lab.training.study import ArmResult, ArmTraining, ArmTuning, compare_arms
from lab.training.tuning import Grid
from lab.workload import Context
from workloads.moe_routing import counts
from workloads.moe_routing.mixture_ffn import DenseFfn, MixtureFfn
from workloads.moe_routing.names import (
    BATCHED,
    DENSE,
    DENSE_ACTIVE,
    DENSE_ACTIVE_SMALL,
    DENSE_TOTAL,
    FINAL_LOSS,
    LEARNING_RATE,
    LOSS,
    LOSS_REDUCTION,
    SMALL,
    STANDARD,
    TEST_LOSS,
    TRAIN_LOSS,
    TRAINING_TIME,
    VALIDATION_LOSS,
    dimensions_of,
    high,
    low,
)
from workloads.moe_routing.parameters import TUNING_SEEDS, MoeRoutingParameters

D_MODEL, N_LAYERS, N_HEADS, CONTEXT, BATCH_SIZE = counts.PUBLISHED_D_MODEL, 4, 4, 32, 16
PUBLISHED_RATE = 1e-3
LAST_STEPS = 50  # whose mean is the training loss at the end
CURVE_POINTS = 2
TEST_WINDOWS = 256  # of the test text, and of the validation text
RATES = {1: (PUBLISHED_RATE, PUBLISHED_RATE), 3: (1e-3, 1e-2), 5: (3e-4, 3e-2)}
PUBLISHED_ARMS = (STANDARD, SMALL, DENSE)
REPEATS = 200
SENTENCES = (
    "The old lighthouse keeper counted the ships before he slept. ",
    "Rain fell on the quiet market while the last stalls closed. ",
    "A small green boat drifted slowly past the stone bridge. ",
    "Every morning the baker lit the oven and opened the door. ",
    "Seven swallows crossed the valley and returned in spring. ",
    "Nobody remembered who had planted the tall walnut tree. ",
)


def blocks(experts: int, top_k: int, split: int) -> dict[str, counts.Layer]:
    """The feed-forward block of each arm: ``experts`` standard ones, each cut in ``split`` small ones, ``top_k`` of them a token."""
    standard = counts.standard(D_MODEL, experts, top_k)
    small = counts.small(D_MODEL, experts, top_k, split)
    return {
        STANDARD: standard,
        SMALL: small,
        DENSE: counts.standard(D_MODEL, 1, 1),
        DENSE_ACTIVE: counts.dense_with(standard.active - standard.router, D_MODEL),
        DENSE_ACTIVE_SMALL: counts.dense_with(small.active - small.router, D_MODEL),
        DENSE_TOTAL: counts.dense_with(standard.total - standard.router, D_MODEL),
    }


def build(layer: counts.Layer, vocabulary: int, n_models: int) -> CharacterModel:
    """Character models with ``layer`` as feed-forward block."""

    def ffn(models: int) -> nn.Module:
        if layer.n_experts == 1:
            return DenseFfn(models, D_MODEL, layer.d_ff)
        return MixtureFfn(models, D_MODEL, layer.d_ff, layer.n_experts, layer.top_k)

    return CharacterModel(n_models, vocabulary, CONTEXT, D_MODEL, N_LAYERS, N_HEADS, layer.d_ff, ffn=ffn)


def _recipe(layer: counts.Layer, vocabulary: int, tokens: Tensor, steps: int, device: str) -> Recipe:
    return Recipe(
        build=partial(build, layer, vocabulary),
        batches=lambda seeds: Windows(tokens, CONTEXT, BATCH_SIZE, seeds),
        steps=steps,
        optimiser=AdamW,
        device=device,
    )


def _record(
    protocol: Protocol,
    device: str,
    data: str,
    arm: str,
    metric: str,
    value: float | None,
    unit: str,
    *,
    seed: int | None = None,
    step: int | str = "",
    flaw: str = "",
    reason: str = "",
) -> Record:
    finite = value is not None and np.isfinite(value)
    return Record(
        protocol=protocol,
        arm=arm,
        role="technique" if arm == SMALL else "baseline",
        implementation=BATCHED,
        device=device,
        dtype="float32",
        metric=metric,
        value=float(value) if value is not None and finite else None,
        unit=unit,
        seed=seed,
        reason=reason if finite else reason or "the model diverged",
        dimensions=dimensions_of(LOSS, data=data, step=step, flaw=flaw),
        whole_run=True,
    )


def repeated_sentences() -> tuple[np.ndarray, tuple[str, ...], DataUsed]:
    """The six sentences repeated 200 times as token ids, their characters, and the manifest's entry."""
    text = "".join(SENTENCES) * REPEATS
    vocabulary = tuple(sorted(set(text)))
    index = {character: place for place, character in enumerate(vocabulary)}
    tokens = np.array([index[character] for character in text], dtype=np.int64)
    label = "six sentences repeated 200 times"
    used = DataUsed(
        name="sentences",
        title=label,
        label=label,
        source="six sentences of the lab's own, as the source's are not printed",
        licence="none needed",
        sha256=fingerprint(tokens, text="".join(vocabulary)),
        sizes={"train": len(tokens), "validation": 0, "test": 0},
    )
    return tokens, vocabulary, used


def published(params: MoeRoutingParameters, context: Context) -> Generator[Event, None, None]:
    """The published training of the published layers: one learning rate, repeated sentences, training loss. Several seeds, not one."""
    ids, vocabulary, used = repeated_sentences()
    yield used
    tokens = torch.from_numpy(ids).to(context.device)
    seeds, steps = params.reported_seeds, params.steps
    layers = {name: layer for name, layer in blocks(*counts.PUBLISHED_LAYER).items() if name in PUBLISHED_ARMS}
    record = partial(_record, "published", context.device, used.label)
    final: dict[str, np.ndarray] = {}
    for place, (name, layer) in enumerate(layers.items()):
        yield Phase("small experts, published", f"{layer.n_experts} × {layer.d_ff}")
        _, points = _recipe(layer, len(vocabulary), tokens, steps, context.device).train(
            seeds, [PUBLISHED_RATE] * len(seeds), every=max(1, steps // CURVE_POINTS)
        )
        losses: list[np.ndarray] = []
        for point in points:
            losses += list(point.step_losses)
            if point.step:
                yield from _curve(record, name, TRAIN_LOSS, point.train_loss, seeds, point.step)
            yield Progress((place + point.step / steps) / len(layers), f"{used.label}: {name}, step {point.step} of {steps}")
        yield record(name, TRAINING_TIME, point.seconds, "s", step=steps)
        final[name] = np.mean(losses[-LAST_STEPS:], axis=0)
        yield from _curve(record, name, FINAL_LOSS, final[name], seeds, steps)
    for name in (SMALL, DENSE):
        ratio = ratio_interval(list(final[name]), list(final[STANDARD]), looks=1, ordered=False)
        yield from _reduction(record, name, _reduction_of(ratio), "")


def _reduction_of(ratio: Interval) -> Interval:
    """1 − technique/baseline from the interval of baseline/technique."""
    ends = [None if value is None else 1 - 1 / value for value in (ratio.mean, ratio.low, ratio.high)]
    return Interval(ends[0], ends[1], ends[2], ratio.n, ratio.reason)


def _curve(record: partial[Record], name: str, metric: str, values: np.ndarray, seeds: Sequence[int], step: int) -> Iterator[Record]:
    for seed, value in zip(seeds, values, strict=True):
        yield record(name, metric, float(value), "nats", seed=seed, step=step)


def _reduction(record: partial[Record], name: str, interval: Interval, flaw: str) -> Iterator[Record]:
    for metric, value in ((LOSS_REDUCTION, interval.mean), (low(LOSS_REDUCTION), interval.low), (high(LOSS_REDUCTION), interval.high)):
        reason = "" if value is not None else interval.reason or "the model diverged"
        yield record(name, metric, None if value is None else 100 * value, "%", flaw=flaw, reason=reason)


def sound(params: MoeRoutingParameters, context: Context) -> Generator[Event, None, None]:
    """Real text, tuned learning rates, held-out loss, and dense FFNs of equal active and of equal total parameters."""
    data = load("text", cache_dir=context.cache_dir, seed=params.seed)
    yield data.used()
    train, validation, test = (torch.from_numpy(part.inputs).to(context.device) for part in (data.train, data.validation, data.test))
    chosen = (params.layer_experts, params.top_k, params.split)
    layers = blocks(*chosen)
    other = "" if chosen == counts.PUBLISHED_LAYER else "the layers are not the published 24 × 4/3 and 8 × 4 with two experts a token"
    record = partial(_record, "sound", context.device, data.label)
    every = max(1, params.steps // CURVE_POINTS)
    lowest, highest = RATES.get(params.rates, RATES[5])
    arms = {name: _recipe(layer, data.n_classes, train, params.steps, context.device) for name, layer in layers.items()}
    metrics = {"loss": item_cross_entropy}
    results: dict[str, ArmResult] = {}
    done = dict.fromkeys(arms, 0.0)
    for outcome in compare_arms(
        arms,
        Grid(lowest, highest, max(3, params.rates)),
        validation=lambda seeds: Evaluation(*_spread(validation), metrics),
        test=lambda seeds: Evaluation(*_spread(test), metrics),
        tuning_seeds=TUNING_SEEDS,
        seeds=params.reported_seeds,
        every=every,
    ):
        if isinstance(outcome, ArmTuning):
            step = getattr(getattr(outcome.outcome, "point", None), "step", params.steps)
            done[outcome.arm] = max(done[outcome.arm], 0.5 * step / params.steps)
        elif isinstance(outcome, ArmTraining):
            point: Point = outcome.point
            yield from _curve(record, outcome.arm, VALIDATION_LOSS, point.metrics["loss"], params.reported_seeds, point.step)
            done[outcome.arm] = 0.5 + 0.5 * point.step / params.steps
        else:
            results[outcome.arm] = outcome
        yield Progress(sum(done.values()) / len(done), f"{data.label}: {outcome.arm}")
    for name, result in results.items():
        rate, flaw = result.tuned.rate, result.tuned.flaw
        yield record(name, LEARNING_RATE, rate, "1", flaw=flaw, reason="" if rate else flaw)
        if result.items:
            yield from _curve(record, name, TEST_LOSS, in_blocks(result.items["loss"]).mean(1), result.seeds, params.steps)
    baseline = results[STANDARD]
    for name, result in results.items():
        if name == STANDARD:
            continue
        flaw = "; ".join(dict.fromkeys(filter(None, (other, result.tuned.flaw, baseline.tuned.flaw))))
        if result.items and baseline.items:
            relative = paired_relative_difference(in_blocks(result.items["loss"]), in_blocks(baseline.items["loss"]))
            ends = [None if value is None else -value for value in (relative.mean, relative.high, relative.low)]
            yield from _reduction(record, name, Interval(ends[0], ends[1], ends[2], relative.n, relative.reason), flaw)
        else:
            yield from _reduction(record, name, Interval(None, None, None, 0, flaw), flaw)


def _spread(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Windows spread evenly over a text: inputs and targets [n, context]."""
    windows = consecutive_windows(tokens, CONTEXT)
    chosen = torch.linspace(0, len(windows.inputs) - 1, min(TEST_WINDOWS, len(windows.inputs)), device=tokens.device).long()
    return windows.inputs[chosen], windows.targets[chosen]
