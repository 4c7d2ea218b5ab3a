"""Two tasks that ask for a token far back: by its content (associative recall) and by its place (fixed-offset copy).

Both are read out at the last position and have the same chance rate, so that they differ in one thing only: a mixer that looks at places
and not at contents can solve the copy, and not the recall.

    recall   · · k2 v5 k0 v1 k3 v0 k1 v7 · · · · · k0 → v1        (pairs in random order, each key and value once)
    copy     t3 t1 t6 t0 t2 t5 t1 t0 t4 t7 t3 t6 t1 t2 → t0       (the token ``distance`` before the last)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lab.data.dataset import Dataset, Split, fingerprint

MAX_TOKENS = 256  # token ids are uint8
MAX_BYTES = 1 << 30  # of all sequences together
MAX_DRAWS = 20  # attempts to find as many different sequences as asked for
SIZES = (8192, 1024, 2048)  # sequences for training, validation and test


def load_recall(
    *,
    cache_dir: Path,
    seed: int,
    folder: str | Path,
    distance: int = 32,
    seq_len: int = 64,
    n_pairs: int = 8,
    sizes: tuple[int, int, int] = SIZES,
) -> Dataset:
    """Associative recall: ``n_pairs`` keys, each with its value, then one of the keys; the target is the index of its value.

    Keys and values are permutations of ``n_pairs`` tokens each, so whoever does not combine key and value is right once in ``n_pairs``.
    ``distance`` counts the steps from the query, the last position, back to the last pair's value. The queried pair is one of all at
    random, so that its place tells nothing: its value lies ``distance`` to ``distance + 2 (n_pairs − 1)`` steps back. A filler stands
    elsewhere. Raises ValueError for values that do not fit together.
    """
    _check(2 <= n_pairs <= (MAX_TOKENS - 1) // 2, "n_pairs", n_pairs, f"2 to {(MAX_TOKENS - 1) // 2}")
    _check(1 <= distance <= seq_len - 2 * n_pairs, "distance", distance, f"1 to seq_len − 2 n_pairs = {seq_len - 2 * n_pairs}")
    filler = 2 * n_pairs
    end = seq_len - distance  # of the pairs

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        keys = rng.random((n, n_pairs)).argsort(axis=1)
        values = rng.random((n, n_pairs)).argsort(axis=1)
        inputs = np.full((n, seq_len), filler, dtype=np.uint8)
        inputs[:, end - 2 * n_pairs : end : 2] = keys
        inputs[:, end - 2 * n_pairs + 1 : end : 2] = values + n_pairs
        asked = rng.integers(n_pairs, size=(n, 1))
        inputs[:, -1:] = np.take_along_axis(keys, asked, axis=1)
        return inputs, np.take_along_axis(values, asked, axis=1)[:, 0]

    names = (*(f"key {i}" for i in range(n_pairs)), *(f"value {i}" for i in range(n_pairs)), "filler")
    note = f"{n_pairs} pairs, the last of them {distance} steps before the query, in sequences of {seq_len}."
    return _dataset("recall", draw, sizes, seq_len, seed, n_classes=n_pairs, vocabulary=names, note=note)


def load_copy(
    *,
    cache_dir: Path,
    seed: int,
    folder: str | Path,
    distance: int = 32,
    seq_len: int = 64,
    n_tokens: int = 8,
    sizes: tuple[int, int, int] = SIZES,
) -> Dataset:
    """Fixed-offset copy: ``seq_len`` random tokens; the target is the token ``distance`` steps before the last. Chance is 1/``n_tokens``.

    Raises ValueError for values that do not fit together.
    """
    _check(2 <= n_tokens <= MAX_TOKENS, "n_tokens", n_tokens, f"2 to {MAX_TOKENS}")
    _check(1 <= distance <= seq_len - 1, "distance", distance, f"1 to seq_len − 1 = {seq_len - 1}")

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        inputs = rng.integers(n_tokens, size=(n, seq_len), dtype=np.uint8)
        return inputs, inputs[:, -1 - distance].astype(np.int64)

    names = tuple(f"token {i}" for i in range(n_tokens))
    note = f"Copies the token {distance} steps before the last, in sequences of {seq_len}."
    return _dataset("copy", draw, sizes, seq_len, seed, n_classes=n_tokens, vocabulary=names, note=note)


def _check(allowed: bool, name: str, value: int, words: str) -> None:
    if not allowed:
        raise ValueError(f"{name} is {value}; allowed: {words}")


def _dataset(
    name: str,
    draw: Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]],
    sizes: tuple[int, int, int],
    seq_len: int,
    seed: int,
    *,
    n_classes: int,
    vocabulary: tuple[str, ...],
    note: str,
) -> Dataset:
    for part, size in zip(("training", "validation", "test"), sizes, strict=True):
        _check(size >= 1, f"the number of {part} sequences", size, "1 or more")
    _check(sum(sizes) * seq_len <= MAX_BYTES, "the number of tokens", sum(sizes) * seq_len, f"at most {MAX_BYTES}")
    inputs, targets = _distinct(draw, sum(sizes), np.random.default_rng(seed))
    ends = np.cumsum((0, *sizes))
    parts = [Split(inputs[start:stop], targets[start:stop]) for start, stop in itertools.pairwise(ends)]
    sha256 = fingerprint(*(array for part in parts for array in (part.inputs, part.targets)), text="\n".join(vocabulary))
    return Dataset.of(name, parts, n_classes=n_classes, sha256=sha256, chance=1 / n_classes, vocabulary=vocabulary, note=note)


def _distinct(
    draw: Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]], n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """``n`` sequences without a repeat, so that no test sequence was trained on, in the order in which they were drawn."""
    inputs, targets = draw(n, rng)
    for _ in range(MAX_DRAWS):
        first = np.sort(np.unique(inputs, axis=0, return_index=True)[1])
        inputs, targets = inputs[first], targets[first]
        missing = n - len(inputs)
        if not missing:
            return inputs, targets
        more, answers = draw(missing, rng)
        inputs, targets = np.concatenate([inputs, more]), np.concatenate([targets, answers])
    raise ValueError(f"the number of sequences is {n}; allowed: as many as differ from each other, of which only {n - missing} were found")
