"""The R-filter: peaks in the spectra of short windows of a loss curve, and how often noise has them too. NumPy only.

Definition (published). A window of w losses slides in hops of w/2. From each frame its mean is removed; with the amplitudes
A_k = |rFFT(frame)|_k of the non-zero bins k = 1 … w/2,

    ratio = max_k A_k / median_k A_k,

and the frame has a *peak* where the ratio exceeds 3. The ratio does not change when losses are shifted or scaled.

What the definition leaves out is how large the ratio of noise is: the maximum of w/2 random amplitudes always lies above their median. So
the maximum over all frames of a run is compared with the same maximum of series without order (:func:`judge`): p-values per window by
(1 + nulls at least as large)/(1 + nulls) (Davison and Hinkley 1997, section 4.2), Holm-adjusted over the windows.

``detrend`` also removes each frame's straight line. A slope alone has a ratio above 3 at every window from 12 on (its amplitudes are
proportional to 1/sin(πk/w)): without it the filter reports that the loss falls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lab.parameters import ParameterError
from lab.statistics import holm_levels

WINDOWS = (6, 12, 24, 36)
THRESHOLD = 3.0
MIN_WINDOW = 4  # two non-zero bins: the median says something other than the maximum
ROUNDING = 8 * np.finfo(np.float64).eps  # of an amplitude, relative to the sum of the frame's magnitudes


def checked_curve(losses: Sequence[float] | np.ndarray, field: str = "losses") -> np.ndarray:
    """The curve as float64 [n]. Raises ParameterError where it is no list of finite numbers, or where all of them agree."""
    curve = np.asarray(losses, dtype=np.float64)
    if curve.ndim != 1 or not curve.size:
        raise ParameterError(field, list(curve.shape), "a list of at least one loss")
    if not np.isfinite(curve).all():
        first = int(np.flatnonzero(~np.isfinite(curve))[0])
        raise ParameterError(field, float(curve[first]), "finite numbers", f"holds a value that is not finite, at place {first + 1}")
    if np.ptp(curve) == 0:
        raise ParameterError(field, float(curve[0]), "a curve that moves", "holds one value only: a constant has no spectrum")
    return curve


def checked_window(window: int, length: int, field: str = "window") -> int:
    """``window``, where it is even, at least 4 and not longer than the curve. Raises ParameterError."""
    if window < MIN_WINDOW or window % 2:
        raise ParameterError(field, window, f"an even number of at least {MIN_WINDOW}")
    if window > length:
        raise ParameterError(field, window, f"at most {length}, the losses of the curve", "is longer than the curve")
    return window


def starts(length: int, window: int) -> np.ndarray:
    """Where frames begin: 0, w/2, w, … as long as a whole frame fits."""
    return np.arange(0, length - window + 1, window // 2)


def amplitudes(losses: np.ndarray, window: int, *, detrend: bool = False) -> np.ndarray:
    """A_k of each frame: losses [..., n] → [..., frames, w/2], bins 1 to w/2. What lies below rounding is 0."""
    frames = np.lib.stride_tricks.sliding_window_view(losses, window, axis=-1)[..., :: window // 2, :]
    magnitude = np.abs(frames).sum(-1, keepdims=True)
    frames = frames - frames.mean(-1, keepdims=True)
    if detrend:
        line = np.arange(window) - (window - 1) / 2
        frames = frames - (frames @ line / (line @ line))[..., None] * line
    found = np.abs(np.fft.rfft(frames, axis=-1))[..., 1:]
    return np.where(found > ROUNDING * magnitude, found, 0.0)


def ratios(losses: np.ndarray, window: int, *, detrend: bool = False) -> np.ndarray:
    """The ratio of each frame, at least 1: losses [..., n] → [..., frames].

    1 for a frame that does not move (no bin stands out). A median below rounding counts as rounding, so that a pure sine has a large
    ratio rather than an infinite one.
    """
    found = amplitudes(losses, window, detrend=detrend)
    found.sort(-1)
    half, top = found.shape[-1] // 2, found[..., -1]
    middle = found[..., half] if found.shape[-1] % 2 else (found[..., half - 1] + found[..., half]) / 2  # the median
    middle = np.maximum(middle, ROUNDING * top)
    return np.divide(top, middle, out=np.ones_like(top), where=top > 0)


def noise_rate(window: int, threshold: float, frames: int, rng: np.random.Generator, *, detrend: bool = False) -> tuple[int, int]:
    """How many of ``frames`` independent frames of white normal noise have a peak, and of how many."""
    noise = rng.standard_normal((frames, window))
    return int((ratios(noise, window, detrend=detrend) > threshold).sum()), frames


def shuffled(losses: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` series of the same losses in random orders: [n] → [count, n]. Whatever depends on their order is gone."""
    return rng.permuted(np.broadcast_to(losses, (count, len(losses))), axis=1)


def white_noise(length: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` series of normal white noise: [count, length]."""
    return rng.standard_normal((count, length))


def maxima(series: np.ndarray, window: int, *, detrend: bool = False) -> np.ndarray:
    """The largest ratio of each series: [count, n] → [count], sorted."""
    return np.sort(ratios(series, window, detrend=detrend).max(-1))


def p_values(values: np.ndarray, null: np.ndarray) -> np.ndarray:
    """(1 + nulls at least as large)/(1 + nulls) of each value; ``null`` sorted [count]."""
    return (1 + len(null) - np.searchsorted(null, values, side="left")) / (1 + len(null))


@dataclass(frozen=True)
class WindowResult:
    """One window on one curve.

    ``starts`` and ``ratios`` [frames]. ``p`` is the p-value of the largest ratio, ``level`` the level that Holm's procedure judges it at;
    ``alarms`` [frames] are the frames whose ratio has a p-value (against maxima of whole null series) of at most that level.
    """

    window: int
    starts: np.ndarray
    ratios: np.ndarray
    p: float
    level: float
    alarms: np.ndarray

    def peaks(self, threshold: float) -> np.ndarray:
        """The frames with a ratio above ``threshold`` (the published rule)."""
        return self.ratios > threshold


def judge(losses: np.ndarray, nulls: Mapping[int, np.ndarray], *, detrend: bool = False, alpha: float = 0.05) -> list[WindowResult]:
    """Every window of ``nulls`` on the curve [n], judged together. ``nulls``: sorted maxima of null series of the same length, by window.

    Of series without order, the share of runs with any alarm in any window is at most ``alpha`` (Holm). No window can be rejected where
    there are fewer than windows/alpha − 1 null series.
    """
    found = {window: ratios(losses, window, detrend=detrend) for window in nulls}
    p_of = {window: p_values(values, nulls[window]) for window, values in found.items()}
    smallest = [float(p.min()) for p in p_of.values()]
    levels = holm_levels(smallest, alpha)
    return [
        WindowResult(window, starts(len(losses), window), found[window], p, level, (p_of[window] <= level) & (p <= level))
        for window, p, level in zip(nulls, smallest, levels, strict=True)
    ]
