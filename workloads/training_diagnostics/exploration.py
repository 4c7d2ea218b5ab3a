"""The section of the page that filters and embeds a stored or an own loss curve anew. Light: runs in the web server."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.explore import Explore, Upload
from lab.parameters import ParameterError, Parameters, parameter
from lab.records import Chart, Estimate, Series, StoredRecord
from workloads.training_diagnostics import rfilter, takens
from workloads.training_diagnostics.curve import Curve, CurveName, averaged, stored, uploaded
from workloads.training_diagnostics.names import ADDITION, CURVES, TRANSITION_STEP

NULL_LOSSES = 120_000  # of all null series together: what is evaluated at once
MAX_NULLS = 99
DRAWN_LOSSES = 2000  # of the curve; a longer one is drawn by the means of stretches
GAP_POINTS = 200  # a point cloud of each dimension, at once; the run draws 500
CLOUD_POINTS = 600
LEVEL = 0.95


class DiagnosticsExploration(Parameters):
    """What a reader can set; see each field's help."""

    curve: CurveName = parameter(
        "addition",
        title="Curve",
        help="Losses of one stored run. An uploaded curve goes first.",
        labels={"addition": "Modular addition", "images": "Images"},
        group="main",
    )
    window: int = parameter(
        24, title="Window", help="Losses in a frame. Published: 6, 12, 24 and 36.", ge=rfilter.MIN_WINDOW, le=256, step=2, group="main"
    )
    threshold: float = parameter(
        rfilter.THRESHOLD,
        title="Threshold",
        help="Ratio above which a frame has a peak. Published: 3.",
        ge=1.0,
        le=20.0,
        step=0.25,
        group="main",
    )
    dimension: int = parameter(takens.CLAIMED, title="Dimension", help="Of the embedding.", ge=3, le=12, step=1, group="main")
    delay: int = parameter(1, title="Delay", help="Of the embedding.", unit="steps", ge=1, le=100, step=1, group="main")
    average: int = parameter(
        1, title="Average", help="Losses whose mean is one point of the curve, before anything else.", ge=1, le=50, step=1
    )
    detrend: bool = parameter(
        False, title="Without slope", help="Remove each frame's straight line, so that a falling loss alone is no peak."
    )


def charts(params: DiagnosticsExploration, summary: Sequence[Estimate], records: Sequence[StoredRecord], own: Curve | None) -> list[Chart]:
    """The curve with its peaks, the mean spectrum beside shuffled losses, the embedding in three dimensions, the published score.

    Raises ParameterError for a window longer than the curve, a curve that does not move, or a delay that leaves no points.
    """
    curve = own or stored(records, params.curve)
    if curve is None:
        return []
    curve = averaged(curve, params.average)
    losses = rfilter.checked_curve(curve.losses, "curve")
    rfilter.checked_window(params.window, len(losses))
    marks = {} if own is not None or params.curve != ADDITION else _transition(records)
    return [
        _peaks(params, curve, losses, marks),
        _spectrum(params, curve, losses),
        _cloud(params, curve, losses),
        _gaps(params, curve, losses),
    ]


def _transition(records: Sequence[StoredRecord]) -> dict[str, float]:
    """The step of the stored run's transition, by its name."""
    for item in records:
        if (item.record.dimensions["part"], item.record.arm, item.record.metric) == (CURVES, ADDITION, TRANSITION_STEP):
            return {} if item.record.value is None else {"transition": item.record.value}
    return {}


def _null_count(length: int) -> int:
    return max(9, min(MAX_NULLS, NULL_LOSSES // length))


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)  # one setting always looks the same


def _peaks(params: DiagnosticsExploration, curve: Curve, losses: np.ndarray, marks: dict[str, float]) -> Chart:
    found = rfilter.ratios(losses, params.window, detrend=params.detrend)
    begins = rfilter.starts(len(losses), params.window)
    peaks = found > params.threshold
    copies = rfilter.shuffled(losses, _null_count(len(losses)), _rng())
    null_ratios = rfilter.ratios(copies, params.window, detrend=params.detrend)
    null_rate = float((null_ratios > params.threshold).mean())
    p = float(rfilter.p_values(found, np.sort(null_ratios.max(-1))).min())
    share = float(peaks.mean())
    middles = begins[peaks] + params.window // 2
    per = -(-len(losses) // DRAWN_LOSSES)
    drawn = averaged(Curve(curve.title, curve.steps, losses, curve.unit), per)
    series = [Series("loss", tuple(drawn.steps.tolist()), tuple(drawn.losses.tolist()), emphasis="baseline")]
    series.append(
        Series(
            f"frames with a peak ({int(peaks.sum())} of {len(found)})",
            tuple(curve.steps[middles].tolist()),
            tuple(float(losses[b : b + params.window].mean()) for b in begins[peaks]),
            labels=tuple(f"ratio {ratio:.3g}" for ratio in found[peaks]),
        )
    )
    return Chart(
        key="explore_peaks",
        title=f"Peaks of {curve.title}",
        kind="scatter",
        x_title="step",
        y_title="loss",
        y_unit=curve.unit,
        series=tuple(series),
        alt=f"The loss over steps, with a mark where a frame of {params.window} losses has a ratio above {params.threshold:g}.",
        marks=marks,
        takeaway=(
            f"{share:.1%} of frames have a peak; of the same losses in random order {null_rate:.1%} do. The largest ratio is "
            f"{found.max():.3g}; as large a one turns up in a share of {p:.2g} of random orders."
        ),
    )


def _spectrum(params: DiagnosticsExploration, curve: Curve, losses: np.ndarray) -> Chart:
    def relative(series: np.ndarray) -> np.ndarray:
        found = rfilter.amplitudes(series, params.window, detrend=params.detrend)
        middle = np.median(found, axis=-1, keepdims=True)
        top = np.maximum(middle, rfilter.ROUNDING * found.max(-1, keepdims=True))
        return np.divide(found, top, out=np.ones_like(found), where=top > 0).mean(-2)

    own = relative(losses)
    copies = relative(rfilter.shuffled(losses, _null_count(len(losses)), _rng()))
    low, high = np.quantile(copies, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    bins = tuple(range(1, len(own) + 1))
    periods = tuple(f"period {params.window / k:.3g}" for k in bins)
    middle = tuple(copies.mean(0).tolist())
    return Chart(
        key="explore_spectrum",
        title=f"Mean spectrum of frames of {params.window}",
        kind="line",
        x_title="bin of the spectrum",
        y_title="amplitude / median of its frame",
        y_unit="",
        series=(
            Series(curve.title, bins, tuple(own.tolist()), labels=periods),
            Series("random order", bins, middle, tuple(low.tolist()), tuple(high.tolist()), emphasis="baseline"),
        ),
        alt="Mean amplitude of each bin relative to the median of its frame, for the curve and for the same losses in random order.",
        y_range=(0.0, 1.1 * float(max(own.max(), high.max()))),
        interval="95 % of random orders",
    )


def _cloud(params: DiagnosticsExploration, curve: Curve, losses: np.ndarray) -> Chart:
    cloud = takens.embed(losses, params.dimension, params.delay)
    kept = np.unique(np.linspace(0, len(cloud) - 1, min(len(cloud), CLOUD_POINTS)).astype(int))
    x, y, z = (tuple(cloud[kept, place].tolist()) for place in range(3))
    first = int(curve.steps[0])
    return Chart(
        key="explore_cloud",
        title=f"Embedding, first three of {params.dimension} coordinates",
        kind="scatter3d",
        x_title="loss",
        y_title=f"loss {params.delay} later",
        y_unit="",
        z_title=f"loss {2 * params.delay} later",
        series=(Series(curve.title, x, y, z=z, labels=tuple(f"step {first + int(place)}" for place in kept)),),
        alt="Each loss against the losses one and two delays later.",
    )


def _gaps(params: DiagnosticsExploration, curve: Curve, losses: np.ndarray) -> Chart:
    rng = _rng()
    usable = [d for d in takens.DIMENSIONS if len(losses) - (d - 1) * params.delay >= 3]
    if not usable:
        raise ParameterError("delay", params.delay, f"one that fits into {len(losses)} losses", "leaves no points")
    mixed = rng.permutation(losses)

    def scored(series: np.ndarray) -> tuple[float, ...]:
        clouds = [takens.embed(series, d, params.delay) for d in usable]
        return tuple(100 * takens.gap_score(cloud[takens.drawn(len(cloud), GAP_POINTS, rng)]) for cloud in clouds)

    own = scored(losses)
    best = usable[int(np.argmax(own))]
    return Chart(
        key="explore_gaps",
        title="Published score by dimension",
        kind="bar",
        x_title="dimension of the embedding",
        y_title="share of wide gaps",
        y_unit="%",
        series=(
            Series(curve.title, tuple(usable), own),
            Series("random order", tuple(usable), scored(mixed), emphasis="baseline"),
        ),
        alt="The published score of each dimension, for the curve and for one random order of its losses.",
        takeaway=f"Dimension {best} has the highest score with this delay, from {GAP_POINTS} points at random.",
    )


EXPLORE = Explore(
    title="Filter and embed a curve",
    text="Moves through a stored loss curve, or one of your own, at once: nothing is trained.",
    parameters=DiagnosticsExploration,
    charts=charts,
    upload=Upload(
        title="a loss curve of your own",
        columns={"step": "number of the step, rising", "loss": "loss at that step"},
        parse=uploaded,
        example="".join(["step,loss\n", *(f"{step},{2.3 / step**0.5:.3f}\n" for step in range(1, 41))]),
        max_bytes=1 << 20,
    ),
)
