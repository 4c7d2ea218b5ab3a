"""The page "Device": what was found, what is missing, the calibration and its results."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from lab import environment
from lab.environment import Cpu, DeviceFacts, Gpu, HostMemory
from lab.store import Store
from lab.ui import device_page, server
from tests.lab.stored_calibration import calibrated

GPU = Gpu(
    index=0,
    name="A GPU",
    uuid="GPU-1",
    memory_total_bytes=80 * 10**9,
    memory_free_bytes=79 * 10**9,
    mig=False,
    sm_clock_hz=1_980_000_000,
    sm_clock_max_hz=1_980_000_000,
    memory_clock_hz=None,
    power_limit_w=700.0,
    clock_limits=(),
    other_processes=1,
    missing={"memory_clock_hz": "Not Supported"},
)
FACTS = DeviceFacts(
    cpu=Cpu("A processor", "x86_64", 8, 16, 8, 2**20, None, "the system does not tell every cache size"),
    memory=HostMemory(16 * 10**9, 8 * 10**9),
    system="Linux 6",
    driver="580.1",
    gpus=(GPU,),
    no_gpu="",
    versions={"torch": "2.13.0", "scipy": None},
)


def test_a_gpu_in_words() -> None:
    rows = dict(device_page.graphics(GPU, "580.1"))
    assert rows["Driver"] == "580.1"
    assert rows["Memory"] == "80 GB, 79 GB free"
    assert rows["MIG"] == "not enabled"
    assert rows["Processes with a compute context"] == "1"
    assert rows["SM clock"] == "1.98 GHz, at most 1.98 GHz"
    assert rows["Power limit"] == "700 W"
    assert rows["Clocks limited by"] == "nothing"
    assert "Memory clock" not in rows


def test_the_processor_in_words() -> None:
    rows = dict(device_page.processor(FACTS))
    assert rows["Processor"] == "A processor (x86_64)"
    assert rows["Cores"] == "8 physical, 16 logical; a run uses 8"
    assert (rows["L2 cache"], rows["L3 cache"]) == ("1.05 MB", "unknown")
    assert rows["Main memory"] == "16 GB, 8 GB available"


def test_what_is_missing_has_its_reason() -> None:
    assert device_page.missing(FACTS, "", "MIG is enabled") == [
        ("Joules", "MIG is enabled"),
        ("Cache sizes", "the system does not tell every cache size"),
        ("GPU 0: memory_clock_hz", "Not Supported"),
    ]
    none = dataclasses.replace(FACTS, gpus=(), cpu=dataclasses.replace(FACTS.cpu, reason=""))
    assert device_page.missing(none, "no NVIDIA driver", "no counter") == [("Runs on a GPU", "no NVIDIA driver"), ("Joules", "no counter")]


def test_the_page_offers_a_calibration_without_a_published_preset(open_page: Callable[..., AppTest]) -> None:
    page = open_page("device")
    assert not page.exception
    assert [found.value for found in page.title] == ["Device"]
    assert page.button_group[0].options == ["Quick", "Thorough"]
    assert open_page("device", preset="published").error[0].value.startswith("preset")


def test_the_latest_calibration_of_this_machine_is_shown_without_asking(open_page: Callable[..., AppTest], store: Store) -> None:
    found = server.facts()
    device = environment.resolve_device("auto", found)
    manifest = {"device": device, "machine": dataclasses.asdict(found), "threads": found.cpu.threads, "hardware": "This machine"}
    calibrated(store, manifest, 5e9)
    page = open_page("device")
    assert not page.exception
    assert "Measured on This machine, 22 November 2026" in page.success[0].value
    (table,) = [shown.value for shown in page.table if list(shown.value.columns) == ["What", "Measured"]]
    assert table.values.tolist() == [["copy bandwidth, read + write", "5 GB/s"]]
    assert "run" not in page.query_params
