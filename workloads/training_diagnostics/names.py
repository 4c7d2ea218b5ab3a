"""Names of arms, parts and metrics of the training diagnostics, and what readers call them. Light."""

from __future__ import annotations

from lab.records import Scalar
from workloads.training_diagnostics.nulls import NOISE, PHASES, SHUFFLED

# Parts of a run, the dimension "part" of every record.
CURVES, PEAKS, DETECTION, EMBEDDING = "curves", "peaks", "detection", "embedding"

# Whose losses they are: arms of the part "curves".
ADDITION, RANDOM_LABELS, IMAGES = "addition", "random_labels", "images"

# What raises an alarm: arms of the part "detection".
PUBLISHED_RULE, CALIBRATED, DETRENDED, AVERAGED = "published_rule", "calibrated", "detrended", "averaged"

# What is filtered or embedded: arms of the parts "peaks" and "embedding"; beside it the nulls.
CURVE = "curve"

LOSS, TRAIN_ACCURACY, HELD_OUT_ACCURACY = "loss", "train_accuracy", "held_out_accuracy"
LEARNED_STEP, TRANSITION_STEP = "learned_step", "transition_step"
PEAK_RATE, PEAK_FRAMES, FRAMES, P_VALUE = "peak_rate", "peak_frames", "frames", "p_value"
RUNS, HITS, CHANCE_HITS, FALSE_ALARMS = "transition_runs", "detected_runs", "same_place_control_runs", "false_alarm_runs"
DELAY, ALARMS, ALARM_SHARE = "delay", "alarms", "alarm_share"
GAP_SCORE, H0_TOTAL, H1_TOTAL, H1_MAX, H1_EXCESS = "gap_score", "h0_total", "h1_total", "h1_max", "h1_excess"
SCORES = (GAP_SCORE, H0_TOTAL, H1_TOTAL, H1_MAX)
DRAWN = (GAP_SCORE, H1_TOTAL)  # for which it is recorded how often each dimension is first
RANKED = (GAP_SCORE, H1_TOTAL, H1_MAX, H1_EXCESS)

DIMENSIONS = ("part", "data", "step", "window", "null", "dimension")


def rank_of(score: str) -> str:
    """The metric that holds the claimed dimension's rank by ``score``."""
    return f"{score}_rank"


def low(metric: str) -> str:
    """The metric that holds the lower end of ``metric``: of its 95 % interval, of a delay or a step its lower quartile."""
    return f"{metric}_low"


def high(metric: str) -> str:
    """The metric that holds the upper end of ``metric``: of its 95 % interval, of a delay or a step its upper quartile."""
    return f"{metric}_high"


def first_of(score: str) -> str:
    """The metric that holds the share of series in which a dimension ranks first by ``score``."""
    return f"{score}_first"


def dimensions_of(part: str, **values: Scalar) -> dict[str, Scalar]:
    """All dimensions of a record of ``part``; those not given are empty. Raises ValueError for one that is not declared."""
    unknown = set(values) - set(DIMENSIONS)
    if unknown:
        raise ValueError(f"dimensions {sorted(unknown)} are not declared")
    return {name: values.get(name, "") for name in DIMENSIONS} | {"part": part}


LABELS = {
    ADDITION: "modular addition",
    RANDOM_LABELS: "random labels",
    IMAGES: "images",
    PUBLISHED_RULE: "published rule",
    CALIBRATED: "calibrated rule",
    DETRENDED: "calibrated, without slope",
    AVERAGED: "calibrated, averaged",
    CURVE: "loss curve",
    SHUFFLED: "shuffled losses",
    NOISE: "white noise",
    PHASES: "random phases",
    "numpy": "NumPy",
    "gudhi": "GUDHI",
    "batched": "all models in one batch",
}
