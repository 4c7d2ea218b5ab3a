"""The page "Device": what the lab found on this machine, what is missing and why, and its calibration."""

from __future__ import annotations

import dataclasses

import pandas as pd
import streamlit as st

from lab import calibration, energy_meter, formatting
from lab.environment import DeviceFacts, Gpu
from lab.store import Run
from lab.ui import experiment_page, hints, server, shell, trouble
from lab.ui.results import Results
from lab.ui.text import plain
from lab.workload import workload

TITLE = "Device"
UNKNOWN = "unknown"

Rows = list[tuple[str, str]]


@trouble.told()
def show() -> None:
    """Draw the page."""
    declared = workload(calibration.WORKLOAD)
    shell.frame(TITLE)
    st.title(TITLE)
    st.markdown("What the lab found here, what it cannot measure here and why, and how far its own figures can be trusted.")
    hints.hint("device", hints.DEVICE)
    found = server.facts()
    st.info(plain(server.device_sentence()), icon=":material/memory:")
    left, right = st.columns(2, gap="large")
    with left:
        _table("Processor and memory", processor(found))
    with right:
        _table("Software", [(name, version or "not installed") for name, version in found.versions.items()])
    for gpu in found.gpus:
        _table(f"GPU {gpu.index}: {gpu.name}", graphics(gpu, found.driver))
    cuda_obstacle = server.cuda_obstacle()
    lacking = missing(found, cuda_obstacle, energy_meter.obstacle("cpu" if cuda_obstacle else "cuda:0"))
    if lacking:
        _table("Missing, and why", lacking)
    st.header(declared.title, divider="gray")
    st.markdown(plain(declared.question))
    experiment_page.body(declared, latest=_latest(found), findings=_findings)


def processor(found: DeviceFacts) -> Rows:
    """Processor, caches, main memory and system, each as (what, value)."""
    cpu = found.cpu
    return [
        ("Processor", f"{cpu.model} ({cpu.architecture})"),
        ("Cores", f"{cpu.cores or UNKNOWN} physical, {cpu.logical_cores} logical; a run uses {cpu.threads}"),
        ("L2 cache", _bytes(cpu.l2_cache_bytes)),
        ("L3 cache", _bytes(cpu.l3_cache_bytes)),
        ("Main memory", f"{_bytes(found.memory.total_bytes)}, {_bytes(found.memory.available_bytes)} available"),
        ("System", found.system),
    ]


def graphics(gpu: Gpu, driver: str | None) -> Rows:
    """One GPU as NVML sees it, each as (what, value); what NVML did not tell is left to :func:`missing`."""
    rows = [("Driver", driver or UNKNOWN)]
    if gpu.memory_total_bytes is not None:
        rows.append(("Memory", f"{_bytes(gpu.memory_total_bytes)}, {_bytes(gpu.memory_free_bytes)} free"))
    if gpu.mig is not None:
        rows.append(("MIG", "enabled" if gpu.mig else "not enabled"))
    if gpu.other_processes is not None:
        rows.append(("Processes with a compute context", str(gpu.other_processes)))
    if gpu.sm_clock_hz is not None:
        highest = f", at most {formatting.quantity(gpu.sm_clock_max_hz, 'Hz')}" if gpu.sm_clock_max_hz is not None else ""
        rows.append(("SM clock", formatting.quantity(gpu.sm_clock_hz, "Hz") + highest))
    if gpu.memory_clock_hz is not None:
        rows.append(("Memory clock", formatting.quantity(gpu.memory_clock_hz, "Hz")))
    if gpu.power_limit_w is not None:
        rows.append(("Power limit", formatting.quantity(gpu.power_limit_w, "W")))
    if gpu.clock_limits is not None:
        rows.append(("Clocks limited by", ", ".join(gpu.clock_limits) or "nothing"))
    return rows


def missing(found: DeviceFacts, cuda_obstacle: str, energy_obstacle: str) -> Rows:
    """What this machine does not have or does not tell, each with its reason."""
    rows = [(what, why) for what, why in (("Runs on a GPU", cuda_obstacle), ("Joules", energy_obstacle)) if why]
    if found.cpu.reason:
        rows.append(("Cache sizes", found.cpu.reason))
    return rows + [(f"GPU {gpu.index}: {name}", reason) for gpu in found.gpus for name, reason in gpu.missing.items()]


def _table(title: str, rows: Rows, columns: tuple[str, str] = ("What", "Found")) -> None:
    """Rows of (what, value) in full, wrapped where the screen is narrow."""
    st.markdown(f"**{plain(title)}**")
    shown = pd.DataFrame([(plain(name), plain(value)) for name, value in rows], columns=list(columns))
    st.table(shown, border="horizontal", hide_index=True, alt=title)


def _bytes(value: int | None) -> str:
    return UNKNOWN if value is None else formatting.quantity(value, "B")


def _latest(found: DeviceFacts) -> Run | None:
    """The calibration that runs on this machine are held against, of the GPU where there is one that can be used."""
    machine = {"machine": dataclasses.asdict(found), "threads": found.cpu.threads}
    return calibration.latest(server.store(), {**machine, "device": "cpu" if server.cuda_obstacle() else "cuda:0"})


def _findings(found: Results) -> None:
    """A calibration in a table: what was measured, and the figure with its interval or why there is none."""
    _table("What was found", calibration.findings(found.estimates), ("What", "Measured"))
