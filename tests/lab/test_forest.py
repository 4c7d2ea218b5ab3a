"""The picture of the claims board: where a measurement stands, what is shaded, what is clipped, what is left out."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import board, forest
from lab.board import JudgedRun, Row
from lab.board_query import Axis
from lab.claims import claims
from lab.records import Measured
from lab.verdicts import Verdict, borders, effect, judge
from lab.workload import experiments

AXES: tuple[Axis, ...] = ("effect", "times")
EXPERIMENTS = tuple(experiments().values())


def found(
    claim: str, measured: float | None, low: float | None = None, high: float | None = None, *, word: str = "reproduced", best: bool = False
) -> Verdict:
    protocol, comparison = ("sound", "best") if best else ("published", "published")
    value = claims()[claim].value
    return Verdict(claim, "", protocol, comparison, "m", value, measured, low, high, word, "because", "A <b>GPU</b>; x; 2026-01-31")  # type: ignore[arg-type]


def rows(*verdicts: Verdict) -> list[Row]:
    return board.board([JudgedRun("recorded/a/h200", "activations", "A GPU", "2026-01-31T00:00:00Z", True, verdicts)], EXPERIMENTS)


def point(verdict: Verdict, axis: Axis = "effect") -> forest.Point:
    ((drawn,),) = [line.points for line in forest.lines(rows(verdict), axis)]
    return drawn


def test_the_axis_is_the_share_of_the_claimed_effect() -> None:
    # A ratio counts by its logarithm: ln 8.1 / ln 8.1, ln 1 / ln 8.1, ln(1 / 8.1) / ln 8.1.
    assert [point(found("act-speed-phi6", x)).x for x in (8.1, 1.0, 1 / 8.1)] == pytest.approx([1, 0, -1])
    # A difference by itself: 3.3 % of 6.6 %.
    assert point(found("act-loss-phi6", 3.3)).x == pytest.approx(0.5)
    # An exponent from its null 2: (2 − 1.5) / (2 − 1.12).
    assert point(found("fft-order", 1.5)).x == pytest.approx(0.5 / 0.88)
    # A claimed slow-down to 0.45×: ln 0.2025 / ln 0.45 = 2, and the ends of the interval change places.
    slow = point(found("ssa-speedup-1024", 0.2025, 0.091125, 0.45))
    assert (slow.x, slow.low, slow.high) == pytest.approx((2, 1, 3))


def test_the_times_axis_is_the_ratio_and_keeps_the_order_of_the_interval() -> None:
    slow = point(found("ssa-speedup-1024", 0.2, 0.1, 0.45), "times")
    assert (slow.x, slow.low, slow.high) == (0.2, 0.1, 0.45)


def test_the_shaded_stretch_is_where_the_verdict_is_reproduced() -> None:
    (line,) = forest.lines(rows(found("act-loss-phi6", 6.6)), "effect")
    assert line.reproduced == pytest.approx((0.9, 1.1))  # 10 % of the claimed effect to either side
    (line,) = forest.lines(rows(found("act-speed-phi6", 8.1)), "times")
    assert line.reproduced == pytest.approx((8.1**0.9, 8.1**1.1))
    (line,) = forest.lines(rows(found("act-gating-gelu", 0.6)), "effect")
    assert line.reproduced == (pytest.approx(1.0), math.inf)  # "at least"
    (line,) = forest.lines(rows(found("ssa-gap", 1.0)), "times")  # equality within 10 %
    assert (line.claimed, line.reproduced) == (1.0, pytest.approx((1 / 1.1, 1.1)))


DRAWN = [
    claim.id for claim in claims().values() if not claim.is_table and forest.lines(rows(found(claim.id, claim.value or 1.0)), "effect")
]


@given(st.sampled_from(DRAWN), st.floats(0.05, 3.0))
def test_a_marker_lies_in_the_shade_exactly_where_the_verdict_says_reproduced(claim_id: str, share: float) -> None:
    claim = claims()[claim_id]
    assert claim.value is not None
    value = claim.null + share * (claim.value - claim.null) if claim.scale == "linear" else claim.null * (claim.value / claim.null) ** share
    ((line,), edge) = forest.lines(rows(found(claim_id, value)), "effect"), borders(claim)
    assert line.reproduced is not None
    c = effect(claim, claim.value)
    if min(abs(share * c - border) for border in (edge.margin, edge.low, edge.high)) < 1e-6 * c:
        return  # on a border, where rounding decides
    measured = Measured(claim_id, "published", "published", "m", value, n=1, exact=True, data=claim.data)
    kind = claim.hardware_class
    reproduced = judge(claim, measured, kind).verdict.startswith("reproduc")
    assert (line.reproduced[0] <= line.points[0].x <= line.reproduced[1]) is reproduced


def test_claims_without_a_place_are_left_out_with_the_reason() -> None:
    board_rows = rows(
        found("act-speed-phi6", 8.0), found("ssa-gap", 0.5), found("takens", 3.0), found("ssa-flash", 2.0), found("act-dropin", 4.0)
    )
    assert [line.row.claim.id for line in forest.lines(board_rows, "effect")] == ["act-speed-phi6"]
    assert forest.left_out(board_rows, "effect") == (
        "4 measured claims are not drawn here and stand in the table: 2 of equality, which claim no effect; 1 without a claimed figure; "
        "1 of a rank."
    )
    assert [line.row.claim.id for line in forest.lines(board_rows, "times")] == ["act-speed-phi6", "ssa-gap", "ssa-flash"]
    assert forest.left_out(board_rows, "times") == "2 measured claims are not drawn here and stand in the table: 2 not about a ratio."
    assert forest.left_out(rows(found("act-speed-phi6", 8.0)), "effect") == ""


def test_tables_and_what_was_not_measured_are_not_drawn() -> None:
    unmeasured = found("act-speed-phi6", None, word="not measured")
    assert forest.lines(rows(unmeasured, found("ssa-speedup", None, word="contradicted")), "effect") == []


def test_what_lies_outside_stands_at_the_edge_beside_an_arrow_and_keeps_its_value_in_words() -> None:
    drawn = forest.lines(rows(found("act-loss-phi6", -66.0, -70.0, 20.0, word="contradicted")), "effect")
    figure = forest.figure(drawn, "effect")
    (bars,) = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "lines"]
    (markers,) = [trace for trace in figure.data if trace.name == "contradicted"]
    (arrows,) = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "markers" and trace.name is None]
    assert bars.x[:2] == (-1.5, 2.5)  # −70 / 6.6 and 20 / 6.6 lie outside
    assert markers.x == (-1.5,)
    assert arrows.marker.symbol == ("triangle-left", "triangle-right")
    assert "Measured: 66 % higher (70 % higher to 20 % lower)" in markers.hovertext[0].replace("<br>", " ")
    assert "−10× the claimed effect" in markers.hovertext[0]


def test_comparisons_differ_in_marker_and_verdicts_in_colour_and_word() -> None:
    drawn = forest.lines(
        rows(found("act-speed-phi6", 8.0), found("act-speed-phi6", 1.0, best=True, word="no difference"), found("act-speed-zeta", 8.0)),
        "effect",
    )
    figure = forest.figure(drawn, "effect")
    named = {
        trace.name: trace for trace in figure.data if trace.type == "scatter" and trace.mode == "markers" and trace.showlegend is not False
    }
    assert named["reproduced"].marker.symbol == ("circle", "circle")
    assert named["no difference"].marker.symbol == ("diamond-open",)
    assert named["reproduced"].marker.color != named["no difference"].marker.color
    assert named["no difference"].customdata == ("act-speed-phi6",)
    assert "Best against best: no difference" in named["no difference"].hovertext[0]
    looks = list(forest.LOOK.values())
    assert len(set(looks)) == len(looks)


def test_text_of_a_run_is_never_markup() -> None:
    ((drawn,),) = [line.points for line in forest.lines(rows(found("act-speed-phi6", 8.0)), "effect")]
    figure = forest.figure(forest.lines(rows(found("act-speed-phi6", 8.0)), "effect"), "effect")
    (markers,) = [trace for trace in figure.data if trace.name == "reproduced"]
    assert drawn.verdict.evidence in "A <b>GPU</b>; x; 2026-01-31"
    assert "A &lt;b&gt;GPU&lt;/b&gt;" in markers.hovertext[0]


def test_each_line_takes_the_same_height_and_techniques_have_headings() -> None:
    def height(*verdicts: Verdict) -> int:
        return forest.figure(forest.lines(rows(*verdicts), "effect"), "effect").layout.height

    one = height(found("act-speed-phi6", 8.0))
    assert height(found("act-speed-phi6", 8.0), found("act-speed-zeta", 8.0)) == one + forest.ROW_HEIGHT
    # Another technique adds its heading and its line.
    both = [found("act-speed-phi6", 8.0), found("fft-speed", 3.0)]
    assert height(*both) == one + 2 * forest.ROW_HEIGHT
    figure = forest.figure(forest.lines(rows(*both), "effect"), "effect")
    assert [(note.text, note.y) for note in figure.layout.annotations] == [("<b>Activation functions</b>", 0), ("<b>FFT-Mix</b>", 2)]
    assert (figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext) == ((1, 3), ("act-speed-phi6", "fft-speed"))


@pytest.mark.parametrize("axis", AXES)
def test_every_measured_claim_can_be_drawn_whatever_the_value(axis: Axis) -> None:
    extremes = (-1e300, 0.0, 1e-300, 1e300)
    for value in extremes:
        everything = [found(claim.id, value, value, value) for claim in claims().values() if not claim.is_table]
        drawn = forest.lines(rows(*everything), axis)
        text = forest.figure(drawn, axis).to_json()
        assert not {"NaN", "Infinity", "-Infinity"} & set(json.loads(text, parse_constant=lambda name: name)["data"][0]["x"])
        assert "Infinity" not in text
        assert len(forest.table(drawn, axis)) == len(drawn) > 10


@pytest.mark.parametrize("axis", AXES)
def test_nothing_measured_is_an_empty_picture(axis: Axis) -> None:
    assert forest.figure([], axis).layout.height == forest.ROW_HEIGHT + forest.FRAME_HEIGHT
    assert "nothing is measured" in forest.alt([], axis)
    assert forest.table([], axis).empty


def test_the_table_has_the_numbers_of_the_picture() -> None:
    drawn = forest.lines(rows(found("act-loss-phi6", 3.3, 1.65, 6.6, word="inconclusive")), "effect")
    table = forest.table(drawn, "effect")
    assert table.iloc[0].tolist()[:4] == ["act-loss-phi6", "as published", "inconclusive", "−6.6 %"]
    assert table.iloc[0].tolist()[5:] == ["0.500×", "0.250× to 1×"]
    assert forest.alt(drawn, "effect").endswith("as multiples of the claimed effects: 1 inconclusive.")
