"""The progress line and the verdict table as text."""

from __future__ import annotations

import dataclasses
import io

import pytest

from lab import terminal
from lab.claims import claims
from lab.store import Run
from lab.terminal import ProgressLine, columns, verdict_table
from lab.verdicts import Verdict

RUN = Run(
    id="run",
    workload="demo",
    preset="quick",
    plan_json={},
    device="cpu",
    status="running",
    reason="",
    created_at=0.0,
    started_at=0.0,
    ended_at=None,
    manifest={},
    queue_place=0,
    last_seq=0,
    phase="measure",
    phase_detail="n = 4",
    progress=0.25,
    message="",
    cell=0,
    n_cells=2,
    cancel_requested=False,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the progress line sees; it starts at 100."""
    now_s = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now_s[0])
    return now_s


def test_a_file_gets_a_line_for_each_phase_cell_and_tenth(clock: list[float]) -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for change in (
        {},
        {"progress": 0.29},  # the same tenth
        {"progress": 0.31, "message": "half a pass"},
        {"phase": "compile", "progress": 0.31},
        {"cell": 1, "phase": "compile", "progress": 0.31},
    ):
        line.show(dataclasses.replace(RUN, **change))
        clock[0] += 65
    # A bar of 24 marks: 0.25 · 24 = 6 of them, 0.31 · 24 = 7.44, so 7.
    assert stream.getvalue().splitlines() == [
        "[######..................]  25%  0:00  cell 1 of 2  measure  n = 4",
        "[#######.................]  31%  2:10  cell 1 of 2  measure  half a pass",
        "[#######.................]  31%  3:15  cell 1 of 2  compile  n = 4",
        "[#######.................]  31%  4:20  cell 2 of 2  compile  n = 4",
    ]


def test_a_queued_run_tells_its_place() -> None:
    stream = io.StringIO()
    ProgressLine(stream).show(dataclasses.replace(RUN, status="queued", queue_place=2, phase="", progress=0.0))
    assert stream.getvalue() == "queued, runs before this one: 2  0:00\n"


def test_a_terminal_gets_one_line_that_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "31")
    stream = Terminal()
    line = ProgressLine(stream)
    line.show(RUN)
    line.finish(RUN)
    assert stream.getvalue() == "\r\x1b[K[######..................]  25\r\x1b[K"  # cut to 30 characters: a wrapped line cannot be redrawn


def test_columns_are_aligned() -> None:
    assert columns([("a", "bb", "c"), ("long", "", "x")]) == "a     bb  c\nlong      x"


def test_a_verdict_is_one_row() -> None:
    number = next(claim for claim in claims().values() if claim.value is not None and claim.unit == "×")
    words = next(claim for claim in claims().values() if claim.value is None and not claim.is_table)
    rows = [
        Verdict(number.id, "T", "sound", "best", "latency_s", 8.1, 1.5, 1.25, 1.75, "smaller than claimed", "", ""),
        Verdict(words.id, "T", "", "", "", None, None, None, None, "not measured", "", ""),
    ]
    header, first, second = verdict_table(rows).splitlines()
    assert header.split() == ["claim", "protocol", "compared", "claimed", "measured", "verdict"]
    assert first.split(maxsplit=4) == [number.id, "sound", "best", "8.10×", "1.50× (1.25 to 1.75×)  smaller than claimed"]
    assert words.claimed_text in second
    assert second.endswith("not measured")


def test_a_table_of_claims_tells_how_many_cells_it_has() -> None:
    table = claims()["act-gating"]
    row = Verdict(table.id, "T", "sound", "best", "gate", None, None, None, None, "reproduced", "", "")
    assert verdict_table([row]).splitlines()[1].split(maxsplit=3) == ["act-gating", "sound", "best", "3 cells            reproduced"]
