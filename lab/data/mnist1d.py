"""MNIST-1D, generated: ten one-dimensional digits, each distorted at random into series of 40 values.

Follows the published description (Greydanus, "Scaling down deep learning", 2020, arXiv:2011.14439) with its default settings: a template
of 12 points is padded, stretched to 72, scaled, shifted around, laid over correlated noise, given white noise, sheared and sampled at 40
points. The random numbers are other ones than the published file's, and the series are standardised with the mean and deviation of training
alone, not of all data: results are close to published ones, and not the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lab.data.dataset import Dataset, Split, fingerprint, stratified

# The digit 0 to 9 as heights of 12 points from left to right (published).
TEMPLATES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)
TEMPLATE_HEIGHT = 6.0  # the standardised templates are divided by it
MIN_PADDING, MAX_PADDING = 36, 60  # points added to the 12 of a template
STRETCHED = TEMPLATES.shape[1] + MAX_PADDING
SCALE = 0.4  # amplitudes vary by ± half of it
MAX_SHIFT = 48  # points, exclusive
CORRELATED_NOISE, CORRELATION_POINTS = 0.25, 2.0  # deviation before smoothing; deviation of the Gaussian it is smoothed with
WHITE_NOISE = 0.02
SHEAR = 0.75  # slopes vary by ± half of it
LENGTH = 40
SHARES = (0.64, 0.16, 0.2)  # training, validation, test; published: 0.8 for training, 0.2 for test
MAX_SAMPLES = 1_000_000


def load(*, cache_dir: Path, seed: int, folder: str | Path, n_samples: int = 5000) -> Dataset:
    """``n_samples`` series [n, 40] float32, as many of each digit (a rest is dropped), split 64, 16 and 20 %.

    Raises ValueError unless there are 100 to 1,000,000 of them.
    """
    if not 100 <= n_samples <= MAX_SAMPLES:
        raise ValueError(f"n_samples is {n_samples}; allowed: 100 to {MAX_SAMPLES}")
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(TEMPLATES)), n_samples // len(TEMPLATES))
    series = distort(templates()[labels], rng)
    train, *_ = chosen = stratified(labels, SHARES, rng)
    series = ((series - series[train].mean()) / series[train].std()).astype(np.float32)
    parts = [Split(series[part], labels[part]) for part in chosen]
    sha256 = fingerprint(*(array for part in parts for array in (part.inputs, part.targets)))
    return Dataset.of("mnist1d", parts, n_classes=len(TEMPLATES), sha256=sha256, chance=1 / len(TEMPLATES), note=NOTE)


NOTE = "Generated with other random numbers than the published file: accuracies are close to published ones, and not the same."


def templates() -> np.ndarray:
    """The ten templates [10, 12], each with deviation 1/6 and beginning at 0."""
    standard = (TEMPLATES - TEMPLATES.mean(axis=1, keepdims=True)) / TEMPLATES.std(axis=1, keepdims=True)
    return (standard - standard[:, :1]) / TEMPLATE_HEIGHT


def distort(shapes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each of ``shapes`` [n, 12] padded, scaled, shifted, noisy, sheared and sampled at 40 points: [n, 40]."""
    n = len(shapes)
    lengths = shapes.shape[1] + rng.integers(MIN_PADDING, MAX_PADDING + 1, size=n)
    padded = np.zeros((n, STRETCHED))
    padded[:, : shapes.shape[1]] = shapes
    inside = np.arange(STRETCHED) < shapes.shape[1]
    signal, drawn = _stretch(padded, lengths), _stretch(np.broadcast_to(inside, padded.shape), lengths) > 0
    signal = signal * (1 + SCALE * (rng.random((n, 1)) - 0.5))
    shift = rng.integers(MAX_SHIFT, size=(n, 1))
    places = (np.arange(STRETCHED) - shift) % STRETCHED
    signal, drawn = np.take_along_axis(signal, places, axis=1), np.take_along_axis(drawn, places, axis=1)
    noise = _smooth(CORRELATED_NOISE * rng.standard_normal((n, STRETCHED)))
    signal = np.where(drawn, signal, noise) + WHITE_NOISE * rng.standard_normal((n, STRETCHED))
    signal = signal - SHEAR * (rng.random((n, 1)) - 0.5) * np.linspace(-0.5, 0.5, STRETCHED)
    return _resample(signal, np.broadcast_to(np.linspace(0, STRETCHED - 1, LENGTH), (n, LENGTH)))


def _stretch(series: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The first ``lengths`` [n] points of each of ``series`` [n, 72] stretched over all 72."""
    return _resample(series, np.linspace(0, 1, series.shape[1]) * (lengths[:, None] - 1))


def _resample(series: np.ndarray, places: np.ndarray) -> np.ndarray:
    """``series`` [n, points] at the ``places`` [n, m], numbers from 0 to points − 1, linearly between points."""
    left = np.minimum(places.astype(int), series.shape[1] - 2)
    share = places - left
    return (1 - share) * np.take_along_axis(series, left, axis=1) + share * np.take_along_axis(series, left + 1, axis=1)


def _smooth(noise: np.ndarray) -> np.ndarray:
    """Each row convolved with a Gaussian of ``CORRELATION_POINTS``, cut off at four deviations, its ends mirrored."""
    reach = int(4 * CORRELATION_POINTS + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / CORRELATION_POINTS) ** 2)
    kernel /= kernel.sum()
    mirrored = np.pad(noise, ((0, 0), (reach, reach)), mode="symmetric")
    return np.lib.stride_tricks.sliding_window_view(mirrored, len(kernel), axis=1) @ kernel
