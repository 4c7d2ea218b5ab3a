from __future__ import annotations

import dataclasses

import pytest

from lab import recording_changes
from lab.recording_changes import BY_CHANCE, Figure, changes
from lab.recordings import recording
from lab.records import Estimate, RunView


def estimate(mean: float, low: float | None, high: float | None, statistic: str = "ratio") -> Estimate:
    return Estimate("w", "sound", "a", "eager", "b", "eager", "latency_s", statistic, mean, low, high, 10, "x")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def view() -> RunView:
    return recording("recorded/activations/h200").view()


def test_a_figure_has_moved_when_the_intervals_do_not_overlap() -> None:
    assert Figure(estimate(1.0, 0.9, 1.1), estimate(1.3, 1.2, 1.4)).moved
    assert Figure(estimate(1.3, 1.2, 1.4), estimate(1.0, 0.9, 1.1)).moved
    assert not Figure(estimate(1.0, 0.9, 1.2), estimate(1.3, 1.2, 1.4)).moved  # they touch
    assert not Figure(estimate(1.0, None, None), estimate(2.0, 1.9, 2.1)).moved  # one has no interval: nothing can be said
    assert Figure(estimate(4, None, None, "exact"), estimate(5, None, None, "exact")).moved


def test_how_often_intervals_part_by_chance() -> None:
    # Two means of equal standard error s differ by sqrt(2) s; the intervals part beyond 2 · 1.96 s = 1.96 · sqrt(2) · sqrt(2) s:
    # P(|z| > 1.96 · sqrt(2)) = P(|z| > 2.772) = 0.00557.
    assert pytest.approx(0.00557, abs=1e-5) == BY_CHANCE


def test_a_run_has_not_changed_against_itself(view: RunView) -> None:
    found = changes(view, view)
    assert not found.circumstances
    assert not found.verdicts
    assert found.n_verdicts > 5
    assert len(found.figures) > 50
    assert not any(figure.moved for figure in found.figures)
    assert (found.gone, found.new) == (0, 0)


def test_another_verdict_is_told_with_both_words(view: RunView) -> None:
    # The technique takes twice as long: what was no difference is contradicted.
    def slower(stored):
        record = stored.record
        slow = (record.role, record.metric, record.protocol) == ("technique", "latency_s", "sound")
        return dataclasses.replace(stored, record=dataclasses.replace(record, value=2 * (record.value or 0))) if slow else stored

    found = changes(view, dataclasses.replace(view, records=[slower(stored) for stored in view.records]))
    assert found.verdicts["act-speed-phi6", "sound", "best"] == ("no difference", "contradicted")
    moved = [figure for figure in found.figures if figure.moved]
    assert {figure.before.metric for figure in moved} == {"latency_s"}
    told = recording_changes.text(found)
    assert "act-speed-phi6 sound best: no difference → contradicted" in told
    assert f"figures: {len(moved)} of {len(found.figures)}" in told
    assert f"    {len(moved)} out of each other's 95 % interval" in told
    assert "    0 exact ones to another value" in told
    if len(moved) > recording_changes.MAX_LISTED:
        assert f"and {len(moved) - recording_changes.MAX_LISTED} that moved less" in told


def test_what_only_one_run_has_is_counted(view: RunView) -> None:
    part = [stored for stored in view.records if stored.record.metric != "latency_s"]
    found = changes(view, dataclasses.replace(view, records=part))
    assert found.gone > 0
    assert found.new == 0
