"""What a run from another machine must keep to beyond the export format, because pages, claims and reports show and use what it says.

Text stays text: short, visible, without markup. Circumstances have the types that verdicts, charts and comparisons rely on. The command
is one of this lab and nothing else, because readers copy it into a terminal.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lab.hidden_text import hidden_character
from lab.jobs import CUSTOM
from lab.parameters import fields
from lab.records import RunView
from lab.store import RUN_ID_PATTERN
from lab.workload import PRESETS, Workload

MAX_LINE = 200  # characters of a name: hardware, data set, arm, dimension
MAX_TEXT = 20_000  # characters of any other text: a command spells out every parameter, a reason may be a compiler's
MAX_DEPTH = 12
MAX_VALUES = 20_000  # of a manifest, names not counted
MAX_WHOLE = 2**63
LEAST, MOST = 1e-70, 1e70  # between them, ratios of ratios and squares stay numbers
_MARKUP = re.compile(r"<[A-Za-z/!?]|&#?[A-Za-z0-9]+;")  # what a chart would take for formatting or a link


class ForeignRunError(ValueError):
    """A run from elsewhere was refused; the message is one line naming the field and what is wrong with it."""


# --- manifest ----------------------------------------------------------------------------------------------------------------


def _line(text: str) -> str:
    if len(text) > MAX_LINE:
        raise ValueError(f"has {len(text):,} characters; allowed: at most {MAX_LINE}")
    if "\n" in text or "\t" in text:
        raise ValueError("has several lines; allowed: one")
    if _MARKUP.search(text):
        raise ValueError("holds markup; allowed: plain text")
    return text


def _named(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; allowed: a name")
    return text


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", text):
        raise ValueError("is no device; allowed: cpu, cuda:0")
    return text


def _run_id(text: str) -> str:
    if not re.fullmatch(RUN_ID_PATTERN, text):  # it names files and folders
        raise ValueError("is no id of a run; allowed: as 20260131-174502-a7k2m9")
    return text


def _preset(text: str) -> str:
    if text not in (*PRESETS, CUSTOM):
        raise ValueError(f"is unknown; allowed: {', '.join((*PRESETS, CUSTOM))}")
    return text


def _time(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]{8,24}", text) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 2000 <= moment.year < 2200:
        raise ValueError("is no time; allowed: ISO 8601 with its zone, as 2026-01-31T17:45:02Z")
    return text


_Line = Annotated[str, AfterValidator(_line)]
_Name = Annotated[str, AfterValidator(_line), AfterValidator(_named)]
_Whole = Annotated[int, Field(ge=0, lt=MAX_WHOLE)]
_Time = Annotated[str, AfterValidator(_time)]


class _Part(BaseModel):
    """A part of the manifest: what is named has its type, further entries may be anything that is bounded."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class _Cpu(_Part):
    model: _Line = ""


class _Gpu(_Part):
    name: _Line = ""
    uuid: _Line = ""
    mig: bool | None = None


class _Machine(_Part):
    cpu: _Cpu = _Cpu()
    gpus: Annotated[list[_Gpu], Field(max_length=64)] = []
    memory: dict[str, int] = {}
    system: _Line = ""
    no_gpu: str = ""


class _Data(_Part):
    name: _Line = ""
    title: _Line = ""
    label: _Line = ""
    source: str = ""
    licence: _Line = ""
    sha256: _Line = ""
    sizes: dict[str, _Whole] = {}
    note: str = ""


class _Limit(_Part):
    title: _Name
    value: float
    unit: _Line


class _Calibration(_Part):
    limits: dict[str, _Limit] = {}
    reason: str = ""
    run_id: _Line | None = None
    measured_at: _Time | None = None
    preset: _Line | None = None


class _Manifest(_Part):
    """What of a manifest is used; the names are those that ``lab.environment.manifest`` writes."""

    schema_version: int
    lab_version: _Line = ""
    run_id: Annotated[str, AfterValidator(_run_id)]
    preset: Annotated[str, AfterValidator(_preset)]
    parameters: dict[str, list[Any]]
    seed: int | None = None
    protocols: list[Literal["published", "sound"]] = []
    device: Annotated[str, AfterValidator(_device)]
    hardware: _Name
    gpu: _Line | None = None
    gpu_reason: str = ""
    gpu_properties: dict[str, Any] | None = None
    driver: _Line | None = None
    versions: dict[str, _Line | int | float | None] = {}
    machine: _Machine = _Machine()
    clocks: dict[str, Any] | None = None
    threads: Annotated[int, Field(ge=1, le=100_000)] | None = None
    commit: _Line | None = None
    commit_reason: str = ""
    data: Annotated[list[_Data], Field(max_length=100)] = []
    energy_method: str = ""
    command: str = ""
    calibration: _Calibration | None = None
    created_at: _Time
    started_at: _Time | None = None
    ended_at: _Time | None = None
    status: Literal["finished", "cancelled", "failed", "interrupted"]


def check_manifest(found: Any) -> None:
    """Raise ForeignRunError where the manifest (a JSON value) is not bounded, hides something, or has other types than ours have."""
    if not isinstance(found, dict):
        raise ForeignRunError("is not an object")
    for count, (path, value, depth) in enumerate(_walk(found, "", 0)):
        if depth > MAX_DEPTH:
            raise ForeignRunError(f"{_shown(path)}: is nested more than {MAX_DEPTH} deep")
        if count > MAX_VALUES:
            raise ForeignRunError(f"has more than {MAX_VALUES:,} values")
        if isinstance(value, str):
            _check_text(path, value, MAX_TEXT, "\n\t")
        elif isinstance(value, int) and abs(value) >= MAX_WHOLE:
            raise ForeignRunError(f"{_shown(path)}: is too large a whole number; allowed: below 2⁶³")
        elif isinstance(value, float):
            _check_size(_shown(path), value)
    if found.get("status") in ("queued", "running"):
        raise ForeignRunError("status: the run had not ended when it was exported; allowed: an ended run")
    try:
        _Manifest.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        problem = first["msg"].removeprefix("Value error, ").replace("Input should be", "should be").replace("Field required", "is missing")
        raise ForeignRunError(f"{_shown('.'.join(map(str, first['loc'])))}: {problem}") from None


def check_command(found: Mapping[str, Any], declared: Workload) -> None:
    """Raise ForeignRunError unless the manifest's command, where there is one, runs this workload with parameters that it has."""
    command = found.get("command") or ""
    if not command:
        return
    refused = ForeignRunError(f"command: is not “python -m lab run {declared.name}” with --preset, --set and --device")
    try:
        words = shlex.split(command)
    except ValueError:
        raise refused from None
    start = ["python", "-m", "lab", "run", declared.name]
    options = words[len(start) :]
    # Joined again it must be the same text: then nothing in it is left for a shell to interpret.
    if shlex.join(words) != command or words[: len(start)] != start or len(options) % 2:
        raise refused
    for option, value in zip(options[::2], options[1::2], strict=True):
        fits = {
            "--preset": value in PRESETS,
            "--set": value.partition("=")[0] in fields(declared.parameters),
            "--device": value in ("auto", "cpu", "cuda"),
        }
        if not fits.get(option, False):
            raise refused


def _walk(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any, int]]:
    """Every value in a JSON value, its names too, with the path to it and how deep it lies."""
    yield path, value, depth
    if depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_text(path or "a name", name, MAX_LINE)
            yield from _walk(item, f"{path}.{name}" if path else name, depth + 1)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _walk(item, f"{path}[{place}]", depth + 1)


# --- records -----------------------------------------------------------------------------------------------------------------


def check_records(view: RunView) -> None:
    """Raise ForeignRunError where a record's texts are long, hide something or hold markup, where its numbers are out of all proportion, or
    where its device is not one of the run's."""
    seen: set[tuple[str, str]] = set()  # most texts repeat
    on_cpu = view.manifest["device"] == "cpu"
    for place, stored in enumerate(view.records):
        record = stored.record
        for column in ("arm", "implementation", "device", "dtype", "metric", "unit"):
            _check_once(seen, place, column, getattr(record, column))
        for column, value in record.dimensions.items():
            if isinstance(value, str):
                _check_once(seen, place, column, value)
            elif abs(value) >= MAX_WHOLE and isinstance(value, int):
                raise ForeignRunError(f"row {place + 2}, {column}: is too large a whole number; allowed: below 2⁶³")
            else:
                _check_size(f"row {place + 2}, {column}", value)
        if record.value is not None:
            _check_size(f"row {place + 2}, value", record.value)
        if ("reason", record.reason) not in seen:
            _check_text(f"row {place + 2}, reason", record.reason, MAX_TEXT, "\n\t")
            seen.add(("reason", record.reason))
        for column in ("repeat", "seed"):
            number = getattr(record, column)
            if number is not None and not 0 <= number < MAX_WHOLE:
                raise ForeignRunError(f"row {place + 2}, {column}: is {_shown(str(number))}; allowed: 0 to 2⁶³")
        if on_cpu and record.device not in ("", "cpu"):
            raise ForeignRunError(f"row {place + 2}, device: is {_shown(record.device)}; the manifest says that the run used the CPU alone")


def _check_size(path: str, value: float) -> None:
    if value and not LEAST <= abs(value) <= MOST:
        raise ForeignRunError(f"{path}: is {value:.3g}; allowed: 0, and sizes from {LEAST:g} to {MOST:g}")


def _check_once(seen: set[tuple[str, str]], place: int, column: str, text: str) -> None:
    if (column, text) in seen:
        return
    _check_text(f"row {place + 2}, {column}", text, MAX_LINE)
    if _MARKUP.search(text):
        raise ForeignRunError(f"row {place + 2}, {column}: holds markup; allowed: plain text")
    seen.add((column, text))


def _check_text(path: str, text: str, longest: int, allowed: str = "") -> None:
    if len(text) > longest:
        raise ForeignRunError(f"{_shown(path)}: has {len(text):,} characters; allowed: at most {longest:,}")
    if hidden := hidden_character(text, allowed):
        raise ForeignRunError(f"{_shown(path)}: holds the hidden character {hidden}; allowed: text that can be seen")


def _shown(path: str) -> str:
    visible = "".join(c if c.isprintable() else "�" for c in path)
    return visible if len(visible) <= 80 else visible[:79] + "…"
