"""What the routing study learns: 64 features and a class, from a spiral, from digits, from text. Worker side; NumPy only.

- **Spiral** (published): 8 arms of 250 points each; a point of an arm lies at a radius drawn from U(0, 1) and at the angle
  2π·arm/8 + 4·radius + noise, noise N(0, 0.3²); the plane is projected to 64 features by a random normal matrix, and N(0, 0.1²) is added
  to each feature. (Arms, points, the sizes of both noises and the projection are the source's; how far an arm winds, that the noise is on
  the angle and that the points of an arm are in random order are the lab's choice.)
- **Digits**: the 8 × 8 pixels.
- **Text**: the next character, given the four before it; each of these is 16 numbers of a random normal code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lab.data import load
from lab.data.dataset import fingerprint
from lab.records import DataUsed

N_CLASSES, POINTS_PER_CLASS = 8, 250
ANGLE_NOISE, FEATURE_NOISE = 0.3, 0.1
WINDING = 4.0  # radians that an arm turns from the centre to its end
FEATURES = 64
PUBLISHED_TRAIN = 1600  # points; the rest tests
SOUND_SHARES = (0.6, 0.2)  # training, validation; the rest tests
CHARACTERS, CODE = 4, 16  # of the text task: characters before the one to name, numbers per character
TEXT_ITEMS = (16_000, 2_000, 2_000)  # training, validation, test: drawn from the parts of the text


@dataclass(frozen=True)
class Task:
    """One data set of the study: ``train``, ``validation``, ``test`` are (inputs float32 [n, 64], classes int64 [n]).

    ``used`` is the manifest's entry; ``label`` names the data in records and verdicts. Without a validation part it is empty.
    """

    label: str
    n_classes: int
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    used: DataUsed

    @property
    def ceiling(self) -> float:
        """Best test accuracy (%) of a model that never names a class it was not trained on: the share of test items of other classes."""
        return 100.0 * float(np.isin(self.test[1], self.train[1]).mean())

    @property
    def chance(self) -> float:
        """Test accuracy (%) of always naming the class that is most frequent in training."""
        return 100.0 * float((self.test[1] == np.bincount(self.train[1]).argmax()).mean())


def spiral(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The 2,000 points, class by class as the source stores them: float32 [2000, 64], int64 [2000]."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(N_CLASSES), POINTS_PER_CLASS)
    radius = rng.random(len(labels))
    angle = 2 * np.pi * labels / N_CLASSES + WINDING * radius + ANGLE_NOISE * rng.standard_normal(len(labels))
    plane = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    features = plane @ rng.standard_normal((2, FEATURES)) + FEATURE_NOISE * rng.standard_normal((len(labels), FEATURES))
    return features.astype(np.float32), labels.astype(np.int64)


def published_spiral(seed: int) -> Task:
    """The spiral split as published: not shuffled, the first 1,600 points train, the last 400 test."""
    inputs, labels = spiral(seed)
    train, test = slice(0, PUBLISHED_TRAIN), slice(PUBLISHED_TRAIN, None)
    return _spiral_task("spiral, unshuffled", inputs, labels, [np.arange(len(labels))[part] for part in (train, slice(0, 0), test)])


def sound_spiral(seed: int) -> Task:
    """The spiral shuffled, 60 % training, 20 % validation, 20 % test."""
    inputs, labels = spiral(seed)
    order = np.random.default_rng(seed + 1).permutation(len(labels))
    cuts = np.cumsum([round(share * len(labels)) for share in SOUND_SHARES])
    return _spiral_task("spiral", inputs, labels, np.split(order, cuts))


def _spiral_task(label: str, inputs: np.ndarray, labels: np.ndarray, parts: list[np.ndarray]) -> Task:
    train, validation, test = ((inputs[part], labels[part]) for part in parts)
    used = DataUsed(
        name="spiral",
        title=label,
        label=label,
        source="generated here: 8 arms of 250 noisy points, projected to 64 features",
        licence="none needed",
        sha256=fingerprint(*train, *validation, *test),
        sizes={"train": len(train[1]), "validation": len(validation[1]), "test": len(test[1])},
    )
    return Task(label, N_CLASSES, train, validation, test, used)


def digits(seed: int, cache_dir: str) -> Task:
    """scikit-learn's digits, pixels in [0, 1] in a row."""
    data = load("digits", cache_dir=cache_dir, seed=seed)
    parts = [(part.inputs.reshape(len(part), FEATURES), part.targets) for part in (data.train, data.validation, data.test)]
    return Task(data.label, data.n_classes, parts[0], parts[1], parts[2], data.used())


def text(seed: int, cache_dir: str) -> Task:
    """The character that follows four others in the built-in text, at places drawn at random from each of its parts."""
    data = load("text", cache_dir=cache_dir, seed=seed)
    rng = np.random.default_rng(seed)
    codes = rng.standard_normal((data.n_classes, CODE)).astype(np.float32)
    parts = []
    for part, wanted in zip((data.train, data.validation, data.test), TEXT_ITEMS, strict=True):
        last = rng.choice(np.arange(CHARACTERS - 1, len(part)), min(wanted, len(part) - CHARACTERS + 1), replace=False)
        seen = part.inputs[last[:, None] + np.arange(1 - CHARACTERS, 1)]
        parts.append((codes[seen].reshape(len(last), FEATURES), part.targets[last].astype(np.int64)))
    return Task(data.label, data.n_classes, parts[0], parts[1], parts[2], data.used())


def task(name: str, seed: int, cache_dir: str) -> Task:
    """The sound data set called ``name``."""
    if name == "spiral":
        return sound_spiral(seed)
    return digits(seed, cache_dir) if name == "digits" else text(seed, cache_dir)
