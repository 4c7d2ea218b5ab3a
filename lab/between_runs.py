"""The statistics of a comparison between runs: what may be concluded from a measurement that moved from one run to another.

**The trouble.** The interval of one run holds what varies within it. What varies from run to run it does not hold: where memory was
allocated, what the compiler chose, temperature, clocks, neighbours on the host. Write the log of a time of arm a in run r as

    y[r, a] = µ[a] + R[r] + S[r, a] + noise within the run

R moves all arms of a run alike, S each arm on its own. Two runs of equal settings differ in R and S, so an interval from the noise alone
calls differences where there are none.

**Combining intervals.** With independent estimates x_i, half-widths h_i = t_i·se_i (t_i: Student's quantile at that level for its degrees
of freedom) the half-width of their sum or difference is √(Σ h_i²). It covers at least at that level: given the se_i, the miss of the sum
divided by its true deviation is a standard normal z; the interval covers where z² ≤ Σ λ_i t_i² V_i, with λ_i the shares of the true
variance and V_i = χ²/df; that has the probability mean F(Σ λ_i t_i² V_i), F the distribution of χ² with 1 degree of freedom. F is
concave, so this is at least Σ λ_i·mean F(t_i² V_i) = Σ λ_i·level = level (Banerjee 1960). Welch's approximation is narrower, and no more
than an approximation. Where an interval is not symmetric on the scale of the comparison its longer side counts.

**What stands between the runs.**

- *Ratios of ratios.* The ratio technique / baseline is taken within each run, so R cancels. Two S are left.
- *Controls.* Arms that are baselines in both runs, at equal parameters, should not move. The moves d_j of N controls of m
  implementations have the common part R, and around their mean the spread Σ(d_j − d̄)² / (N(1 − 1/m)): for equally many cells of each
  implementation its mean is var(S) of the implementations plus at least var(S) of the cells and the noise, so at least the variance of one
  arm's move. It has m − 1 degrees of freedom, as cells of one implementation may move together. A ratio of two arms gets twice that
  variance; one arm against the mean of the controls (1 + 1/m) times.
- *Machine moved.* A control whose interval (Holm-adjusted over the controls) excludes 1, and which moved by more than the practical
  margin, says that the machine was another one, or that a changed parameter changes the baselines too. Then no raw time or joule of a
  technique is called different.
- *Repeated runs.* With at least 3 runs of equal settings each run is one observation: t interval of the logs of the runs' values with
  k − 1 degrees of freedom. That holds noise, R and S, as far as the runs were independent of each other. Where one side has them and
  the other is a single run, the spread of the one stands for both.
- With fewer than 2 unchanged implementations and no repeated runs S cannot be estimated: the interval is shown, no word is given.

**Many at once.** All measurements of a comparison that get a word are one family: each is judged at 0.05 / (how many are undecided), and
again as others are decided, until nothing changes. The first wrong decision would have to be made at 0.05 / (at least the number
of those that can go wrong), so the whole family errs in at most 5 % of comparisons: Holm's procedure, whose argument needs no order of the
p-values. A word is given where the interval at that level lies on one side of the practical margin.

**What it comes to.** Simulated pairs of runs of equal settings (R 5 %, S 2 % standard deviation, 10 observations of 0.5 % noise): the
runs' own intervals alone call some ratio different in all of them, this rule in none of 300; at a true change by a factor of 2 it
sees some of 8 ratios in 72 % (3 unchanged implementations), 100 % (4). Fifteen pairs of real runs on two busy CPU cores: 37 of 265 ratios
have combined intervals that exclude 1, none is called different. It assumes that S is alike for
techniques and baselines: an arm that varies more from run to run than every baseline needs repeated runs.

"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lab.statistics import LEVEL, MIN_OBSERVATIONS, student_t_quantile

ALPHA = 1 - LEVEL
MIN_RUNS = 3  # of equal settings, from which the spread between runs is estimated
MIN_CONTROLS = 2  # implementations that did not change
ROUNDING = 1e-12  # a distance below it is none

Region = Literal["below", "inside", "above", "open"]


@dataclass(frozen=True, slots=True)
class Component:
    """One source of error: a standard error with its degrees of freedom."""

    error: float
    df: float

    @classmethod
    def of_half_width(cls, half: float, df: float, level: float = ALPHA) -> Component:
        """From the half-width of an interval at 1 − ``level``. Intervals built for several looks widen a little more than needed."""
        return cls(half / student_t_quantile(1 - level / 2, df), df)

    def scaled(self, factor: float) -> Component:
        """The same with the variance times ``factor``."""
        return Component(self.error * math.sqrt(factor), self.df)


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference (on the log scale: of logs) with the independent errors it has."""

    value: float
    components: tuple[Component, ...]

    def half_width(self, level: float = ALPHA) -> float:
        """Half the interval at 1 − ``level``: the root of the summed squares of the components' half-widths."""
        return math.sqrt(math.fsum((student_t_quantile(1 - level / 2, c.df) * c.error) ** 2 for c in self.components))

    def region(self, margin: float, level: float = ALPHA) -> Region:
        """Where the whole interval lies: beyond ±``margin`` (and not at 0), within it, or in several places."""
        half = self.half_width(level)
        if self.value - half > margin + ROUNDING:
            return "above"
        if self.value + half < -margin - ROUNDING:
            return "below"
        return "inside" if margin > 0 and abs(self.value) + half <= margin + ROUNDING else "open"


@dataclass(frozen=True, slots=True)
class Question:
    """What one row asks: contrasts that must all say the same (a raw time: its own move, and its move against the controls)."""

    contrasts: tuple[Contrast, ...]
    margin: float

    def region(self, level: float) -> Region:
        found = {contrast.region(self.margin, level) for contrast in self.contrasts}
        return found.pop() if len(found) == 1 else "open"


def decide(questions: Sequence[Question]) -> list[Region]:
    """The region of each question as one family at 5 %, by the sequentially rejective procedure of the module's docstring."""
    decided: list[Region] = ["open"] * len(questions)
    undecided = list(range(len(questions)))
    while undecided:
        level = ALPHA / len(undecided)
        for i in undecided:
            decided[i] = questions[i].region(level)
        left = [i for i in undecided if decided[i] == "open"]
        if len(left) == len(undecided):
            break
        undecided = left
    return decided


@dataclass(frozen=True, slots=True)
class Controls:
    """What the unchanged baselines of two runs say of the runs: how far they moved (log scale) and by how much they differ in it.

    ``moves`` in the order given; ``implementations`` counts distinct ones. ``spread`` is the standard deviation of one arm's move around
    the common one, None where fewer than 2 implementations tell. ``moved`` are the places of those that moved by more than their
    adjusted interval and the margin.
    """

    moves: tuple[Contrast, ...]
    implementations: int
    common: float
    spread: float | None
    moved: tuple[int, ...]

    def of_ratio(self) -> tuple[Component, ...]:
        """The error between runs of a ratio of two arms, () where it cannot be estimated."""
        return () if self.spread is None else (Component(self.spread, self.implementations - 1).scaled(2),)

    def of_arm(self) -> tuple[Component, ...]:
        """The error between runs of one arm's move against the mean move of the controls, () where it cannot be estimated."""
        return () if self.spread is None else (Component(self.spread, self.implementations - 1).scaled(1 + 1 / self.implementations),)


def controls(moves: Sequence[tuple[str, Contrast]], margin: float) -> Controls:
    """The controls of one metric. ``moves``: (implementation, its move from the first run to the second) for each cell."""
    contrasts = tuple(contrast for _, contrast in moves)
    names = {name for name, _ in moves}
    if not contrasts:
        return Controls((), 0, 0.0, None, ())
    common = math.fsum(c.value for c in contrasts) / len(contrasts)
    spread = None
    if len(names) >= MIN_CONTROLS:
        squares = math.fsum((c.value - common) ** 2 for c in contrasts)
        spread = math.sqrt(squares / (len(contrasts) * (1 - 1 / len(names))))
    regions = decide([Question((contrast,), 0.0) for contrast in contrasts])
    moved = tuple(i for i, found in enumerate(regions) if found in ("above", "below") and abs(contrasts[i].value) > margin)
    return Controls(contrasts, len(names), common, spread, moved)


@dataclass(frozen=True, slots=True)
class Repeated:
    """One measurement in several runs of equal settings: mean of the runs' values, their standard deviation, how many runs."""

    mean: float
    deviation: float
    runs: int

    def component(self) -> Component:
        """The error of the mean."""
        return Component(self.deviation / math.sqrt(self.runs), self.runs - 1)

    def component_of_one(self) -> Component:
        """The error of a single further run."""
        return Component(self.deviation, self.runs - 1)

    def half_width(self) -> float:
        """Half of the t interval of the mean."""
        return Contrast(self.mean, (self.component(),)).half_width()


def repeated(values: Sequence[float]) -> Repeated:
    """Mean and spread of one value per run (logs for ratios). Raises ValueError below ``MIN_RUNS`` runs."""
    if len(values) < MIN_RUNS:
        raise ValueError(f"at least {MIN_RUNS} runs are needed, not {len(values)}")
    mean = math.fsum(values) / len(values)
    return Repeated(mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)), len(values))


def degrees_of_freedom(n: int) -> int:
    """Of an interval on ``n`` observations; of one that does not tell how many there were (n = 0), the fewest an interval is built on.

    Where observations were averaged in batches n − 1 is too many: what is adjusted for many comparisons is then somewhat short.
    """
    return max(n, MIN_OBSERVATIONS) - 1
