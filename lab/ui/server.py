"""What one server process holds once, for all browsers: the engine with its store, and what the machine is."""

from __future__ import annotations

import streamlit as st

from lab import environment, formatting, standby
from lab.environment import DeviceFacts
from lab.jobs import Engine
from lab.parameters import ParameterError
from lab.store import Store
from lab.workload import DeviceKind

FACTS_SECONDS = 60  # how long device facts are kept: a GPU's other users come and go


_given_up: list[Engine] = []  # their store can be used no more, and no other was opened yet


def _usable(engine: Engine) -> bool:
    """Whether the engine's store can still be used: asked whenever the engine is. Where it cannot, another is made in its place."""
    if engine.store.fault:
        _given_up.append(engine)
        return False
    return True


@st.cache_resource(show_spinner=False, validate=_usable, on_release=lambda engine: engine.close())
def engine() -> Engine:
    """The engine of this server process, with a standby worker. It closes itself when the process ends, which stops the runs it owns.

    Raises StoreError when the store cannot be opened.
    """
    fault = ""
    for old in _given_up:  # a cache forgets what is not valid without releasing it
        old.close()
        fault = old.store.fault
    started = Engine(Store(fault=fault), standby=standby.wanted())
    _given_up.clear()
    return started


def store() -> Store:
    """The run store that the engine writes."""
    return engine().store


@st.cache_data(ttl=FACTS_SECONDS, show_spinner=False)
def facts() -> DeviceFacts:
    """The machine as it was at most a minute ago."""
    return environment.device_facts()


def device_kind(device: str) -> DeviceKind:
    """The kind of device that "auto", "cpu" or "cuda" stands for here ("cuda" also where there is none: its presets are meant)."""
    if device == "auto":
        return environment.device_kind(environment.resolve_device("auto", facts()))
    return "cuda" if device == "cuda" else "cpu"


def cuda_obstacle() -> str:
    """Why a run cannot use a GPU here; "" when it can."""
    return environment.cuda_obstacle(facts())


def device_obstacle(device: str) -> str:
    """Why a run cannot use "auto", "cpu" or "cuda" here, in one line; "" when it can."""
    try:
        environment.resolve_device(device, facts())
    except ParameterError as error:
        return str(error)
    return ""


def device_sentence() -> str:
    """What was found, in one sentence: the GPU, or the CPU with why there is no GPU."""
    found = facts()
    obstacle = cuda_obstacle()
    cpu = f"{found.cpu.model}, {found.cpu.threads} threads"
    if not obstacle:
        gpu = found.gpus[0]
        memory = formatting.quantity(gpu.memory_total_bytes, "B")
        others = f" and {len(found.gpus) - 1} more" if len(found.gpus) > 1 else ""
        return f"GPU {gpu.name} ({memory}){others}; CPU {cpu}."
    return f"CPU {cpu}. No GPU to measure on: {obstacle}."
