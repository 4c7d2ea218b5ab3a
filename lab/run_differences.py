"""How runs differ before anything is measured: their parameters and the circumstances in their manifests.

Both are lists of what differs, with the names of everything else that was looked at, so that "the same" is a statement and not a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab import formatting
from lab.environment import device_kind
from lab.parameters import fields
from lab.records import RunView

UNKNOWN = "not recorded"
NONE = "none"
ENDED = "finished"
DATA_SET = "Data set "
# Circumstances that seldom decide anything: lists may put them last.
MINOR = frozenset(
    {
        *("GPU's serial number", "GPU's highest SM clock", "GPU's power limit", "MIG", "Clocks at the start", "Clocks at the end"),
        *("Processor cores", "Processor caches", "Main memory", "System", "Format of the run", "Lab version", "How energy was measured"),
        *(f"Version of {name}" for name in ("SciPy", "scikit-learn", "nvidia-ml-py", "streamlit", "cuDNN")),
    }
)


@dataclass(frozen=True)
class Difference:
    """One thing in which the runs differ: its name, what readers call it, and the value of each run in words."""

    name: str
    title: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Differences:
    """What differs, and the titles of what was compared and found the same."""

    found: tuple[Difference, ...]
    same: tuple[str, ...]


def parameters(views: Sequence[RunView]) -> Differences:
    """The parameters in which runs of one workload differ, as canonical texts, in the order of the workload's declaration."""
    known = fields(views[0].plan.model)
    texts = [view.plan.texts() for view in views]
    rows = []
    for name, field in known.items():
        unit = f" {field.unit}" if field.unit else ""
        rows.append(Difference(name, field.title, tuple(found[name].replace(",", ", ") + unit for found in texts)))
    return _split(rows)


def environment(views: Sequence[RunView]) -> Differences:
    """What the manifests say of hardware, software, data and the run itself, where it differs."""
    tables = [circumstances(view) for view in views]
    titles = dict.fromkeys(title for table in tables for title in table)
    return _split([Difference(title, title, tuple(table.get(title, _absent(title)) for table in tables)) for title in titles])


def _absent(title: str) -> str:
    """What stands for a circumstance that a manifest does not name."""
    return "not used" if title.startswith(DATA_SET) else UNKNOWN


def _split(rows: Sequence[Difference]) -> Differences:
    return Differences(
        tuple(row for row in rows if len(set(row.values)) > 1),
        tuple(row.title for row in rows if len(set(row.values)) == 1),
    )


def circumstances(view: RunView) -> dict[str, str]:
    """What a manifest says of a run's circumstances, in words, by title; what it lacks is left out or called not recorded."""
    manifest = view.manifest
    cpu, gpu = mapping(mapping(manifest.get("machine")).get("cpu")), measured_gpu(manifest)
    clocks = mapping(manifest.get("clocks"))
    versions = mapping(manifest.get("versions"))
    status = view.status if not view.reason else f"{view.status}: {view.reason}"
    found = {
        "Device": _text(manifest.get("device")),
        "GPU": _text(manifest.get("gpu") or NONE),
        "GPU's serial number": _shortened(gpu.get("uuid") or NONE, 12),
        "GPU's highest SM clock": _quantity(gpu.get("sm_clock_max_hz"), "Hz"),
        "GPU's power limit": _quantity(gpu.get("power_limit_w"), "W"),
        "MIG": _switch(gpu.get("mig")),
        "Clocks at the start": _clocks(clocks.get("start")),
        "Clocks at the end": _clocks(clocks.get("end")),
        "Driver": _text(manifest.get("driver") or NONE),
        "Processor": _text(cpu.get("model")),
        "Processor cores": f"{_text(cpu.get('cores'))} physical, {_text(cpu.get('logical_cores'))} logical",
        "Processor caches": f"L2 {_quantity(cpu.get('l2_cache_bytes'), 'B')}, L3 {_quantity(cpu.get('l3_cache_bytes'), 'B')}",
        "Main memory": _quantity(mapping(mapping(manifest.get("machine")).get("memory")).get("total_bytes"), "B"),
        "System": _text(mapping(manifest.get("machine")).get("system")),
        "CPU threads": _text(manifest.get("threads")),
    }
    found |= {f"Version of {_package(name)}": _text(version or "not installed") for name, version in versions.items()}
    found |= {
        "Lab version": _text(manifest.get("lab_version")),
        "Lab commit": _commit(manifest),
        "Format of the run": _text(manifest.get("schema_version")),
        "Preset": _text(manifest.get("preset")),
        "How energy was measured": _text(manifest.get("energy_method")),
        "Started": formatting.time_of_day(_text(manifest.get("started_at"))),
        "How it ended": status if view.status == ENDED else f"ended early ({status})",
    }
    for name, sha256 in data_sets(manifest).items():
        found[DATA_SET + name] = f"SHA-256 {sha256[:16]}…" if sha256 else "SHA-256 not recorded"
    return found


def measured_gpu(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """What NVML told of the GPU that the run measured on; empty for a CPU run."""
    gpus = mapping(manifest.get("machine")).get("gpus")
    if device_kind(str(manifest.get("device") or "")) != "cuda" or not isinstance(gpus, list | tuple) or not gpus:
        return {}
    return mapping(gpus[0])


def data_sets(manifest: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of each data set that the run used, by name ("" where none was recorded)."""
    used = manifest.get("data")
    entries = [mapping(entry) for entry in used] if isinstance(used, list | tuple) else []
    return {str(entry.get("name") or "unnamed"): str(entry.get("sha256") or "") for entry in entries if entry}


def mapping(value: Any) -> Mapping[str, Any]:
    """``value`` where it is a mapping, else an empty one: a manifest may come from another version or machine."""
    return value if isinstance(value, Mapping) else {}


def _package(name: str) -> str:
    return {"cuda": "CUDA", "cudnn": "cuDNN", "numpy": "NumPy", "python": "Python", "triton": "Triton", "scipy": "SciPy"}.get(name, name)


def _clocks(value: Any) -> str:
    clocks = mapping(value)
    if not clocks:
        return NONE
    limited = clocks.get("limited_by") or ()
    by = f", limited by {', '.join(map(str, limited))}" if isinstance(limited, list | tuple) and limited else ""
    return f"SM {_quantity(clocks.get('sm_clock_hz'), 'Hz')}, memory {_quantity(clocks.get('memory_clock_hz'), 'Hz')}{by}"


def _commit(manifest: Mapping[str, Any]) -> str:
    """The commit, short enough to be read, with whether the code had local changes."""
    commit = str(manifest.get("commit") or "")
    if not commit:
        return f"{UNKNOWN} ({manifest.get('commit_reason') or 'no reason given'})"
    clean = commit.removesuffix("-dirty")
    return _shortened(clean, 12) + (" with local changes" if clean != commit else "")


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}…"


def _switch(value: Any) -> str:
    return {"True": "enabled", "False": "not enabled"}.get(str(value), NONE)


def _quantity(value: Any, unit: str) -> str:
    return formatting.quantity(value, unit) if isinstance(value, int | float) and not isinstance(value, bool) else UNKNOWN


def _text(value: Any) -> str:
    return UNKNOWN if value is None or value == "" else str(value)
