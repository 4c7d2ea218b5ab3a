"""What differs between runs before anything is measured, and what is said to be the same."""

from __future__ import annotations

import pytest

from lab import run_differences
from lab.comparison import compare
from tests.lab.compared_runs import DIGITS, GPU, MANIFEST, run


def test_parameters_that_differ_by_title_and_the_names_of_the_others() -> None:
    views = [run("a", [], {"k": 32, "n": [1024, 2048]}).view, run("b", [], {"k": 64, "n": [1024, 2048]}).view]
    found = run_differences.parameters(views)
    assert [(row.name, row.title, row.values) for row in found.found] == [("k", "Clusters", ("32", "64"))]
    assert found.same == ("N", "Segment", "Seed")


def test_values_have_their_unit_and_sweeps_room_to_break() -> None:
    views = [run("a", [], {"segment_s": 0.1, "n": [1, 2]}).view, run("b", [], {"segment_s": 0.02}).view]
    assert [row.values for row in run_differences.parameters(views).found] == [("1, 2", "1024"), ("0.1 s", "0.02 s")]


@pytest.mark.parametrize(
    ("manifest", "title", "values"),
    [
        ({"threads": 8}, "CPU threads", ("2", "8")),
        ({"commit": "d" * 40 + "-dirty"}, "Lab commit", ("cccccccccccc…", "dddddddddddd… with local changes")),
        ({"commit": None, "commit_reason": "no git"}, "Lab commit", ("cccccccccccc…", "not recorded (no git)")),
        ({"versions": {**MANIFEST["versions"], "triton": "3.6"}}, "Version of Triton", ("not installed", "3.6")),
        ({"preset": "thorough"}, "Preset", ("quick", "thorough")),
        ({"started_at": "2026-02-01T08:00:00Z"}, "Started", ("31 January 2026, 17:45 UTC", "1 February 2026, 08:00 UTC")),
        ({"data": DIGITS}, "Data set digits", ("not used", "SHA-256 aaaaaaaaaaaaaaaa…")),
        ({"energy_method": "counter"}, "How energy was measured", ("not measured", "counter")),
    ],
)
def test_one_circumstance_that_differs(manifest: dict, title: str, values: tuple[str, str]) -> None:
    found = run_differences.environment([run("a", []).view, run("b", [], **manifest).view])
    assert [(row.title, row.values) for row in found.found] == [(title, values)]
    assert {"Device", "Processor", "Version of torch"} <= set(found.same)


def test_a_run_ended_early_says_so() -> None:
    found = run_differences.environment([run("a", []).view, run("b", [], status="cancelled").view])
    assert [(row.title, row.values) for row in found.found] == [("How it ended", ("finished", "ended early (cancelled)"))]


def test_a_cpu_beside_a_gpu() -> None:
    found = run_differences.environment([run("a", []).view, run("b", [], **GPU).view])
    told = {row.title: row.values for row in found.found}
    assert told["Device"] == ("cpu", "cuda:0")
    assert told["GPU"] == ("none", "GPU G")
    assert told["GPU's power limit"] == ("not recorded", "700 W")
    assert told["MIG"] == ("none", "not enabled")


def test_a_manifest_that_says_nothing_or_nonsense_is_no_obstacle() -> None:
    empty = dict.fromkeys(MANIFEST)
    odd = {"machine": "?", "versions": [], "clocks": 3, "data": {"x": 1}, "threads": []}
    found = compare([run("a", [], **empty), run("b", [], **odd)])
    assert "Processor" in found.environment.same  # of neither anything is known
    assert run_differences.data_sets(odd) == {}


def test_minor_titles_are_titles() -> None:
    versions = {**MANIFEST["versions"], "scipy": "1", "scikit-learn": "1", "nvidia-ml-py": "1", "streamlit": "1", "cudnn": 1}
    titles = set(run_differences.circumstances(run("a", [], versions=versions).view))
    assert titles >= run_differences.MINOR
