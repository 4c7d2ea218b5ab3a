"""What the training diagnostics declare to the lab. Imported by the web server, so nothing here imports torch."""

from __future__ import annotations

from lab.workload import Metric, Workload
from workloads.training_diagnostics import names
from workloads.training_diagnostics.charts import charts
from workloads.training_diagnostics.costs import duration_s, memory
from workloads.training_diagnostics.exploration import EXPLORE
from workloads.training_diagnostics.findings import SCORE_TITLES, measure
from workloads.training_diagnostics.parameters import TrainingDiagnosticsParameters, preset
from workloads.training_diagnostics.takens import CLAIMED

METHOD = """
**R-filter.** Frames of w losses (6, 12, 24, 36) in hops of w/2, mean removed; the ratio is the largest amplitude of the real Fourier
transform over the median one, bin 0 left out. The published rule sees a peak above 3. White noise has one in 7 to 10 % of frames, a
straight slope in every frame from w = 12 on.

**Calibrated rule.** The largest ratio of a run is compared with that of the same losses in random order; p-values of the windows are
adjusted by Holm, so that a run without order raises any alarm with a probability of at most 5 %. Two more forms help the filter: without
each frame's slope, and on means of several losses.

**Detection.** Networks with one hidden layer learn a + b mod p: first by heart, then, at a known step, in general. The transition is the
first evaluated step at which held-out accuracy reaches the level set. Controls learn random labels from the same seeds and can have none.
J is the share of runs with an alarm near the transition less the share of controls with an alarm at the same steps (Newcombe's interval).
Alarms count once the training set has been learned.

**Embedding.** Delay embeddings in 4, 5, 6, 7, 8 and 10 dimensions. The published score is the share of wide gaps between sorted distances
of 500 points. Persistent homology is GUDHI's, of the Vietoris–Rips filtration, in units of the median distance. The rank of dimension 6
is that of its mean over seeds; its interval comes from paired t tests against the five others (Bonferroni). Null series are ranked alike:
the same losses in random order, white noise, and series with the curve's spectrum but random phases.

The source does not name the network behind its curves; here it is 784 → 128 → 10 with ReLU and Adam at 0.001. Losses of the first seed
are stored to five digits.
"""

NOTICE = (
    "White noise has peaks too: compare each bar with it before reading one as an event.",
    "A slope is enough for a peak. Without slope, look at what is left near the transition.",
    "Total lifetimes grow with the dimension for noise as well: the best dimension of the null series is what to compare with.",
)


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
        names.P_VALUE: _plain("p-value of the largest ratio", "1"),
        names.RUNS: _plain("Pairs of a run with a transition and one without", "1"),
        names.HITS: _plain("Runs with an alarm near their transition", "1"),
        names.CHANCE_HITS: _plain("Runs without a transition with an alarm at the same steps", "1"),
        names.FALSE_ALARMS: _plain("Runs without a transition with any alarm", "1"),
        names.DELAY: _plain("First alarm near the transition, after it", "steps"),
        names.ALARMS: _plain("Alarms in a run without a transition", "1"),
        names.ALARM_SHARE: _plain("Steps under alarm in a run without a transition", "%"),
        **{
            end(score): _plain(f"{title}{words}", unit)
            for score, title, unit in (
                (names.GAP_SCORE, "Share of wide gaps between distances", "%"),
                (names.H0_TOTAL, "Total lifetime of components / median distance", "1"),
                (names.H1_TOTAL, "Total lifetime of loops / median distance", "1"),
                (names.H1_MAX, "Longest lifetime of a loop / median distance", "1"),
            )
            for end, words in ((str, ""), (names.low, ", 2.5 % of null series lie below"), (names.high, ", 2.5 % of null series lie above"))
        },
        names.H1_EXCESS: _plain("Total lifetime of loops above series with random phases", "%"),
        **{
            end(names.rank_of(score)): _plain(f"Rank of dimension {CLAIMED} by {SCORE_TITLES[score]}{words}", "1")
            for score in names.RANKED
            for end, words in ((str, ""), (names.low, ", lower end"), (names.high, ", upper end"))
        },
        **{names.first_of(score): _plain(f"Series in which the dimension is first by {SCORE_TITLES[score]}", "%") for score in names.DRAWN},
        **{
            end(metric): _plain(f"{title}, {words} quartile", "steps")
            for metric, title in (
                (names.LEARNED_STEP, "Step at which the training set is learned"),
                (names.TRANSITION_STEP, "Step of the transition"),
                (names.DELAY, "First alarm near the transition, after it"),
            )
            for end, words in ((names.low, "lower"), (names.high, "upper"))
        },
    },
    entry_point="workloads.training_diagnostics.experiment:run",
    claims=("rfilter", "takens"),
    duration_s=duration_s,
    memory=memory,
    memory_parameter="seeds",
    measure=measure,
    charts=charts,
    notice=NOTICE,
    method=METHOD,
    deadline_s=3600.0,
    labels=names.LABELS,
    explore=EXPLORE,
)
