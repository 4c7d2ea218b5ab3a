"""What may be concluded from a move between runs: combined intervals, controls, many at once; error rates by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.between_runs import Component, Contrast, Question, controls, decide, degrees_of_freedom, repeated
from lab.statistics import student_t_quantile

# Student's 97.5 % quantiles, from tables.
T4, T9 = 2.776445, 2.262157


def test_half_widths_add_in_quadrature() -> None:
    # 3 and 4 with any degrees of freedom: √(9 + 16) = 5
    contrast = Contrast(0.0, (Component.of_half_width(3.0, 4), Component.of_half_width(4.0, 9)))
    assert contrast.half_width() == pytest.approx(5.0)


def test_a_half_width_is_a_standard_error_times_the_quantile() -> None:
    assert Component.of_half_width(T4, 4).error == pytest.approx(1.0, rel=1e-6)
    assert Component.of_half_width(2 * T9, 9).error == pytest.approx(2.0, rel=1e-6)


def test_twice_the_variance_is_root_two_times_the_error() -> None:
    assert Component(1.5, 3).scaled(2) == Component(1.5 * math.sqrt(2), 3)


@given(st.lists(st.tuples(st.floats(0.01, 10), st.integers(4, 40)), min_size=1, max_size=4))
def test_a_further_source_of_error_never_narrows_an_interval(found: list[tuple[float, int]]) -> None:
    components = tuple(Component(error, df) for error, df in found)
    widths = [Contrast(0.0, components[: i + 1]).half_width() for i in range(len(components))]
    assert widths == sorted(widths)


@pytest.mark.parametrize(
    ("value", "margin", "region"),
    [(2.1, 1.0, "above"), (-2.1, 1.0, "below"), (1.9, 1.0, "open"), (0.0, 1.1, "inside"), (0.0, 0.0, "open"), (1.1, 0.0, "above")],
)
def test_a_region_holds_the_whole_interval(value: float, margin: float, region: str) -> None:
    assert Contrast(value, (Component.of_half_width(1.0, 9),)).region(margin) == region


def test_an_interval_that_touches_zero_is_open() -> None:
    assert Contrast(0.0, ()).region(0.0) == "open"  # an exact "no change" is not beyond 0


def test_both_contrasts_of_a_question_must_agree() -> None:
    far, near = (Contrast(value, (Component.of_half_width(1.0, 9),)) for value in (5.0, 0.5))
    assert Question((far, far), 0.0).region(0.05) == "above"
    assert Question((far, near), 0.0).region(0.05) == "open"


def test_many_at_once_are_judged_more_strictly_and_again_as_others_are_decided() -> None:
    # One degree of freedom: t(0.975) = 12.706, t(0.9875) = 25.452. Alone 20 standard errors are enough, beside another question they
    # are not, unless that one is decided first and leaves the family.
    def question(value: float) -> Question:
        return Question((Contrast(value, (Component(1.0, 1.0),)),), 0.0)

    assert decide([question(20.0)]) == ["above"]
    assert decide([question(20.0), question(20.0)]) == ["open", "open"]
    assert decide([question(20.0), question(-30.0)]) == ["above", "below"]
    assert decide([question(20.0), question(0.0)]) == ["open", "open"]
    assert decide([]) == []


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8))
def test_the_order_of_the_questions_does_not_matter(values: list[float]) -> None:
    def decided(several: list[float]) -> list[str]:
        return decide([Question((Contrast(value, (Component(1.0, 9),)),), 0.1) for value in several])

    assert decided(values[::-1]) == decided(values)[::-1]


def test_controls_spread_around_their_common_move() -> None:
    # Two implementations, moves 0.1 and 0.3: mean 0.2, Σ(d − d̄)² = 0.02, N(1 − 1/m) = 2·(1/2) = 1, so the deviation is √0.02.
    wide = Component(10.0, 9)
    found = controls([("a", Contrast(0.1, (wide,))), ("b", Contrast(0.3, (wide,)))], 0.01)
    assert found.common == pytest.approx(0.2)
    assert found.spread == pytest.approx(math.sqrt(0.02))
    assert found.moved == ()
    # Of a ratio twice that variance, of one arm against their mean 1 + 1/2 times, both with one degree of freedom.
    assert found.of_ratio() == (Component(pytest.approx(math.sqrt(0.04)), 1),)
    assert found.of_arm() == (Component(pytest.approx(math.sqrt(0.03)), 1),)


def test_cells_of_one_implementation_count_as_one() -> None:
    # Four cells of two implementations: Σ(d − d̄)² = 4·0.01, N(1 − 1/m) = 4/2 = 2, so the variance is 0.02, with one degree of freedom.
    moves = [(name, Contrast(value, (Component(10.0, 9),))) for name, value in (("a", 0.1), ("a", 0.1), ("b", 0.3), ("b", 0.3))]
    found = controls(moves, 0.01)
    assert (found.spread, found.implementations) == (pytest.approx(math.sqrt(0.02)), 2)
    assert found.of_ratio()[0].df == 1


def test_one_implementation_tells_nothing_of_the_spread() -> None:
    found = controls([("a", Contrast(0.1, (Component(0.001, 9),))), ("a", Contrast(0.2, (Component(0.001, 9),)))], 0.01)
    assert found.spread is None
    assert found.of_ratio() == found.of_arm() == ()
    assert found.moved == (0, 1)  # that the machine moved it does tell


def test_a_control_within_the_margin_has_not_moved() -> None:
    still = Contrast(0.005, (Component(0.0001, 9),))
    assert controls([("a", still)], 0.01).moved == ()
    assert controls([("a", still)], 0.004).moved == (0,)
    assert controls([("a", Contrast(0.005, (Component(0.1, 9),)))], 0.001).moved == ()


def test_repeated_runs_are_observations() -> None:
    # 1, 2, 3: mean 2, deviation 1; of the mean 1/√3 and t(0.975; 2) = 4.302653.
    found = repeated([1.0, 2.0, 3.0])
    assert (found.mean, found.deviation, found.runs) == (2.0, 1.0, 3)
    assert found.half_width() == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    # A further single run differs from the mean with variance s²(1 + 1/3), the textbook prediction interval.
    both = Contrast(0.0, (found.component(), found.component_of_one()))
    assert both.half_width() == pytest.approx(4.302653 * math.sqrt(4 / 3), rel=1e-6)
    with pytest.raises(ValueError, match="at least 3"):
        repeated([1.0, 2.0])


def test_degrees_of_freedom_where_nothing_tells_them() -> None:
    assert [degrees_of_freedom(n) for n in (0, 5, 10, 40)] == [4, 4, 9, 39]


# --- error rates ------------------------------------------------------------------------------------------------------------------


def coverage(rng: np.random.Generator, deviations: tuple[float, float], counts: tuple[int, int], trials: int) -> float:
    covered = 0
    for _ in range(trials):
        components, difference = [], 0.0
        for sign, deviation, n in zip((1, -1), deviations, counts, strict=True):
            values = rng.normal(0, deviation, n)
            difference += sign * values.mean()
            components.append(Component(float(values.std(ddof=1)) / math.sqrt(n), n - 1))
        covered += abs(difference) <= Contrast(0.0, tuple(components)).half_width()
    return covered / trials


def test_the_combined_interval_covers_whatever_the_variances() -> None:
    rng = np.random.default_rng(1)
    # At least 95 %; three standard errors of 2,000 trials are 1.5 points.
    for deviations, counts in (((1, 1), (5, 5)), ((1, 10), (5, 5)), ((10, 1), (5, 20)), ((1, 1), (10, 40))):
        assert coverage(rng, deviations, counts, 2000) >= 0.935


def simulated(rng: np.random.Generator, common: float, own: float, change: float = 0.0, margin: float = 0.01) -> tuple[bool, bool]:
    """Two runs of equal settings (but for ``change`` of the technique): whether the runs' own intervals, and whether this rule, call any
    of the ratios or times different. Three baselines, one technique, two cells; known noise of 0.5 % with 9 degrees of freedom.
    """
    noise = 0.005
    moved = rng.normal(0, common * math.sqrt(2)) + rng.normal(0, own, (4, 1)) + rng.normal(0, own, (4, 2))
    measured = moved + rng.normal(0, noise * math.sqrt(2 / 10), (4, 2))
    measured[3] += change
    within = tuple(Component(noise * math.sqrt(rng.chisquare(9) / 9 / 10), 9) for _ in range(2))
    told = controls([(str(arm), Contrast(measured[arm, cell], within)) for arm in range(3) for cell in range(2)], margin)
    naive, questions = False, []
    for cell in range(2):
        for arm in range(3):
            ratio = Contrast(measured[3, cell] - measured[arm, cell], tuple(part.scaled(2) for part in within))
            naive = naive or ratio.region(0.0) != "open"
            questions.append(Question((Contrast(ratio.value, ratio.components + told.of_ratio()),), math.log1p(margin)))
        if not told.moved:
            raw = Contrast(measured[3, cell], within + told.of_arm())
            questions.append(Question((raw, Contrast(raw.value - told.common, raw.components)), math.log1p(margin)))
    return naive, any(region in ("above", "below") for region in decide(questions))


@pytest.mark.parametrize(("common", "own"), [(0.05, 0.0), (0.05, 0.02), (0.0, 0.002), (0.3, 0.1)])
def test_equal_settings_are_seldom_called_different(common: float, own: float) -> None:
    rng = np.random.default_rng(2)
    found = [simulated(rng, common, own) for _ in range(600)]
    assert sum(rule for _, rule in found) <= 30 + 3 * 5.4  # 5 % of them, and three standard deviations of that count
    if own:
        assert sum(naive for naive, _ in found) > 300  # what the runs' own intervals would say


def test_a_large_change_is_seen() -> None:
    rng = np.random.default_rng(3)
    assert sum(simulated(rng, 0.05, 0.002, math.log(2))[1] for _ in range(50)) >= 45


def test_the_quantiles_used_here_are_those_of_the_tables() -> None:
    assert student_t_quantile(0.975, 4) == pytest.approx(T4, rel=1e-6)
    assert student_t_quantile(0.975, 9) == pytest.approx(T9, rel=1e-6)
