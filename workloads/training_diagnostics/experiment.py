"""The training diagnostics: image runs, then runs with a transition; peaks, embeddings and detection on their losses. Worker side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np
import torch

from lab.data import load
from lab.data.dataset import Dataset, DataUnavailable, fingerprint
from lab.measuring import within
from lab.records import DataUsed, Event, Fact, Phase, Progress, Record, Role
from lab.workload import Context
from workloads.training_diagnostics import costs, detection_study, embedding_study, grok, images, peak_study
from workloads.training_diagnostics.homology import version
from workloads.training_diagnostics.names import (
    ADDITION,
    CURVES,
    HELD_OUT_ACCURACY,
    IMAGES,
    LOSS,
    RANDOM_LABELS,
    TRAIN_ACCURACY,
    TRANSITION_STEP,
    dimensions_of,
)
from workloads.training_diagnostics.parameters import BATCH_SIZE, TrainingDiagnosticsParameters

EVALUATIONS = 65  # of the runs with a transition, about: between them a transition is not seen
STORED_DIGITS = 5  # of a loss in the records: enough for every ratio, a third of the bytes


def run(params: TrainingDiagnosticsParameters, context: Context) -> Iterator[Event]:
    """Everything the run yields."""
    torch.set_num_threads(context.threads)
    if "embedding" in params.studies:
        yield Fact("gudhi", version())
    if context.device_kind == "cuda":
        yield Phase("initialise the GPU", budgeted=False)
        torch.cuda.synchronize(context.device)
    session = _Session(params, context)
    parts: dict[str, Callable[[], Generator[Event, None, None]]] = {
        costs.IMAGE_RUNS: session.image_runs,
        costs.PEAKS: session.peaks,
        costs.IMAGE_EMBEDDING: session.image_embedding,
        costs.TRANSITION_RUNS: session.transition_runs,
        costs.DETECTION: session.detection,
        costs.ADDITION_EMBEDDING: session.addition_embedding,
    }
    shares = costs.part_durations_s(params, context.device_kind)
    total, done = sum(shares.values()), 0.0
    for name, seconds in shares.items():
        after = done + seconds / total
        yield Phase(name)
        yield from within(parts[name](), done, after)
        done = after
    yield Progress(1.0, "done")


class _Session:
    """The parts of one run; later ones use the losses of earlier ones."""

    def __init__(self, params: TrainingDiagnosticsParameters, context: Context) -> None:
        self.params, self.context = params, context
        self.image_label, self.image_losses = "", np.zeros((0, 0))
        self.addition_label, self.runs = "", grok.Runs(())

    def image_runs(self) -> Generator[Event, None, None]:
        """Losses of every batch of the image runs; those of the first seed are stored."""
        params = self.params
        data, told = self._images()
        if told:
            yield told
        yield data.used()
        batch_size = BATCH_SIZE[data.name]
        self.image_label = data.label
        points = images.train(data, batch_size=batch_size, epochs=params.epochs, seeds=params.run_image_seeds, device=self.context.device)
        losses = []
        for epoch, point in enumerate(points):
            losses.append(point.step_losses)
            yield Progress(epoch / params.epochs, f"images, epoch {epoch} of {params.epochs}")
        self.image_losses = np.concatenate(losses)
        yield from self._curve(IMAGES, self.image_losses[:, 0], params.run_image_seeds[0], self.image_label)

    def _images(self) -> tuple[Dataset, Fact | None]:
        """The images asked for, or digits with the reason."""
        params = self.params
        try:
            return load(params.images, cache_dir=self.context.cache_dir, seed=params.seed), None
        except DataUnavailable as error:
            if error.alternative != "digits":
                raise
            return load("digits", cache_dir=self.context.cache_dir, seed=params.seed), Fact("images", f"digits: {error}")

    def peaks(self) -> Generator[Event, None, None]:
        yield from peak_study.study(self.params, self.image_losses, self.image_label)

    def image_embedding(self) -> Generator[Event, None, None]:
        curves = dict(zip(self.params.run_image_seeds, self.image_losses.T, strict=True))
        yield from embedding_study.study(self.params, curves, self.image_label)

    def transition_runs(self) -> Generator[Event, None, None]:
        """Addition and its controls; losses and accuracies of the first seed are stored."""
        params = self.params
        every = max(1, params.steps // EVALUATIONS)
        data = grok.pairs(params.modulus, params.n_train, params.run_seeds)
        self.addition_label = f"a + b mod {params.modulus}"
        yield DataUsed(
            name=ADDITION,
            title=self.addition_label,
            label=self.addition_label,
            source="generated here: all pairs of two numbers, in an order drawn from each seed",
            licence="none needed",
            sha256=fingerprint(data.inputs, data.answers, data.shuffled),
            sizes={"train": params.n_train, "validation": params.modulus**2 - params.n_train, "test": 0},
        )
        self.runs = grok.Runs(params.run_seeds)
        for point in grok.train(
            data,
            batch_size=params.batch_size,
            width=params.width,
            learning_rate=params.learning_rate,
            weight_decay=params.weight_decay,
            steps=params.steps,
            every=every,
            device=self.context.device,
        ):
            self.runs.add(point)
            if len(self.runs.steps) % 2 or point.step == params.steps:  # half of them draw the curve
                yield from self._accuracies(point.step)
            yield Progress(point.step / params.steps, f"{params.seeds} runs and their controls, step {point.step} of {params.steps}")
        yield from self._curve(ADDITION, self.runs.losses[:, 0], params.run_seeds[0], self.addition_label)
        step = detection_study.truths(params, self.runs)[0].transition
        where = dimensions_of(CURVES, data=self.addition_label)
        reason = "" if step is not None else "never reached"
        yield Record(
            "sound", ADDITION, "technique", "batched", self.context.device, "float32", TRANSITION_STEP,
            None if step is None else float(step), "steps", reason=reason, dimensions=where,
        )  # fmt: skip

    def _accuracies(self, step: int) -> Iterator[Record]:
        """The first seed's accuracies [%] at this step, with and without a transition."""
        for arm, place in ((ADDITION, 0), (RANDOM_LABELS, self.params.seeds)):
            role: Role = "technique" if arm == ADDITION else "baseline"
            for metric, values in ((TRAIN_ACCURACY, self.runs.train_accuracy[-1]), (HELD_OUT_ACCURACY, self.runs.held_out_accuracy[-1])):
                value = 100 * float(values[place])
                where = dimensions_of(CURVES, data=self.addition_label, step=step)
                finite = np.isfinite(value)
                yield Record(
                    "sound", arm, role, "batched", self.context.device, "float32", metric, round(value, 2) if finite else None, "%",
                    reason="" if finite else "the training diverged", dimensions=where,
                )  # fmt: skip

    def detection(self) -> Generator[Event, None, None]:
        yield from detection_study.study(self.params, self.runs, self.addition_label)

    def addition_embedding(self) -> Generator[Event, None, None]:
        seeds = self.params.run_seeds[: costs.MAX_EMBEDDED]
        curves = {seed: curve for seed, curve in zip(seeds, self.runs.losses.T, strict=False) if np.isfinite(curve).all()}
        yield from embedding_study.study(self.params, curves, self.addition_label)

    def _curve(self, arm: str, losses: np.ndarray, seed: int, label: str) -> Iterator[Record]:
        """The losses [steps] of one run. Their place in the run is the repeat: they are one series, not so many measurements."""
        role: Role = "technique"
        for place, loss in enumerate(losses):
            finite = np.isfinite(loss)
            yield Record(
                "published" if arm == IMAGES else "sound", arm, role, "batched", self.context.device, "float32", LOSS,
                float(f"{loss:.{STORED_DIGITS}g}") if finite else None, "1",
                repeat=place, seed=seed, reason="" if finite else "the training diverged", dimensions=dimensions_of(CURVES, data=label),
            )  # fmt: skip
