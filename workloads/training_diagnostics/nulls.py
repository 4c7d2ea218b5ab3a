"""Series that keep something of a loss curve and lose the rest: what a statistic finds in them needs no explanation. NumPy only."""

from __future__ import annotations

import numpy as np

SHUFFLED, NOISE, PHASES = "shuffled", "noise", "phases"
NULLS = (SHUFFLED, NOISE, PHASES)


def surrogate(kind: str, losses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One null series [n] of a curve [n].

    ``shuffled``: the same losses in random order. ``noise``: normal white noise. ``phases``: the same amplitude at every frequency, hence
    the same autocorrelation and trend strength, with random phases (Theiler et al. 1992). Raises ValueError for another kind.
    """
    if kind == SHUFFLED:
        return rng.permutation(losses)
    if kind == NOISE:
        return rng.standard_normal(len(losses))
    if kind == PHASES:
        return phase_randomised(losses, rng)
    raise ValueError(f"null {kind!r} is unknown; there are {', '.join(NULLS)}")


def phase_randomised(losses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A series with the amplitude spectrum of ``losses`` [n] and uniform random phases; mean kept, result real."""
    spectrum = np.fft.rfft(losses)
    turned = np.abs(spectrum) * np.exp(2j * np.pi * rng.random(len(spectrum)))
    turned[0] = spectrum[0]
    if len(losses) % 2 == 0:  # the highest bin of an even length is real: its phase is 0 or π
        turned[-1] = np.abs(spectrum[-1]) * rng.choice((-1.0, 1.0))
    return np.fft.irfft(turned, len(losses))
