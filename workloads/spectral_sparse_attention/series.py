"""Names shared by what records and what reads: parts, arms, metrics, and the dimensions of a record. Light: the web server imports this."""

from __future__ import annotations

from lab.records import Scalar

DIMENSIONS = ("part", "data", "seq_len", "clusters", "samples", "setting", "index", "step")

# Parts of a run that records belong to.
SPEED, SPLIT, FIDELITY, SPECTRUM, CONVERGENCE, MAP, BOUND, TABLE6, FIGURE3A, FIGURE3B, UNCLUSTERED, QUALITY, TEXT = (
    "speed", "split", "fidelity", "spectrum", "convergence", "attention map", "bound", "table 6", "figure 3a", "figure 3b", "unclustered",
    "quality", "text",
)  # fmt: skip

DENSE, SSA, REWEIGHTED = "dense", "ssa", "ssa_reweighted"
NO_SAMPLES, RANDOM_CLUSTERS, TRUE_CLUSTERS, WINDOW, MEAN_OF_V = "no_samples", "random_clusters", "true_clusters", "window", "mean_of_v"
RIVALS = (NO_SAMPLES, RANDOM_CLUSTERS, WINDOW, MEAN_OF_V)  # at SSA's density or below
EAGER, FAST, REFERENCE, DIRECTED = "eager", "fast", "reference", "directed"
STEPS = ("projection", "clustering", "gathering", "attention")  # what the time of SSA is split into

LABELS = {
    DENSE: "Dense",
    SSA: "SSA",
    REWEIGHTED: "SSA, samples re-weighted",
    NO_SAMPLES: "SSA without samples",
    RANDOM_CLUSTERS: "random clusters",
    TRUE_CLUSTERS: "SSA at the planted clusters",
    WINDOW: "sliding window",
    MEAN_OF_V: "mean of V",
    EAGER: "eager, as published",
    FAST: "fast version",
    REFERENCE: "reference",
    DIRECTED: "directed graph",
    "cudnn": "cuDNN",
    "flash": "flash",
    "efficient": "memory-efficient",
    **{step: step for step in STEPS},
}


def dimensions(
    part: str, data: str, n: int, k: int = 0, s: int = 0, *, setting: str = "", index: int = 0, step: int = 0
) -> dict[str, Scalar]:
    """The dimensions of a record: part of the run, data, N, k, s, and whatever else tells it apart."""
    return {
        "part": part,
        "data": data,
        "seq_len": n,
        "clusters": k,
        "samples": s,
        "setting": setting,
        "index": index,
        "step": step,
    }
