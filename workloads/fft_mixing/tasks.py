"""What the models learn: data sets as sequences of tokens, read out where the answer is asked for. Worker side.

An image is a sequence of its rows where it is 28 × 28 (as published), of its pixels otherwise; a series is a sequence of its values;
recall and copy are sequences that end with the question. Their length is a multiple of the longest window, so that the question stands
at the end of a window and sees as far back as any place can: the best case for windows.

Copy is a sequence of token ids. In recall a pair is one token that carries both its key and its value (one-hot each), at the value's
place: the answer can be found in one step, by comparing contents. (With key and value as two tokens a model has to learn first that a
value belongs to the token before it. Small attention models take thousands of steps to discover that, and it is not what is asked here.)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lab.data import Dataset, DataUnavailable, load, needs_download
from lab.records import Event, Fact, Phase
from lab.training.models import Readout
from lab.workload import Context
from workloads.fft_mixing.parameters import FftMixingParameters, question_length

IMAGE_SETS = ("mnist", "idx", "digits")  # in the order in which they are tried; the last is always there
SIZES = (8192, 512, 1024)  # sequences of recall and copy for training, validation and test
N_PAIRS = 8  # keys of recall, tokens of copy: chance is one in eight
ROWS_OF = (28, 28)  # the images that are read row by row


@dataclass(frozen=True)
class Part:
    """Inputs [D, n, seq_len(, features)] and targets [D, n] of D data sets that differ in one setting (a distance)."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Examples:
    """One task: D data sets side by side (one for each distance, or one alone, whose distance is 0)."""

    task: str
    label: str  # of the data, as measurements call it
    chance: float
    n_classes: int
    features: int  # of a token, or how many token ids there are
    token_ids: bool
    readout: Readout
    distances: tuple[int, ...]
    train: Part
    validation: Part
    test: Part

    @property
    def seq_len(self) -> int:
        """Tokens of one example."""
        return self.train.inputs.shape[2]

    def to(self, device: str) -> Examples:
        """The same examples on ``device``."""
        moved = {
            name: Part(part.inputs.to(device), part.targets.to(device))
            for name, part in (("train", self.train), ("validation", self.validation), ("test", self.test))
        }
        return Examples(**{name: moved.get(name, getattr(self, name)) for name in self.__dataclass_fields__})


def examples(task: str, params: FftMixingParameters, context: Context) -> Generator[Event, None, Examples]:
    """The examples of ``task`` on the CPU; says what data it is and where it is downloaded or falls back on other data."""
    if task in ("recall", "copy"):
        distances = params.distances
        seq_len = question_length(params)
        options: dict[str, Any] = {"n_pairs": N_PAIRS} if task == "recall" else {"n_tokens": N_PAIRS}
        sets = [
            load(task, cache_dir=context.cache_dir, seed=params.seed, distance=distance, seq_len=seq_len, sizes=SIZES, **options)
            for distance in distances
        ]
        for one in sets:
            yield one.used()
        if task == "recall":
            sequences_of, features = pairs_as_tokens, 2 * N_PAIRS + 1
        else:
            sequences_of, features = token_ids, N_PAIRS
        return _joined(task, sets, distances, features, sequences_of, "last")
    data = (yield from images(params, context)) if task == "images" else load(task, cache_dir=context.cache_dir, seed=params.seed)
    yield data.used()
    features = data.train.inputs.shape[2] if data.train.inputs.ndim == 3 and data.train.inputs.shape[1:] == ROWS_OF else 1
    return _joined(task, [data], (0,), features, sequences, "mean")


def images(params: FftMixingParameters, context: Context) -> Generator[Event, None, Dataset]:
    """MNIST where it can be had, else the folder of IDX files, else digits; the fallback is told as a fact of the run."""
    refused = []
    for name in IMAGE_SETS:
        download = needs_download(name, context.cache_dir)
        yield Phase("data", download or name, budgeted=False)
        try:
            found = load(name, cache_dir=context.cache_dir, seed=params.seed)
        except DataUnavailable as error:
            refused.append(str(error))
            continue
        if refused:
            told = f"{found.title} instead of MNIST: " + "; ".join(refused)
            yield Fact("data_fallback", told)
            found = replace(found, note=f"{found.note} {told}".strip())  # stands beside the data in the run's manifest
        return found
    raise AssertionError("digits are always there")


def sequences(inputs: np.ndarray) -> Tensor:
    """Images [n, height, width] or series [n, length] as tokens [n, seq_len, features]: rows of 28 × 28 images, single values of others."""
    values = torch.from_numpy(np.ascontiguousarray(inputs))
    return values if tuple(inputs.shape[1:]) == ROWS_OF else values.flatten(1).unsqueeze(-1)


def token_ids(inputs: np.ndarray) -> Tensor:
    """Token ids [n, seq_len] as they are."""
    return torch.from_numpy(inputs.astype(np.int64))


def pairs_as_tokens(inputs: np.ndarray) -> Tensor:
    """Ids of recall [n, seq_len] (keys below :data:`N_PAIRS`, then values, then the filler) → features [n, seq_len, 2 · N_PAIRS + 1].

    A value's token also carries the key that stood before it, whose own place becomes filler; the last token is the key asked for.
    """
    ids = token_ids(inputs)
    filler = 2 * N_PAIRS
    is_value = (ids >= N_PAIRS) & (ids < filler)
    is_key = ids < N_PAIRS
    is_key[:, -1] = False
    features = functional.one_hot(ids.masked_fill(is_key, filler), filler + 1)
    keys = functional.one_hot(ids.roll(1, 1), filler + 1)
    return (features + keys * is_value.unsqueeze(-1)).float()


def _joined(
    task: str,
    sets: Sequence[Dataset],
    distances: tuple[int, ...],
    features: int,
    sequences_of: Callable[[np.ndarray], Tensor],
    readout: Readout,
) -> Examples:
    def part(name: str) -> Part:
        splits = [getattr(one, name) for one in sets]
        inputs = torch.stack([sequences_of(split.inputs) for split in splits])
        return Part(inputs, torch.stack([torch.from_numpy(split.targets.astype(np.int64)) for split in splits]))

    label = sets[0].label if len(sets) == 1 else f"{sets[0].title}, {len(sets)} distances"
    return Examples(
        task=task,
        label=label,
        chance=sets[0].chance,
        n_classes=sets[0].n_classes,
        features=features,
        token_ids=sequences_of is token_ids,
        readout=readout,
        distances=distances,
        train=part("train"),
        validation=part("validation"),
        test=part("test"),
    )
