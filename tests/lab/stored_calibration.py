"""Calibrations in a store that were never measured: one record, and the manifest that says of which device."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from lab.store import Status, Store
from lab.workload import workload


def calibrated(store: Store, manifest: Mapping[str, Any], copy_rate: float, status: Status = "finished") -> str:
    """A stored calibration that found this copy bandwidth; its id. ``manifest``: of the run, at least what tells its device."""
    plan = workload("calibration").plan("quick", "cpu")
    run_id, _ = store.add(
        workload="calibration",
        preset="quick",
        plan_json=plan.to_json(),
        device=manifest["device"],
        locks=("cpu",),
        manifest=lambda run_id, created_at: {**manifest, "started_at": "2026-11-22T01:02:03Z"},
        owner_pid=1,
        owner_start="x",
    )
    dimensions = {"condition": "", "size": "", "timer": "latency_s", "injected_percent": 0}
    record = {
        "protocol": "sound",
        "arm": "copy",
        "role": "baseline",
        "implementation": "eager",
        "device": manifest["device"],
        "dtype": "float32",
        "metric": "copy_bytes_per_s",
        "value": copy_rate,
        "unit": "B/s",
        "repeat": 0,
        "seed": None,
        "reason": "",
        "dimensions": dimensions,
        "whole_run": False,
    }
    event = {"seq": 0, "kind": "record", "cell": 0, "record": record}
    (store.folder(run_id) / "events.jsonl").write_text(json.dumps(event) + "\n")
    store.ingest(run_id)
    store.end(run_id, status, "", time.time())
    return run_id
