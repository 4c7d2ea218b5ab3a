"""How often a verdict is wrong, by simulation of everything from the observation to the word: looks, intervals, drift, regions, tables.

Fixed seeds. Log ratios have a noise of 1 % per observation unless said otherwise, and sampling stops at the look at which the ratio is
known to ± ``PRECISION`` (mostly at 20), as in :func:`lab.timing.compare`. With ``SERIES`` series a rate of 5 % has a standard error of
1.1 points.
"""

from __future__ import annotations

import collections
import math
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from lab.claims import Claim, claims
from lab.records import Measured
from lab.statistics import (
    LOOKS,
    Interval,
    difference_interval,
    holm_widen,
    mean_interval,
    power_law_exponent,
    precise_enough,
    ratio_interval,
)
from lab.verdicts import Evidence, borders, judge, value_of, verdicts
from lab.workload import Workload

SERIES = 400
NOISE = 0.01  # of the log ratio of one observation
PRECISION = 0.007
SPEED = claims()["act-speed-phi6"]  # 8.1×; on a GPU no difference is ± 1 %, reproduced is 8.1^0.9 = 6.57 to 8.1^1.1 = 9.98
EVIDENCE = Evidence("Some GPU", "gpu", "", "2026-11-21", "thorough")


def ar1(rng: np.random.Generator, count: int, rho: float) -> np.ndarray:
    """``count`` stationary AR(1) series of unit variance, [count, LOOKS[-1]]."""
    noise = rng.standard_normal((count, LOOKS[-1]))
    series = noise.copy()
    for step in range(1, LOOKS[-1]):
        series[:, step] = rho * series[:, step - 1] + math.sqrt(1 - rho**2) * noise[:, step]
    return series


def observe(logs: np.ndarray, precision: float = PRECISION) -> Interval:
    """The ratio interval of the look at which sampling stops; ``logs``: log(baseline / technique) of each observation."""
    baseline = np.exp(logs).tolist()
    for look in LOOKS:
        technique = [1.0] * look
        if look == LOOKS[-1] or precise_enough([technique], baseline[:look], precision):
            break
    return ratio_interval(technique, baseline[:look])


def measured(claim: Claim, interval: Interval) -> Measured:
    """As a workload hands an estimate to the verdicts: what is wrong with it is a flaw."""
    flaws = (interval.reason,) if interval.reason else ()
    bounds = (interval.mean, interval.low, interval.high, interval.n)
    return Measured(claim.id, "sound", "best", "latency_s", *bounds, hardware_class="gpu", flaws=flaws)


def words(ratio: float, rho: float = 0.0, claim: Claim = SPEED) -> dict[str, float]:
    """The share of each verdict where the true ratio is ``ratio``."""
    logs = math.log(ratio) + NOISE * ar1(np.random.default_rng(1), SERIES, rho)
    counts = collections.Counter(judge(claim, measured(claim, observe(series))).verdict for series in logs)
    return {word: count / SERIES for word, count in counts.items()}


# --- verdicts -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.0, 0.3])
@pytest.mark.parametrize(
    ("ratio", "right"),
    [(0.97, "contradicted"), (1.0, "no difference"), (2.0, "smaller than claimed"), (8.1, "reproduced"), (12.0, "larger than claimed")],
)
def test_inside_a_region_no_other_is_named(ratio: float, right: str, rho: float) -> None:
    found = words(ratio, rho)
    assert sum(share for word, share in found.items() if word not in (right, "inconclusive")) <= 0.01
    assert found[right] >= 0.6  # and it is named: a verdict that is always inconclusive would make no error either


@pytest.mark.parametrize("rho", [0.0, 0.3])
@pytest.mark.parametrize("border", ["margin against the claim", "margin", "low", "high"])
def test_on_a_border_each_side_is_named_rarely(border: str, rho: float) -> None:
    """The worst case: half the estimates lie beyond the border. A two-sided 95 % interval lies wholly beyond it in 2.5 % of them."""
    edge = borders(SPEED, "gpu")
    where = {"margin against the claim": -edge.margin, "margin": edge.margin, "low": edge.low, "high": edge.high}[border]
    found = words(value_of(SPEED, where), rho)
    assert max(share for word, share in found.items() if word != "inconclusive") <= 0.05
    assert 0 < sum(share for word, share in found.items() if word != "inconclusive") <= 0.07


@pytest.mark.parametrize("rho", [0.0, 0.3])
@pytest.mark.parametrize("claim_id", ["act-speed-phi6", "ssa-random-speedup", "ssa-quality-low-speedup", "ssa-speedup-128"])
def test_an_arm_against_itself_proves_nothing(claim_id: str, rho: float) -> None:
    """Also for small claims (0.9×, whose margin is a quarter of the effect) and for claims of being slower."""
    found = words(1.0, rho, claims()[claim_id])
    assert sum(share for word, share in found.items() if word not in ("no difference", "inconclusive")) <= 0.05


@pytest.mark.parametrize("shape", ["line", "settling"])
@pytest.mark.parametrize("change", [0.005, 0.01, 0.02, 0.03, 0.05, 0.1])
def test_a_drifting_ratio_is_flagged_or_its_interval_holds_to_within_the_margin(shape: str, change: float) -> None:
    """An arm against itself whose log ratio moves by ``change`` during 40 observations, in a line or settling within the first ten.

    The interval alone does not hold 1 in 95 % of such series (72 % at the worst, a change of 1 %, which is the margin): what drifts by less
    than the margin is not flagged. It misses by more than the margin in less than 1 %, though, so that the verdict is right.
    """
    share = np.arange(LOOKS[-1]) / (LOOKS[-1] - 1)
    drift = change * (share if shape == "line" else np.exp(-4 * share))
    flagged = off = wrong = 0
    for series in ar1(np.random.default_rng(3), SERIES, 0.0):
        found = observe(drift + NOISE / 2 * series, PRECISION / 2)
        assert found.low is not None
        assert found.high is not None
        drifting = found.reason.startswith("drift: ")
        flagged += drifting
        off += not drifting and not found.low / 1.01 <= 1 <= found.high * 1.01
        wrong += judge(SPEED, measured(SPEED, found)).verdict not in ("no difference", "inconclusive")
    assert off / SERIES <= 0.01
    assert wrong / SERIES <= 0.01
    if shape == "line":
        assert flagged / SERIES >= {0.005: 0.0, 0.01: 0.2, 0.02: 0.7, 0.03: 0.9, 0.05: 0.95, 0.1: 0.99}[change]


# --- intervals of a fixed number of observations ------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 10, 30])
@pytest.mark.parametrize("kind", ["mean", "difference", "power law"])
def test_coverage_of_intervals_of_independent_values(kind: str, count: int) -> None:
    """95 %, with a standard error of 0.5 points for 2,000 series: as many as that are not off by 2 points."""
    rng = np.random.default_rng(5)
    covered = 0
    x = np.geomspace(1, 1000, count)
    for noise in rng.standard_normal((2000, 2, count)):
        if kind == "mean":
            found, truth = mean_interval((3 + noise[0]).tolist(), looks=1, ordered=False), 3.0
        elif kind == "difference":  # paired: what both arms share cancels
            found = difference_interval((1 + noise[0] + noise[1]).tolist(), noise[1].tolist(), looks=1, ordered=False)
            truth = 1.0
        else:
            found, truth = power_law_exponent(x.tolist(), (x**1.5 * np.exp(noise[0])).tolist()), 1.5
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert covered / 2000 == pytest.approx(0.95, abs=0.02)


# --- tables -------------------------------------------------------------------------------------------------------------------


def one_look(logs: np.ndarray) -> Interval:
    return ratio_interval([1.0] * len(logs), np.exp(logs).tolist(), looks=1, ordered=False)


@pytest.mark.parametrize("effects", [0, 6])
def test_a_table_of_twelve_cells_errs_as_rarely_as_one_claim(effects: int) -> None:
    """12 cells, ``effects`` of them far from 1. The chance that any of the others is said to differ from 1 stays 5 %.

    Without the adjustment it is 1 − 0.95¹² = 46 % (12 cells) and 26 % (6). 600 tables: a standard error of 0.9 points.
    """
    rng = np.random.default_rng(4)
    plain = adjusted = 0
    for noise in rng.standard_normal((600, 12, 20)):
        logs = NOISE * noise
        logs[12 - effects :] += 0.5
        cells = [one_look(cell) for cell in logs]
        plain += any(excludes_one(cell) for cell in cells[: 12 - effects])
        adjusted += any(excludes_one(cell) for cell in holm_widen(cells, 1.0, scale="log", looks=1)[: 12 - effects])
    assert plain / 600 == pytest.approx(1 - 0.95 ** (12 - effects), abs=0.06)
    assert adjusted / 600 <= 0.07


def excludes_one(cell: Interval) -> bool:
    assert cell.low is not None
    assert cell.high is not None
    return not cell.low <= 1 <= cell.high


def test_the_verdicts_of_a_table_err_as_rarely_as_one() -> None:
    """Six cells whose true ratios all lie on the border of "no difference": how often any cell of a table names a region at all.

    On a border one interval of looks = 1 names one of the two sides in 5 %, six of them in 1 − 0.95⁶ = 26 % of tables.
    """
    cells = [claims()[name] for name in claims()["ssa-speedup"].cells]
    truths = [math.log(value_of(cell, borders(cell, "gpu").margin)) for cell in cells]
    named = 0
    for noise in np.random.default_rng(6).standard_normal((300, len(cells), 20)):
        found = {cell.id: measured(cell, one_look(t + NOISE * series)) for cell, t, series in zip(cells, truths, noise, strict=True)}
        fake = SimpleNamespace(claims=("ssa-speedup",), measure=lambda claim, _, found=found: [found[claim.id]])
        rows = verdicts(cast("Workload", fake), [], EVIDENCE)
        named += any(row.verdict != "inconclusive" for row in rows if row.claim_id != "ssa-speedup")
    assert named / 300 <= 0.08  # 5 % expected, standard error 1.3 points
