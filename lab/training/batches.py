"""Which examples each model sees at which step: orders drawn from each model's own seed, data gathered where it lives.

Indices are drawn on the CPU before they are needed and do not depend on how many models are trained together or on the device. Models with
equal seeds see the same examples in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from typing import Protocol as Interface

import torch
from torch import Tensor

from lab.parameters import ParameterError
from lab.training.layers import at_least_one
from lab.training.seeding import generator

CHUNK_STEPS = 256  # of which indices are drawn and moved at once


class Batch(NamedTuple):
    """Inputs [M, batch, …] and targets [M, batch, …] of one step."""

    inputs: Tensor
    targets: Tensor


class Batches(Interface):
    """The batches of one training. ``indices`` starts again from the first step each time it is called."""

    n_models: int

    def indices(self) -> Iterator[Tensor]:
        """Endless indices, [M, batch] per step, on the data's device."""
        ...

    def gather(self, indices: Tensor) -> Batch:
        """The batch at those indices; only kernels of the device, so it can be part of a CUDA graph."""
        ...


class Samples:
    """Examples in shuffled epochs: without replacement within an epoch, each epoch shuffled anew.

    ``inputs`` [n, …] and ``targets`` [n, …] are shared by all models; with ``owners`` they are [D, n, …], and model i is trained on data
    set ``owners[i]``. ``seeds`` gives each model's order. The last batch of an epoch is smaller where n is no multiple of ``batch_size``;
    ``drop_last`` leaves it out. ``shuffle=False`` keeps the stored order (a published flaw, or full batches). Raises ParameterError where
    a batch would be larger than the data.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        batch_size: int,
        seeds: Sequence[int],
        *,
        drop_last: bool = False,
        shuffle: bool = True,
        owners: Sequence[int] | None = None,
    ) -> None:
        self.n_models = at_least_one("seeds", len(seeds))
        if owners is None:
            inputs, targets, owners = inputs[None], targets[None], [0] * len(seeds)
        if inputs.shape[:2] != targets.shape[:2]:
            raise ValueError(f"inputs {list(inputs.shape)} and targets {list(targets.shape)} must hold the same examples")
        if len(owners) != len(seeds) or not all(0 <= owner < inputs.shape[0] for owner in owners):
            raise ParameterError("owners", list(owners), f"{len(seeds)} numbers of data sets, from 0 to {inputs.shape[0] - 1}")
        self.n_items = inputs.shape[1]
        if at_least_one("batch_size", batch_size) > self.n_items:
            raise ParameterError("batch_size", batch_size, f"a whole number from 1 to {self.n_items}, the number of examples")
        self.batch_size, self.seeds, self.drop_last, self.shuffle = batch_size, tuple(seeds), drop_last, shuffle
        self._inputs, self._targets = inputs.flatten(0, 1), targets.flatten(0, 1)
        self._first = torch.tensor(owners)[:, None] * self.n_items

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.n_items // self.batch_size if self.drop_last else -(-self.n_items // self.batch_size)

    def indices(self) -> Iterator[Tensor]:
        distinct = list(dict.fromkeys(self.seeds))
        streams = [generator(seed, "order of the data") for seed in distinct]
        rows = torch.tensor([distinct.index(seed) for seed in self.seeds])
        items = self.steps_per_epoch * self.batch_size
        while True:
            if self.shuffle:
                orders = torch.stack([torch.randperm(self.n_items, generator=stream) for stream in streams])
            else:
                orders = torch.arange(self.n_items).expand(len(distinct), -1)
            epoch = (orders[rows, :items] + self._first).to(self._inputs.device)
            yield from (batch.contiguous() for batch in epoch.split(self.batch_size, dim=1))

    def gather(self, indices: Tensor) -> Batch:
        flat = indices.flatten()
        return Batch(
            self._inputs.index_select(0, flat).unflatten(0, indices.shape),
            self._targets.index_select(0, flat).unflatten(0, indices.shape),
        )


class Windows:
    """Random windows of a token stream, targets shifted by one: starts drawn uniformly with replacement.

    ``tokens`` [n] of any integer type; inputs and targets are int64 [M, batch_size, context]. Raises ParameterError where the text is
    shorter than one window and its target.
    """

    def __init__(self, tokens: Tensor, context: int, batch_size: int, seeds: Sequence[int]) -> None:
        self.n_models = at_least_one("seeds", len(seeds))
        self.context, self.batch_size, self.seeds = at_least_one("context", context), at_least_one("batch_size", batch_size), tuple(seeds)
        if context >= len(tokens):
            raise ParameterError("context", context, f"a whole number from 1 to {len(tokens) - 1}, one less than the text's tokens")
        self._tokens = tokens.long()
        self._offsets = torch.arange(context + 1, device=tokens.device)

    def indices(self) -> Iterator[Tensor]:
        distinct = list(dict.fromkeys(self.seeds))
        streams = [generator(seed, "order of the data") for seed in distinct]
        rows = torch.tensor([distinct.index(seed) for seed in self.seeds])
        shape, n_starts = (CHUNK_STEPS, self.batch_size), len(self._tokens) - self.context
        while True:
            starts = torch.stack([torch.randint(n_starts, shape, generator=stream) for stream in streams], dim=1)
            yield from starts[:, rows].to(self._tokens.device)

    def gather(self, indices: Tensor) -> Batch:
        windows = self._tokens[indices[..., None] + self._offsets]
        return Batch(windows[..., :-1], windows[..., 1:])


def consecutive_windows(tokens: Tensor, context: int) -> Batch:
    """A token stream cut into windows that follow one another, for evaluation: tokens [n] → inputs and targets [n_windows, context].

    Every token but the first is predicted once; what is left at the end and fills no window is left out.
    """
    n_windows = (len(tokens) - 1) // at_least_one("context", context)
    if n_windows < 1:
        raise ParameterError("context", context, f"a whole number from 1 to {len(tokens) - 1}, one less than the text's tokens")
    used = tokens[: n_windows * context + 1].long()
    return Batch(used[:-1].view(n_windows, context), used[1:].view(n_windows, context))
