"""scikit-learn's digits: 1,797 handwritten digits of 8 × 8 pixels, embedded in the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lab.data.dataset import Dataset, Split, fingerprint, stratified

SHARES = (0.6, 0.2, 0.2)  # training, validation, test
WHITE = 16  # the largest value of a pixel


def load(*, cache_dir: Path, seed: int, folder: str | Path) -> Dataset:
    """The digits as float32 images [n, 8, 8] in [0, 1], shuffled by ``seed`` into 60, 20 and 20 % with equal shares of each class."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images / WHITE).astype(np.float32)
    labels = found.target.astype(np.int64)
    parts = [Split(images[chosen], labels[chosen]) for chosen in stratified(labels, SHARES, np.random.default_rng(seed))]
    test = parts[2]
    return Dataset.of(
        "digits",
        parts,
        n_classes=10,
        sha256=fingerprint(*(array for part in parts for array in (part.inputs, part.targets))),
        chance=float(np.mean(test.targets == np.bincount(parts[0].targets).argmax())),
        note="One test image is 0.28 points of accuracy.",
    )
