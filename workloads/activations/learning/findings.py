"""What the learning study says of the claims about losses. Light: the web server imports this.

**Drop-in** is non-inferiority at every depth: the largest excess of the held-out loss over all tasks and depths decides. For "non-inferior
everywhere" its upper end must lie below the margin, at each depth for itself (an intersection–union test needs no adjustment for
several depths); "inferior somewhere" is said of the worst of k cells, so its lower end is taken at 1 − 0.05/k (Bonferroni), and only of
cells without flaws.

**Divergence.** A seed that diverged is charged the loss of guessing, which favours it: a value that rests on such seeds is a lower bound,
and gives no verdict but one against it; at a function's own rate, which was to be chosen well, none at all. A published loss is that of the
runs that did not diverge, and gives no verdict where an arm has others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.claims import Claim
from lab.records import Comparison, Estimate, Measured, Protocol, Scalar
from lab.statistics import LEVEL, MIN_OBSERVATIONS, student_t_quantile
from workloads.activations.functions import FUNCTIONS
from workloads.activations.learning.names import (
    AGAINST_GELU,
    AGAINST_PHI6,
    AS_PUBLISHED,
    CHOSEN_RATE,
    DEPTH_TASKS,
    DIGITS,
    GELU_RATE,
    HELD_OUT_LOSS,
    LABELS,
    OWN_RATE,
    PERMUTATION,
    PUBLISHED_LOSS,
    SAME_START,
    SHOWN_PERMUTATION,
    TASK_TITLES,
    TEXT,
    XOR,
)
from workloads.activations.parameters import GELUS

MARGIN_PERCENT = 1.0  # of the drop-in claim
# What the evidence calls data that is drawn by the lab; the manifest tells the others with their hashes.
GENERATED = {XOR: "XOR", PERMUTATION: "the published toy", SHOWN_PERMUTATION: "the published toy, permutation shown"}
SOLVED_NATS = 0.01  # held-out loss below which the right answer is given a probability above 99 %
DEPTHS_FOR_ANY = 8  # "any depth" cannot be borne out by models that are less deep
NO_TRAINING = "this run trains no model: choose “Learning” under “What is measured”"
NOT_CHOSEN = {
    "published": "this run leaves the published trainings out",
    "sound": "this run leaves out what the sound comparison trains",
}
ONE_DEPTH = "the published trainings have one hidden layer; the claim speaks of any depth"


def pairs(means: Sequence[Estimate]) -> list[tuple[Estimate, Estimate]]:
    """Of the published losses: each function against GELU, and ZetaLn2 against Phi6Simple, in the same recipe."""
    known = [mean for mean in means if mean.mean is not None]
    return [
        (mean, other)
        for mean in known
        for other in known
        if mean.implementation == other.implementation
        and ((other.arm in GELUS and mean.arm not in GELUS) or (mean.arm, other.arm) == ("zeta_ln2", "phi6"))
    ]


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """What a summary says of one of the claims about losses."""
    found = {
        "act-loss-phi6": lambda: _loss(claim, "phi6", GELUS, PERMUTATION, estimates) + _sound_loss(claim, estimates),
        "act-loss-zeta": lambda: _loss(claim, "zeta_ln2", ("phi6",), XOR, estimates) + _sound_xor(claim, estimates),
        "act-dropin": lambda: _drop_in(claim, estimates),
    }[claim.id]()
    trained = {e.protocol for e in estimates if e.metric in (PUBLISHED_LOSS, HELD_OUT_LOSS)}
    protocols: tuple[Protocol, ...] = ("published", "sound")
    for protocol in protocols:
        if not any(measured.protocol == protocol for measured in found):
            reason = NOT_CHOSEN[protocol] if trained else NO_TRAINING
            found.append(Measured(claim.id, protocol, "published", "loss", None, reason=reason))
    return found


def _loss(claim: Claim, arm: str, baselines: tuple[str, ...], task: str, estimates: Sequence[Estimate]) -> list[Measured]:
    """The published training loss, in percent below the baseline's: as published, from the same start, and at own rates."""
    ways: tuple[tuple[Comparison, str], ...] = (("published", AS_PUBLISHED), ("published", SAME_START), ("best", OWN_RATE))
    measured = []
    for comparison, recipe in ways:
        own = [e for e in estimates if (e.protocol, e.implementation, e.dimensions.get("task")) == ("published", recipe, task)]
        ratios = [e for e in own if (e.statistic, e.metric, e.arm) == ("ratio", PUBLISHED_LOSS, arm) and e.baseline_arm in baselines]
        measured += [_lower(claim, comparison, e, task, estimates) for e in ratios]
        if not ratios:
            named = [e for e in own if e.arm in (arm, *baselines) and e.metric in (PUBLISHED_LOSS, CHOSEN_RATE) and e.mean is None]
            why = "; ".join(f"{_title(e.arm)}, {LABELS[recipe]}: {e.reason}" for e in named)
            if why:
                measured.append(Measured(claim.id, "published", comparison, PUBLISHED_LOSS, None, reason=why, data=GENERATED.get(task, "")))
    return measured


def _lower(claim: Claim, comparison: Comparison, ratio: Estimate, task: str, estimates: Sequence[Estimate]) -> Measured:
    low, mean, high = (None if value is None else 100 * (1 - 1 / value) for value in (ratio.ci_low, ratio.mean, ratio.ci_high))
    own = ratio.implementation == OWN_RATE
    return Measured(
        claim.id,
        "published",
        comparison,
        ratio.metric,
        mean,
        low,
        high,
        ratio.n,
        pair=f"{_title(ratio.arm)} against {_title(ratio.baseline_arm)}, {TASK_TITLES[task]}, training loss, {LABELS[ratio.implementation]}"
        + _quadratic(task),
        data=GENERATED.get(task, ""),
        flaws=(*_lost_seeds(ratio), *(_edges(estimates, "published", task, 1, (ratio.arm, ratio.baseline_arm)) if own else ())),
    )


def _quadratic(task: str) -> str:
    return "; a quadratic represents this label exactly, see its control in the charts" if task == XOR else ""


def _lost_seeds(ratio: Estimate) -> tuple[str, ...]:
    """That runs diverged: what is left of them is a choice of the good ones."""
    return (f"runs without a loss are left out: {ratio.reason}",) if "missing" in ratio.reason or "diverged" in ratio.reason else ()


def _title(arm: str) -> str:
    return FUNCTIONS[arm].title


def _exact(estimates: Sequence[Estimate], metric: str, arm: str, recipe: str, task: str, depth: Scalar, protocol: str) -> Estimate | None:
    named = [e for e in estimates if (e.metric, e.arm, e.implementation, e.protocol) == (metric, arm, recipe, protocol)]
    return next((e for e in named if (e.dimensions["task"], e.dimensions["depth"]) == (task, depth)), None)


def _edges(estimates: Sequence[Estimate], protocol: str, task: str, depth: Scalar, arms: Sequence[str]) -> tuple[str, ...]:
    """Which of ``arms`` have their best learning rate on the edge of what was tried."""
    rows = [_exact(estimates, CHOSEN_RATE, arm, OWN_RATE, task, depth, protocol) for arm in arms]
    return tuple(f"{e.reason} ({_title(e.arm)})" for e in rows if e is not None and e.reason.startswith("grid edge"))


def _above(
    claim: Claim,
    comparison: Comparison,
    arm: str,
    recipe: str,
    task: str,
    depth: Scalar,
    metrics: Sequence[str],
    estimates: Sequence[Estimate],
) -> Measured | None:
    """Held-out loss above the baseline's in percent, at one task and depth; None where the run has nothing of it."""
    rows = [_exact(estimates, metric, arm, recipe, task, depth, "sound") for metric in metrics]
    if rows[0] is None:
        return None
    value, low, high = (None if row is None else row.mean for row in rows)
    against_phi6 = metrics == AGAINST_PHI6
    baseline = "phi6" if against_phi6 else _gelu(estimates)
    losses = [
        e
        for e in estimates
        if (e.metric, e.statistic, e.arm, e.implementation) == (HELD_OUT_LOSS, "mean", baseline, OWN_RATE)
        and (e.dimensions["task"], e.dimensions["depth"]) == (task, depth)
    ]
    tuned = (baseline,) if recipe == GELU_RATE else (arm, baseline)
    diverged = rows[0].reason if "diverged" in rows[0].reason else ""
    flaws = [*_edges(estimates, "sound", task, depth, tuned), *_solved(losses)]
    chosen = _exact(estimates, CHOSEN_RATE, arm, OWN_RATE, task, depth, "sound") if recipe == OWN_RATE else None
    if diverged and chosen is not None and chosen.mean is not None:
        flaws.append(f"{diverged}; its rate, which the seeds of tuning survived, is not well chosen: take more of them")
    elif value is not None and diverged and not (low is not None and low > MARGIN_PERCENT):
        flaws.append(f"{diverged}, so that the value is a bound in its favour")  # which only what speaks against it may rest on
    elif value is not None and low is None and rows[0].reason:
        flaws.append(rows[0].reason)
    return Measured(
        claim.id,
        "sound",
        comparison,
        metrics[0],
        value,
        low,
        high,
        losses[0].n if losses else 0,
        pair=f"{_title(arm)} ({LABELS[recipe]}) against {_title(baseline)} ({LABELS[OWN_RATE]}), held-out loss, "
        f"{TASK_TITLES[task]}, depth {depth}" + (f"; {diverged}" if diverged and value is not None else "") + _quadratic(task),
        data=GENERATED.get(task, ""),
        reason=rows[0].reason if value is None else "",
        flaws=tuple(flaws),
    )


def _solved(baseline: Sequence[Estimate]) -> tuple[str, ...]:
    """That the baseline has learned the task completely, where a ratio of what is left of the losses means nothing."""
    if baseline and baseline[0].mean is not None and baseline[0].mean < SOLVED_NATS:
        return (f"both have solved the task: the baseline's loss is {baseline[0].mean:.2g} nats, and a ratio of remainders means nothing",)
    return ()


def _gelu(estimates: Sequence[Estimate]) -> str:
    return next((e.arm for e in estimates if e.metric == HELD_OUT_LOSS and e.arm in GELUS), GELUS[0])


def _cells(estimates: Sequence[Estimate], tasks: Sequence[str]) -> list[tuple[str, int]]:
    """Tasks and depths of which the summary has held-out losses, in the order of ``tasks`` and rising depth."""
    found = {(str(e.dimensions["task"]), int(e.dimensions["depth"])) for e in estimates if e.metric == HELD_OUT_LOSS}
    return sorted((cell for cell in found if cell[0] in tasks), key=lambda cell: (tasks.index(cell[0]), cell[1]))


def _negated(measured: Measured) -> Measured:
    """Percent above as percent below."""
    value, low, high = (None if v is None else -v for v in (measured.value, measured.ci_high, measured.ci_low))
    return replace(measured, value=value, ci_low=low, ci_high=high)


def _sound_loss(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """Phi6Simple against GELU on held-out data: the published toy, also made fair, digits and text, the least deep model of each."""
    measured = []
    comparisons: tuple[tuple[Comparison, str], ...] = (("published", GELU_RATE), ("best", OWN_RATE))
    for comparison, recipe in comparisons:
        seen: set[str] = set()
        for task, depth in _cells(estimates, (PERMUTATION, SHOWN_PERMUTATION, DIGITS, TEXT)):
            if task not in seen:
                seen.add(task)
                measured.append(_above(claim, comparison, "phi6", recipe, task, depth, AGAINST_GELU, estimates))
    return [_negated(found) for found in measured if found is not None]


def _sound_xor(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    found = _above(claim, "best", "zeta_ln2", OWN_RATE, XOR, 1, AGAINST_PHI6, estimates)
    return [_negated(found)] if found is not None else []


def _drop_in(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    measured = []
    if any(e.metric == PUBLISHED_LOSS for e in estimates):
        measured.append(Measured(claim.id, "published", "published", PUBLISHED_LOSS, None, reason=ONE_DEPTH))
    comparisons: tuple[tuple[Comparison, str], ...] = (("published", GELU_RATE), ("best", OWN_RATE))
    for comparison, recipe in comparisons:
        cells = [
            found
            for task, depth in _cells(estimates, DEPTH_TASKS)
            if (found := _above(claim, comparison, "phi6", recipe, task, depth, AGAINST_GELU, estimates)) is not None
        ]
        if cells:
            measured.append(worst(cells, max(depth for _, depth in _cells(estimates, DEPTH_TASKS))))
    return measured


def worst(cells: Sequence[Measured], deepest: int) -> Measured:
    """The largest excess over all cells, with an interval that holds for the largest (see the module's docstring)."""
    known = [cell for cell in cells if cell.value is not None and cell.ci_low is not None and cell.ci_high is not None]
    if not known:
        return replace(cells[0], reason="; ".join(dict.fromkeys(cell.reason for cell in cells if cell.reason)) or "there is no interval")
    k = len(known)
    sound = [cell for cell in known if not cell.flaws]
    refuting = any(_joint_low(cell, k) > MARGIN_PERCENT for cell in sound)
    judged = sound if refuting else known  # what speaks against the claim must be free of flaws itself; one such cell is enough
    largest = max(judged, key=lambda cell: cell.value or 0.0)
    low = max(_joint_low(cell, k) for cell in judged)
    high = max(cell.ci_high or 0.0 for cell in judged)
    value = largest.value
    assert value is not None
    flaws: list[str] = []
    if not refuting:
        flaws = [flaw for cell in known for flaw in cell.flaws]
    if high <= MARGIN_PERCENT:  # what speaks for the claim must hold for every cell and reach deep enough
        if len(known) < len(cells):
            flaws.append(f"{len(cells) - len(known)} of {len(cells)} depths could not be compared")
        if deepest < DEPTHS_FOR_ANY:
            flaws.append(f"the deepest model has depth {deepest}, and the claim speaks of any depth")
    pair = f"{largest.pair}; the worst of {k} combinations of task and depth" if k > 1 else largest.pair
    return replace(largest, ci_low=min(low, value), ci_high=high, pair=pair, flaws=tuple(dict.fromkeys(flaws)))


def _joint_low(cell: Measured, k: int) -> float:
    """The lower end of a cell's interval at 1 − 0.05/k."""
    assert cell.value is not None
    assert cell.ci_low is not None
    if cell.n < MIN_OBSERVATIONS:
        return cell.ci_low
    # Exact for symmetric intervals with n − 1 degrees of freedom. With more of them, or where the interval of a ratio is shorter below than
    # above (its lower end then moves ever more slowly), the factor is larger than needed.
    alpha = 1 - LEVEL
    factor = student_t_quantile(1 - alpha / (2 * k), cell.n - 1) / student_t_quantile(1 - alpha / 2, cell.n - 1)
    return cell.value - factor * (cell.value - cell.ci_low)
