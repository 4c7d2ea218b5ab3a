"""The process that finds out whether a bundle is a run: the same answer as in this one, and an end to what takes too much."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from lab import export
from lab.bundle_check import LIMITS, ImportRefused, check, check_apart
from tests.lab import bundles


@pytest.fixture(scope="module", autouse=True)
def demo() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFICIENCY_LAB_WORKLOADS", "tests.demo_workloads")
        yield


def test_a_process_of_its_own_finds_the_same() -> None:
    files = export.bundle(bundles.view())
    given = {**files, export.SUMMARY: files[export.SUMMARY].replace(b"0.001", b"0.002")}
    found = check_apart(given, LIMITS)
    assert found == check(given, LIMITS)
    assert found.files == files
    assert found.notices[0].startswith("The bundle's own summary.csv differs")


def test_its_refusal_comes_back_in_the_same_words() -> None:
    files = {**export.bundle(bundles.view()), export.RECORDS: "Größe\n".encode()}
    with pytest.raises(ImportRefused) as here:
        check(files, LIMITS)
    with pytest.raises(ImportRefused) as apart:
        check_apart(files, LIMITS)
    assert str(apart.value) == str(here.value)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"verdicts": -1}, "records.csv: makes 0 verdicts; allowed: at most -1"),
        ({"charts": 0}, "records.csv: makes 1 charts; allowed: at most 0"),
        ({"series": 1}, "records.csv: makes 2 series in one chart; allowed: at most 1"),
        ({"points": 3}, "records.csv: makes 4 points in one chart; allowed: at most 3"),
    ],
)
def test_what_no_browser_could_show_is_refused(limits: dict[str, int], problem: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        check(export.bundle(bundles.view()), dataclasses.replace(LIMITS, **limits))
    assert str(refused.value) == problem


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(ImportRefused, match="computing results from these records takes more than 0 s or too much memory"):
        check_apart(export.bundle(bundles.view()), dataclasses.replace(LIMITS, cpu_s=0))


def test_what_takes_too_much_memory_fails_there_and_not_here(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportRefused, match=r"the log of the lab says why|MemoryError"):
        check_apart(export.bundle(bundles.view()), dataclasses.replace(LIMITS, memory_bytes=64 << 20))
