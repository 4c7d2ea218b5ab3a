"""Meters on a fake NVML, every refusal with its reason, and logs that are read again."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.energy_meter import (
    INSTANT_POWER,
    NO_COUNTER_ON_CPU,
    POWER_USAGE,
    CounterFault,
    CounterLog,
    NoMeter,
    NvmlMeter,
    ReplayedMeter,
    compute_processes_before,
    obstacle,
    open_meter,
)
from tests.lab.fake_clock import FakeClock
from tests.lab.test_environment import BARE, FULL, MIG, FakeNvml


class EnergyNvml(FakeNvml):
    """A fake NVML that also answers for energy, power and who computes. ``instant`` is (NVML's return code, milliwatts)."""

    NVML_FI_DEV_POWER_INSTANT, NVML_SUCCESS = 186, 0

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Mapping[str, Any]:
        for gpu in self._gpus:
            if gpu["uuid"] == uuid:
                return gpu
        raise self.NVMLError("Not Found")

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: Mapping[str, Any]) -> int:
        return self._answer(gpu, "energy_mj")

    def nvmlDeviceGetFieldValues(self, gpu: Mapping[str, Any], fields: list[int]) -> list[Any]:
        assert fields == [186]
        code, milliwatts = self._answer(gpu, "instant")
        return [types.SimpleNamespace(nvmlReturn=code, value=types.SimpleNamespace(uiVal=milliwatts))]

    def nvmlDeviceGetPowerUsage(self, gpu: Mapping[str, Any]) -> int:
        return self._answer(gpu, "usage_mw")

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: Mapping[str, Any]) -> list[Any]:
        return [types.SimpleNamespace(pid=pid) for pid in self._answer(gpu, "pids")]

    def nvmlDeviceGetMPSComputeRunningProcesses(self, gpu: Mapping[str, Any]) -> list[Any]:
        return [types.SimpleNamespace(pid=pid) for pid in self._answer(gpu, "mps_pids")]


METERED = {**FULL, "energy_mj": 123_456_789, "instant": (0, 85_250), "usage_mw": 84_000, "pids": ()}


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Callable[..., EnergyNvml]:
    """Install a fake NVML with the given GPUs."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(*gpus: Mapping[str, Any], **how: Any) -> EnergyNvml:
        fake = EnergyNvml(*gpus, **how)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install


class TestNvmlMeter:
    def test_millijoules_and_milliwatts_become_joules_and_watts(self, nvml: Any) -> None:
        nvml(METERED)
        meter = NvmlMeter("GPU-aaaa-1")
        assert meter.energy_j() == pytest.approx(123_456.789)
        assert (meter.power_w(), meter.power) == (85.25, INSTANT_POWER)

    @pytest.mark.parametrize("gpu", [{k: v for k, v in METERED.items() if k != "instant"}, {**METERED, "instant": (3, 0)}])
    def test_without_instant_power_it_says_what_it_reads_instead(self, nvml: Any, gpu: Mapping[str, Any]) -> None:
        nvml(gpu)
        meter = NvmlMeter("GPU-aaaa-1")
        assert (meter.power_w(), meter.power) == (84.0, POWER_USAGE)

    def test_a_binding_that_does_not_know_the_field(self, nvml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        nvml(METERED)
        monkeypatch.delattr(EnergyNvml, "NVML_FI_DEV_POWER_INSTANT")
        assert NvmlMeter("GPU-aaaa-1").power == POWER_USAGE

    def test_power_that_is_not_told_is_none(self, nvml: Any) -> None:
        nvml({**BARE, "energy_mj": 1})
        assert NvmlMeter("GPU-bbbb-2").power_w() is None

    def test_a_counter_that_is_lost_later_is_a_fault(self, nvml: Any) -> None:
        gpu = dict(METERED)
        nvml(gpu)
        meter = NvmlMeter("GPU-aaaa-1")
        del gpu["energy_mj"]
        with pytest.raises(CounterFault, match=r"^the energy counter cannot be read: Not Supported$"):
            meter.energy_j()


class TestObstacle:
    def test_none_on_a_whole_gpu_that_nobody_uses(self, nvml: Any) -> None:
        nvml(METERED)
        assert obstacle("cuda:0") == ""
        assert isinstance(open_meter("cuda:0", ""), NvmlMeter)

    def test_the_gpu_that_cuda_calls_by_that_number_is_asked(self, nvml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        nvml(BARE, METERED)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        assert obstacle("cuda:0") == ""
        assert obstacle("cuda:1") == "NVML lists 1 GPUs for this process, cuda:1 is none of them"

    @pytest.mark.parametrize(
        ("gpu", "reason"),
        [
            ({**METERED, "mig": 1}, "MIG is enabled: the counter is the whole board's, not one instance's"),
            ({k: v for k, v in METERED.items() if k != "energy_mj"}, "the energy counter cannot be read: Not Supported"),
            (
                {**METERED, "pids": (4_000_001,)},
                "another compute process was on the GPU before this run (process 4000001): the counter cannot tell their joules from ours",
            ),
            (
                {**METERED, "pids": range(4_000_001, 4_000_007), "mps_pids": (4_000_000,)},
                "7 other compute processes were on the GPU before this run (process 4000000, 4000001, 4000002, 4000003, 4000004, …): "
                "the counter cannot tell their joules from ours",
            ),
            (
                {k: v for k, v in METERED.items() if k != "pids"},
                "NVML does not tell whether other processes use the GPU: Not Supported",
            ),
        ],
    )
    def test_refusals_in_words(self, nvml: Any, gpu: Mapping[str, Any], reason: str) -> None:
        nvml(gpu)
        assert obstacle("cuda:0") == reason
        assert open_meter("cuda:0", reason) == NoMeter(reason)

    def test_whether_mig_is_on_must_be_known(self, nvml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        fake = nvml(METERED)

        def refuse(gpu: object) -> None:
            raise fake.NVMLError("Insufficient Permissions")

        monkeypatch.setattr(fake, "nvmlDeviceGetMigMode", refuse)
        assert obstacle("cuda:0") == "NVML does not tell whether the GPU is split by MIG (Insufficient Permissions)"

    def test_a_cpu_has_no_counter(self) -> None:
        assert obstacle("cpu") == NO_COUNTER_ON_CPU
        assert open_meter("cpu", "") == NoMeter(NO_COUNTER_ON_CPU)

    def test_no_driver_no_counter(self, nvml: Any) -> None:
        nvml(init=FakeNvml.NVMLError_LibraryNotFound())
        assert obstacle("cuda:0") == "no NVIDIA driver is installed (its library NVML was not found)"

    def test_a_counter_that_goes_after_the_check_is_a_reason_too(self, nvml: Any) -> None:
        nvml({k: v for k, v in METERED.items() if k != "energy_mj"})
        assert open_meter("cuda:0", "") == NoMeter("the energy counter cannot be read: Not Supported")

    def test_mig_instances_are_seen_through_their_gpu(self, nvml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        nvml(METERED, MIG)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1234")
        assert obstacle("cuda:0").startswith("MIG is enabled")


def test_this_process_and_its_children_are_not_others(nvml: Any) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        nvml({**METERED, "pids": (os.getpid(), child.pid, 4_000_001), "mps_pids": (child.pid,)})
        found = compute_processes_before("GPU-aaaa-1")
        child.communicate(b"\n")
    assert found == [4_000_001]


class TestLogs:
    LOG = CounterLog.of([(10.0, 5.0, 80.0), (10.1, 5.0, None), (10.2, 13.0, 81.5)])

    def test_csv_by_hand(self) -> None:
        assert self.LOG.to_csv() == "time_s,energy_j,power_w\n10.0,5.0,80.0\n10.1,5.0,\n10.2,13.0,81.5\n"

    @given(
        st.lists(
            st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e9), st.none() | st.floats(0, 2000)),
            min_size=1,
            unique_by=lambda sample: sample[0],
        )
    )
    def test_csv_round_trips(self, samples: list[tuple[float, float, float | None]]) -> None:
        log = CounterLog.of(sorted(samples, key=lambda sample: sample[0]))
        assert CounterLog.from_csv(log.to_csv()) == log

    @pytest.mark.parametrize("text", ["", "time,energy,power\n1,2,3\n", "time_s,energy_j,power_w\n1,two,3\n", "time_s,energy_j,power_w\n"])
    def test_other_texts_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError):
            CounterLog.from_csv(text)

    def test_time_must_rise(self) -> None:
        with pytest.raises(ValueError, match="strictly rising time"):
            CounterLog.of([(1.0, 0.0, None), (1.0, 1.0, None)])

    def test_replay_gives_the_last_sample_that_is_not_later(self) -> None:
        clock = FakeClock()
        clock.advance(100)
        meter = ReplayedMeter(self.LOG, clock, start_s=100)
        seen = [(meter.energy_j(), meter.power_w())]
        for step_s in (0.09, 0.02, 0.085):  # 100.09, 100.11, 100.195 s
            clock.advance(step_s)
            seen.append((meter.energy_j(), meter.power_w()))
        assert seen == [(5, 80), (5, 80), (5, None), (5, None)]

    @pytest.mark.parametrize("now_s", [0.0, 100.3])
    def test_outside_the_log_nothing_is_known(self, now_s: float) -> None:
        clock = FakeClock()
        clock.advance(now_s)
        with pytest.raises(CounterFault, match="does not reach this moment"):
            ReplayedMeter(self.LOG, clock, start_s=100).energy_j()
