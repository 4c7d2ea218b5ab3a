"""Two or more runs of one workload side by side: what differs between them, their verdicts, and what moved by how much.

The first run is the reference. Runs of equal settings (equal parameters on the same machine with the same software and data) that are at
least three make one *side*, in which each run is one observation; every other run is a side of its own. The reference's side is compared
with each other side. Every row of a comparison is one of

- ``ratio``: technique against baseline, taken within each run; the ratio of the two ratios. It comes first because it cancels what both
  arms share.
- ``raw``: a time or joules of a technique; the ratio of the second side to the first, held against the baselines that did not change.
- ``control``: the same of such a baseline. It gets no word: it tells how far the machine moved.
- ``learned``: a loss, an accuracy, a difference: over seeds, which are its observations.
- ``count``: counts and exact values, equal or not equal.
- ``listed``: everything else, side by side without a word.

What is refused has its reason (``lab.comparability``), the statistics are those of ``lab.between_runs``, which rows are the same
measurement is decided by ``lab.matching``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from lab import comparability, formatting, run_differences
from lab import verdicts as verdict_words
from lab.between_runs import (
    MIN_RUNS,
    Component,
    Contrast,
    Controls,
    Question,
    Region,
    Repeated,
    controls,
    decide,
    degrees_of_freedom,
    repeated,
)
from lab.claims import ACCURACY_MARGIN, CPU_RATIO_MARGIN, GPU_RATIO_MARGIN
from lab.comparability import CACHE_DIMENSION, Obstacles
from lab.matching import Match, Quantity, match, quantities
from lab.records import Estimate, RunView
from lab.run_differences import Differences
from lab.statistics import MIN_OBSERVATIONS, TOO_FEW
from lab.verdicts import Verdict

MAX_RUNS = 6  # in one comparison: more columns cannot be read
MAX_LOG = 300.0  # of a change on the log scale, 10¹³⁰ times: more is no measurement, and would soon overflow

Kind = Literal["ratio", "raw", "control", "learned", "count", "listed"]
Scale = Literal["ratio", "difference", ""]

FASTER, SLOWER, HIGHER, LOWER = "faster", "slower", "higher", "lower"
NO_DIFFERENCE = "no difference"  # the whole interval lies within the practical margin
NOT_SHOWN = "no difference shown"
NOT_DECIDED = "not decided"
REFUSED = "refused"
NOT_MEASURED = "not measured"
EQUAL, NOT_EQUAL = "equal", "not equal"
DIFFERENT_WORDS = (FASTER, SLOWER, HIGHER, LOWER, NOT_EQUAL)
WORDS = (FASTER, SLOWER, HIGHER, LOWER, NO_DIFFERENCE, NOT_SHOWN, NOT_DECIDED, REFUSED, NOT_MEASURED, EQUAL, NOT_EQUAL)

UNKNOWN_SPREAD = (
    "one run a side, and fewer than two unchanged baseline implementations: how much runs of equal settings differ is not known; "
    f"the interval holds the runs' own noise only. Select {MIN_RUNS} runs of each setting"
)
MACHINE_MOVED = (
    "the unchanged baselines moved too: the machine was in another state, or a parameter that differs changes the baselines as well"
)


class ComparisonError(ValueError):
    """These runs cannot be compared; the message is one line."""


@dataclass(frozen=True)
class ComparedRun:
    """A run with what follows from it, under the reference that names it."""

    reference: str
    view: RunView
    estimates: Sequence[Estimate]
    verdicts: Sequence[Verdict]


@dataclass(frozen=True)
class Value:
    """What one side measured: the run's own estimate, or of several runs their mean with the interval over the runs (``n`` runs)."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Row:
    """One measurement of both sides. ``change`` is second / first or second − first (``scale``), with its 95 % interval.

    ``word`` is judged for all rows of the comparison at once and may be more careful than the interval; ``reason`` says why.
    """

    kind: Kind
    first: Quantity
    second: Quantity
    values: tuple[Value, Value]
    scale: Scale
    change: float | None
    low: float | None
    high: float | None
    word: str
    reason: str


@dataclass(frozen=True)
class ControlFinding:
    """How the unchanged baselines of one metric on one kind of device moved: factors (second / first), their rows, what follows."""

    metric: str
    device_kind: str
    rows: tuple[Row, ...]
    controls: Controls

    @property
    def moved(self) -> tuple[Row, ...]:
        return tuple(self.rows[i] for i in self.controls.moved)


@dataclass(frozen=True)
class Pairing:
    """The reference's side against another one. ``first`` and ``second`` are places of runs.

    ``compared`` names the parameters that differ as a whole, ``caveats`` say what is no reason to refuse and should be known.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    rows: tuple[Row, ...]
    findings: tuple[ControlFinding, ...]
    only_first: tuple[Quantity, ...]
    only_second: tuple[Quantity, ...]
    compared: tuple[str, ...]
    caveats: tuple[str, ...]

    def of(self, *kinds: Kind) -> list[Row]:
        """The rows of these kinds, in the order of the reference's summary."""
        return [row for row in self.rows if row.kind in kinds]


@dataclass(frozen=True)
class SpreadRow:
    """One measurement in several runs of equal settings. ``deviation`` is that of the logs of the runs' values (0.01 ≈ 1 %)."""

    quantity: Quantity
    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    deviation: float
    own_half_width: float | None  # median over the runs, on the log scale


@dataclass(frozen=True)
class Spread:
    """How much runs of equal settings differ: places of the runs and their measurements."""

    runs: tuple[int, ...]
    rows: tuple[SpreadRow, ...]


@dataclass(frozen=True)
class VerdictRow:
    """One claim, protocol and comparison: the verdicts of each run (several where it measured several pairs, none where it has none)."""

    claim_id: str
    protocol: str
    comparison: str
    verdicts: tuple[tuple[Verdict, ...], ...]

    @property
    def words(self) -> tuple[tuple[str, ...], ...]:
        """Each run's verdict words in its order, without their settings; () where the run did not measure it."""
        return tuple(tuple(word for row in rows if (word := _word(row)) != verdict_words.NOT_MEASURED) for rows in self.verdicts)

    @property
    def disagreement(self) -> int:
        """0: no two runs that measured it differ; 1: they differ, but where one is inconclusive; 2: decided verdicts differ.

        Runs that judged equally many pairs are held against each other pair by pair, others by which words they have at all.
        """
        measured = [rows for rows, words in zip(self.verdicts, self.words, strict=True) if words]
        return max((_disagreement(a, b) for a, b in combinations(measured, 2)), default=0)


def _disagreement(first: Sequence[Verdict], second: Sequence[Verdict]) -> int:
    several = [[_word(row) for row in rows] for rows in (first, second)]
    held = [({a}, {b}) for a, b in zip(*several, strict=True)] if len(first) == len(second) else [(set(several[0]), set(several[1]))]
    found = 0
    for a, b in held:
        a, b = a - {verdict_words.NOT_MEASURED}, b - {verdict_words.NOT_MEASURED}
        if not a or not b or a == b:
            continue
        decided = a - {verdict_words.INCONCLUSIVE}, b - {verdict_words.INCONCLUSIVE}
        found = max(found, 2 if all(decided) and decided[0] != decided[1] else 1)
    return found


@dataclass(frozen=True)
class Comparison:
    """Everything that a comparison says, in the order in which it should be read."""

    runs: tuple[ComparedRun, ...]
    parameters: Differences
    environment: Differences
    verdicts: tuple[VerdictRow, ...]
    pairings: tuple[Pairing, ...]
    spreads: tuple[Spread, ...]


def compare(runs: Sequence[ComparedRun]) -> Comparison:
    """Compare 2 to ``MAX_RUNS`` runs of one workload, the first one being the reference. Raises ComparisonError."""
    check(runs)
    views = [run.view for run in runs]
    measured = [quantities(run.view, run.estimates) for run in runs]
    sides = _sides(views)
    aligned = [_aligned(side, views, measured) for side in sides]
    return Comparison(
        runs=tuple(runs),
        parameters=run_differences.parameters(views),
        environment=run_differences.environment(views),
        verdicts=_verdict_rows(runs),
        pairings=tuple(_pairing(views, sides[0], aligned[0], side, other) for side, other in zip(sides[1:], aligned[1:], strict=True)),
        spreads=tuple(_spread(side, found) for side, found in zip(sides, aligned, strict=True) if len(side) >= MIN_RUNS),
    )


def check(runs: Sequence[ComparedRun]) -> None:
    """Raise ComparisonError unless these runs can stand side by side at all."""
    if not 2 <= len(runs) <= MAX_RUNS:
        raise ComparisonError(f"runs: {len(runs)} given; allowed: 2 to {MAX_RUNS}")
    seen: set[str] = set()
    for run in runs:
        if run.reference in seen:
            raise ComparisonError(f"runs: {run.reference} is given twice; allowed: each run once")
        seen.add(run.reference)
    of_run: dict[str, str] = {}
    for run in runs:
        # A copy measured nothing a second time: it would agree with its original to the last digit and make its spread look like none.
        other = of_run.setdefault(run.view.run_id, run.reference)
        if other != run.reference:
            raise ComparisonError(f"runs: {other} and {run.reference} are the same run ({run.view.run_id}); allowed: each run once")
    workloads = dict.fromkeys(run.view.workload.name for run in runs)
    if len(workloads) > 1:
        titles = ", ".join(f"{run.reference} is of {run.view.workload.title}" for run in runs)
        raise ComparisonError(f"runs: of different experiments, which share no measurement ({titles}); allowed: runs of one experiment")


# --- sides ----------------------------------------------------------------------------------------------------------------------

Aligned = list[tuple[Quantity, ...]]  # of a side: each measurement of its first run with the same one of the other runs that have it


def _sides(views: Sequence[RunView]) -> list[tuple[int, ...]]:
    groups: list[list[int]] = []
    for place, view in enumerate(views):
        group = next((group for group in groups if equal_settings(views[group[0]], view)), None)
        if group is None:
            groups.append([place])
        else:
            group.append(place)
    sides = [tuple(group) for group in groups if len(group) >= MIN_RUNS]
    sides += [(place,) for group in groups if len(group) < MIN_RUNS for place in group]
    return sorted(sides)


def equal_settings(first: RunView, second: RunView) -> bool:
    """Whether two runs were asked for the same on the same machine with the same software and data."""
    between = comparability.obstacles(first, second)
    same_device = first.manifest.get("device") == second.manifest.get("device")
    # A run that sweeps or was cut off has the same settings still: what it lacks is missing row by row.
    return same_device and first.plan.texts() == second.plan.texts() and not (between.physical("cuda", "s") or between.learned(""))


def _aligned(side: tuple[int, ...], views: Sequence[RunView], measured: Sequence[Sequence[Quantity]]) -> Aligned:
    first = measured[side[0]]
    found = {id(q): [q] for q in first}
    for place in side[1:]:
        for pair in match(views[side[0]], first, views[place], measured[place]).matches:
            found[id(pair.first)].append(pair.second)
    return [tuple(found[id(q)]) for q in first]


# --- rows -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Both:
    """One measurement of both sides on its way to a row."""

    pair: Match
    ours: tuple[Quantity, ...]
    theirs: tuple[Quantity, ...]
    kind: Kind
    scale: Scale
    refusal: str

    @property
    def logarithmic(self) -> bool:
        return self.scale == "ratio"

    def move(self, between: tuple[Component, ...] = ()) -> Contrast:
        """Second − first on the row's scale, with the error of each side and ``between`` them.

        What was learned rests on seeds, which repeated runs share: there the first run of a side speaks for all.
        """
        several = self.kind != "learned"
        sides = [_side(qs if several else qs[:1], self.logarithmic) for qs in (self.ours, self.theirs)]
        components = list(between)
        for side, other, qs in ((sides[0], sides[1], self.ours), (sides[1], sides[0], self.theirs)):
            if isinstance(side, Repeated):
                components.append(side.component())
                continue
            half = _half(qs[0], self.logarithmic)
            components += [] if half is None else [Component.of_half_width(half, degrees_of_freedom(qs[0].n))]
            components += [other.component_of_one()] if isinstance(other, Repeated) else []
        first, second = (side.mean if isinstance(side, Repeated) else side for side in sides)
        return Contrast(second - first, tuple(components))

    @property
    def same_values(self) -> bool:
        """Whether both sides learned the very same, as equal seeds and settings do where nothing depends on a clock."""
        a, b = self.pair.first, self.pair.second
        return self.kind == "learned" and (a.estimate.mean, a.low, a.high) == (b.estimate.mean, b.low, b.high)

    @property
    def repeated(self) -> bool:
        """Whether at least one side knows how much runs of equal settings differ."""
        return max(len(self.ours), len(self.theirs)) >= MIN_RUNS


def _side(qs: Sequence[Quantity], logarithmic: bool) -> float | Repeated:
    scaled = [_scaled(q.estimate.mean, logarithmic) for q in qs]
    return repeated(scaled) if len(qs) >= MIN_RUNS else scaled[0]


def _half(q: Quantity, logarithmic: bool) -> float | None:
    """Half the interval of a measurement on the scale of the comparison, its longer side; None where there is none."""
    mean, low, high = q.estimate.mean, q.low, q.high
    if mean is None or low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    if logarithmic and min(mean, low) <= 0:
        return None
    middle, bottom, top = (_scaled(value, logarithmic) for value in (mean, low, high))
    return max(middle - bottom, top - middle, 0.0)


def _scaled(value: float | None, logarithmic: bool) -> float:
    assert value is not None
    return math.log(value) if logarithmic else value


def _pairing(views: Sequence[RunView], first: tuple[int, ...], ours: Aligned, second: tuple[int, ...], theirs: Aligned) -> Pairing:
    a, b = views[first[0]], views[second[0]]
    matched = match(a, [qs[0] for qs in ours], b, [qs[0] for qs in theirs])
    ours_of, theirs_of = ({id(qs[0]): qs for qs in side} for side in (ours, theirs))
    between = comparability.obstacles(a, b)
    both = []
    for pair in matched.matches:
        own, other = ours_of[id(pair.first)], theirs_of[id(pair.second)]
        kind, scale = _kind(pair), _scale(pair.first)
        both.append(_Both(pair, own, other, kind, scale, _refusal(pair, own, other, kind, scale, between)))
    judged = _Judged(both)
    caveats = comparability.caveats(a, b)
    return Pairing(first, second, judged.rows, judged.findings, matched.only_first, matched.only_second, matched.compared, caveats)


def _kind(pair: Match) -> Kind:
    q = pair.first
    metric = q.metric
    wanted = metric is not None and metric.better != "neither"
    exact = q.estimate.statistic == "exact" or (q.is_pair and q.n == 1 and TOO_FEW not in q.estimate.reason)
    if exact and q.n != 0:
        return "listed" if q.physical else "count"  # one reading of a clock is no count
    if exact or (q.is_pair and not q.physical):
        return "learned" if wanted or q.is_pair else "listed"
    if q.is_pair:
        return "ratio"
    if not wanted or metric is None or metric.compare == "none":
        return "listed"
    if not q.physical:
        return "learned"
    # What stands for a parameter that differs is no unchanged arm.
    return "control" if q.baseline and pair.second.baseline and pair.exactly else "raw"


def _scale(q: Quantity) -> Scale:
    if q.estimate.statistic == "difference":
        return "difference"
    compared = q.metric is not None and q.metric.compare == "ratio"
    return "ratio" if q.estimate.statistic == "ratio" or q.physical or (compared and q.estimate.statistic == "mean") else "difference"


def _refusal(pair: Match, ours: Sequence[Quantity], theirs: Sequence[Quantity], kind: Kind, scale: Scale, between: Obstacles) -> str:
    """Why the two values may not be set against each other, "" when they may."""
    a, b = pair.first, pair.second
    if kind == "count":
        return ""
    other_kind = comparability.device_obstacle(a.kind, b.kind)
    reasons = [other_kind] if other_kind else []
    if a.physical:
        reasons += between.physical(a.kind if a.kind == b.kind else "cuda", a.unit)
        reasons += between.named(str(a.estimate.dimensions.get("data", "")))
        caches = [str(q.estimate.dimensions.get(CACHE_DIMENSION, "")) for q in (a, b)]
        if caches[0] != caches[1]:
            reasons.append(f"different state of the cache ({caches[0] or 'unknown'}, {caches[1] or 'unknown'})")
    else:
        reasons += between.learned(str(a.estimate.dimensions.get("data", "")))
    if reasons:
        return "; ".join(dict.fromkeys(reasons))
    for qs, which in ((ours, "first"), (theirs, "second")):
        reason = _unfit(qs, scale == "ratio", a.physical)
        if reason:
            return f"{which} side: {reason}"
    return ""


def _unfit(qs: Sequence[Quantity], logarithmic: bool, physical: bool) -> str:
    """Why one side's value is no ground for a comparison, "" when it is."""
    drifting = next((q.estimate.reason for q in qs if q.estimate.reason.startswith("drift")), "")
    if drifting:
        return drifting
    if logarithmic and any((q.estimate.mean or 0.0) <= 0 for q in qs):
        return "a value that is not positive has no ratio"
    if physical and len(qs) >= MIN_RUNS:
        return ""  # each run is an observation
    if 0 < qs[0].n < MIN_OBSERVATIONS:
        return TOO_FEW
    return "" if _half(qs[0], logarithmic) is not None else "there is no interval"


class _Judged:
    """All rows of one pairing, judged as one family against the controls of their metric."""

    def __init__(self, both: Sequence[_Both]) -> None:
        self._both = both
        self._controls = self._find_controls()
        questions: dict[int, Question] = {}
        for i, item in enumerate(both):
            question = self._question(item)
            if question is not None:
                questions[i] = question
        regions = dict(zip(questions, decide(list(questions.values())), strict=True))
        self._family = len(questions)
        rows = [self._row(item, regions.get(i)) for i, item in enumerate(both)]
        self.rows = tuple(rows)
        self.findings = tuple(
            ControlFinding(metric, kind, tuple(rows[i] for i in places), found)
            for (metric, kind), (places, found) in self._controls.items()
        )

    def _find_controls(self) -> dict[tuple[str, str], tuple[list[int], Controls]]:
        places: dict[tuple[str, str], list[int]] = defaultdict(list)
        for i, item in enumerate(self._both):
            if item.kind == "control" and _present(item) and not item.refusal:
                places[item.pair.first.estimate.metric, item.pair.first.kind].append(i)
        found = {}
        for key, members in places.items():
            moves = [(_name(self._both[i].pair.first), self._both[i].move()) for i in members]
            found[key] = (members, controls(moves, math.log1p(_margin(self._both[members[0]]))))
        return found

    def _controls_of(self, item: _Both) -> Controls | None:
        found = self._controls.get((item.pair.first.estimate.metric, item.pair.first.kind))
        return None if found is None else found[1]

    def _between(self, item: _Both) -> tuple[Component, ...]:
        """The error between single runs that the controls tell of."""
        told = self._controls_of(item)
        if item.repeated or told is None or item.kind not in ("ratio", "raw"):
            return ()
        return told.of_ratio() if item.kind == "ratio" else told.of_arm()

    def _obstacle(self, item: _Both) -> str:
        """Why a row that may be compared gets no word all the same."""
        if item.kind not in ("ratio", "raw"):
            return ""
        told = self._controls_of(item)
        if not item.repeated and not self._between(item):
            return UNKNOWN_SPREAD
        if item.kind == "raw" and told is not None and told.moved:
            return MACHINE_MOVED
        return ""

    def _question(self, item: _Both) -> Question | None:
        if item.kind not in ("ratio", "raw", "learned") or not _present(item) or item.refusal:
            return None
        if item.same_values or self._obstacle(item):
            return None
        margin = _margin(item)
        between = self._between(item)
        move = item.move(between)
        contrasts = [move]
        told = self._controls_of(item)
        if item.kind == "raw" and told is not None and between:
            contrasts.append(replace(move, value=move.value - told.common))
        return Question(tuple(contrasts), math.log1p(margin) if item.logarithmic else margin)

    def _row(self, item: _Both, region: Region | None) -> Row:
        ours, theirs = _value(item.ours, item.logarithmic), _value(item.theirs, item.logarithmic)

        def row(word: str, reason: str, change: tuple[float | None, float | None, float | None] = (None, None, None)) -> Row:
            scale = item.scale if change[0] is not None else ""
            return Row(item.kind, item.pair.first, item.pair.second, (ours, theirs), scale, *change, word, reason)

        if not _present(item):
            lacking = [q.estimate.reason or "no reason recorded" for q in (item.ours[0], item.theirs[0]) if q.estimate.mean is None]
            return row(NOT_MEASURED, "; ".join(dict.fromkeys(lacking)))
        if item.kind == "count":
            same = item.ours[0].estimate.mean == item.theirs[0].estimate.mean
            return row(EQUAL if same else NOT_EQUAL, "")
        if item.refusal:
            return row(REFUSED if item.kind != "listed" else "", item.refusal)
        change = _ends(item.move(self._between(item)), item.logarithmic)
        if item.same_values:
            return row(EQUAL, "the same value and interval to the last digit", change)
        obstacle = self._obstacle(item)
        if obstacle:
            return row(NOT_DECIDED, obstacle, change)
        if region is None:
            return row("", "", change)
        return row(_said(item, region), self._explained(item, region), change)

    def _explained(self, item: _Both, region: Region) -> str:
        margin = f"{100 * _margin(item):g} %" if item.logarithmic else f"{_margin(item):g} points"
        parts = []
        if region == "inside":
            parts.append(f"within ± {margin}")
        elif region == "open":
            parts.append(
                "the interval, adjusted for all rows of this comparison, does not lie on one side of the margin"
                if _margin(item)
                else "the interval, adjusted for all rows of this comparison, includes no change"
            )
        if item.repeated and item.kind != "learned":
            parts.append("spread between runs from repeated runs")
        elif item.kind in ("ratio", "raw"):
            told = self._controls_of(item)
            assert told is not None
            parts.append(f"spread between runs from {told.implementations} unchanged implementations")
        return "; ".join(parts)


def _present(item: _Both) -> bool:
    return all(q.estimate.mean is not None for q in (*item.ours, *item.theirs))


def _name(q: Quantity) -> str:
    return f"{q.estimate.arm}/{q.estimate.implementation}"


def _margin(item: _Both) -> float:
    """The practical margin: relative for ratios, in the row's unit for differences (0: any change counts)."""
    q = item.pair.first
    if item.logarithmic:
        return CPU_RATIO_MARGIN if q.kind == "cpu" else GPU_RATIO_MARGIN
    return ACCURACY_MARGIN if q.unit in ("%", "points") else 0.0


def _said(item: _Both, region: Region) -> str:
    if region in ("inside", "open"):
        return NO_DIFFERENCE if region == "inside" else NOT_SHOWN
    if item.kind == "raw" and item.pair.first.unit == "s":
        return SLOWER if region == "above" else FASTER
    return HIGHER if region == "above" else LOWER


def _ends(move: Contrast, logarithmic: bool) -> tuple[float, float | None, float | None]:
    back: Callable[[float], float] = _bounded_exp if logarithmic else float
    if not move.components:
        return back(move.value), None, None
    half = move.half_width()
    return back(move.value), back(move.value - half), back(move.value + half)


def _bounded_exp(value: float) -> float:
    return math.exp(min(max(value, -MAX_LOG), MAX_LOG))


def _value(qs: Sequence[Quantity], logarithmic: bool) -> Value:
    """A single run's estimate, or of repeated runs the mean of their values on the scale of the comparison."""
    e = qs[0].estimate
    present = [q.estimate.mean for q in qs if q.estimate.mean is not None]
    if len(qs) < MIN_RUNS or len(present) < len(qs) or (logarithmic and min(present) <= 0):
        return Value(e.mean, qs[0].low, qs[0].high, qs[0].n)
    found = repeated([_scaled(value, logarithmic) for value in present])
    mean, low, high = _ends(Contrast(found.mean, (found.component(),)), logarithmic)
    return Value(mean, low, high, found.runs)


# --- spread and verdicts --------------------------------------------------------------------------------------------------------


def _spread(side: tuple[int, ...], found: Aligned) -> Spread:
    rows = []
    for qs in found:
        values = [q.estimate.mean for q in qs]
        present = [value for value in values if value is not None and value > 0]
        q = qs[0]
        if not q.physical or q.metric is None or q.metric.better == "neither" or len(present) < len(side):
            continue
        spread = repeated([math.log(value) for value in present])
        half = spread.half_width()
        halves = sorted(own for q in qs if (own := _half(q, logarithmic=True)) is not None)
        middle = halves[len(halves) // 2] if halves else None
        ends = (_bounded_exp(spread.mean), _bounded_exp(spread.mean - half), _bounded_exp(spread.mean + half))
        rows.append(SpreadRow(q, tuple(present), *ends, spread.deviation, middle))
    return Spread(side, tuple(rows))


def _verdict_rows(runs: Sequence[ComparedRun]) -> tuple[VerdictRow, ...]:
    """Rows that any run measured, the plainest disagreements first; then in the order of the claims."""
    found: dict[tuple[str, str, str], list[list[Verdict]]] = {}
    for place, run in enumerate(runs):
        for verdict in run.verdicts:
            key = (verdict.claim_id, verdict.protocol, verdict.comparison)
            found.setdefault(key, [[] for _ in runs])[place].append(verdict)
    rows = [VerdictRow(*key, tuple(map(tuple, cells))) for key, cells in found.items()]
    order = {claim_id: i for i, claim_id in enumerate(runs[0].view.workload.claims)}
    measured = [row for row in rows if any(row.words)]
    return tuple(sorted(measured, key=lambda row: (-row.disagreement, order.get(row.claim_id, len(order)))))


def _word(row: Verdict) -> str:
    return verdict_words.REPRODUCIBLE if row.verdict.startswith(verdict_words.REPRODUCIBLE) else row.verdict


# --- in words -------------------------------------------------------------------------------------------------------------------


def what(q: Quantity, view: RunView) -> str:
    """The arm, or the two arms compared within the run: "Phi6Simple, fused against GELU, eager"."""
    labels = view.workload.labels

    def arm(name: str, implementation: str) -> str:
        return ", ".join(formatting.labelled(part, labels) for part in (name, implementation) if part)

    e = q.estimate
    own = arm(e.arm, e.implementation)
    return f"{own} against {arm(e.baseline_arm, e.baseline_implementation)}" if q.is_pair else own


def where(first: Quantity, second: Quantity | None = None, without: Collection[str] = ()) -> str:
    """Protocol and cell in words; what differs between the sides with both values ("k = 32 → 64"); leaves out the parts ``without``."""
    return ", ".join(part for part in places(first, second) if part not in without)


def places(first: Quantity, second: Quantity | None = None) -> list[str]:
    """The parts of :func:`where`."""
    sides = [dict(_places(q)) for q in (first, second or first)]
    parts = [f"{first.estimate.protocol} protocol"]
    for name in dict.fromkeys((*sides[0], *sides[1])):
        a, b = (side.get(name, "–") for side in sides)
        parts.append(f"{formatting.labelled(name, {})} = {a}" if a == b else f"{formatting.labelled(name, {})} = {a} → {b}")
    return parts


def common(rows: Sequence[Row]) -> list[str]:
    """The parts of :func:`where` that all rows share: said once, they need not stand in each. None for a single row."""
    if len(rows) < 2:
        return []
    found = [places(row.first, row.second) for row in rows]
    return [part for part in found[0] if all(part in other for other in found[1:])]


def _places(q: Quantity) -> list[tuple[str, str]]:
    e = q.estimate
    named = [(name, formatting.scalar(value)) for name, value in e.dimensions.items() if value not in ("", None)]
    named += [(name, formatting.scalar(value)) for name, value in e.swept.items()]
    return [*named, *([("dtype", e.dtype)] if e.dtype else [])]
