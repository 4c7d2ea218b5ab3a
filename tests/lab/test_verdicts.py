"""Verdicts: every region at its borders, intervals, equivalence, thresholds, ranks, tables, and what makes a value unfit."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lab.claims import Claim, claims
from lab.records import Measured
from lab.verdicts import REGIONS, WORDS, Evidence, Verdict, borders, effect, judge, reasons, region, value_of, verdicts
from lab.workload import Workload

LINEAR = claims()["stop-acc"]  # −0.20 points, margin 0.5 points, capped
SPEED = claims()["act-speed-phi6"]  # 8.1×, log scale
GATE = claims()["act-gating-gelu"]  # at least 0.5, margin 0.05
EVIDENCE = Evidence("Some CPU", "cpu", "", "2026-11-21", "quick")


def found(
    claim: Claim | str, value: float | None, low: float | None = None, high: float | None = None, n: int = 10, **more: Any
) -> Measured:
    claim_id = claim if isinstance(claim, str) else claim.id
    fields = {"protocol": "sound", "comparison": "best", "metric": "latency_s", "hardware_class": "gpu", **more}
    return Measured(claim_id=claim_id, value=value, ci_low=low, ci_high=high, n=n, **fields)


def exact(claim: Claim | str, value: float, **more: Any) -> Measured:
    return found(claim, value, n=1, exact=True, **more)


def word(claim: Claim | str, *values: Any, **more: Any) -> str:
    claim = claims()[claim] if isinstance(claim, str) else claim
    return judge(claim, found(claim, *values, **more)).verdict


# --- regions -----------------------------------------------------------------------------------------------------------------


def test_borders_of_a_speed_ratio_by_hand() -> None:
    # On the log scale c = ln 8.1, so c ± 10 % are the powers 8.1^0.9 = 6.571 and 8.1^1.1 = 9.984; the margin on a GPU is 1 %.
    edge = borders(SPEED, "gpu")
    assert value_of(SPEED, edge.low) == pytest.approx(6.571, abs=0.001)
    assert value_of(SPEED, edge.high) == pytest.approx(9.984, abs=0.001)
    assert value_of(SPEED, edge.margin) == pytest.approx(1.01)
    assert value_of(SPEED, borders(SPEED, "cpu").margin) == pytest.approx(1.05)
    assert value_of(SPEED, borders(SPEED).margin) == pytest.approx(1.05)  # unknown hardware: the wider one


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (0.5, "contradicted"),
        (1 / 1.02, "contradicted"),
        (1 / 1.01, "no difference"),
        (1.0, "no difference"),
        (1.01, "no difference"),
        (1.02, "smaller than claimed"),
        (6.56, "smaller than claimed"),
        (8.1**0.9, "reproduced"),
        (8.1, "reproduced"),
        (8.1**1.1, "reproduced"),
        (9.99, "larger than claimed"),
    ],
)
def test_a_speed_ratio_falls_into_its_region(ratio: float, expected: str) -> None:
    assert region(SPEED, ratio, "gpu") == expected


def test_margin_is_never_more_than_a_quarter_of_the_claimed_effect() -> None:
    # 0.5 points would swallow a claim of 0.20 points: the margin is 0.05.
    assert borders(LINEAR).margin == pytest.approx(0.05)
    # 0.9× claims an effect of ln(1/0.9) = 0.1054; a quarter is 0.0263, below the CPU margin ln 1.05 = 0.0488.
    assert borders(claims()["ssa-random-speedup"], "cpu").margin == pytest.approx(0.02634, abs=1e-5)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (0.06, "contradicted"),
        (0.05, "no difference"),
        (-0.05, "no difference"),
        (-0.051, "smaller than claimed"),
        (-0.18, "reproduced"),
        (-0.2, "reproduced"),
        (-0.22, "reproduced"),
        (-0.221, "larger than claimed"),
    ],
)
def test_a_negative_claim_is_oriented_its_own_way(points: float, expected: str) -> None:
    assert region(LINEAR, points) == expected


@pytest.mark.parametrize(
    ("speed", "expected"),
    # 0.17× is claimed: slower. c = ln(1/0.17) = 1.772, so reproduced reaches from 0.17^1.1 = 0.1424 to 0.17^0.9 = 0.2030.
    [
        (2.0, "contradicted"),
        (1.0, "no difference"),
        (0.5, "smaller than claimed"),
        (0.2, "reproduced"),
        (0.143, "reproduced"),
        (0.14, "larger than claimed"),
    ],
)
def test_a_claim_of_being_slower(speed: float, expected: str) -> None:
    assert region(claims()["ssa-speedup-128"], speed, "gpu") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-0.06, "contradicted"), (0.05, "no difference"), (0.49, "smaller than claimed"), (0.5, "reproduced"), (1.0, "reproduced")],
)
def test_beyond_a_threshold_everything_is_reproduced(value: float, expected: str) -> None:
    assert region(GATE, value) == expected


def test_a_threshold_at_the_null_itself() -> None:
    slower = claims()["ssa-quality-low-speedup"]  # "< 1.0×"
    assert [region(slower, value, "gpu") for value in (1.02, 1.0, 0.98)] == ["contradicted", "no difference", "reproduced"]


def test_a_band_is_reproduced_between_its_ends() -> None:
    band = claims()["ssa-quality-mid-speedup"]  # 1.0 to 1.5
    values = (0.98, 1.0, 1.02, 1.49, 1.5, 1.52)
    expected = ["contradicted", "no difference", "reproduced", "reproduced", "reproduced", "larger than claimed"]
    assert [region(band, value, "gpu") for value in values] == expected


@pytest.mark.parametrize(("power", "expected"), [(2.2, "contradicted"), (1.95, "no difference"), (1.8, "smaller than claimed")])
def test_exponents_are_held_against_the_order_of_the_baseline(power: float, expected: str) -> None:
    assert region(claims()["ssa-order"], power) == expected


def test_an_exponent_that_is_reproduced() -> None:
    # From 2 to 1.5 is an effect of 0.5; a tenth of it is 0.05.
    values = (1.56, 1.55, 1.45, 1.44)
    expected = ["smaller than claimed", "reproduced", "reproduced", "larger than claimed"]
    assert [region(claims()["ssa-order"], value) for value in values] == expected


REGIONAL = [claim for claim in claims().values() if not claim.is_table and claim.kind not in ("equivalence", "rank", "open")]


@given(claim=st.sampled_from(REGIONAL), share=st.floats(-5, 5), hardware=st.sampled_from(["cpu", "gpu", "any"]))
def test_every_point_is_in_exactly_one_region(claim: Claim, share: float, hardware: Any) -> None:
    assert claim.value is not None
    edge = borders(claim, hardware)
    oriented = share * (abs(effect(claim, claim.value)) or 0.1)
    rounding = 1e-6 * max(edge.low, edge.margin)
    assume(all(abs(oriented - border) > rounding for border in (-edge.margin, edge.margin, edge.low, edge.high)))
    # The definition, region by region; a band that begins at the null leaves no room for "smaller than claimed".
    inside = {
        "contradicted": oriented < -edge.margin,
        "no difference": -edge.margin <= oriented <= edge.margin,
        "smaller than claimed": edge.margin < oriented < edge.low,
        "reproduced": max(edge.margin, edge.low) <= oriented <= edge.high,
        "larger than claimed": oriented > max(edge.margin, edge.high),
    }
    assert [name for name, holds in inside.items() if holds] == [region(claim, value_of(claim, oriented), hardware)]


@given(claim=st.sampled_from(REGIONAL), shares=st.lists(st.floats(-5, 5), min_size=2, max_size=2))
def test_a_larger_effect_never_falls_into_an_earlier_region(claim: Claim, shares: list[float]) -> None:
    assert claim.value is not None
    scale = abs(effect(claim, claim.value)) or 0.1
    first, second = (region(claim, value_of(claim, share * scale)) for share in sorted(shares))
    assert REGIONS.index(first) <= REGIONS.index(second)


@given(claim=st.sampled_from(REGIONAL), hardware=st.sampled_from(["cpu", "gpu"]))
def test_borders_belong_to_no_difference_and_to_reproduced(claim: Claim, hardware: Any) -> None:
    assert claim.value is not None
    edge = borders(claim, hardware)
    assert region(claim, value_of(claim, edge.margin), hardware) == "no difference"
    assert region(claim, value_of(claim, -edge.margin), hardware) == "no difference"
    for border in (edge.low, edge.high):
        if edge.margin < border < math.inf:
            assert region(claim, value_of(claim, border), hardware) == "reproduced"


@given(claim=st.sampled_from(REGIONAL), value=st.floats(0.01, 1e4))
def test_effect_and_value_are_inverse(claim: Claim, value: float) -> None:
    assert value_of(claim, effect(claim, value)) == pytest.approx(value, rel=1e-9, abs=1e-9)


# --- intervals ---------------------------------------------------------------------------------------------------------------


def test_the_whole_interval_in_one_region() -> None:
    judgement = judge(SPEED, found(SPEED, 1.02, 1.012, 1.03, pair="phi6 fused against gelu_tanh eager, N = 67,108,864"))
    assert judgement.verdict == "smaller than claimed"
    assert judgement.reason == (
        "Measured 1.02× (95 % interval 1.01 to 1.03, n = 10); claimed 8.1×: smaller than claimed. "
        "Reproduced would be 6.57 to 9.98×. phi6 fused against gelu_tanh eager, N = 67,108,864."
    )


def test_an_interval_that_touches_a_border_from_inside_does_not_cross_it() -> None:
    assert word(SPEED, 1.02, 1.01, 1.03) == "smaller than claimed"
    assert word(SPEED, 1.0, 1 / 1.01, 1.01) == "no difference"
    assert word(SPEED, 0.98, 0.97, 1 / 1.01) == "contradicted"
    assert word(SPEED, 12.0, 8.1**1.1, 14.0) == "larger than claimed"


def test_an_interval_across_borders_is_inconclusive_and_names_the_regions() -> None:
    judgement = judge(SPEED, found(SPEED, 1.02, 1.0, 7.0))
    assert judgement.verdict == "inconclusive"
    assert "reaches into “no difference”, “smaller than claimed” and “reproduced”" in judgement.reason


def test_a_region_without_room_is_not_named() -> None:
    band = claims()["ssa-quality-mid-speedup"]
    assert "reaches into “no difference” and “reproduced”" in judge(band, found(band, 1.1, 1.0, 1.2)).reason


@given(
    claim=st.sampled_from(REGIONAL),
    ends=st.lists(st.floats(0.02, 50), min_size=2, max_size=2, unique=True).map(sorted),
    inner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_narrower_interval_never_leaves_the_verdict_of_the_wider_one(claim: Claim, ends: list[float], inner: tuple[float, float]) -> None:
    low, high = ends
    narrow = sorted(low + share * (high - low) for share in inner)
    middle = sum(narrow) / 2
    data = {"data": claim.data}
    wide_word = judge(claim, found(claim, middle, low, high, **data)).verdict
    if wide_word != "inconclusive" and narrow[1] - narrow[0] > 1e-6:
        assert judge(claim, found(claim, middle, *narrow, **data)).verdict == wide_word


@pytest.mark.parametrize("n", range(5))
def test_fewer_than_five_observations_are_inconclusive(n: int) -> None:
    judgement = judge(SPEED, found(SPEED, 8.0, 7.9, 8.2, n=n))
    assert judgement.verdict == "inconclusive"
    assert f"only {n} observation{'' if n == 1 else 's'}, at least 5 are needed" in judgement.reason


def test_five_observations_are_enough() -> None:
    assert word(SPEED, 8.0, 7.9, 8.2, n=5) == "reproduced"


@pytest.mark.parametrize("flaw", ["drift: the log ratio moved by 3 %", "grid edge: best learning rate 0.1 of 0.001 to 0.1"])
def test_a_flaw_is_inconclusive_and_said(flaw: str) -> None:
    judgement = judge(SPEED, found(SPEED, 8.0, 7.9, 8.2, flaws=(flaw,)))
    assert judgement.verdict == "inconclusive"
    assert flaw in judgement.reason


def test_without_an_interval_there_is_no_verdict() -> None:
    judgement = judge(SPEED, found(SPEED, 8.0))
    assert judgement.verdict == "inconclusive"
    assert "no interval" in judgement.reason


@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_an_interval_without_an_end_is_no_interval(end: float) -> None:
    assert word(SPEED, 8.0, 7.9, end) == "inconclusive"


def test_a_ratio_interval_that_reaches_below_zero_reaches_into_contradicted() -> None:
    judgement = judge(SPEED, found(SPEED, 8.0, -0.5, 16.0))
    assert judgement.verdict == "inconclusive"
    assert "“contradicted”" in judgement.reason


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((-7.16, -8.2, -6.1), "Measured 7.16 % higher (95 % interval 6.10 to 8.20, n = 10); claimed"),
        ((-0.5, -2.0, 1.0), "Measured 0.500 % higher (95 % interval 2 % higher to 1 % lower, n = 10); claimed"),
        ((7.16, 6.1, 8.2), "Measured 7.16 % lower (95 % interval 6.10 to 8.20, n = 10); claimed"),
    ],
)
def test_a_reason_names_the_direction_and_no_sign(values: tuple[float, float, float], said: str) -> None:
    claim = claims()["act-loss-phi6"]  # "% lower"
    assert judge(claim, found(claim, *values, data=claim.data)).reason.startswith(said)


def test_exact_values_need_no_interval() -> None:
    # 4 against 14 is 71.43 % fewer, within a tenth of 71; 3 against 14 is 78.57 %, beyond 78.1.
    phi6, zeta = claims()["act-flops-phi6"], claims()["act-flops-zeta"]
    assert judge(phi6, exact(phi6, 100 * (1 - 4 / 14))).verdict == "reproduced"
    judgement = judge(zeta, exact(zeta, 100 * (1 - 3 / 14)))
    assert judgement.verdict == "larger than claimed"
    assert judgement.reason == (
        "Measured 78.57 % fewer (exact); claimed −71 %: larger than claimed. Reproduced would be 63.9 to 78.1 % fewer."
    )
    inactive = claims()["moe-inactive"]
    assert judge(inactive, exact(inactive, 0)).verdict == "no difference"
    assert judge(inactive, exact(inactive, -1)).verdict == "contradicted"


# --- not measured ------------------------------------------------------------------------------------------------------------


def test_a_missing_value_is_not_measured_with_its_reason() -> None:
    judgement = judge(SPEED, found(SPEED, None, n=0, reason="no compiler on this machine"))
    assert (judgement.verdict, judgement.reason) == ("not measured", "No compiler on this machine.")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_not_measured(value: float) -> None:
    assert word(SPEED, value, 1.0, 2.0) == "not measured"


def test_other_data_than_the_claims_gives_no_verdict() -> None:
    accuracy = claims()["fft-acc"]
    judgement = judge(accuracy, found(accuracy, 0.55, 0.54, 0.56, data="digits"))
    assert judgement.verdict == "not measured"
    assert judgement.reason.startswith("The claim speaks of MNIST; this run used digits, where it measured 0.550 points")
    assert word(accuracy, 0.55, 0.54, 0.56, data="mnist") == "reproduced"


def test_other_hardware_than_the_claims_gives_no_verdict() -> None:
    gpu_only = dataclasses.replace(SPEED, hardware_class="gpu")
    assert word(gpu_only, 8.0, 7.9, 8.2, hardware_class="cpu") == "not measured"
    assert word(gpu_only, 8.0, 7.9, 8.2, hardware_class="gpu") == "reproduced"
    assert judge(gpu_only, found(gpu_only, 8.0, 7.9, 8.2, hardware_class="any"), "cpu").verdict == "not measured"


# --- equivalence, ranks, open claims, open settings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    # The loss may be at most 1 % higher; lower is better, and however much lower is fine.
    [
        (-9.0, -5.0, "reproduced"),
        (0.2, 1.0, "reproduced"),
        (0.2, 1.1, "inconclusive"),
        (1.0, 1.4, "contradicted"),
        (1.2, 1.4, "contradicted"),
    ],
)
def test_non_inferiority(low: float, high: float, expected: str) -> None:
    assert word("act-dropin", (low + high) / 2, low, high) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    # "Kept" within 10 % on the log scale: 1/1.1 = 0.909 to 1.1.
    [
        (0.95, 1.05, "reproduced"),
        (0.91, 1.1, "reproduced"),
        (0.9, 1.05, "inconclusive"),
        (0.8, 1.3, "inconclusive"),
        (0.7, 0.9, "contradicted"),
        (1.2, 1.3, "contradicted"),
    ],
)
def test_equivalence(low: float, high: float, expected: str) -> None:
    assert word("ssa-mixing", 1.0, low, high) == expected


def test_a_rank_claim_carries_its_chance_rate() -> None:
    rank = claims()["takens"]
    first, second = (judge(rank, exact(rank, value)) for value in (1, 2))
    assert (first.verdict, second.verdict) == ("reproduced", "contradicted")
    assert "By chance alone the claim comes true in 16.7 % of cases." in first.reason
    assert judge(rank, found(rank, 1.5, 1, 3)).verdict == "inconclusive"
    assert judge(rank, found(rank, 3, 2, 4)).verdict == "contradicted"


def test_an_open_claim_is_reported() -> None:
    judgement = judge(claims()["ssa-flash"], found("ssa-flash", 2.0, 1.9, 2.1))
    assert judgement.verdict == "inconclusive"
    assert "Measured 2× (95 % interval 1.90 to 2.10, n = 10)" in judgement.reason
    assert word("ssa-flash", None, reason="no fused kernel") == "not measured"


def test_searched_settings_can_at_most_be_reproducible() -> None:
    flaws = ("settings searched: spread 0.3, 2 k-means steps",)
    assert word(SPEED, 8.0, 7.9, 8.2, flaws=flaws) == "reproducible with settings spread 0.3, 2 k-means steps"
    assert word(SPEED, 2.0, 1.9, 2.1, flaws=flaws) == "smaller than claimed"
    assert word(SPEED, 8.0, 7.9, 8.2, flaws=(*flaws, "drift: 3 %")) == "inconclusive"


def test_an_under_specified_claim_can_at_most_be_reproducible() -> None:
    assert word("ssa-speedup-4096", 2.0, 1.95, 2.05, pair="k = 64, s = 64") == "reproducible with settings k = 64, s = 64"
    assert word("ssa-speedup-4096", 1.5, 1.4, 1.6) == "smaller than claimed"


def test_a_table_is_judged_by_its_cells_only() -> None:
    with pytest.raises(ValueError, match="act-gating is a table"):
        judge(claims()["act-gating"], found("act-gating", 1.0))


# --- rows --------------------------------------------------------------------------------------------------------------------


def rows_of(claim_ids: tuple[str, ...], *measured: Measured, evidence: Evidence = EVIDENCE) -> list[Verdict]:
    """Verdict rows of a workload that declares ``claim_ids`` and has measured ``measured``."""
    fake = SimpleNamespace(claims=claim_ids, measure=lambda claim, _: [m for m in measured if m.claim_id == claim.id])
    return verdicts(cast("Workload", fake), [], evidence)


def test_a_row_has_the_columns_of_the_file() -> None:
    names = [field.name for field in dataclasses.fields(Verdict)]
    assert ",".join(names) == (
        "claim_id,source,protocol,comparison,metric,claimed,measured,ci_low,ci_high,verdict,reason,evidence"  # the fixed contract
    )
    (row,) = rows_of((SPEED.id,), found(SPEED, 8.0, 7.9, 8.2))
    assert (row.claim_id, row.protocol, row.comparison, row.metric) == ("act-speed-phi6", "sound", "best", "latency_s")
    assert (row.claimed, row.measured, row.ci_low, row.ci_high, row.verdict) == (8.1, 8.0, 7.9, 8.2, "reproduced")
    assert row.source.startswith("TECS-L report 2026, Key Highlights")
    assert row.evidence == "Some CPU; no data set; 2026-11-21"


def test_one_row_for_each_protocol_and_comparison() -> None:
    keys = list(itertools.product(("published", "sound"), ("published", "best")))
    rows = rows_of((SPEED.id,), *(found(SPEED, 8.0, 7.9, 8.2, protocol=p, comparison=c) for p, c in keys))
    assert [(row.protocol, row.comparison) for row in rows] == keys


def test_what_a_run_says_nothing_of_is_not_measured() -> None:
    (row,) = rows_of(("act-dropin",))
    assert (row.protocol, row.comparison, row.metric) == ("", "", "")
    assert (row.measured, row.ci_low, row.ci_high) == (None, None, None)
    assert (row.verdict, row.reason) == ("not measured", "A run with the quick preset measures nothing that bears on the claim.")


def test_not_measured_shows_no_number() -> None:
    (row,) = rows_of(("fft-acc",), found("fft-acc", 0.55, 0.54, 0.56, data="digits"))
    assert (row.verdict, row.measured, row.ci_low, row.ci_high) == ("not measured", None, None, None)
    assert row.evidence == "Some CPU; digits; 2026-11-21"


def test_a_table_counts_its_cells_and_names_the_worst() -> None:
    table, gelu, zeta, phi6 = rows_of(
        ("act-gating",), exact("act-gating-gelu", 0.75), exact("act-gating-zeta", -1.2), exact("act-gating-phi6", 0.75)
    )
    assert [gelu.verdict, zeta.verdict, phi6.verdict] == ["reproduced", "contradicted", "reproduced"]
    assert table.claim_id == "act-gating"
    assert table.verdict == "contradicted"
    assert table.reason.startswith("3 cells: 1 contradicted, 2 reproduced. Worst: act-gating-zeta (ZetaLn2 can gate). Measured −1.2")
    assert (table.claimed, table.measured, table.ci_low, table.ci_high) == (None, None, None, None)


def test_a_table_rests_on_the_evidence_of_its_worst_cell() -> None:
    table, *_ = rows_of(("act-gating",), exact("act-gating-gelu", 0.75), replace(exact("act-gating-zeta", -1.2), data="random tokens"))
    assert table.evidence == "Some CPU; random tokens; 2026-11-21"


def test_a_table_with_unmeasured_cells_is_not_reproduced() -> None:
    table, *cells = rows_of(("act-gating",), exact("act-gating-gelu", 0.75))
    assert [row.verdict for row in cells] == ["reproduced", "not measured", "not measured"]
    assert table.verdict == "inconclusive"
    assert table.reason.startswith("3 cells: 1 reproduced, 2 not measured.")


def test_a_table_of_which_nothing_is_measured() -> None:
    rows = rows_of(("act-gating",))
    assert [row.claim_id for row in rows] == ["act-gating", "act-gating-gelu", "act-gating-zeta", "act-gating-phi6"]
    assert {row.verdict for row in rows} == {"not measured"}


def test_each_protocol_has_its_own_table_row() -> None:
    rows = rows_of(("act-gating",), exact("act-gating-gelu", 0.75, protocol="published"), exact("act-gating-zeta", 0.0))
    assert [(row.claim_id, row.protocol) for row in rows[:2]] == [("act-gating", "published"), ("act-gating", "sound")]


def test_cells_of_a_table_have_holm_adjusted_intervals() -> None:
    # Two cells with 11 observations: t(0.975, 10) = 2.228. Holm judges the clearer cell at 0.05/2: t(0.9875, 10) = 2.634, so its
    # interval grows by 2.634/2.228 = 1.182. The other cell is then judged at 0.05 and keeps its interval: 8.0 lies ln(8/10^0.9) = 0.007
    # from the nearest border 7.943, far inside its half-width of 0.1 on the log scale.
    near, clear = found("fft-speed-4096", 8.0, 7.2, 8.8, n=11), found("fft-speed-8192", 2.0, 1.9, 2.1, n=11)
    table, first, second = rows_of(("fft-speed-scaling",), near, clear)
    assert (first.ci_low, first.ci_high) == (pytest.approx(7.2), pytest.approx(8.8))
    assert second.ci_low is not None
    assert second.ci_high is not None
    growth = 2.6338 / 2.2281
    assert math.log(2.0 / second.ci_low) == pytest.approx(growth * math.log(2.0 / 1.9), rel=1e-3)
    assert math.log(second.ci_high / 2.0) == pytest.approx(growth * math.log(2.1 / 2.0), rel=1e-3)
    assert "Holm-adjusted 95 % interval" in second.reason
    assert "adjusted for 2 cells by Holm's procedure" in table.reason


def test_holm_turns_a_bare_verdict_inconclusive() -> None:
    # Alone, 1.015 to 1.326 is above the GPU margin of 1.01. As the clearer of two cells it is judged at 0.05/2 (18 % wider): 1.16 lies
    # ln(1.16/1.01) = 0.138 above the margin, and its half-width grows from ln(1.326/1.16) = 0.134 to 0.158.
    bare = found("fft-speed-4096", 1.16, 1.015, 1.326, n=11)
    other = found("fft-speed-8192", 1.05, 0.9, 1.225, n=11)
    assert judge(claims()["fft-speed-4096"], bare).verdict == "smaller than claimed"
    _, first, _ = rows_of(("fft-speed-scaling",), bare, other)
    assert first.verdict == "inconclusive"


def test_a_single_cell_is_not_adjusted() -> None:
    _, first, _ = rows_of(("fft-speed-scaling",), found("fft-speed-4096", 8.0, 7.2, 8.8, n=11))
    assert (first.ci_low, first.ci_high) == (pytest.approx(7.2), pytest.approx(8.8))
    assert "Holm" not in first.reason


@given(
    values=st.lists(
        st.tuples(st.floats(0.3, 30), st.floats(0.001, 0.5), st.integers(5, 40)),
        min_size=6,
        max_size=6,
    )
)
def test_adjusted_intervals_contain_the_plain_ones(values: list[tuple[float, float, int]]) -> None:
    cells = claims()["ssa-speedup"].cells
    measured = [found(cell, v, v * math.exp(-h), v * math.exp(h), n=n) for cell, (v, h, n) in zip(cells, values, strict=True)]
    for m, row in zip(measured, rows_of(("ssa-speedup",), *measured)[1:], strict=True):
        assert row.ci_low is not None
        assert row.ci_high is not None
        assert m.ci_low is not None
        assert m.ci_high is not None
        assert row.ci_low <= m.ci_low * (1 + 1e-9)
        assert row.ci_high >= m.ci_high * (1 - 1e-9)
        assert any(row.verdict.startswith(known) for known in WORDS)


def test_a_table_of_under_specified_cells_is_at_most_reproducible() -> None:
    table, *_ = rows_of(
        ("ssa-random",), found("ssa-random-speedup", 0.9, 0.899, 0.901), found("ssa-random-cosine", 0.52, 0.51, 0.53, pair="k = 64")
    )
    assert table.verdict.startswith("reproducible with settings")
    assert table.reason.startswith("2 cells: 2 reproducible with settings.")


def test_evidence_from_a_manifest() -> None:
    manifest = {
        "hardware": "NVIDIA H100",
        "device": "cuda:0",
        "data": [{"name": "digits", "sha256": "00"}],
        "started_at": "2026-11-21T10:00:00+00:00",
        "preset": "thorough",
    }
    evidence = Evidence.from_manifest(manifest)
    assert evidence == Evidence("NVIDIA H100", "gpu", "digits", "2026-11-21", "thorough")
    assert evidence.text() == "NVIDIA H100; digits; 2026-11-21"
    assert Evidence.from_manifest({}).text() == "unknown hardware; no data set; undated"


def test_a_run_on_other_hardware_than_a_claim_speaks_of_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.verdicts.claims", lambda: {"x": dataclasses.replace(SPEED, id="x", hardware_class="gpu")})
    (row,) = rows_of(("x",))
    assert row.reason == "The claim speaks of a GPU, which this run did not measure on."


def test_what_a_gpu_run_measured_on_its_host_is_evidence_of_the_host():
    manifest = {
        "device": "cuda:0",
        "hardware": "NVIDIA H100",
        "machine": {"cpu": {"model": "Some Xeon"}},
        "started_at": "2026-11-22T01:02:03Z",
    }
    evidence = Evidence.from_manifest(manifest)
    assert evidence.text(hardware_class="gpu") == "NVIDIA H100; no data set; 2026-11-22"
    assert evidence.text(hardware_class="cpu") == "Some Xeon; no data set; 2026-11-22"


def test_several_reasons_say_which_comparison_they_speak_of():
    row = Verdict("stop-acc", "", "published", "published", "accuracy", -0.2, None, None, None, "not measured", "Other data: 1.", "")
    sound = replace(row, protocol="sound")
    assert reasons([row, sound]) == ["Other data: 1."]  # one reason for all: nothing to tell apart
    assert reasons([row, sound, replace(sound, comparison="best", reason="Other data: 2.")]) == [
        "As published, published protocol / As published, sound protocol: Other data: 1.",
        "Best against best, sound protocol: Other data: 2.",
    ]
    nowhere = replace(row, protocol="", comparison="", reason="No joules.")
    assert reasons([row, nowhere]) == ["As published, published protocol: Other data: 1.", "No joules."]
    assert reasons([replace(row, reason="")]) == []
