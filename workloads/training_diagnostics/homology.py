"""Persistent homology of a point cloud, by GUDHI (https://gudhi.inria.fr). Worker side.

Of the Vietoris–Rips filtration: H0 classes (components) die where they merge, H1 classes (loops) are born and die. Sums and maxima of
lifetimes are divided by the median pairwise distance: it makes them the same for a cloud of any size, and clouds of different dimensions
comparable, whose distances grow with the square root of the dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workloads.training_diagnostics.takens import distances


class HomologyUnavailable(RuntimeError):
    """GUDHI is not installed."""


@dataclass(frozen=True)
class Persistence:
    """Lifetimes in units of the median pairwise distance. ``h1_max`` is 0 where there is no loop."""

    h0_total: float
    h1_total: float
    h1_max: float


def persistence(points: np.ndarray) -> Persistence:
    """Persistence of a cloud [n, D] with at least two different points; the one H0 class that never dies is left out.

    Raises HomologyUnavailable without GUDHI, ValueError where all points coincide.
    """
    scale = float(np.median(distances(points)))
    if scale == 0:
        raise ValueError("most points coincide: there is no scale to measure persistence by")
    rips = _rips()
    h0, h1 = rips.fit_transform([np.ascontiguousarray(points, dtype=np.float64)])[0]
    loops = _lifetimes(h1)
    return Persistence(float(_lifetimes(h0).sum()) / scale, float(loops.sum()) / scale, float(loops.max(initial=0.0)) / scale)


def version() -> str:
    """GUDHI's version. Raises HomologyUnavailable."""
    _rips()
    import gudhi

    return str(gudhi.__version__)


def _lifetimes(intervals: np.ndarray) -> np.ndarray:
    finite = intervals[np.isfinite(intervals[:, 1])]
    return finite[:, 1] - finite[:, 0]


def _rips():  # type: ignore[no-untyped-def]
    """GUDHI's Rips persistence in degrees 0 and 1."""
    try:
        from gudhi.sklearn.rips_persistence import RipsPersistence
    except ImportError as error:
        raise HomologyUnavailable(f"persistent homology needs the package gudhi ({error})") from error
    return RipsPersistence(homology_dimensions=[0, 1], input_type="point cloud")
