"""The four files: their columns, missing values, hostile text, atomic writing, and reading a recorded run back byte for byte."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab import SCHEMA_VERSION, export
from lab.claims import Claim
from lab.parameters import ParameterError, Parameters, Plan, parameter
from lab.records import Estimate, Measured, Record, RunView, StoredRecord
from lab.workload import MemoryNeed, Metric, Workload


class Choices(Parameters):
    n: int = parameter(1024, title="N", help="Elements.", ge=1, le=2**20, sweep=True)
    rate: float = parameter(0.5, title="Rate", help="May be negative.", ge=-10, le=10, sweep=True)
    kind: Literal["plain", "=odd"] = parameter("plain", title="Kind", help="One of two.", sweep=True)
    arms: tuple[Literal["new", "old"], ...] = parameter(("new", "old"), title="Arms", help="Which to run.")
    cold: bool = parameter(True, title="Cold", help="Cold cache.")
    seed: int = parameter(0, title="Seed", help="Seed.", ge=0, le=2**31)


def measure(claim: Claim, estimates: Sequence[Estimate]) -> list[Measured]:
    if claim.id != "act-speed-phi6":
        return []
    ratios = [e for e in estimates if e.statistic == "ratio" and e.mean is not None]
    return [
        Measured(claim.id, e.protocol, "published", e.metric, e.mean, e.ci_low, e.ci_high, e.n, pair=f"{e.arm} against {e.baseline_arm}")
        for e in ratios[:1]
    ]


WORKLOAD = Workload(
    name="toy",
    title="Toy",
    question="Does it come back?",
    source="this test",
    parameters=Choices,
    preset=lambda name, device_kind: {},
    dimensions=("step", "cache"),
    metrics={"latency_s": Metric("Latency", "s"), "minimum": Metric("Smallest output", "1", "neither")},
    entry_point="nowhere:run",
    claims=("act-speed-phi6", "act-gating"),
    duration_s=lambda plan, device_kind: 1.0,
    memory=lambda cell, device_kind: MemoryNeed(0, 0),
    memory_parameter="n",
    measure=measure,
    charts=lambda summary, records: [],
)


@pytest.fixture(scope="module", autouse=True)
def known_workload() -> Iterator[None]:
    def find(name: str) -> Workload:
        if name != "toy":
            raise ParameterError("workload", name, "one of toy", "is unknown")
        return WORKLOAD

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lab.export.workload", find)
        yield


def record(arm: str = "new", value: float | None = 1e-3, **more: Any) -> Record:
    fields = {"protocol": "sound", "role": "technique" if arm == "new" else "baseline", "implementation": "eager", "device": "cpu"}
    return Record(**{**fields, "arm": arm, "dtype": "float32", "metric": "latency_s", "value": value, "unit": "s", **more})


def view_of(records: Sequence[Record | tuple[int, Record]], plan: Plan | None = None, **more: Any) -> RunView:
    """A finished run of the toy workload; a record comes alone (cell 0) or with its cell."""
    stored = [StoredRecord(i, *(r if isinstance(r, tuple) else (0, r))) for i, r in enumerate(records)]
    manifest = {"hardware": "Some CPU", "device": "cpu", "preset": "quick", "started_at": "2026-11-21T10:00:00+00:00"}
    fields = {"run_id": "run-1", "workload": WORKLOAD, "plan": plan or Plan.of(Choices), "manifest": manifest, "status": "finished"}
    return RunView(**{**fields, **more}, records=stored)


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def header(data: bytes) -> str:
    return data.decode("utf-8").split("\n", 1)[0]


# --- columns and cells -------------------------------------------------------------------------------------------------------


def test_the_manifest_and_the_evidence_name_the_data_used() -> None:
    used = {"name": "text", "title": "Text", "label": "Text 3f2a", "source": "CPython", "licence": "PSF", "sha256": "3f2a", "note": ""}
    view = view_of([record(), record("old", 2e-3)])
    view = dataclasses.replace(view, manifest={**view.manifest, "data": [{**used, "sizes": {"train": 8, "validation": 1, "test": 1}}]})
    files = export.bundle(view)
    assert json.loads(files["manifest.json"])["data"] == [{**used, "sizes": {"train": 8, "validation": 1, "test": 1}}]
    assert json.loads(export.as_json(view))["manifest"]["data"][0]["sha256"] == "3f2a"
    (speed, *_) = rows(files["verdicts.csv"])
    assert speed["evidence"] == "Some CPU; Text 3f2a; 2026-11-21"


def test_columns_are_the_contract() -> None:
    plan = Plan.of(Choices, {"n": [1024, 4096]})
    files = export.bundle(view_of([record()], plan))
    assert list(files) == ["manifest.json", "records.csv", "summary.csv", "verdicts.csv"]
    assert header(files["records.csv"]) == (
        "run_id,workload,protocol,arm,role,implementation,device,dtype,metric,value,unit,repeat,seed,reason,"
        "step,cache,p_n,p_rate,p_kind,p_arms,p_cold,p_seed"
    )
    assert header(files["summary.csv"]) == (
        "workload,protocol,arm,implementation,baseline_arm,baseline_implementation,metric,statistic,"
        "mean,ci_low,ci_high,n,unit,reason,step,cache,p_n"
    )
    assert header(files["verdicts.csv"]) == (
        "claim_id,source,protocol,comparison,metric,claimed,measured,ci_low,ci_high,verdict,reason,evidence"
    )


def test_rows_that_list_every_choice_are_read_as_all(tmp_path: Path) -> None:
    """Earlier versions wrote every name."""
    plan = Plan.of(Choices, {"n": [1024, 4096], "rate": -0.5})
    view = view_of([(1, record(value=0.1, repeat=3, seed=7, dimensions={"step": 2, "cache": "cold"}))], plan)
    export.write(tmp_path, view)
    path = tmp_path / "records.csv"
    path.write_text(path.read_text().replace(",all,", ',"new,old",'))
    assert export.load_recorded(tmp_path).records == view.records


def test_a_record_row() -> None:
    plan = Plan.of(Choices, {"n": [1024, 4096], "rate": -0.5})
    data = export.bundle(view_of([(1, record(value=0.1, repeat=3, seed=7, dimensions={"step": 2, "cache": "cold"}))], plan))
    (row,) = rows(data["records.csv"])
    written = "run-1,toy,sound,new,technique,eager,cpu,float32,latency_s,0.1,s,3,7,,2,cold,4096,-0.5,plain,all,true,0"
    assert list(row.values()) == next(csv.reader([written]))


def test_a_measurement_of_the_whole_run_leaves_swept_parameters_empty() -> None:
    plan = Plan.of(Choices, {"n": [1024, 4096]})
    (row,) = rows(export.bundle(view_of([(-1, record(metric="minimum", whole_run=True))], plan))["records.csv"])
    assert (row["p_n"], row["p_rate"]) == ("", "0.5")


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_missing_value_is_empty_with_a_reason_everywhere(value: float | None) -> None:
    files = export.bundle(view_of([record(value=value)]))
    (raw,) = rows(files["records.csv"])
    assert raw["value"] == ""
    assert raw["reason"]
    for row in rows(files["summary.csv"]):
        assert row["mean"] == ""
        assert row["reason"]
    for data in files.values():
        assert b",nan" not in data
        assert b"NaN" not in data
        assert b",inf," not in data


def test_a_measured_zero_is_a_zero() -> None:
    assert rows(export.bundle(view_of([record(value=0.0)]))["records.csv"])[0]["value"] == "0.0"


def test_a_reason_is_kept() -> None:
    assert rows(export.bundle(view_of([record(value=None, reason="no compiler")]))["records.csv"])[0]["reason"] == "no compiler"


def test_text_that_a_spreadsheet_would_execute_is_guarded_and_numbers_are_not() -> None:
    hostile = '=HYPERLINK("http://x")'
    view = view_of(
        [record(arm=hostile, value=-3.5, reason=" @cmd", dimensions={"step": -1, "cache": "+1+1"})], Plan.of(Choices, {"kind": "=odd"})
    )
    (row,) = rows(export.bundle(view)["records.csv"])
    assert (row["arm"], row["reason"], row["cache"], row["p_kind"]) == ("'" + hostile, "' @cmd", "'+1+1", "'=odd")
    assert (row["value"], row["step"]) == ("-3.5", "-1")


def test_summary_and_verdicts_by_hand() -> None:
    # The new arm takes 1 ms and the old one 4 ms in each of 5 pairs: the ratio is 4 with an interval of no width.
    pairs = [record(arm, value, repeat=i, dimensions={"step": 0}) for i in range(5) for arm, value in (("new", 0.001), ("old", 0.004))]
    files = export.bundle(view_of(pairs))
    new, old, ratio = rows(files["summary.csv"])
    assert (new["arm"], new["statistic"], new["mean"], new["n"], new["unit"]) == ("new", "mean", "0.001", "5", "s")
    assert (old["arm"], old["mean"]) == ("old", "0.004")
    assert (ratio["statistic"], ratio["baseline_arm"], ratio["step"], ratio["cache"]) == ("ratio", "old", "0", "")
    assert float(ratio["mean"]) == pytest.approx(4.0)
    speed, *gating = rows(files["verdicts.csv"])
    assert (speed["claim_id"], speed["verdict"], speed["claimed"]) == ("act-speed-phi6", "smaller than claimed", "8.1")
    assert speed["evidence"] == "Some CPU; no data set; 2026-11-21"
    assert [row["claim_id"] for row in gating] == ["act-gating", "act-gating-gelu", "act-gating-zeta", "act-gating-phi6"]
    assert {(row["verdict"], row["measured"], row["protocol"]) for row in gating} == {("not measured", "", "")}


def test_the_manifest_says_what_was_run() -> None:
    view = view_of([], Plan.of(Choices, {"n": [1024, 4096]}), status="cancelled", reason="cancelled by the user")
    found = json.loads(export.bundle(view)["manifest.json"])
    assert (found["run_id"], found["schema_version"], found["workload"]) == ("run-1", SCHEMA_VERSION, "toy")
    assert (found["status"], found["reason"], found["parameters"]["n"]) == ("cancelled", "cancelled by the user", [1024, 4096])
    assert found["hardware"] == "Some CPU"


def test_a_run_without_records_has_headers_and_unmeasured_claims() -> None:
    files = export.bundle(view_of([], manifest={}, status="failed", reason="out of memory"))
    assert rows(files["records.csv"]) == []
    assert rows(files["summary.csv"]) == []
    assert {row["verdict"] for row in rows(files["verdicts.csv"])} == {"not measured"}


def test_json_holds_the_same_with_null_for_missing() -> None:
    document = json.loads(export.as_json(view_of([record(value=math.nan, repeat=1)])))
    assert sorted(document) == ["manifest", "records", "summary", "verdicts"]
    (row,) = document["records"]
    assert (row["value"], row["repeat"], row["seed"]) == (None, 1, None)
    assert len(document["verdicts"]) == 5


def test_the_zip_holds_the_four_files_and_is_deterministic() -> None:
    view = view_of([record()])
    data = export.as_zip(view)
    assert data == export.as_zip(view)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {name: archive.read(f"run-1/{name}") for name in export.FILES} == export.bundle(view)


# --- writing -----------------------------------------------------------------------------------------------------------------


def test_write_makes_the_folder_and_keeps_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "records.csv").write_text("old")
    view = view_of([record()])
    paths = export.write(folder, view)
    assert paths == [folder / name for name in export.FILES]
    assert {path.name: path.read_bytes() for path in paths} == export.bundle(view)
    assert (folder / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*export.FILES, "notes.txt"])
    assert export.write(tmp_path / "new", view)


def test_a_failed_write_leaves_the_old_files_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = export.bundle(view_of([record(value=1.0)]))
    export.write(tmp_path, view_of([record(value=1.0)]))
    calls = []

    def full_disk(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("lab.export.os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        export.write(tmp_path, view_of([record(value=2.0)]))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old


def test_a_file_in_the_way_of_the_folder_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match="out"):
        export.write(tmp_path / "out", view_of([]))


# --- and back ----------------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
PLANS = st.fixed_dictionaries(
    {
        "n": st.lists(st.sampled_from([1, 1024, 4096]), min_size=1, max_size=2, unique=True),
        "rate": st.lists(st.floats(-10, 10), min_size=1, max_size=2, unique=True),
        "kind": st.sampled_from([["plain"], ["=odd"], ["plain", "=odd"]]),
        "arms": st.sampled_from([[("new", "old")], [("old",)]]),
        "cold": st.booleans().map(lambda value: [value]),
    }
).map(lambda values: Plan.of(Choices, values))


@st.composite
def runs(draw: Callable) -> RunView:
    plan = draw(PLANS)
    records = []
    for _ in range(draw(st.integers(0, 12))):
        # A measurement of the whole run and one of its only cell differ in their protocol, as they do in every experiment.
        cell = draw(st.integers(-1, len(plan.cells) - 1))
        steps, caches = draw(st.none() | st.integers(-3, 3)), draw(st.none() | TEXT.filter(bool))
        dimensions = {name: value for name, value in (("step", steps), ("cache", caches)) if value is not None}
        own = Record(
            protocol="published" if cell < 0 else "sound",
            arm=draw(TEXT),
            role=draw(st.sampled_from(["technique", "baseline"])),
            implementation=draw(TEXT),
            device=draw(st.sampled_from(["cpu", "cuda:0"])),
            dtype=draw(TEXT),
            metric=draw(st.sampled_from(["latency_s", "minimum"]) | TEXT),
            value=draw(st.none() | FINITE | st.integers(-(10**20), 10**20) | st.sampled_from([math.nan, math.inf])),
            unit=draw(TEXT),
            repeat=draw(st.none() | st.integers(0, 3)),
            seed=draw(st.none() | st.integers(0, 2**31)),
            reason=draw(TEXT),
            dimensions=dimensions,
            whole_run=cell < 0,
        )
        records.append((cell, own))
    manifest = draw(st.dictionaries(TEXT, st.none() | st.booleans() | FINITE | TEXT | st.lists(TEXT), max_size=4))
    return view_of(records, plan, manifest=manifest, status=draw(TEXT), reason=draw(TEXT))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(runs())
def test_export_load_export_gives_the_same_bytes(view: RunView) -> None:
    with tempfile.TemporaryDirectory() as folder:
        export.write(Path(folder), view)
        again = export.load_recorded(Path(folder))
    assert export.bundle(again) == export.bundle(view)
    assert again.plan == view.plan
    if view.plan.swept:
        assert [stored.cell for stored in again.records] == [stored.cell for stored in view.records]


def test_a_recorded_run_is_like_any_other(tmp_path: Path) -> None:
    plan = Plan.of(Choices, {"n": [1024, 4096]})
    records = [
        (1, record(repeat=0, dimensions={"step": 1, "cache": "cold"})),
        (-1, record(metric="minimum", value=1, dimensions={"step": "", "cache": ""}, whole_run=True)),
    ]
    view = view_of(records, plan)
    export.write(tmp_path, view)
    again = export.load_recorded(tmp_path)
    assert (again.run_id, again.workload, again.plan, again.status) == ("run-1", WORKLOAD, plan, "finished")
    assert list(again.records) == list(view.records)
    assert again.manifest["hardware"] == "Some CPU"


class ChoicesOfBefore(Parameters):
    n: int = parameter(1024, title="N", help="Elements.", ge=1, le=2**20, sweep=True)
    seed: int = parameter(0, title="Seed", help="Seed.", ge=0, le=2**31)


def test_a_run_recorded_before_the_workload_grew_is_still_read(tmp_path: Path) -> None:
    before = dataclasses.replace(WORKLOAD, parameters=ChoicesOfBefore, dimensions=("step",))
    plan = Plan.of(ChoicesOfBefore, {"n": [1024, 4096], "seed": 7})
    export.write(tmp_path, view_of([(1, record(repeat=0, dimensions={"step": 3}))], plan, workload=before))
    again = export.load_recorded(tmp_path)
    assert again.plan == Plan.of(Choices, {"n": [1024, 4096], "seed": 7})  # the others as they are by default
    (stored,) = again.records
    assert (stored.cell, stored.record.dimensions) == (1, {"step": 3, "cache": ""})


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    export.write(tmp_path, view_of([record(repeat=0, seed=3)], Plan.of(Choices, {"n": [1024, 4096]})))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("manifest.json", '"schema_version": 1', '"schema_version": 2', "schema_version is 2, this version reads 1"),
        ("manifest.json", '"workload": "toy"', '"workload": "magic"', "workload: 'magic' is unknown"),
        ("manifest.json", '"workload": "toy"', '"workload": 3', "workload is not a text"),
        ("manifest.json", '"run_id": "run-1"', '"run_id": ""', "run_id is not 1 to 100 printable characters"),
        ("manifest.json", '"run_id": "run-1"', '"run_id": "run-2"', "run_id or workload differ"),
        ("manifest.json", "4096", "-1", "n: '-1' is out of range"),
        ("manifest.json", '"rate"', '"speed"', "speed: "),
        ("manifest.json", '"finished"', "NaN", "is not JSON"),
        ("manifest.json", "{", "[" * 100_000, "is not JSON"),
        ("records.csv", "run_id,workload", "workload,run_id", "the columns are not those of toy"),
        ("records.csv", ",sound,", ",wrong,", "row 2: protocol is 'wrong', not one of published, sound"),
        ("records.csv", ",technique,", ",referee,", "row 2: role is 'referee'"),
        ("records.csv", ",0.001,", ",nan,", "row 2: 'nan' is not a finite number"),
        ("records.csv", ",0.001,", ",,", "row 2: the value is missing without a reason"),
        ("records.csv", ",s,0,3,", ",s,0.5,3,", "row 2: repeat is not a whole number"),
        ("records.csv", ",1024,", ",2048,", "row 2: the parameters are not those of the manifest"),
        ("records.csv", ",1024,", ",1024,,", "row 2 has"),
    ],
)
def test_a_damaged_recording_is_refused_with_one_line(recorded: Path, file: str, old: str, new: str, problem: str) -> None:
    path = recorded / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(export.RecordedError) as refusal:
        export.load_recorded(recorded)
    assert problem in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", export.FILES)
def test_a_missing_file_is_refused(recorded: Path, name: str) -> None:
    (recorded / name).unlink()
    with pytest.raises(export.RecordedError, match=f"{name}: cannot be read"):
        export.load_recorded(recorded)


def test_a_recording_over_one_mebibyte_is_refused(recorded: Path) -> None:
    with (recorded / "summary.csv").open("a") as file:
        file.write("x" * (1 << 20))
    with pytest.raises(export.RecordedError, match="at most 1048576 are allowed"):
        export.load_recorded(recorded)


def test_a_manifest_that_is_no_object_is_refused(recorded: Path) -> None:
    (recorded / "manifest.json").write_text("[]")
    with pytest.raises(export.RecordedError, match="is not an object"):
        export.load_recorded(recorded)
