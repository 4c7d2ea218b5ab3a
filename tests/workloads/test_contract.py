"""What every workload of the lab must keep to, whatever it measures. A new workload is picked up by itself.

The smallest parameters run through the real engine and worker; the same records serve all checks of one workload.
"""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from dataclasses import fields as dataclass_fields
from pathlib import Path

import pytest

from lab import calibration, export
from lab.claims import claims
from lab.jobs import Engine
from lab.parameters import Plan, fields
from lab.records import Record
from lab.store import Store
from lab.summary import summarise
from lab.verdicts import WORDS, Evidence, verdicts
from lab.workload import workloads

# The least of each workload that still measures something: overrides of its quick preset. A mode that yields other records than the
# default has an entry of its own, "workload/mode".
ACTIVATIONS = {"functions": "gelu_tanh,phi6,copy", "implementations": "numpy,eager", "segment_s": "0.001", "looks": "1"}
SMALLEST = {
    "calibration": {
        "copy_bytes": "1048576",
        "matrix_n": "64",
        "comparisons": "2",
        "injected_comparisons": "1",
        "segment_s": "0.001",
        "matrix_repeats": "1",
        "sustained_s": "0.01",
    },
    "activations": ACTIVATIONS | {"n": "1024", "cache": "cold,warm"},
    "activations/ffn": ACTIVATIONS | {"mode": "ffn", "d_model": "16", "expansion": "4/3", "tokens": "8", "energy": "standard"},
    "activations/learning": {
        "studies": "learning",
        "trainings": "mlp",
        "depths": "1,2",
        "width": "8",
        "steps": "20",
        "tuning_seeds": "1",
        "points": "2",
        "functions": "gelu_erf,phi6",
    },
    "spectral_sparse_attention": {
        "n": "128",
        "parts": "speed,fidelity,spectrum,quality",
        "spectrum_n": "128",
        "kmeans_steps": "2",
        "seeds": "1",
        "segment_s": "0.001",
        "looks": "1",
    },
    "fft_mixing": {
        "seq_len": "64",
        "d_model": "16",
        "n_heads": "2",
        "tokens": "64",
        "tasks": "recall",
        "steps": "2",
        "seeds": "2",
        "n_distances": "1",
        "segment_s": "0.001",
        "looks": "1",
    },
    "entropy_stopping": {
        "epochs": "4",
        "seeds": "2",
        "window": "1",
        "patience": "1",
        "schedules": "2",
        "tuned": "false",
        "segment_s": "0.001",
    },
    "moe_routing": {"studies": "routing", "steps": "2", "seeds": "2", "rates": "1"},
    "moe_routing/experts": {
        "studies": "loss,speed",
        "protocols": "published",
        "steps": "2",
        "seeds": "1",
        "layer_experts": "2",
        "d_model": "16",
        "tokens": "16",
        "segment_s": "0.001",
        "looks": "1",
    },
    "training_diagnostics": {
        "windows": "6,12",
        "steps": "60",
        "seeds": "2",
        "modulus": "7",
        "batch_size": "8",
        "epochs": "1",
        "image_seeds": "1",
        "points": "20",
        "surrogates": "2",
        "nulls": "39",
        "embedded": "images,addition",
    },
}

NAMES = sorted(name for name in workloads() if name != "demo")


def test_every_workload_has_its_smallest_parameters():
    assert {key.partition("/")[0] for key in SMALLEST} == set(NAMES)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A store with device locks of its own: nothing here needs a quiet machine, and waiting for other runs would take most of the time."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFICIENCY_LAB_LOCK_DIR", str(folder / "locks"))
        yield folder


@pytest.fixture(scope="module", params=sorted(SMALLEST))
def view(request, home):
    """One finished smallest run of each workload and mode."""
    declared = workloads()[request.param.partition("/")[0]]
    plan = declared.plan("quick", "cpu", SMALLEST[request.param])
    with Engine(Store(home)) as engine:
        run_id = engine.submit(declared.name, plan, "quick", "cpu")
        run = engine.wait(run_id)
        assert run.status == "finished", run.reason
        return engine.store.view(run_id)


@pytest.mark.parametrize("name", NAMES)
def test_presets_are_valid_and_their_costs_are_positive(name):
    declared = workloads()[name]
    for preset in declared.presets:
        for kind in ("cpu", "cuda"):
            plan = declared.plan(preset, kind)
            assert 0 < declared.duration_s(plan, kind) < declared.deadline_s
            for cell in plan.cells:
                need = declared.memory(cell, kind)
                assert need.device_bytes >= 0
                assert need.host_bytes > 0
    assert declared.memory_parameter in fields(declared.parameters)
    assert all(claim in claims() for claim in declared.claims)


@pytest.mark.parametrize("name", NAMES)
def test_quick_keeps_to_its_budget_by_its_own_estimate(name):
    declared = workloads()[name]
    factor = 2 if declared.instrument else 1
    assert declared.duration_s(declared.plan("quick", "cpu"), "cpu") <= factor * 30
    assert declared.duration_s(declared.plan("quick", "cuda"), "cuda") <= factor * 15


@pytest.mark.parametrize("name", NAMES)
def test_a_declaration_imports_nothing_heavy(name):
    module = type(workloads()[name]).__module__  # lab.workload; the declaration is found through it
    code = (
        f"import sys; from {module} import workload; workload({name!r}); "
        "print([m for m in ('torch', 'scipy', 'sklearn', 'streamlit') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_records_keep_to_the_declaration(view):
    declared = view.workload
    assert view.records
    for stored in view.records:
        record = stored.record
        assert set(record.dimensions) == set(declared.dimensions)
        assert record.metric in declared.metrics
        assert record.unit == declared.metrics[record.metric].unit
        assert record.value is None or math.isfinite(record.value)
        assert record.value is not None or record.reason
        assert -1 <= stored.cell < len(view.plan.cells)


def test_every_claim_gets_a_verdict_with_a_reason(view):
    rows = verdicts(view.workload, summarise(view.workload, view.plan, view.records), Evidence.from_manifest(view.manifest))
    wanted = {cell for claim in view.workload.claims for cell in (claim, *claims()[claim].cells)}
    assert {row.claim_id for row in rows} == wanted
    assert all(row.reason and any(row.verdict.startswith(word) for word in WORDS) for row in rows)


def test_the_export_reads_back_to_the_same_bytes(view, tmp_path):
    export.write(tmp_path, view)
    assert export.bundle(export.load_recorded(tmp_path)) == export.bundle(view)


def test_charts_draw_from_nothing_from_some_and_from_all(view):
    for share in (0, 0.5, 1):
        records = view.records[: int(share * len(view.records))]
        for chart in view.workload.charts(summarise(view.workload, view.plan, records), records):
            assert chart.alt
            assert chart.title
            for series in chart.series:
                assert len(series.x) == len(series.y)


def test_the_same_seed_gives_the_same_exact_records(view, home):
    """What is not a time or a memory peak is decided by the seed."""
    if view.workload.instrument:
        pytest.skip("an instrument measures the machine: nothing of it is decided by the seed")

    def exact(records) -> list[Record]:
        return [s.record for s in records if s.record.repeat is None and s.record.unit not in ("s", "B")]

    with Engine(Store(home)) as engine:
        again = engine.submit(view.workload.name, view.plan, "quick", "cpu")
        assert engine.wait(again).status == "finished"
        assert exact(engine.store.records(again)) == exact(view.records)


def test_a_cancelled_run_ends_cancelled_and_keeps_its_records(view, home):
    with Engine(Store(home)) as engine:
        longer = {name: text for name, text in {"segment_s": "2", "steps": "2000"}.items() if name in view.plan.values}
        plan = Plan.parse(view.workload.parameters, view.plan.texts() | longer)  # so that it cannot end before it is cancelled
        run_id = engine.submit(view.workload.name, plan, "quick", "cpu")
        recorded = threading.Event()
        while not recorded.is_set() and engine.store.run(run_id).status in ("queued", "running"):
            if engine.store.records(run_id):
                recorded.set()
            recorded.wait(0.05)
        engine.cancel(run_id)
        run = engine.wait(run_id)
        assert run.status == "cancelled"
        assert engine.store.records(run_id)


def test_record_columns_are_the_contract():
    assert [f.name for f in dataclass_fields(Record)][:12] == [
        "protocol", "arm", "role", "implementation", "device", "dtype", "metric", "value", "unit", "repeat", "seed", "reason",
    ]  # fmt: skip


RECORDED = sorted(Path(__file__).resolve().parents[2].glob("workloads/*/recorded/*"))


@pytest.mark.parametrize("folder", RECORDED, ids=lambda folder: f"{folder.parent.parent.name}-{folder.name}")
def test_a_recorded_run_is_real_small_and_says_what_its_records_say(folder):
    view = export.load_recorded(folder)
    assert view.status == "finished"
    assert view.manifest["gpu"]
    assert view.manifest["commit"]
    assert view.manifest["started_at"] < view.manifest["ended_at"]
    files = export.bundle(view)
    assert sum(map(len, files.values())) < 2**20
    assert {name: (folder / name).read_bytes() for name in files} == files  # summary and verdicts as today's code derives them
    for chart in view.workload.charts(summarise(view.workload, view.plan, view.records), view.records):
        assert chart.series
    if view.workload.instrument:
        assert calibration.findings(summarise(view.workload, view.plan, view.records))
