"""What the training diagnostics declare to the lab. Imported by the web server, so nothing here imports torch."""

from __future__ import annotations

from lab.workload import Metric, Workload
from workloads.training_diagnostics import names
from workloads.training_diagnostics.charts import charts
from workloads.training_diagnostics.costs import duration_s, memory
from workloads.training_diagnostics.exploration import EXPLORE
from workloads.training_diagnostics.findings import SCORE_TITLES, measure
from workloads.training_diagnostics.parameters import TrainingDiagnosticsParameters, preset

METHOD = """
"""


def _plain(title: str, unit: str) -> Metric:
    return Metric(title, unit, "neither", compare="none", looks=1)


WORKLOAD = Workload(
    name="training_diagnostics",
    title="Training diagnostics",
    question="“R-filter phase detection: detects transitions automatically. Takens dim=6 embedding: best persistence among dims 4–10.”",
    source="AI Energy Efficiency: 10 Mathematical Techniques (TECS-L, 2026)",
    parameters=TrainingDiagnosticsParameters,
    preset=preset,
    dimensions=names.DIMENSIONS,
    metrics={
        names.LOSS: _plain("Loss of a batch", "1"),
        names.TRAIN_ACCURACY: _plain("Training accuracy", "%"),
        names.HELD_OUT_ACCURACY: _plain("Held-out accuracy", "%"),
        names.LEARNED_STEP: _plain("Step at which the training set is learned", "steps"),
        names.TRANSITION_STEP: _plain("Step of the transition", "steps"),
        names.PEAK_RATE: _plain("Frames with a peak", "%"),
        names.PEAK_FRAMES: _plain("Frames of noise with a peak", "1"),
        names.FRAMES: _plain("Frames of noise", "1"),
        names.MAX_RATIO: _plain("Largest ratio", "1"),
        names.P_VALUE: _plain("p-value of the largest ratio", "1"),
        names.RUNS: _plain("Pairs of a run with a transition and one without", "1"),
        names.HITS: _plain("Runs with an alarm near their transition", "1"),
        names.CHANCE_HITS: _plain("Runs without a transition with an alarm at the same steps", "1"),
        names.FALSE_ALARMS: _plain("Runs without a transition with any alarm", "1"),
        names.DELAY: _plain("First alarm near the transition, after it", "steps"),
        names.ALARMS: _plain("Alarms in a run without a transition", "1"),
        names.ALARM_SHARE: _plain("Steps under alarm in a run without a transition", "%"),
        names.GAP_SCORE: _plain("Share of wide gaps between distances", "%"),
        names.H0_TOTAL: _plain("Total lifetime of components / median distance", "1"),
        names.H1_TOTAL: _plain("Total lifetime of loops / median distance", "1"),
        names.H1_MAX: _plain("Longest lifetime of a loop / median distance", "1"),
        names.H1_EXCESS: _plain("Total lifetime of loops above random phases, in standard deviations", "1"),
        **{names.rank_of(score): _plain(f"Rank of the dimension by {SCORE_TITLES[score]}", "1") for score in names.RANKED},
    },
    entry_point="workloads.training_diagnostics.experiment:run",
    claims=("rfilter", "takens"),
    duration_s=duration_s,
    memory=memory,
    memory_parameter="seeds",
    measure=measure,
    charts=charts,
    method=METHOD,
    deadline_s=3600.0,
    labels=names.LABELS,
    explore=EXPLORE,
)
