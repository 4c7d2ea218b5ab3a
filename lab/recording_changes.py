"""What has changed between a recorded run and the one that repeats it: circumstances, verdicts, figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab import formatting, run_differences
from lab.records import Estimate, RunView
from lab.summary import summarise
from lab.verdicts import Evidence, verdicts

MAX_LISTED = 10  # figures named for each run; the others are counted
# Of two runs of the same thing, in normal noise, about this share of 95 % intervals does not overlap: P(|z| > 1.96 · √2).
BY_CHANCE = math.erfc(1.96)

Key = tuple[object, ...]


@dataclass(frozen=True)
class Figure:
    """One estimate in both runs."""

    before: Estimate
    after: Estimate

    @property
    def moved(self) -> bool:
        """Whether the intervals do not overlap, or an exact value is another one."""
        a, b = self.before, self.after
        if a.ci_low is None or a.ci_high is None or b.ci_low is None or b.ci_high is None:
            return a.statistic == "exact" and a.mean != b.mean
        return a.ci_high < b.ci_low or b.ci_high < a.ci_low

    @property
    def has_intervals(self) -> bool:
        """Whether both runs give an interval."""
        return all(end is not None for e in (self.before, self.after) for end in (e.ci_low, e.ci_high))


@dataclass(frozen=True)
class Changes:
    """``verdicts`` maps (claim, protocol, comparison) to the words before and after where they differ, of ``n_verdicts`` that either has.

    ``figures`` holds what both runs estimate: ratios, differences and exact values. ``gone`` and ``new`` count what only one has.
    """

    circumstances: Sequence[run_differences.Difference]
    verdicts: Mapping[tuple[str, str, str], tuple[str, str]]
    n_verdicts: int
    figures: Sequence[Figure]
    gone: int
    new: int


def changes(before: RunView, after: RunView) -> Changes:
    """Compare two runs of one workload with the same parameters."""
    old, new = _compared(before), _compared(after)
    words = (_words(before), _words(after))
    claims = list(dict.fromkeys((*words[0], *words[1])))
    told = {key: (words[0].get(key, "not judged"), words[1].get(key, "not judged")) for key in claims}
    return Changes(
        circumstances=run_differences.environment([before, after]).found,
        verdicts={key: pair for key, pair in told.items() if pair[0] != pair[1]},
        n_verdicts=len(told),
        figures=[Figure(old[key], new[key]) for key in old if key in new],
        gone=len(old.keys() - new.keys()),
        new=len(new.keys() - old.keys()),
    )


def _compared(view: RunView) -> dict[Key, Estimate]:
    found = summarise(view.workload, view.plan, view.records)
    return {_key(estimate): estimate for estimate in found if estimate.statistic != "mean" and estimate.mean is not None}


def _key(e: Estimate) -> Key:
    arms = (e.protocol, e.arm, e.implementation, e.baseline_arm, e.baseline_implementation, e.metric, e.statistic, e.dtype)
    return (*arms, *sorted(e.dimensions.items()), *sorted(e.swept.items()))


def _words(view: RunView) -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], list[str]] = {}
    summary = summarise(view.workload, view.plan, view.records)
    for row in verdicts(view.workload, summary, Evidence.from_manifest(view.manifest)):
        found.setdefault((row.claim_id, row.protocol, row.comparison), []).append(row.verdict)
    return {key: ", ".join(several) for key, several in found.items()}


def text(found: Changes) -> str:
    """The changes for a terminal, several lines; says so where nothing changed."""
    lines = [f"  {item.title}: {item.values[0]} → {item.values[1]}" for item in found.circumstances]
    lines.append(f"  verdicts: {len(found.verdicts)} of {found.n_verdicts} changed")
    lines += [f"    {' '.join(filter(None, key))}: {old} → {new}" for key, (old, new) in found.verdicts.items()]
    moved = sorted((figure for figure in found.figures if figure.moved), key=_distance, reverse=True)
    exact = sum(not figure.has_intervals for figure in moved)
    by_chance = formatting.number(100 * BY_CHANCE, 2)
    lines.append(f"  figures: {len(moved)} of {len(found.figures)} moved")
    noise = f"from noise within the runs alone about {by_chance} %; runs of equal settings differ by more"
    lines.append(f"    {len(moved) - exact} out of each other's 95 % interval ({noise})")
    lines.append(f"    {exact} exact ones to another value")
    lines += [f"    {_named(figure)}" for figure in moved[:MAX_LISTED]]
    if len(moved) > MAX_LISTED:
        lines.append(f"    and {len(moved) - MAX_LISTED} that moved less")
    if found.gone or found.new:
        lines.append(f"  {found.gone} figures are there no more, {found.new} are new")
    return "\n".join(lines)


def _distance(figure: Figure) -> float:
    """How far the figure moved: of ratios the log, of others the difference over the larger value."""
    a, b = figure.before.mean or 0.0, figure.after.mean or 0.0  # _compared left out what has no value
    if figure.before.statistic == "ratio" and a > 0 and b > 0:
        return abs(math.log(b / a))
    return abs(b - a) / max(abs(a), abs(b)) if a != b else 0.0


def _named(figure: Figure) -> str:
    e = figure.before
    against = f" / {e.baseline_arm} {e.baseline_implementation}" if e.baseline_arm else ""
    cell = formatting.cell({**e.dimensions, **e.swept})
    shown = [formatting.estimate(item.mean, item.ci_low, item.ci_high, item.unit) for item in (figure.before, figure.after)]
    return f"{e.metric}, {e.arm} {e.implementation}{against}{f', {cell}' if cell else ''}: {shown[0]} → {shown[1]}"
