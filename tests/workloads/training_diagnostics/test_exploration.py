"""The page's own section: stored curves and files that anybody may have written."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.parameters import ParameterError, validate
from lab.records import Record, StoredRecord
from workloads.training_diagnostics.curve import MAX_UPLOADED, Curve, averaged, stored, uploaded
from workloads.training_diagnostics.exploration import EXPLORE, DiagnosticsExploration, charts
from workloads.training_diagnostics.names import ADDITION, CURVES, LOSS, TRANSITION_STEP, dimensions_of


def settings(**values):
    return validate(DiagnosticsExploration, values)


def curve_of(losses):
    return Curve("yours", np.arange(1, len(losses) + 1), np.asarray(losses, dtype=float))


def record(metric, value, repeat=None, unit="1"):
    where = dimensions_of(CURVES, data="a + b mod 23")
    return Record("sound", ADDITION, "technique", "batched", "cpu", "float32", metric, value, unit, repeat=repeat, dimensions=where)


def csv(rows, header="step,loss"):
    return (header + "\n" + "\n".join(rows) + "\n").encode()


def test_a_file_is_read_with_any_case_and_further_columns():
    found = uploaded(csv([f"{i},x,{i * 0.5}" for i in range(1, 11)], " Step ,note,LOSS"))
    assert found.losses.tolist() == [i * 0.5 for i in range(1, 11)]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no header"),
        (b"\xff\xfe\x00\x01", "UTF-8"),
        (csv(["1,2"] * 8, "a,b"), "no column 'step'"),
        (csv([f"{i},nan" for i in range(9)]), "row 2, column 'loss': 'nan'"),
        (csv([f"{i},{'inf' if i == 4 else 1}" for i in range(9)]), "row 6"),
        (csv(["1,2", "2"]), "row 3 has 1 cells"),
        (csv(["1,2", "2,3"]), "2 rows; allowed: 8"),
        (csv(["1,1"] * 9), "row 3: step 1 does not come after step 1"),
        (csv([f"{i},1" for i in range(MAX_UPLOADED + 1)]), "20,001 rows"),
        (csv(["1," + "9" * 5000] * 9), "not a finite number"),
        (csv([f"{i},=cmd" for i in range(9)]), "not a finite number"),
    ],
)
def test_hostile_files_are_refused_in_one_line(data, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        uploaded(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("losses", "values", "problem"),
    [
        ([1.0] * 100, {}, "one value only"),
        (np.arange(20.0), {"window": 24}, "longer than the curve"),
        (np.arange(200.0), {"average": 20}, "longer than the curve"),
        (np.arange(60.0), {"delay": 50}, "fewer than three points"),
        (np.arange(200.0), {"window": 7}, "even"),
    ],
)
def test_what_cannot_be_evaluated_says_why(losses, values, problem):
    with pytest.raises(ParameterError, match=problem):
        charts(settings(**values), [], [], curve_of(losses))


def test_without_a_curve_nothing_is_drawn():
    assert charts(settings(), [], [], None) == []


def test_the_stored_curve_comes_in_the_order_of_its_steps_with_its_transition():
    rng = np.random.default_rng(0)
    values = rng.random(100).tolist()
    records = [StoredRecord(i, 0, record(LOSS, values[i], repeat=i)) for i in rng.permutation(100)]
    records.append(StoredRecord(100, 0, record(TRANSITION_STEP, 40.0, unit="steps")))
    found = stored(records, "addition")
    assert found.losses.tolist() == values
    assert found.steps.tolist() == list(range(1, 101))
    drawn = charts(settings(), [], records, None)
    assert [chart.key for chart in drawn] == ["explore_peaks", "explore_spectrum", "explore_cloud", "explore_gaps"]
    assert drawn[0].marks == {"transition": 40.0}


def test_averages_stand_at_the_last_of_their_steps():
    # Means of 3 of 7 losses: (0 + 1 + 2)/3 at step 3, (3 + 4 + 5)/3 at step 6; the seventh is left out.
    found = averaged(curve_of(np.arange(7.0)), 3)
    assert (found.steps.tolist(), found.losses.tolist()) == ([3, 6], [1.0, 4.0])


def test_a_sine_is_a_peak_in_every_frame_and_stands_out_at_its_bin():
    # Period 8 in frames of 24: bin 3.
    sine = curve_of(np.sin(2 * np.pi * np.arange(240) / 8))
    peaks, spectrum, cloud, _ = charts(settings(window=24), [], [], sine)
    assert len(peaks.series[1].x) == 19  # (240 − 24)/12 + 1 frames
    own = spectrum.series[0]
    assert own.x[int(np.argmax(own.y))] == 3
    assert len(cloud.series[0].z) == 240 - 5
    assert all(math.isfinite(value) for value in own.y)


def test_the_longest_file_gives_charts_a_browser_can_draw():
    rng = np.random.default_rng(1)
    drawn = charts(settings(window=36), [], [], curve_of(rng.standard_normal(MAX_UPLOADED)))
    assert sum(len(series.x) for chart in drawn for series in chart.series) < 10_000  # what a browser has to draw
    assert EXPLORE.upload is not None
    uploaded(EXPLORE.upload.example.encode() + b"".join(f"{i},1.5\n".encode() for i in range(41, 48)))
