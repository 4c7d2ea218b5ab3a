"""Whether the files of a bundle are a run that this lab can show, found out in a process of its own: ``python -m lab.bundle_check``.

    stdin   a zip with the files of the bundle, as they came
    stdout  a zip with the four files as this version makes them and what there is to say of the bundle's own ones (exit status 0), or why
            the run is refused, in one line (exit status 3)

Everything that a page makes of a run is made once: reading, summary, verdicts, charts. Files that would take for ever, or all memory,
then cost this process and not the server; what a browser could not show is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping

from lab import export, worker
from lab.bundle_differences import differences
from lab.calibration import with_limits
from lab.csv_format import read_table
from lab.export import MANIFEST, RECORDS, VERDICTS
from lab.foreign_run import ForeignRunError, check_command, check_manifest, check_records
from lab.parameters import Plan
from lab.records import Chart, RunView
from lab.summary import summarise

REFUSED = 3  # exit status
START_S = 60.0  # what starting a process may take on a busy machine, on top of the limit
_BOM = b"\xef\xbb\xbf"
_NOTICES = "notices.json"  # between the two processes


class ImportRefused(ValueError):
    """A bundle was not imported, and nothing of it was kept; the message is one line that says why."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a bundle may take.

    ``upload_bytes`` as it comes (a zip is about 20 times smaller than its files); ``unpacked_bytes`` of its files together;
    ``manifest_bytes`` of the manifest; ``records`` rows of records.csv; ``verdicts`` and ``charts`` that follow from them; ``series`` and
    ``points`` of one chart; ``cpu_s`` and ``memory_bytes`` for evaluating them; ``runs`` imported in one home. The largest recorded runs
    have 2,700 records, 90 verdicts and 24 charts, of 21 series or 800 points.
    """

    upload_bytes: int = 8 << 20
    unpacked_bytes: int = 32 << 20
    manifest_bytes: int = 256 << 10
    records: int = 25_000
    verdicts: int = 1_000
    charts: int = 100
    series: int = 200
    points: int = 20_000
    cpu_s: int = 20
    memory_bytes: int = 2 << 30
    runs: int = 200


LIMITS = Limits()


@dataclasses.dataclass(frozen=True)
class Checked:
    """A bundle that is a run: its ``files`` as this version makes them, and what there is to say of its own ones."""

    files: dict[str, bytes]
    notices: list[str]


def read_run(files: Mapping[str, bytes], limits: Limits) -> RunView:
    """The run in the files of a bundle. Raises ImportRefused."""
    for name in (MANIFEST, RECORDS):
        if name not in files:
            raise ImportRefused(f"{name} is missing; needed: {MANIFEST} and {RECORDS} of the same run, or its zip")
    believed = {name: files[name].removeprefix(_BOM) for name in (MANIFEST, RECORDS)}
    if len(believed[MANIFEST]) > limits.manifest_bytes:
        raise ImportRefused(f"{MANIFEST} has {len(believed[MANIFEST]):,} bytes; allowed: at most {limits.manifest_bytes:,}")
    place = MANIFEST
    try:
        found = export.read_json(MANIFEST, believed[MANIFEST])
        check_manifest(found)
        view = export.read(believed, limits.records)
        check_command(found, view.workload)
        place = RECORDS
        check_records(view)
    except export.RecordedError as error:
        raise ImportRefused(str(error)) from error
    except ForeignRunError as error:
        raise ImportRefused(f"{place}: {error}") from error
    return view


def check(files: Mapping[str, bytes], limits: Limits) -> Checked:
    """What this version makes of the run, after drawing every chart. Raises ImportRefused."""
    from lab import charts  # Plotly takes a moment to import, which reading runs needs none of

    view = read_run(files, limits)
    declared = view.workload
    try:
        estimates = summarise(declared, view.plan, view.records)
        drawn = declared.charts(estimates, view.records)
        if declared.explore is not None:
            (settings,) = Plan.of(declared.explore.parameters).cells
            drawn = [*drawn, *declared.explore.charts(settings, estimates, view.records, None)]
        _at_most(limits.charts, "charts", len(drawn))
        for chart in (with_limits(chart, view.manifest) for chart in drawn):
            _check_extent(chart, limits)
            charts.figure(chart)
            charts.table(chart)
        made = export.bundle(view)
        _at_most(limits.verdicts, "verdicts", len(read_table(made[VERDICTS])[1]))
    except ImportRefused:
        raise
    except Exception as error:  # a workload's own code meets records that no experiment of its would make: whatever it raises
        name = type(error).__name__
        raise ImportRefused(f"{RECORDS}: nothing can be computed from these records as those of {declared.name} ({name})") from error
    return Checked(made, differences(files, made, limits.records))


def _check_extent(chart: Chart, limits: Limits) -> None:
    _at_most(limits.series, "series in one chart", len(chart.series))
    _at_most(limits.points, "points in one chart", sum(len(series.x) for series in chart.series))


def _at_most(most: int, what: str, count: int) -> None:
    if count > most:
        raise ImportRefused(f"{RECORDS}: makes {count:,} {what}; allowed: at most {most:,}")


def check_apart(files: Mapping[str, bytes], limits: Limits) -> Checked:
    """:func:`check` in a process that is ended when it exceeds the limits of time or memory. Raises ImportRefused."""
    job = _packed({name: files[name] for name in export.FILES if name in files})
    command = [sys.executable, "-m", "lab.bundle_check", json.dumps(dataclasses.asdict(limits))]
    too_long = ImportRefused(f"{RECORDS}: computing results from these records takes more than {limits.cpu_s} s or too much memory")
    try:
        ended = subprocess.run(
            command,
            input=job,
            capture_output=True,
            timeout=limits.cpu_s + START_S,
            env=worker.environment(os.environ, 1, tempfile.gettempdir()),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise too_long from None
    if ended.returncode == REFUSED:
        raise ImportRefused(ended.stdout.decode("utf-8", "replace"))
    if ended.returncode < 0:  # ended by the system
        raise too_long
    if ended.returncode:
        sys.stderr.write(ended.stderr.decode("utf-8", "replace"))
        raise ImportRefused(f"the run could not be checked (exit status {ended.returncode}); the log of the lab says why")
    found = _unpacked(ended.stdout)
    notices = json.loads(found.pop(_NOTICES))
    return Checked(found, notices)


def main(arguments: list[str]) -> int:
    """Check the run on stdin within the :class:`Limits` that the one argument gives as JSON; returns the exit status."""
    limits = Limits(**json.loads(*arguments))
    with contextlib.suppress(ValueError, OSError):  # a system that knows no such limit, or a stricter one
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the answer
    try:
        found = check(_unpacked(sys.stdin.buffer.read()), limits)
        answer, status = _packed({**found.files, _NOTICES: json.dumps(found.notices).encode()}), 0
    except ImportRefused as error:
        answer, status = str(error).encode("utf-8", "replace"), REFUSED
    with out:
        out.write(answer)
    return status


def _packed(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
