"""How one of several settings or practices is chosen."""

from __future__ import annotations

from workloads.entropy_stopping.choosing import Option, Practice, best_at_cost, cheapest_as_accurate, pick


def test_the_picked_threshold_saves_the_most_at_no_more_than_half_a_point() -> None:
    assert pick([Option(0, 0.0), Option(40, -0.5), Option(60, -0.51)]) == 1
    assert pick([Option(40, -0.4), Option(40, 0.1)]) == 1  # equal savings: the more accurate


def test_where_every_threshold_costs_more_the_most_accurate_is_picked() -> None:
    assert pick([Option(50, -2.0), Option(60, -1.0), Option(90, -9.0)]) == 1


def test_the_best_practice_at_equal_cost_is_the_most_accurate_that_costs_no_more() -> None:
    practices = [Practice(5, 95), Practice(10, 96), Practice(11, 99)]
    assert best_at_cost(practices, 10) == 1
    assert best_at_cost(practices, 4) == 0  # none is that cheap: the cheapest
    assert best_at_cost([Practice(10, 96), Practice(5, 96)], 10) == 1  # equally accurate: the cheaper


def test_the_cheapest_practice_must_be_as_accurate() -> None:
    practices = [Practice(5, 95), Practice(10, 96), Practice(30, 97)]
    assert cheapest_as_accurate(practices, 96) == 1
    assert cheapest_as_accurate(practices, 98) == 2  # none is that accurate: the most accurate
