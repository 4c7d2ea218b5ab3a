"""What a summary of the early-stopping experiment says of each claim. Light: the web server imports this."""

from __future__ import annotations

from collections.abc import Sequence

from lab.claims import Claim
from lab.records import Comparison, Estimate, Measured, Protocol, Scalar
from workloads.entropy_stopping.names import (
    CHANGE,
    COST,
    ENERGY,
    EPOCHS,
    FULL_BUDGET,
    LABELS,
    LEARNING_RATE,
    PICKED_ON_TEST,
    PLATEAU,
    RULE,
    SAVED,
    STOP_EPOCH,
    TIME,
    USUAL_PRACTICE,
    high,
    low,
)
from workloads.entropy_stopping.parameters import PUBLISHED_THRESHOLDS

NOT_IN_PUBLISHED = "this run was not asked for the published protocol"
NOT_IN_SOUND = "this run was not asked for the sound protocol"
PICKED_FLAW = "settings searched: the threshold that serves the claim best, picked on the test data for each seed from " + ", ".join(
    map(str, PUBLISHED_THRESHOLDS)
)
WAYS: tuple[tuple[Protocol, Comparison, str], ...] = (
    ("published", "published", FULL_BUDGET),
    ("sound", "published", FULL_BUDGET),
    ("sound", "best", USUAL_PRACTICE),
)


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    """What the summary of one run says of ``claim``: as published, soundly against the full budget, and against usual practice.

    The published protocol counts epochs, the sound one joules; published thresholds are picked afterwards, the sound one was fixed.
    """
    find = {"stop-energy": _energy, "stop-acc": _accuracy}.get(claim.id)
    if find is None:
        return []
    measured = []
    for protocol, comparison, against in WAYS:
        found = find(claim, protocol, comparison, against, estimates)
        absent = NOT_IN_PUBLISHED if protocol == "published" else NOT_IN_SOUND
        metric = SAVED if claim.id == "stop-energy" else CHANGE
        measured += found or [Measured(claim.id, protocol, comparison, metric, None, reason=absent)]
    return measured


def _rows(estimates: Sequence[Estimate], protocol: str, metric: str, against: str, cost: str = "") -> list[Estimate]:
    """Of the entropy plateau: its picked threshold in the published protocol, the one fixed beforehand in the sound one."""
    return [
        e
        for e in estimates
        if (e.protocol, e.metric, e.arm, e.dimensions["part"]) == (protocol, metric, PLATEAU, RULE)
        and str(e.dimensions["against"]).startswith(against)
        and e.dimensions["cost"] == cost
        and (e.dimensions["setting"] == PICKED_ON_TEST) == (protocol == "published")
    ]


def _energy(claim: Claim, protocol: Protocol, comparison: Comparison, against: str, estimates: Sequence[Estimate]) -> list[Measured]:
    kind = EPOCHS if protocol == "published" else ENERGY
    measured = []
    for row in _rows(estimates, protocol, SAVED, against, kind):
        reason = row.reason
        if row.mean is None and kind == ENERGY:
            reason = "; ".join(filter(None, (f"no joules: {row.reason}", _other_costs(row, against, estimates))))
        counted = "energy counted as epochs that were not run" if kind == EPOCHS else "joules of the GPU board"
        measured.append(
            Measured(
                claim.id,
                protocol,
                comparison,
                SAVED,
                row.mean,
                row.ci_low,
                row.ci_high,
                row.n,
                pair=f"{_pair(row, estimates)}; {counted}",
                data=str(row.dimensions["data"]),
                reason=reason if row.mean is None else "",
                flaws=_flaws(row, estimates),
            )
        )
    return measured


def _other_costs(row: Estimate, against: str, estimates: Sequence[Estimate]) -> str:
    """What was saved in epochs and time, where there are no joules."""
    said = []
    for kind, unit in ((EPOCHS, "epochs"), (TIME, "time")):
        for e in _rows(estimates, row.protocol, SAVED, against, kind):
            if e.mean is not None and _same_models(e, row):
                span = f" ({e.ci_low:.1f} to {e.ci_high:.1f})" if e.ci_low is not None and e.ci_high is not None else ""
                said.append(f"{e.mean:.1f} %{span} of the {unit}")
    data = row.dimensions["data"]
    return f"on {data} it saved {' and '.join(said)} against the {_against(row, estimates)}".replace("the usual", "usual") if said else ""


def _accuracy(claim: Claim, protocol: Protocol, comparison: Comparison, against: str, estimates: Sequence[Estimate]) -> list[Measured]:
    measured = []
    for row in _rows(estimates, protocol, CHANGE, against):
        if protocol == "sound" and not _fixed_beforehand(row, estimates):
            continue
        ends = [
            next((e.mean for e in _rows(estimates, protocol, name, against) if _same(e, row)), None) for name in (low(CHANGE), high(CHANGE))
        ]
        measured.append(
            Measured(
                claim.id,
                protocol,
                comparison,
                CHANGE,
                row.mean,
                ends[0],
                ends[1],
                _seeds(row, estimates),
                pair=_pair(row, estimates),
                data=str(row.dimensions["data"]),
                reason=row.reason if row.mean is None else "",
                flaws=_flaws(row, estimates),
            )
        )
    return measured


def _same_models(e: Estimate, like: Estimate) -> bool:
    """Whether two rows of a protocol speak of the same models."""
    keys = ("model", "data")
    return (e.protocol, e.swept, e.device) == (like.protocol, like.swept, like.device) and all(
        e.dimensions[key] == like.dimensions[key] for key in keys
    )


def _same(e: Estimate, like: Estimate) -> bool:
    return (e.dimensions, e.swept, e.device) == (like.dimensions, like.swept, like.device)


def _fixed_beforehand(row: Estimate, estimates: Sequence[Estimate]) -> bool:
    """Whether this is the threshold that was fixed: the only one of which savings are recorded."""
    return any(e.dimensions["setting"] == row.dimensions["setting"] for e in _rows(estimates, "sound", SAVED, FULL_BUDGET, EPOCHS))


def _stop(row: Estimate, estimates: Sequence[Estimate]) -> Estimate | None:
    setting = row.dimensions["setting"]
    return next(
        (e for e in estimates if (e.metric, e.arm, e.dimensions["setting"]) == (STOP_EPOCH, PLATEAU, setting) and _same_models(e, row)),
        None,
    )


def _seeds(row: Estimate, estimates: Sequence[Estimate]) -> int:
    stop = _stop(row, estimates)
    return 0 if stop is None else stop.n


def _against(row: Estimate, estimates: Sequence[Estimate]) -> str:
    """What the rule is compared with, in words."""
    against = str(row.dimensions["against"])
    if against != USUAL_PRACTICE:
        return against
    found = _rows(estimates, row.protocol, SAVED, USUAL_PRACTICE, EPOCHS)
    return next((str(e.dimensions["against"]) for e in found if _same_models(e, row)), against)


def _pair(row: Estimate, estimates: Sequence[Estimate]) -> str:
    setting: Scalar = row.dimensions["setting"]
    threshold = f"threshold {setting} nats, fixed beforehand" if isinstance(setting, float) else f"threshold {setting}"
    watched = "the test data" if row.protocol == "published" else "validation data"
    said = f"{LABELS[PLATEAU]} ({threshold}) on {watched} against {_against(row, estimates)}, {LABELS[str(row.dimensions['model'])]}"
    stop = _stop(row, estimates)
    if stop is not None and stop.mean is not None:
        said += f", stopped after {stop.mean:.1f} epochs on average over {stop.n} seeds"
    rates = {e.mean for e in _rates(row, estimates)}
    return said + (", each learning rate tuned on validation data" if len(rates) > 1 else "")


def _rates(row: Estimate, estimates: Sequence[Estimate]) -> list[Estimate]:
    return [e for e in estimates if e.metric == LEARNING_RATE and e.dimensions["part"] == COST and _same_models(e, row)]


def _flaws(row: Estimate, estimates: Sequence[Estimate]) -> tuple[str, ...]:
    if row.protocol == "published":
        return (PICKED_FLAW,)
    return tuple(dict.fromkeys(e.reason for e in _rates(row, estimates) if e.reason.startswith("grid edge")))
