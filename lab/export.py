"""A run as files: manifest.json, records.csv, summary.csv, verdicts.csv; the same as one JSON document or one zip; and back.

The files and their columns are a fixed contract (``lab.SCHEMA_VERSION``). Missing values are empty with their reason, never 0 and never
"nan". The bytes follow from the run alone: exporting a run that was read back with :func:`load_recorded` gives the same bytes again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import os
import typing
import uuid
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lab import SCHEMA_VERSION
from lab.csv_format import CsvError, number_cell, parse_number, parse_scalars, parse_text, read_table, scalar_cell, table
from lab.parameters import ParameterError, Plan, fields
from lab.records import Estimate, Protocol, Record, Role, RunView, Scalar, StoredRecord
from lab.summary import summarise
from lab.verdicts import Evidence, Verdict, verdicts
from lab.workload import Workload, workload

MANIFEST, RECORDS, SUMMARY, VERDICTS = "manifest.json", "records.csv", "summary.csv", "verdicts.csv"
FILES = (MANIFEST, RECORDS, SUMMARY, VERDICTS)

RECORD_COLUMNS = (
    *("run_id", "workload", "protocol", "arm", "role", "implementation", "device", "dtype", "metric"),
    *("value", "unit", "repeat", "seed", "reason"),
)
SUMMARY_COLUMNS = (
    *("workload", "protocol", "arm", "implementation", "baseline_arm", "baseline_implementation", "metric", "statistic"),
    *("mean", "ci_low", "ci_high", "n", "unit", "reason"),
)
VERDICT_COLUMNS = tuple(field.name for field in dataclasses.fields(Verdict))
_NUMBERS = frozenset({"value", "repeat", "seed", "mean", "ci_low", "ci_high", "n", "claimed", "measured"})

MAX_RECORDED_BYTES = 1 << 20  # of a recorded run's four files together
MAX_ID_CHARACTERS = 100
NO_REASON = "no reason recorded"
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: the same run gives the same bytes at any time

Row = dict[str, Scalar | None]


class RecordedError(ValueError):
    """A recorded run cannot be used; the message is one line naming the file and what is wrong with it."""


# --- a run as rows -----------------------------------------------------------------------------------------------------------


def manifest(view: RunView) -> dict[str, Any]:
    """The run's manifest with what reading it back needs; JSON values only, None for numbers that are not finite."""
    complete = {
        **view.manifest,
        "schema_version": SCHEMA_VERSION,
        "run_id": view.run_id,
        "workload": view.workload.name,
        "parameters": view.plan.to_json(),
        "status": view.status,
        "reason": view.reason,
    }
    return _finite(complete)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _record_rows(view: RunView) -> list[Row]:
    """One row for each raw measurement, by column name; a parameter swept over is None for a measurement of the run as a whole."""
    known = fields(view.plan.model)
    swept = view.plan.swept
    parameters: list[Row] = [{f"p_{name}": field.text(getattr(cell, name)) for name, field in known.items()} for cell in view.plan.cells]
    whole_run: Row = {key: None if key.removeprefix("p_") in swept else text for key, text in parameters[0].items()}
    rows: list[Row] = []
    for stored in view.records:
        record = stored.record
        row: Row = {
            "run_id": view.run_id,
            "workload": view.workload.name,
            "protocol": record.protocol,
            "arm": record.arm,
            "role": record.role,
            "implementation": record.implementation,
            "device": record.device,
            "dtype": record.dtype,
            "metric": record.metric,
            "value": record.value,
            "unit": record.unit,
            "repeat": record.repeat,
            "seed": record.seed,
            "reason": record.reason,
        }
        row |= {name: record.dimensions.get(name) for name in view.workload.dimensions}
        rows.append(row | (parameters[stored.cell] if stored.cell >= 0 else whole_run))
    return rows


def _summary_rows(estimates: Sequence[Estimate], declared: Workload, plan: Plan) -> list[Row]:
    """One row for each estimate, by column name."""
    known = fields(plan.model)
    rows: list[Row] = []
    for estimate in estimates:
        row: Row = {name: getattr(estimate, name) for name in SUMMARY_COLUMNS}
        row["mean"], row["reason"] = _value_with_reason(estimate.mean, estimate.reason)
        row |= {name: estimate.dimensions.get(name) for name in declared.dimensions}
        row |= {f"p_{name}": known[name].text(estimate.swept[name]) if name in estimate.swept else None for name in plan.swept}
        rows.append(row)
    return rows


def _reasoned(stored: StoredRecord) -> StoredRecord:
    """The record with a reason where its value is missing or not finite."""
    value, reason = _value_with_reason(stored.record.value, stored.record.reason)
    if (value, reason) == (stored.record.value, stored.record.reason):
        return stored
    return dataclasses.replace(stored, record=dataclasses.replace(stored.record, value=value, reason=reason))


def _value_with_reason(value: float | None, reason: str) -> tuple[float | None, str]:
    if value is not None and math.isfinite(value):
        return value, reason
    return None, reason or (NO_REASON if value is None else f"the value is not finite ({value})")


@dataclasses.dataclass(frozen=True)
class _Contents:
    """Everything that is exported of one run, before it becomes bytes."""

    manifest: dict[str, Any]
    tables: dict[str, tuple[tuple[str, ...], list[Row]]]  # file name → columns, rows


def _contents(view: RunView) -> _Contents:
    complete = manifest(view)
    # Before anything is computed from them: what is written must be all that summary and verdicts rest on.
    view = dataclasses.replace(view, records=[_reasoned(stored) for stored in view.records])
    estimates = summarise(view.workload, view.plan, view.records)
    judged = verdicts(view.workload, estimates, Evidence.from_manifest(complete))
    dimensions = view.workload.dimensions
    parameters = tuple(f"p_{name}" for name in view.plan.values)
    swept = tuple(f"p_{name}" for name in view.plan.swept)
    return _Contents(
        complete,
        {
            RECORDS: ((*RECORD_COLUMNS, *dimensions, *parameters), _record_rows(view)),
            SUMMARY: ((*SUMMARY_COLUMNS, *dimensions, *swept), _summary_rows(estimates, view.workload, view.plan)),
            VERDICTS: (VERDICT_COLUMNS, [dataclasses.asdict(verdict) for verdict in judged]),
        },
    )


# --- rows as bytes -----------------------------------------------------------------------------------------------------------


def bundle(view: RunView) -> dict[str, bytes]:
    """The four files of the run by name; the run may be in any state, finished or not."""
    contents = _contents(view)
    return {MANIFEST: _json(contents.manifest), **{name: _csv(*found) for name, found in contents.tables.items()}}


def as_json(view: RunView) -> bytes:
    """The run as one JSON document: ``manifest``, ``records``, ``summary`` and ``verdicts``, with null for what is missing."""
    contents = _contents(view)
    tables = {name.removesuffix(".csv"): [_finite(row) for row in rows] for name, (_, rows) in contents.tables.items()}
    return _json({"manifest": contents.manifest, **tables})


def as_zip(view: RunView) -> bytes:
    """The four files as one zip, in a folder named after the run."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in bundle(view).items():
            entry = zipfile.ZipInfo(f"{view.run_id}/{name}", _ZIP_DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True) + "\n").encode("utf-8", "replace")


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    return table(columns, ([_cell(name, row[name]) for name in columns] for row in rows))


def _cell(column: str, value: Scalar | None) -> str:
    return number_cell(typing.cast("float | None", value)) if column in _NUMBERS else scalar_cell(value)


def write(directory: Path, view: RunView) -> list[Path]:
    """Write the four files into ``directory`` (made if needed) and return their paths.

    Each file is replaced as a whole, after all four have been written: a crash leaves the old file or the new one, never half of one.
    Other files in the directory stay. Raises OSError when it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex
    written: list[tuple[Path, Path]] = []
    try:
        for name, data in bundle(view).items():
            new = directory / f".{name}.{token}"
            written.append((new, directory / name))
            with new.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for new, final in written:
            new.replace(final)
    finally:
        for new, _ in written:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
    return [final for _, final in written]


# --- and back ------------------------------------------------------------------------------------------------------------------


def load_recorded(folder: Path, max_bytes: int = MAX_RECORDED_BYTES) -> RunView:
    """A run from a folder in export format, see :func:`read`.

    Raises RecordedError when one of the four files is missing or when they are larger than ``max_bytes`` together, too.
    """
    try:
        sizes = {name: (folder / name).stat().st_size for name in FILES}
        if sum(sizes.values()) > max_bytes:
            raise RecordedError(f"the files take {sum(sizes.values())} bytes, at most {max_bytes} are allowed")
        data = {name: (folder / name).read_bytes() for name in (MANIFEST, RECORDS)}
    except OSError as error:
        raise RecordedError(f"{Path(error.filename or folder).name}: cannot be read ({error.strerror})") from error
    return read(data)


def read(files: Mapping[str, bytes], max_rows: int | None = None) -> RunView:
    """A run from its manifest.json and records.csv. Summary and verdicts follow from the records, so other files are not looked at.

    Parameters that the workload was given since then take their defaults, dimensions stay empty. Raises RecordedError when the files are
    of another schema version, of an unknown workload, do not fit the workload's parameters and columns, or hold more than ``max_rows``
    records.
    """
    found = read_json(MANIFEST, files[MANIFEST])
    declared, plan = _declared(found)
    names = [name for name in plan.values if name in found.get("parameters", {})]
    records = _load_records(files[RECORDS], found["run_id"], declared, plan, names, max_rows)
    return RunView(found["run_id"], declared, plan, found, records, found["status"], found["reason"])


def files_of(document: Any) -> dict[str, bytes]:
    """manifest.json and records.csv out of the JSON document of a run (:func:`as_json`), for :func:`read`. Raises RecordedError."""
    if not isinstance(document, dict) or not isinstance(document.get("manifest"), dict) or not isinstance(document.get("records"), list):
        raise RecordedError("the JSON document holds no manifest and no records: it is not a run that was exported whole")
    found, rows = document["manifest"], document["records"]
    declared, plan = _declared(found)
    given = rows[0] if rows and isinstance(rows[0], dict) else {}
    dimensions = [name for name in declared.dimensions if name in given]
    columns = [*RECORD_COLUMNS, *dimensions, *(f"p_{name}" for name in plan.values if name in found.get("parameters", {}))]
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or sorted(row) != sorted(columns):
            raise RecordedError(f"records: number {index + 1} has not the names of {declared.name}: {', '.join(columns)}")
        for name, value in row.items():
            allowed = int | float | None if name in _NUMBERS else Scalar | None
            if not isinstance(value, allowed) or (isinstance(value, bool) and name in _NUMBERS):
                raise RecordedError(f"records: {name} of number {index + 1} has another type than records have")
    return {MANIFEST: _json(found), RECORDS: _csv(columns, rows)}


def read_json(name: str, data: bytes) -> Any:
    """The value in a JSON file called ``name``. Raises RecordedError for no JSON, numbers that are not finite and repeated names."""
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_finite_number,
            parse_float=_finite_number,
            parse_int=_whole_finite_number,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError) as error:
        raise RecordedError(f"{name}: is not JSON ({error})") from error


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def _whole_finite_number(text: str) -> int:
    _finite_number(text)  # a whole number beyond all floats would break whatever computes with it
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):  # readers differ in which of them they believe
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice[:40]!r} is there twice")
    return found


def _declared(found: Any) -> tuple[Workload, Plan]:
    if not isinstance(found, dict):
        raise RecordedError(f"{MANIFEST}: is not an object")
    if found.get("schema_version") != SCHEMA_VERSION:
        given = repr(found.get("schema_version"))[:40]
        raise RecordedError(f"{MANIFEST}: schema_version is {given}, this version reads {SCHEMA_VERSION}")
    for name in ("run_id", "workload", "status", "reason"):
        if not isinstance(found.get(name), str):
            raise RecordedError(f"{MANIFEST}: {name} is not a text")
    run_id = found["run_id"]
    if not (0 < len(run_id) <= MAX_ID_CHARACTERS and run_id.isprintable() and run_id == run_id.strip()):
        raise RecordedError(f"{MANIFEST}: run_id is not 1 to {MAX_ID_CHARACTERS} printable characters")
    try:
        declared = workload(found["workload"])
        return declared, Plan.from_json(declared.parameters, found.get("parameters", {}))
    except ParameterError as error:
        raise RecordedError(f"{MANIFEST}: {error}") from error


def _load_records(
    data: bytes, run_id: str, declared: Workload, plan: Plan, names: Sequence[str], max_rows: int | None
) -> list[StoredRecord]:
    """The records of a table with the columns of the parameters ``names``."""
    try:
        header, rows = read_table(data, max_rows)
    except CsvError as error:
        raise RecordedError(f"{RECORDS}: {error}") from error
    expected = [*RECORD_COLUMNS, *(name for name in declared.dimensions if name in header), *(f"p_{name}" for name in names)]
    if header != expected:
        raise RecordedError(f"{RECORDS}: the columns are not those of {declared.name}: {', '.join(expected)}")
    columns = {name: [row[index] for row in rows] for index, name in enumerate(header)}
    empty = [""] * len(rows)
    dimensions = {name: parse_scalars(columns.get(name, empty)) for name in declared.dimensions}
    cells = _cells(plan, names)
    known = fields(plan.model)

    @cache
    def canonical(name: str, text: str) -> str:
        """The text that this version writes for the same value."""
        try:
            return known[name].text(known[name].parse(text)) if text else text
        except ParameterError:
            return text

    records = []
    for index, row in enumerate(rows):
        try:
            texts = zip(names, row[len(row) - len(names) :], strict=True)
            cell = cells.get(tuple(canonical(name, parse_text(text)) for name, text in texts))
            if cell is None:
                raise CsvError("the parameters are not those of the manifest")
            # An empty cell is an empty text: records of one workload have all of its dimensions.
            own = {name: "" if (value := column[index]) is None else value for name, column in dimensions.items()}
            record = _record(dict(zip(header, row, strict=True)), run_id, declared.name, own, whole_run=cell < 0)
        except CsvError as error:
            raise RecordedError(f"{RECORDS}: row {index + 2}: {error}") from error
        records.append(StoredRecord(index, cell, record))
    return records


def _cells(plan: Plan, names: Sequence[str]) -> dict[tuple[str, ...], int]:
    """The parameters ``names`` of each cell as texts → its index; with empty texts for what is swept → −1, the run as a whole."""
    known = fields(plan.model)
    found = {tuple("" if name in plan.swept else known[name].text(plan.values[name][0]) for name in names): -1}
    for index, cell in enumerate(plan.cells):  # last, so that without a sweep the only cell is meant
        found[tuple(known[name].text(getattr(cell, name)) for name in names)] = index
    return found


def _record(cells: Mapping[str, str], run_id: str, name: str, dimensions: Mapping[str, Scalar], *, whole_run: bool) -> Record:
    text = {column: parse_text(cell) for column, cell in cells.items()}
    if (text["run_id"], text["workload"]) != (run_id, name):
        raise CsvError("run_id or workload differ from the manifest")
    for column, allowed in (("protocol", typing.get_args(Protocol)), ("role", typing.get_args(Role))):
        if text[column] not in allowed:
            raise CsvError(f"{column} is {text[column][:40]!r}, not one of {', '.join(allowed)}")
    value = parse_number(cells["value"])
    if value is None and not text["reason"]:
        raise CsvError("the value is missing without a reason")
    return Record(
        protocol=typing.cast("Protocol", text["protocol"]),
        arm=text["arm"],
        role=typing.cast("Role", text["role"]),
        implementation=text["implementation"],
        device=text["device"],
        dtype=text["dtype"],
        metric=text["metric"],
        value=value,
        unit=text["unit"],
        repeat=_whole_number(cells, "repeat"),
        seed=_whole_number(cells, "seed"),
        reason=text["reason"],
        dimensions=dimensions,
        whole_run=whole_run,
    )


def _whole_number(cells: Mapping[str, str], column: str) -> int | None:
    number = parse_number(cells[column])
    if isinstance(number, float):
        raise CsvError(f"{column} is not a whole number")
    return number
