"""A small calibration on a GPU: every stage measures, or says why not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from lab import calibration
from lab.jobs import Engine
from lab.store import Store
from lab.summary import summarise
from lab.workload import workload

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


def test_every_stage_measures_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFICIENCY_LAB_LOCK_DIR", str(tmp_path / "locks"))
    texts = {"comparisons": "10", "injected_comparisons": "5", "device_timer": "true", "matrix_n": "2048", "copy_bytes": str(1 << 28)}
    plan = workload("calibration").plan("quick", "cuda", texts)
    with Store(tmp_path / "home") as store, Engine(store) as engine:
        run_id = engine.submit("calibration", plan, device="cuda")
        run = engine.wait(run_id)
        assert run.status == "finished", run.reason
        view = store.view(run_id)
        again = engine.submit("calibration", plan, device="cuda")  # its manifest holds the limits of the first
        assert engine.wait(again).status == "finished"
        assert store.run(again).manifest["calibration"]["run_id"] == run_id
    summary = summarise(view.workload, view.plan, view.records)
    for title, words in calibration.findings(summary):
        print(f"{title:60} {words}")

    limits = calibration.limits(summary)
    assert set(limits) == {"copy_bandwidth", "matrix_rate_burst", "matrix_rate_sustained", "launch_overhead", "launch_overhead_graph"}
    assert limits["launch_overhead_graph"].value < limits["launch_overhead"].value < 1e-4
    trials = {(trial.injected_percent, trial.timer): trial for trial in calibration.trials(summary)}
    assert set(trials) == {(0, "latency_s"), (0, "device_time_s"), (1, "latency_s"), (5, "latency_s"), (20, "latency_s")}
    assert trials[(20, "latency_s")].difference_seen == 5
    ratios = [e for e in summary if e.statistic == "ratio" and e.metric == "latency_s"]
    assert {e.arm for e in ratios} == {"gelu", "matrix_product"}
    assert all(e.mean is not None and abs(math.log(e.mean)) < 0.1 for e in ratios)
    idle = [e for e in summary if e.metric == "idle_power_w"]
    assert {e.dimensions["condition"] for e in idle} == {"without context", "with context"}
    assert all(e.mean is not None or e.reason for e in idle)
