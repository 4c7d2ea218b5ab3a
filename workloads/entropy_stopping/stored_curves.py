"""Trainings read back from the records of a run, finished or not. Light: the web server imports this."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lab.records import StoredRecord
from workloads.entropy_stopping.names import ACCURACY, CURVE, ENTROPY, LOSS, TEST, TEST_ITEMS, TRAIN
from workloads.entropy_stopping.rules import Curves, Rule, Stop

_BySeed = dict[int, dict[int, float]]  # seed → epoch → value


class Key(NamedTuple):
    """Which training: the models of one kind, of one protocol, on one data set."""

    protocol: str
    model: str
    data: str


@dataclass(frozen=True)
class Stored:
    """The models of one training: what the rules look at (``curves`` by seed), and what was found on test data.

    ``test_accuracy`` in % by seed, an entry for each epoch; empty while the test data have not been used.
    """

    key: Key
    curves: Mapping[int, Curves]
    test_accuracy: Mapping[int, Sequence[float]]
    test_items: int

    @property
    def epochs(self) -> int:
        """Epochs that all models have behind them."""
        return min((curves.epochs for curves in self.curves.values()), default=0)

    def stops(self, rule: Rule, epochs: int | None = None) -> dict[int, Stop | None]:
        """Where ``rule`` stops each seed's training, had it been planned for ``epochs`` epochs (default: all)."""
        return {seed: rule.stop(curves.first(epochs or self.epochs)) for seed, curves in self.curves.items()}


def read(records: Iterable[StoredRecord]) -> dict[Key, Stored]:
    """Every training among ``records``, in the order in which they began; a value that is missing is NaN."""
    watched: dict[Key, dict[str, _BySeed]] = {}
    tested: dict[Key, _BySeed] = {}
    items: dict[Key, int] = {}
    for stored in records:
        record = stored.record
        at = record.dimensions
        key = Key(record.protocol, str(at["model"]), str(at["data"]))
        if record.metric == TEST_ITEMS and record.value is not None:
            items[key] = int(record.value)
        if at["part"] != CURVE or record.seed is None or at["split"] == TRAIN:
            continue
        of_test = at["split"] == TEST and record.metric == ACCURACY
        value = math.nan if record.value is None else record.value
        if of_test:
            tested.setdefault(key, {}).setdefault(record.seed, {})[int(at["epoch"])] = value
        if not of_test or record.protocol == "published":  # there the rules look at the test data
            watched.setdefault(key, {}).setdefault(record.metric, {}).setdefault(record.seed, {})[int(at["epoch"])] = value
    return {key: _stored(key, metrics, tested.get(key, {}), items.get(key, 0)) for key, metrics in watched.items()}


def _stored(key: Key, watched: Mapping[str, _BySeed], tested: _BySeed, items: int) -> Stored:
    curves = {
        seed: Curves(_in_order(entropy), _in_order(watched.get(LOSS, {}).get(seed, {})), _in_order(watched.get(ACCURACY, {}).get(seed, {})))
        for seed, entropy in watched.get(ENTROPY, {}).items()
    }
    # A run that is still going may have told one curve of an epoch and not yet the others.
    shortest = min((min(len(c.entropy), len(c.loss), len(c.accuracy)) for c in curves.values()), default=0)
    cut = {seed: found.first(shortest) for seed, found in curves.items()}
    return Stored(key, cut, {seed: _in_order(values) for seed, values in tested.items()}, items)


def _in_order(values: Mapping[int, float]) -> list[float]:
    """The values of epochs 1, 2, … up to the first that is not there."""
    found: list[float] = []
    while len(found) + 1 in values:
        found.append(values[len(found) + 1])
    return found
