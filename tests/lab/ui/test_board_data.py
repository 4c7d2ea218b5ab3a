"""Which runs the claims board asks."""

from __future__ import annotations

import pytest

from lab.board import JudgedRun
from lab.ui import board_data


def test_a_copy_of_a_run_is_no_further_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {"recorded/activations/h200": "one", "imported/0123456789ab": "one", "20260131-174502-a7k2m9": "two"}
    monkeypatch.setattr(
        board_data, "_judged", lambda name: JudgedRun(name, "activations", "A GPU", "2026-01-31T12:00:00Z", True, (), run_id=ids[name])
    )
    found = board_data._board.__wrapped__(tuple(ids))
    assert [run.reference for run in found.runs] == ["recorded/activations/h200", "20260131-174502-a7k2m9"]
    assert found.problems == ("imported/0123456789ab: the same run as recorded/activations/h200, which counts once.",)
