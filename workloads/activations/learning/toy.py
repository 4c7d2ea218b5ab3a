"""The published toy task: name the permuted index, where the permutation cannot be seen.

Each batch picks one of four permutations of 32 classes (i, i + 3, 3i, 5i modulo 32); an input is the one-hot index i plus normal noise
of 0.05, the target the permuted index. Nothing in the input tells which permutation was picked, so even a perfect model
keeps the entropy of the target given the index: :func:`irreducible_nats`. With ``shown`` a one-hot of the permutation is appended to the
input, and the task can be learned completely. (The description of the source's code is in the lab's words; the batches are drawn here.)
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

CLASSES = 32
PERMUTATIONS = 4
NOISE = 0.05
BATCH_SIZE, BATCHES = 64, 200  # prepared batches, drawn in order again and again
HIDDEN = 128
RATE, STEPS, LAST_STEPS = 0.01, 500, 50  # plain SGD; the reported loss is the mean over the last steps


def permuted(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The four images of ``index`` [n] → [4, n]: i, i + 3, 3i, 5i modulo 32."""
    return np.stack([index, index + 3, 3 * index, 5 * index]) % CLASSES


def irreducible_nats() -> float:
    """Entropy of the target given the index, averaged over the 32 indices [nats]: about 1.3131.

    Where two permutations agree on an index (0, 8, 16 and 24) the target is less uncertain than ln 4.
    """
    total = 0.0
    for images in permuted(np.arange(CLASSES)).T:
        shares = [count / PERMUTATIONS for count in Counter(images.tolist()).values()]
        total -= sum(share * math.log(share) for share in shares)
    return total / CLASSES


def batches(
    rng: np.random.Generator, count: int = BATCHES, batch_size: int = BATCH_SIZE, shown: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """``count`` batches one after the other: inputs [count · batch_size, 32 (36 where shown)] and targets [count · batch_size].

    Examples of one batch share their permutation; with ``batch_size`` 1 they are independent of each other.
    """
    n = count * batch_size
    picked = np.repeat(rng.integers(PERMUTATIONS, size=count), batch_size)
    index = rng.integers(CLASSES, size=n)
    inputs = np.eye(CLASSES)[index] + NOISE * rng.standard_normal((n, CLASSES))
    if shown:
        inputs = np.concatenate([inputs, np.eye(PERMUTATIONS)[picked]], axis=1)
    return inputs.astype(np.float32), permuted(index)[picked, np.arange(n)]
