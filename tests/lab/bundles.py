"""Bundles as another machine would have exported them: of the demo workload, small, with a manifest as the engine writes it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from lab import environment, export
from lab.records import Record, RunView, StoredRecord
from lab.workload import workload

RUN_ID = "20260131-174502-a7k2m9"
CREATED_AT = 1_769_881_502.0  # 2026-01-31 17:45:02 UTC


def view(*, reason: str = "", hardware: str = "Some CPU", **texts: str) -> RunView:
    """A finished demo run of two observations: the new arm takes 1 ms and the old one 2 ms."""
    declared = workload("demo")
    plan = declared.plan("quick", "cpu", texts)
    records = [
        Record(
            protocol="sound",
            arm=arm,
            role="technique" if arm == "new" else "baseline",
            implementation="eager",
            device="cpu",
            dtype="float32",
            metric="latency_s",
            value=value,
            unit="s",
            repeat=repeat,
            seed=0,
            reason=reason,
            dimensions={"step": repeat},
        )
        for repeat in range(2)
        for arm, value in (("new", 0.001), ("old", 0.002))
    ]
    asked = environment.manifest(
        run_id=RUN_ID,
        workload=declared,
        plan=plan,
        preset="quick",
        device="cpu",
        facts=_facts(),
        created_at=CREATED_AT,
        started_at=CREATED_AT + 1,
    )
    complete = environment.completed(
        asked, worker_facts={}, data=[], protocols=["sound"], status="finished", reason="", ended_at=CREATED_AT + 9
    )
    stored = [StoredRecord(place, 0, record) for place, record in enumerate(records)]
    return RunView(RUN_ID, declared, plan, {**complete, "hardware": hardware}, stored, "finished")


@cache
def _facts() -> environment.DeviceFacts:
    """Of this machine, looked at once: the memory that is free changes, and would make each run another one."""
    return environment.device_facts()


def zipped(files: Mapping[str, bytes | str], folder: str = f"{RUN_ID}/") -> bytes:
    """A zip with these files in one folder ("": in none)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(folder + name, data)
    return buffer.getvalue()


def changed(files: Mapping[str, bytes], change: Callable[[dict[str, Any]], object]) -> dict[str, bytes]:
    """The files with their manifest changed in place by ``change``."""
    manifest = json.loads(files[export.MANIFEST])
    change(manifest)
    return {**files, export.MANIFEST: json.dumps(manifest, ensure_ascii=False).encode("utf-8", "surrogatepass")}
