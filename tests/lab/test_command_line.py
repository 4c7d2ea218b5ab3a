"""The command line as a shell meets it: exit status, one line for wrong input, the run id, the files.

What does not need a process of its own runs in this one: a new process takes a second to import the lab.
"""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lab import database, recordings, report
from lab.__main__ import main
from lab.jobs import Engine
from lab.store import Store
from lab.workload import workload

ROOT = Path(__file__).resolve().parents[2]
FILES = {"manifest.json", "records.csv", "summary.csv", "verdicts.csv"}
Until = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.usefixtures("home")


class Done(NamedTuple):
    """What a command leaves behind."""

    returncode: int
    stdout: str
    stderr: str


Lab = Callable[..., Done]


def shell(*arguments: str) -> Done:
    """Run a command as a shell does: ``python -m lab ARGUMENTS``."""
    command = [sys.executable, "-m", "lab", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str]) -> Iterator[Lab]:
    """Run a command in this process, whose own reaction to signals comes back afterwards."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: str) -> Done:
        try:
            status = main(arguments)
        except SystemExit as wrong_usage:
            status = int(str(wrong_usage.code))
        return Done(status, *capsys.readouterr())

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def records_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "records.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# --- wrong input --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "nothing"], "workload: 'nothing' is unknown; allowed: one of activations, calibration, "),
        (["run", "demo", "--preset", "best"], "preset: 'best' is not allowed; allowed: one of published, quick, thorough"),
        (["run", "demo", "--set", "n"], "set: 'n' is not of this form; allowed: NAME=VALUE"),
        (["run", "demo", "--set", "=3"], "set: '=3' is not of this form; allowed: NAME=VALUE"),
        (["run", "demo", "--set", "n=4", "--set", "n=8"], "n: '8' is given twice; allowed: one --set n=…; commas sweep"),
        (["run", "demo", "--set", "n=0"], "n: '0' is out of range; allowed: a whole number from 1 to 1125899906842624"),
        (["run", "demo", "--set", "n=4.5"], "n: '4.5' is not a value it takes; allowed: a whole number from 1 to 1125899906842624"),
        (["run", "demo", "--set", "interval_s=nan"], "interval_s: 'nan' is not a value it takes; allowed: a number from 0 to 10 s"),
        (["run", "demo", "--set", "interval_s=inf"], "interval_s: 'inf' is not a value it takes; allowed: a number from 0 to 10 s"),
        (["run", "demo", "--set", "seed=1,2"], "seed: '[1, 2]' has several values"),
        (["run", "demo", "--set", "chatter=yes"], "chatter: 'yes' is not a value it takes; allowed: true or false"),
        (["run", "demo", "--set", "evil\n=1"], "evil�: '1' belongs to no parameter"),
        (["run", "demo", "--set", f"n={2**50}"], "n: '1125899906842624' needs 9.01 PB of main memory"),
        (["run", "demo", "--device", "tpu"], "device: 'tpu' is not allowed; allowed: one of auto, cpu, cuda"),
        (["run", "demo", "--out", str(Path(__file__) / "folder")], "out: "),
        (["run", "demo", "--out", ""], "argument --out: is empty; allowed: a folder that can be written"),
        (["run", "demo", "--out", "/proc/lab"], "out: '/proc/lab' cannot be written"),
        (["run", "demo", "--out", "x" * 300], "out: "),
        (["run", "demo", "--bogus"], "unrecognized arguments: --bogus"),
        (["run", "demo", "--pre", "quick"], "unrecognized arguments: --pre quick"),
        (["run"], "the following arguments are required: WORKLOAD"),
        (["calibrate", "--preset", "published"], "preset: 'published' is not allowed; allowed: one of quick, thorough"),
        (["calibrate", "--device", "tpu"], "device: 'tpu' is not allowed; allowed: one of auto, cpu, cuda"),
        (["calibrate", "--set", "seed=1"], "unrecognized arguments: --set seed=1"),
        (["frobnicate"], "argument COMMAND: invalid choice: 'frobnicate'"),
        ([], "the following arguments are required: COMMAND"),
        (["export", "20260131-174502-aaaaaa", "--out", "somewhere"], "run: '20260131-174502-aaaaaa' is unknown"),
        (["export", "20260131-174502-aaaaaa"], "the following arguments are required: --out"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_starts(lab: Lab, arguments: list[str], line: str) -> None:
    done = lab(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(line)
    with Store() as store:
        assert store.runs() == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "demo", "--bogus"], "unrecognized arguments: --bogus"),
        (["run", "demo", "--set", "evil\n=1"], "evil�: '1' belongs to no parameter"),
    ],
)
def test_a_shell_gets_the_exit_status_and_the_line(store: Store, arguments: list[str], line: str) -> None:
    done = shell(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(line)
    assert store.runs() == []


def test_cuda_is_refused_where_there_is_none(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = lab("run", "demo", "--device", "cuda")
    assert done.returncode == 2
    assert done.stderr.startswith("device: 'cuda' needs a CUDA GPU, its driver and a CUDA build of torch (")
    assert done.stderr.endswith("; allowed: auto, cpu\n")


def test_a_store_of_a_newer_lab_is_refused(lab: Lab) -> None:
    with Store() as store:
        store._db.execute("PRAGMA user_version = 999")
    done = lab("run", "demo", "--device", "cpu")
    assert done.returncode == 1
    assert "newer Efficiency Lab" in done.stderr


def test_a_locked_store_is_told_and_can_be_used_when_the_lock_goes(
    lab: Lab, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    Store().close()
    other = sqlite3.connect(home / "runs.sqlite", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    arguments = ("export", "20260131-174502-aaaaaa", "--out", str(tmp_path / "out"))
    done = lab(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{home / 'runs.sqlite'} is locked by another program")
    assert done.stderr.count("\n") == 1
    other.close()
    assert lab(*arguments).stderr.startswith("run: '20260131-174502-aaaaaa' is unknown")


def test_a_damaged_store_is_told_and_kept(lab: Lab, home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "runs.sqlite").write_bytes(b"no database" * 1000)
    done = lab("export", "20260131-174502-aaaaaa", "--out", str(tmp_path / "out"))
    told, refused = done.stderr.splitlines()
    (aside,) = home.glob("runs.damaged-*.sqlite")
    assert told == f"The run database was damaged (file is not a database). It is kept as {aside}; a new one was started."
    assert refused.startswith("run: '20260131-174502-aaaaaa' is unknown")


# --- runs ---------------------------------------------------------------------------------------------------------------------


def test_a_run_prints_its_id_last_and_writes_its_files(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    done = shell("run", "demo", "--set", "n=4,8", "--set", "repeats=6", "--device", "cpu", "--out", str(out))
    assert done.returncode == 0
    run_id = done.stdout.splitlines()[-1]
    assert {path.name for path in out.iterdir()} == FILES
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["run_id"], manifest["status"], manifest["preset"]) == (run_id, "finished", "custom")
    rows = records_of(out)
    assert len(rows) == 2 * 6 * 2  # cells, repeats, arms
    assert {row["run_id"] for row in rows} == {run_id}
    assert {row["p_n"] for row in rows} == {"4", "8"}
    progress = done.stderr.splitlines()
    assert progress[-1].startswith("[########################] 100%")
    assert "cell 2 of 2" in progress[-1]


def test_a_full_store_says_what_will_be_removed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFICIENCY_LAB_MAX_RUNS", "1")
    first = lab("run", "demo", "--device", "cpu")
    assert "unpinned runs are stored" not in first.stderr
    second = lab("run", "demo", "--device", "cpu")
    assert second.stderr.startswith("1 of at most 1 unpinned runs are stored: when the next run ends, room is made for it.")
    assert f"beginning with {first.stdout.split()[-1]}." in second.stderr
    assert lab("export", first.stdout.split()[-1], "--out", "somewhere").returncode == 2  # it is gone


def test_export_writes_the_same_files_again(lab: Lab, tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    run_id = lab("run", "demo", "--device", "cpu", "--out", str(first)).stdout.split()[-1]
    assert lab("export", run_id, "--out", str(again)).returncode == 0
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {path.name: path.read_bytes() for path in first.iterdir()}


def test_the_preset_keeps_its_name_when_nothing_is_changed(lab: Lab, tmp_path: Path) -> None:
    lab("run", "demo", "--preset", "published", "--set", "repeats=1", "--device", "cpu", "--out", str(tmp_path))  # 1 is the preset's value
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["preset"] == "published"
    assert "--preset published" in manifest["command"]


def test_a_failed_run_exits_with_1_and_writes_what_there_is(lab: Lab, tmp_path: Path) -> None:
    done = lab("run", "demo", "--set", "ending=crash", "--device", "cpu", "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "failed: the worker crashed with exit status 7" in done.stderr
    assert done.stdout.strip() == json.loads((tmp_path / "out" / "manifest.json").read_text())["run_id"]
    assert len(records_of(tmp_path / "out")) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_and_writes_what_there_is(store: Store, until: Until, tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "lab", "run", "demo", "--set", "ending=hang", "--device", "cpu", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(store.runs)
        run_id = store.runs()[0].id
        until(lambda: len(store.records(run_id)) == 6)
        process.send_signal(number)
        stdout, stderr = process.communicate()
    assert (process.returncode, stdout.split()) == (130, [run_id])
    assert "Traceback" not in stderr
    assert store.run(run_id).status == "cancelled"
    assert len(records_of(tmp_path / "out")) == 6


def test_a_calibration_is_a_run_like_any_other(store: Store, until: Until, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lab", "calibrate", "--device", "cpu", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(store.runs)
        run_id = store.runs()[0].id
        until(lambda: any(item.record.metric == "copy_bytes_per_s" for item in store.records(run_id)))
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    assert (process.returncode, stdout.split()) == (130, [run_id])
    assert "copy bandwidth, read + write" in stderr  # what was found before the end, in words
    assert "calibration" in {row["workload"] for row in records_of(tmp_path / "out")}


def test_a_run_that_a_page_cancels_exits_with_130(store: Store, until: Until) -> None:
    command = [sys.executable, "-m", "lab", "run", "demo", "--set", "ending=hang", "--device", "cpu"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        until(store.runs)
        store.request_cancel(store.runs()[0].id)
        assert process.wait() == 130


def test_a_command_line_waits_for_the_run_of_a_server(store: Store, until: Until) -> None:
    command = [sys.executable, "-m", "lab", "run", "demo", "--device", "cpu"]
    with Engine(store) as server:
        theirs = server.submit("demo", workload("demo").plan("quick", "cpu", {"ending": "hang"}), device="cpu")
        until(lambda: len(store.records(theirs)) == 6)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("queued, runs before this one: 1")
            assert store.run(theirs).status == "running"
            server.cancel(theirs)
            stdout, _ = process.communicate()
        assert process.returncode == 0
        assert store.run(stdout.split()[-1]).status == "finished"
        assert server.wait(theirs).status == "cancelled"


def test_a_server_waits_for_the_run_of_a_command_line(store: Store, until: Until) -> None:
    command = [sys.executable, "-m", "lab", "run", "demo", "--set", "ending=hang", "--device", "cpu"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process, Engine(store) as server:
        until(lambda: store.runs() and len(store.records(store.runs()[0].id)) == 6)
        ours = server.submit("demo", workload("demo").plan(), device="cpu")
        assert store.run(ours).queue_place == 1
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert server.wait(ours).status == "finished"


def test_on_a_terminal_one_line_is_redrawn() -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "lab", "run", "demo", "--set", "repeats=50", "--set", "interval_s=0.01", "--device", "cpu"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # the other side has closed
                break
            if not block:
                break
            shown += block
        assert process.wait() == 0
    os.close(ours)
    assert b"measure  observation" in shown
    assert b"\n" not in shown
    assert shown.endswith(b"\r\x1b[K")


# --- list ---------------------------------------------------------------------------------------------------------------------


def test_list_names_workloads_and_parameters(lab: Lab) -> None:
    done = lab("list")
    assert done.returncode == 0
    assert "demo: Demo\n  Does every ending of a run keep its records?\n  --set n=1024" in done.stdout
    assert "calibration" not in done.stdout  # it is no experiment


def test_list_as_json(lab: Lab) -> None:
    found = {item["name"]: item for item in json.loads(lab("list", "--json").stdout)}
    assert "calibration" not in found
    assert found["demo"]["presets"] == ["published", "quick", "thorough"]
    assert found["demo"]["parameters"][0] == {
        "name": "n",
        "title": "N",
        "help": "Elements; only the memory estimate reads it.",
        "unit": "",
        "default": "1024",
        "allowed": "a whole number from 1 to 1125899906842624",
        "sweep": True,
    }


def test_a_reader_that_leaves_early_is_no_error_with_a_traceback() -> None:
    command = f"{sys.executable} -m lab list --json | head -c 1"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[", "")


def test_an_out_folder_in_which_a_file_cannot_be_replaced_is_refused_before_the_run(lab: Lab, tmp_path: Path, store: Store) -> None:
    (tmp_path / "out" / "records.csv").mkdir(parents=True)
    done = lab("run", "demo", "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "holds a folder called records.csv" in done.stderr
    assert store.runs(1) == []


def test_device_locks_that_cannot_be_kept_are_refused_before_the_run(lab: Lab, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setenv("EFFICIENCY_LAB_LOCK_DIR", "/dev/null/locks")
    done = lab("run", "demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("EFFICIENCY_LAB_LOCK_DIR: '/dev/null/locks' cannot hold the device locks")
    assert store.runs(1) == []


def test_export_of_a_run_whose_command_line_was_killed_says_that_it_was_interrupted(
    lab: Lab, tmp_path: Path, store: Store, until: Until
) -> None:
    command = [sys.executable, "-m", "lab", "run", "demo", "--set", "ending=hang"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: store.runs(1) and store.records(store.runs(1)[0].id))
        process.kill()
    run_id = store.runs(1)[0].id
    assert lab("export", run_id, "--out", str(tmp_path / "out")).returncode == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert records_of(tmp_path / "out")


# --- report -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "out", "line"),
    [
        (["20260131-174502-aaaaaa"], "report.html", "run: '20260131-174502-aaaaaa' is unknown"),
        (["recorded/activations/nowhere"], "report.html", "run: 'recorded/activations/nowhere' is not recorded; allowed: one of recorded/"),
        (["imported/0123456789ab"], "report.html", "run: 'imported/0123456789ab' is unknown"),
        (["x\n"], "report.html", "run: 'x�' is unknown"),
        (["recorded/calibration/h200"] * 2, "report.html", "run: 'recorded/calibration/h200' is given twice; allowed: each run once"),
        (["recorded/calibration/h200"], "", "argument --out: is empty; allowed: a file that can be written"),
        (["recorded/calibration/h200"], "report.pdf", "out: '{}' has another ending; allowed: a file that can be written, called ….html"),
        (["recorded/calibration/h200"], "folder.html", "out: '{}' is a folder; allowed: a file that can be written"),
        (["recorded/calibration/h200"], "file/report.html", "out: '{}' cannot be written: "),
        (["recorded/calibration/h200"], "/proc/report.html", "out: '/proc/report.html' cannot be written ("),
        ([], "report.html", "the following arguments are required: RUN_ID"),
    ],
)
def test_a_report_that_cannot_be_made_is_one_line_and_no_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, runs: list[str], out: str, line: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").write_text("before")
    path = str(tmp_path / out) if out else out
    before = sorted(tmp_path.iterdir())
    try:
        status = main(["report", *runs, "--out", path])
    except SystemExit as wrong_usage:
        status = int(str(wrong_usage.code))
    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert shown.err.count("\n") == 1
    assert shown.err.startswith(line.format(path[:57] + "…" if len(path) > 60 else path))
    assert [found for found in sorted(tmp_path.iterdir()) if found.name != "home"] == before


def test_report_writes_the_same_file_as_the_page_offers(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("an older one")
    done = lab("report", "recorded/calibration/h200", "--out", str(tmp_path / "report.html"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    view = recordings.recording("recorded/calibration/h200").view()
    assert (tmp_path / "report.html").read_bytes() == report.document([report.Subject("recorded/calibration/h200", view)])


def test_a_run_that_has_not_ended_has_no_report_yet(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, store: Store, engine: Engine, submit: Callable[..., str], until: Until
) -> None:
    run_id = submit(ending="hang")
    until(lambda: store.run(run_id).status == "running")
    assert main(["report", run_id, "--out", str(tmp_path / "report.html")]) == 2
    assert capsys.readouterr().err == f"run: '{run_id}' is still running; allowed: runs that have ended\n"
    engine.cancel(run_id)
    engine.wait(run_id)
    assert main(["report", run_id, "--out", str(tmp_path / "report.html")]) == 0
    assert "The run ended early: it was cancelled." in (tmp_path / "report.html").read_text()
