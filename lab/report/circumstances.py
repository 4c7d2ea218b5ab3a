"""The circumstances of a run in words, from its manifest. A manifest may come from anywhere: what it lacks is left out, nothing is believed
to have a certain form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab import environment, formatting
from lab.collection import Origin
from lab.parameters import fields
from lab.records import RunView

Rows = list[tuple[str, str]]
UNKNOWN_HARDWARE, UNDATED = "unknown hardware", "undated"
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class DataSet:
    """A data set that the run used, in words; ``facts`` are source, licence, size and note, those of them that are told."""

    title: str
    sha256: str
    facts: tuple[str, ...]


def hardware(manifest: Mapping[str, Any]) -> str:
    """What was measured on."""
    return _text(manifest, "hardware") or _text(manifest, "device") or UNKNOWN_HARDWARE


def date(manifest: Mapping[str, Any]) -> str:
    """The day on which the run started."""
    return formatting.date(_text(manifest, "started_at") or _text(manifest, "created_at")) or UNDATED


def provenance(origin: Origin) -> str:
    """Where a run comes from, in one sentence."""
    return {
        "recorded": "Recorded run, from the repository of Efficiency Lab.",
        "imported": (
            "Imported run: its records and circumstances are somebody else's, taken as they were sent. "
            "Summary, verdicts and charts were computed from the records here."
        ),
        "local": "Run of the machine on which this report was made.",
    }[origin]


def ending(view: RunView) -> str:
    """How a run ended that did not finish, in one or two sentences; "" for one that did."""
    if view.status == "finished":
        return ""
    word = {"cancelled": "was cancelled", "interrupted": "was interrupted"}.get(view.status, "failed")
    made = len(view.records)
    kept = f"The {made:,} records made before are judged and shown." if made else "Nothing was measured before."
    return " ".join(part for part in (f"The run ended early: it {word}.", formatting.sentence(view.reason), kept) if part)


def command(view: RunView) -> str:
    """The command line that repeats the run; made from its parameters, never copied from a manifest that might hold any command."""
    preset, device = _text(view.manifest, "preset"), _text(view.manifest, "device")
    return environment.reproducing_command(view.workload.name, preset, view.plan.texts(), device)


def parameters(view: RunView) -> list[tuple[str, str, str]]:
    """Each parameter: what readers call it, its name, its values."""
    texts = view.plan.texts()
    return [(field.title, name, f"{texts[name]} {field.unit}".strip()) for name, field in fields(view.plan.model).items()]


def facts(view: RunView) -> Rows:
    """What a reader who would repeat the run needs to know of it, each as (what, value)."""
    manifest = view.manifest
    rows = [
        ("Run", view.run_id),
        ("Measured on", hardware(manifest)),
        ("Preset", _text(manifest, "preset")),
        ("Protocols", ", ".join(_texts(manifest.get("protocols")))),
        ("Seed", _text(manifest, "seed")),
        ("Asked for", formatting.time_of_day(_text(manifest, "created_at"))),
        ("Started", formatting.time_of_day(_text(manifest, "started_at"))),
        ("Ended", formatting.time_of_day(_text(manifest, "ended_at"))),
        ("Status", f"{view.status}: {view.reason}" if view.reason else view.status),
        ("GPU", _gpu(manifest)),
        ("No GPU", "" if _text(manifest, "gpu") else _text(manifest, "gpu_reason")),
        ("GPU power limit", _quantity(_dig(manifest, "machine", "gpus", 0, "power_limit_w"), "W")),
        ("Clocks at the start", _clocks(manifest, "start")),
        ("Clocks at the end", _clocks(manifest, "end")),
        ("Driver", _text(manifest, "driver")),
        ("Processor", _processor(manifest)),
        ("Threads of the run", _text(manifest, "threads")),
        ("Main memory", _quantity(_dig(manifest, "machine", "memory", "total_bytes"), "B")),
        ("System", _text(manifest, "machine", "system")),
        ("Versions", _versions(manifest)),
        ("Commit", _text(manifest, "commit") or _with_reason(manifest, "commit_reason")),
        ("Efficiency Lab", _text(manifest, "lab_version")),
        ("Energy", _text(manifest, "energy_method")),
        ("Calibration", _text(manifest, "calibration", "reason")),
        ("Instead of the data asked for", _text(manifest, "data_fallback")),
    ]
    return [(name, value) for name, value in rows if value]


def data_sets(view: RunView) -> list[DataSet]:
    """The data sets that the run used."""
    used = view.manifest.get("data")
    found = []
    for entry in used if isinstance(used, list | tuple) else ():
        told = entry if isinstance(entry, Mapping) else {"title": entry}
        title = _text(told, "title") or _text(told, "name") or "unnamed data"
        licence = _text(told, "licence")
        parts = (_text(told, "source"), f"licence: {licence}" if licence else "", _sizes(told.get("sizes")), _text(told, "note"))
        found.append(DataSet(title, _text(told, "sha256"), tuple(formatting.sentence(part) for part in parts if part)))
    return found


def _dig(value: Any, *path: str | int) -> Any:
    """What lies at a path of names and indices; None where it does not."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list | tuple) and len(value) > step else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _text(value: Any, *path: str | int) -> str:
    found = _dig(value, *path)
    return str(found) if isinstance(found, str | int | float) and not isinstance(found, bool) else ""


def _texts(value: Any) -> Sequence[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _quantity(value: Any, unit: str) -> str:
    return formatting.quantity(value, unit) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _sizes(value: Any) -> str:
    """How many items each split has, in the order of use."""
    if not isinstance(value, Mapping):
        return ""
    splits = sorted(value.items(), key=lambda item: (_SPLITS.index(item[0]) if item[0] in _SPLITS else len(_SPLITS), str(item[0])))
    return "items: " + ", ".join(f"{name} {size:,}" if isinstance(size, int) else f"{name} {size}" for name, size in splits)


def _gpu(manifest: Mapping[str, Any]) -> str:
    name = _text(manifest, "gpu")
    memory = _quantity(_dig(manifest, "machine", "gpus", 0, "memory_total_bytes"), "B")
    capability = _text(manifest, "gpu_properties", "compute_capability")
    processors = _text(manifest, "gpu_properties", "multiprocessors")
    parts = [memory, f"compute capability {capability}" if capability else "", f"{processors} multiprocessors" if processors else ""]
    told = ", ".join(part for part in parts if part)
    return f"{name} ({told})" if name and told else name


def _clocks(manifest: Mapping[str, Any], when: str) -> str:
    found = _dig(manifest, "clocks", when)
    if not isinstance(found, Mapping):
        return _with_reason(manifest, "clocks", "reason") if when == "start" else ""
    read = (("SM", _quantity(found.get("sm_clock_hz"), "Hz")), ("memory", _quantity(found.get("memory_clock_hz"), "Hz")))
    limits = ", ".join(_texts(found.get("limited_by")))
    parts = [*(f"{name} {value}" for name, value in read if value), f"limited by {limits}" if limits else ""]
    return ", ".join(part for part in parts if part)


def _with_reason(manifest: Mapping[str, Any], *path: str) -> str:
    reason = _text(manifest, *path)
    return f"unknown: {reason}" if reason else ""


def _processor(manifest: Mapping[str, Any]) -> str:
    cpu = ("machine", "cpu")
    model, logical = _text(manifest, *cpu, "model"), _text(manifest, *cpu, "logical_cores")
    return f"{model}, {logical} logical cores" if model and logical else model


def _versions(manifest: Mapping[str, Any]) -> str:
    found = _dig(manifest, "versions")
    if not isinstance(found, Mapping):
        return ""
    return ", ".join(f"{name} {version}" for name, version in found.items() if version)
