"""What the models learn: images, or the next character of a text, as tensors for one kind of model. Worker side."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lab.data import Dataset, DataUnavailable, Split, load, needs_download
from lab.records import Event, Fact, Phase
from lab.workload import Context
from workloads.entropy_stopping.parameters import EntropyStoppingParameters

CONTEXT = 8  # characters that the next one is predicted from
TEXT_ITEMS = {"train": 12_000, "validation": 2_000, "test": 2_000}  # windows that do not overlap, spread over each part


@dataclass(frozen=True)
class Part:
    """Inputs [n, features] or [n, 1, height, width], and class ids [n]."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: str) -> Part:
        """The same part on ``device``."""
        return Part(self.inputs.to(device), self.targets.to(device))

    def __add__(self, other: Part) -> Part:
        return Part(torch.cat([self.inputs, other.inputs]), torch.cat([self.targets, other.targets]))


@dataclass(frozen=True)
class Examples:
    """One data set in three parts; ``label`` is what measurements call it."""

    label: str
    n_classes: int
    train: Part
    validation: Part
    test: Part

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return tuple(self.train.inputs.shape[1:])

    def to(self, device: str) -> Examples:
        """The same examples on ``device``."""
        return Examples(self.label, self.n_classes, self.train.to(device), self.validation.to(device), self.test.to(device))


def examples(params: EntropyStoppingParameters, context: Context) -> Generator[Event, None, Examples]:
    """The examples on the CPU, shaped for the model; says what data they are, and where it downloads or falls back on other data."""
    data = yield from _loaded(params, context)
    yield data.used()
    convolved = params.model == "cnn"
    parts = {name: _part(name, getattr(data, name), data, convolved) for name in ("train", "validation", "test")}
    return Examples(data.label, data.n_classes, **parts)


def _loaded(params: EntropyStoppingParameters, context: Context) -> Generator[Event, None, Dataset]:
    yield Phase("data", needs_download(params.data, context.cache_dir) or params.data, budgeted=False)
    try:
        return load(params.data, cache_dir=context.cache_dir, seed=params.seed)
    except DataUnavailable as error:
        if not error.alternative:
            raise
        found = load(error.alternative, cache_dir=context.cache_dir, seed=params.seed)
        yield Fact("data_fallback", f"{found.title} instead of {params.data}: {error}")
        return found


def _part(name: str, split: Split, data: Dataset, convolved: bool) -> Part:
    if data.kind == "text":
        return _windows(split.inputs, split.targets, TEXT_ITEMS[name], data.n_classes)
    inputs = torch.from_numpy(np.ascontiguousarray(split.inputs))
    return Part(inputs[:, None] if convolved else inputs.flatten(1), torch.from_numpy(split.targets.astype(np.int64)))


def _windows(ids: np.ndarray, targets: np.ndarray, most: int, n_classes: int) -> Part:
    """Up to ``most`` windows of :data:`CONTEXT` characters, one-hot, each with the character that follows it; they do not overlap."""
    starts = np.arange(0, len(ids) - CONTEXT + 1, CONTEXT)
    starts = starts[np.linspace(0, len(starts) - 1, min(most, len(starts))).astype(int)]
    windows = torch.from_numpy(ids[starts[:, None] + np.arange(CONTEXT)].astype(np.int64))
    following = torch.from_numpy(targets[starts + CONTEXT - 1].astype(np.int64))
    return Part(functional.one_hot(windows, n_classes).flatten(1).float(), following)
