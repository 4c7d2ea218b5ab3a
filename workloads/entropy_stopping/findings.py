"""What a summary of the early-stopping experiment says of each claim. Light: the web server imports this."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.claims import Claim
from lab.energy import ENERGY
from lab.energy_meter import NOT_ASKED_FOR
from lab.formatting import number
from lab.records import Comparison, Estimate, Measured, Protocol
from workloads.entropy_stopping.cost_of_training import UnitCosts, in_epochs, measured
from workloads.entropy_stopping.names import (
    CHANGE,
    COST,
    DIVERGED,
    EPOCH_SHARE,
    FULL_BUDGET,
    LABELS,
    LEARNING_RATE,
    PICKED_ON_TEST,
    PLATEAU,
    RULE,
    STEP,
    STOP_EPOCH,
    WATCHING,
    high,
    low,
)
from workloads.entropy_stopping.parameters import PUBLISHED_THRESHOLDS
from workloads.entropy_stopping.wording import setting_words

NOT_ASKED = {
    "published": "this run was not asked for the published protocol",
    "sound": "this run was not asked for the sound protocol, or ended before its test",
}
NO_PRACTICE = "a model diverged, so that there is no usual practice to compare with"
PICKED_FLAW = "settings searched: the threshold that serves the claim best, picked on the test data for each seed from " + ", ".join(
    map(str, PUBLISHED_THRESHOLDS)
)
WAYS: tuple[tuple[Protocol, Comparison], ...] = (("published", "published"), ("sound", "published"), ("sound", "best"))


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """What the summary of one run says of ``claim``: as published, soundly against the full budget, and against the best usual practice.

    The published protocol counts epochs and picks its threshold afterwards; the sound one counts joules, its threshold was fixed.
    """
    metric, say = (EPOCH_SHARE, _energy) if claim.id == "stop-energy" else (CHANGE, _accuracy)
    found: list[Measured] = []
    for protocol, comparison in WAYS:
        rows = _rows(estimates, protocol, comparison, metric)
        found += [say(claim, comparison, row, estimates) for row in rows]
        if not rows:
            trained = _rows(estimates, protocol, "published", metric)
            reason = NO_PRACTICE if trained else NOT_ASKED[protocol]
            found.append(Measured(claim.id, protocol, comparison, metric, None, reason=reason))
    return found


def _rows(estimates: Sequence[Estimate], protocol: Protocol, comparison: Comparison, metric: str) -> list[Estimate]:
    """Of the entropy plateau: its picked threshold in the published protocol, the one fixed beforehand in the sound one."""
    fixed = {
        e.dimensions["setting"]
        for e in estimates
        if (e.protocol, e.metric, e.dimensions["against"]) == ("sound", EPOCH_SHARE, FULL_BUDGET)  # recorded of no other
    }
    return [
        e
        for e in estimates
        if (e.protocol, e.metric, e.arm, e.dimensions["part"]) == (protocol, metric, PLATEAU, RULE)
        and (e.dimensions["against"] == FULL_BUDGET) == (comparison == "published")
        and (e.dimensions["setting"] == PICKED_ON_TEST if protocol == "published" else e.dimensions["setting"] in fixed)
    ]


@dataclass(frozen=True)
class _Saved:
    """Per cent saved, with its interval where there is one."""

    value: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, row: Estimate, cost: UnitCosts) -> _Saved:
        """From a row of epoch shares: errors of the share over seeds and of the costs, in quadrature."""
        assert row.mean is not None
        other_watched = str(row.dimensions["against"]) in WATCHING

        def saved(share: float, cost: UnitCosts = cost) -> float:
            return cost.saved_percent(share, watched=True, other_watched=other_watched)

        value = saved(row.mean)
        if row.ci_low is None or row.ci_high is None:
            return cls(value, None, None)
        of_costs = (
            saved(row.mean, cost.moved(step=cost.step_error)) - value,
            saved(row.mean, cost.moved(evaluation=cost.evaluation_error)) - value,
        )
        half = math.hypot((saved(row.ci_low) - saved(row.ci_high)) / 2, *of_costs)
        return cls(value, value - half, value + half)

    def words(self, of: str) -> str:
        span = f" ({number(self.low, 3)} to {number(self.high, 3)})" if self.low is not None and self.high is not None else ""
        return f"{number(self.value, 3)} %{span} of the {of}"


def _energy(claim: Claim, comparison: Comparison, row: Estimate, estimates: Sequence[Estimate]) -> Measured:
    costs = {cost.unit: cost for cost in reversed(measured(estimates, str(row.dimensions["model"])))}
    published = row.protocol == "published"
    cost = in_epochs() if published else costs.get("J")
    counted = "energy counted as epochs that were not run" if published else "joules of the GPU board"
    data = str(row.dimensions["data"])
    if row.mean is None or cost is None:
        reason = row.reason
        if row.mean is not None:
            said = [_Saved.of(row, in_epochs()).words("epochs")]
            if "s" in costs:
                said.append(_Saved.of(row, costs["s"]).words("time"))
            reason = f"no joules: {_why_no_joules(row, estimates)}; on {data} the rule saved {' and '.join(said)} against {_against(row)}"
        return Measured(claim.id, row.protocol, comparison, EPOCH_SHARE, None, data=data, reason=reason)
    saved = _Saved.of(row, cost)
    return Measured(
        claim.id,
        row.protocol,
        comparison,
        EPOCH_SHARE if published else ENERGY,
        saved.value,
        saved.low,
        saved.high,
        row.n,
        pair=f"{_pair(row, estimates)}; {counted}",
        data=data,
        flaws=_flaws(row, estimates),
    )


def _why_no_joules(row: Estimate, estimates: Sequence[Estimate]) -> str:
    rows = [e for e in estimates if (e.metric, e.arm) == (ENERGY, STEP) and _same_models(e, row)]
    return next((e.reason for e in rows if e.reason), NOT_ASKED_FOR)


def _accuracy(claim: Claim, comparison: Comparison, row: Estimate, estimates: Sequence[Estimate]) -> Measured:
    ends = [
        next((e.mean for e in estimates if (e.metric, e.protocol, e.arm) == (name, row.protocol, row.arm) and _same(e, row)), None)
        for name in (low(CHANGE), high(CHANGE))
    ]
    stop = _stop(row, estimates)
    return Measured(
        claim.id,
        row.protocol,
        comparison,
        CHANGE,
        row.mean,
        ends[0],
        ends[1],
        0 if stop is None else stop.n,
        pair=_pair(row, estimates),
        data=str(row.dimensions["data"]),
        reason=row.reason if row.mean is None else "",
        flaws=_flaws(row, estimates),
    )


def _same_models(e: Estimate, like: Estimate) -> bool:
    """Whether two rows speak of the same trainings."""
    places = [(row.protocol, row.swept, row.device, row.dimensions["model"], row.dimensions["data"]) for row in (e, like)]
    return places[0] == places[1]


def _same(e: Estimate, like: Estimate) -> bool:
    return (e.dimensions, e.swept, e.device) == (like.dimensions, like.swept, like.device)


def _stop(row: Estimate, estimates: Sequence[Estimate]) -> Estimate | None:
    wanted = (STOP_EPOCH, PLATEAU, row.dimensions["setting"])
    return next((e for e in estimates if (e.metric, e.arm, e.dimensions["setting"]) == wanted and _same_models(e, row)), None)


def _against(row: Estimate) -> str:
    """What the rule is compared with, in words."""
    against = str(row.dimensions["against"])
    if against == FULL_BUDGET:
        return LABELS[against]
    return f"the best usual practice ({LABELS[against]}, {setting_words(against, row.dimensions['against_setting'])})"


def _pair(row: Estimate, estimates: Sequence[Estimate]) -> str:
    fixed = ", fixed beforehand" if row.protocol == "sound" else ""
    watched = "validation data" if row.protocol == "sound" else "the test data"
    said = f"{LABELS[PLATEAU]} ({setting_words(PLATEAU, row.dimensions['setting'])}{fixed}) on {watched} against {_against(row)}"
    stop = _stop(row, estimates)
    if stop is not None and stop.mean is not None:
        said += f", stopped after {stop.mean:.1f} epochs on average"
    rates = _rates(row, estimates)
    tuned = ", each learning rate tuned on validation data" if len({e.mean for e in rates}) > 1 else ""
    return f"{said}, {LABELS[str(row.dimensions['model'])]}{tuned}"


def _rates(row: Estimate, estimates: Sequence[Estimate]) -> list[Estimate]:
    return [e for e in estimates if e.metric == LEARNING_RATE and e.dimensions["part"] == COST and _same_models(e, row)]


def _flaws(row: Estimate, estimates: Sequence[Estimate]) -> tuple[str, ...]:
    """What is wrong with the value: models left out; the picked threshold as published, else a learning rate on the edge of its grid."""
    diverged = (f"diverged: {row.reason}",) if row.mean is not None and DIVERGED in row.reason else ()
    if row.protocol == "published":
        return (*diverged, PICKED_FLAW)
    return (*diverged, *dict.fromkeys(e.reason for e in _rates(row, estimates) if e.reason.startswith("grid edge")))
