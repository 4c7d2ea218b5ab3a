"""What the lab says of a machine: found through fakes of NVML, of torch's files and of cgroups, each gap with its reason."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import SCHEMA_VERSION, environment
from lab.environment import DeviceFacts, HostMemory
from lab.parameters import ParameterError, Plan
from lab.workload import MemoryNeed
from tests.demo_workloads.demo.spec import WORKLOAD

ROOT = Path(__file__).resolve().parents[2]


class FakeNvml(types.ModuleType):
    """An NVML with ``gpus`` (one dictionary each); a question without an answer there is "not supported"."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2

    class NVMLError(Exception):
        pass

    class NVMLError_NotSupported(NVMLError):
        def __str__(self) -> str:
            return "Not Supported"

    class NVMLError_LibraryNotFound(NVMLError):
        pass

    def __init__(self, *gpus: Mapping[str, Any], init: Exception | None = None) -> None:
        super().__init__("pynvml")
        self._gpus, self._init = gpus, init

    def nvmlInit(self) -> None:
        if self._init is not None:
            raise self._init

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlDeviceGetCount(self) -> int:
        return len(self._gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Mapping[str, Any]:
        return self._gpus[index]

    def _answer(self, gpu: Mapping[str, Any], key: str) -> Any:
        if key not in gpu:
            raise self.NVMLError_NotSupported
        return gpu[key]

    def nvmlDeviceGetName(self, gpu: Mapping[str, Any]) -> str:
        return gpu["name"]

    def nvmlDeviceGetUUID(self, gpu: Mapping[str, Any]) -> str:
        return gpu["uuid"]

    def nvmlDeviceGetMemoryInfo(self, gpu: Mapping[str, Any]) -> Any:
        total, free = self._answer(gpu, "memory")
        return types.SimpleNamespace(total=total, free=free)

    def nvmlDeviceGetClockInfo(self, gpu: Mapping[str, Any], kind: int) -> int:
        return self._answer(gpu, "clocks")[kind - 1]

    def nvmlDeviceGetMaxClockInfo(self, gpu: Mapping[str, Any], kind: int) -> int:
        return self._answer(gpu, "max_clocks")[kind - 1]

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu: Mapping[str, Any]) -> int:
        return self._answer(gpu, "power_limit")

    def nvmlDeviceGetCurrentClocksEventReasons(self, gpu: Mapping[str, Any]) -> int:
        return self._answer(gpu, "reasons")

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: Mapping[str, Any]) -> list[object]:
        return [object()] * self._answer(gpu, "processes")

    def nvmlDeviceGetMigMode(self, gpu: Mapping[str, Any]) -> list[int]:
        return [self._answer(gpu, "mig"), 0]


FULL = {
    "name": "NVIDIA H100 80GB HBM3",
    "uuid": "GPU-aaaa-1",
    "memory": (80_000_000_000, 60_000_000_000),
    "clocks": (1_200, 2_619),
    "max_clocks": (1_980, 2_619),
    "power_limit": 700_000,
    "reasons": 0x4 | 0x20,
    "processes": 2,
    "mig": 0,
}
BARE = {"name": "NVIDIA Old", "uuid": "GPU-bbbb-2"}
MIG = {**FULL, "uuid": "GPU-cccc-3", "mig": 1}


def look(
    monkeypatch: pytest.MonkeyPatch, nvml: types.ModuleType | None, visible: str | None = None, cuda: str | None = "13.0"
) -> DeviceFacts:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(environment, "torch_cuda_version", lambda: cuda)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    return environment.device_facts()


# --- GPUs ---------------------------------------------------------------------------------------------------------------------


def test_a_gpu_is_told_in_si_units(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = look(monkeypatch, FakeNvml(FULL))
    (gpu,) = facts.gpus
    assert (facts.driver, facts.no_gpu) == ("580.65.06", "")
    assert (gpu.memory_total_bytes, gpu.memory_free_bytes) == (80_000_000_000, 60_000_000_000)
    assert (gpu.sm_clock_hz, gpu.sm_clock_max_hz, gpu.memory_clock_hz) == (1_200_000_000, 1_980_000_000, 2_619_000_000)  # NVML: MHz
    assert gpu.power_limit_w == 700.0  # NVML: mW
    assert gpu.clock_limits == ("power cap", "software thermal slowdown")
    assert (gpu.other_processes, gpu.mig, gpu.missing) == (2, False, {})


def test_what_a_gpu_does_not_tell_is_missing_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    (gpu,) = look(monkeypatch, FakeNvml(BARE)).gpus
    assert (gpu.memory_free_bytes, gpu.sm_clock_hz, gpu.power_limit_w, gpu.clock_limits, gpu.other_processes) == (None,) * 5
    assert set(gpu.missing) == {
        "memory",
        "sm_clock_hz",
        "sm_clock_max_hz",
        "memory_clock_hz",
        "power_limit_w",
        "clock_limits",
        "other_processes",
    }
    assert set(gpu.missing.values()) == {"Not Supported"}
    assert gpu.mig is False  # a GPU without the feature


@pytest.mark.parametrize(
    ("nvml", "visible", "reason"),
    [
        (None, None, "the NVML library for Python (nvidia-ml-py) is not installed"),
        (FakeNvml(init=FakeNvml.NVMLError_LibraryNotFound()), None, "no NVIDIA driver is installed (its library NVML was not found)"),
        (FakeNvml(init=FakeNvml.NVMLError("Driver Not Loaded")), None, "NVML cannot be used: Driver Not Loaded"),
        (FakeNvml(), None, "the driver finds no GPU"),
        (FakeNvml(FULL), "", "CUDA_VISIBLE_DEVICES='' hides every GPU"),
        (FakeNvml(FULL), "-1", "CUDA_VISIBLE_DEVICES='-1' hides every GPU"),
    ],
)
def test_without_a_gpu_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, nvml: types.ModuleType | None, visible: str | None, reason: str
) -> None:
    facts = look(monkeypatch, nvml, visible)
    assert (facts.gpus, facts.no_gpu) == ((), reason)
    assert environment.resolve_device("auto", facts) == "cpu"
    with pytest.raises(ParameterError) as refused:
        environment.resolve_device("cuda", facts)
    assert str(refused.value) == f"device: 'cuda' needs a CUDA GPU, its driver and a CUDA build of torch ({reason}); allowed: auto, cpu"


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3"]),
        ("1,0", ["GPU-bbbb-2", "GPU-aaaa-1"]),
        ("GPU-bb", ["GPU-bbbb-2"]),
        ("0,-1,1", ["GPU-aaaa-1"]),  # CUDA stops at the first entry that fits nothing
        ("7", []),
        ("MIG-0f0f", ["GPU-cccc-3"]),
    ],
)
def test_cuda_visible_devices_is_followed(monkeypatch: pytest.MonkeyPatch, visible: str | None, uuids: list[str]) -> None:
    facts = look(monkeypatch, FakeNvml(FULL, BARE, MIG), visible)
    assert [gpu.uuid for gpu in facts.gpus] == uuids


def test_a_gpu_with_a_cpu_build_of_torch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = look(monkeypatch, FakeNvml(FULL), cuda=None)
    assert environment.resolve_device("auto", facts) == "cpu"
    with pytest.raises(ParameterError, match="the installed torch is a CPU build"):
        environment.resolve_device("cuda", facts)
    without_torch = dataclasses.replace(facts, versions={**facts.versions, "torch": None})
    assert environment.cuda_obstacle(without_torch) == "torch is not installed"


def test_a_usable_gpu_is_chosen_and_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = look(monkeypatch, FakeNvml(FULL, BARE), visible="1")
    assert [environment.resolve_device(word, facts) for word in ("auto", "cuda", "cpu")] == ["cuda:0", "cuda:0", "cpu"]
    assert environment.device_locks("cuda:0", facts) == ("cpu", "GPU-bbbb-2")
    assert environment.device_locks("cpu", facts) == ("cpu",)


@pytest.mark.parametrize("word", ["gpu", "cuda:1", "", "CPU"])
def test_an_unknown_device_is_refused(word: str) -> None:
    with pytest.raises(ParameterError, match="one of auto, cpu, cuda"):
        environment.resolve_device(word)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("__version__ = '2.13.0+cpu'\nfrom typing import Optional\ncuda: Optional[str] = None\n", None),
        ("cuda: Optional[str] = '13.0'\n", "13.0"),
        ("cuda = '12.6'\nhip = None\n", "12.6"),
        ("syntax error", None),
        ("", None),
    ],
)
def test_the_cuda_version_of_torch_is_read_from_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, version: str | None
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('torch must not be imported')")
    (tmp_path / "torch" / "version.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    assert environment.torch_cuda_version.__wrapped__() == version


# --- memory -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("need", "device", "idle", "obstacle"),
    [
        # 60 of 80 GB of the GPU and 8 of 16 GB of the host are free; on a CPU both needs are of the host.
        (MemoryNeed(60_000_000_000, 8_000_000_000), "cuda:0", False, ""),
        (MemoryNeed(61_000_000_000, 0), "cuda:0", False, "needs 61 GB of GPU memory, there are 60 GB"),
        (MemoryNeed(61_000_000_000, 0), "cuda:0", True, ""),
        (MemoryNeed(81_000_000_000, 0), "cuda:0", True, "needs 81 GB of GPU memory, there are 80 GB"),
        (MemoryNeed(0, 9_000_000_000), "cuda:0", False, "needs 9 GB of main memory, there are 8 GB"),
        (MemoryNeed(4_000_000_000, 4_000_000_000), "cpu", False, ""),
        (MemoryNeed(5_000_000_000, 4_000_000_000), "cpu", False, "needs 9 GB of main memory, there are 8 GB"),
        (MemoryNeed(5_000_000_000, 4_000_000_000), "cpu", True, ""),
        (MemoryNeed(9_000_000_000, 8_000_000_000), "cpu", True, "needs 17 GB of main memory, there are 16 GB"),
    ],
)
def test_what_does_not_fit_is_told_with_both_sizes(
    monkeypatch: pytest.MonkeyPatch, need: MemoryNeed, device: str, idle: bool, obstacle: str
) -> None:
    facts = dataclasses.replace(look(monkeypatch, FakeNvml(FULL)), memory=HostMemory(16_000_000_000, 8_000_000_000))
    told = environment.memory_obstacle(need, device, facts, idle=idle)
    assert re.sub(r"\.0+\b", "", told) == obstacle


def test_unknown_free_memory_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.memory_obstacle(MemoryNeed(10**18, 0), "cuda:0", look(monkeypatch, FakeNvml(BARE))) == ""


def cgroup(monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str]) -> None:
    monkeypatch.setattr(environment, "_cgroup_file", lambda *names: next((files[name] for name in names if name in files), None))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # limit 1000, 700 used of which 200 are file pages that can be given up: 1000 − 700 + 200 = 500
        ({"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 500\ninactive_file 200"}, HostMemory(1000, 500)),
        ({"memory/memory.limit_in_bytes": "1000", "memory/memory.usage_in_bytes": "1200"}, HostMemory(1000, 0)),
    ],
)
def test_the_limit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str], expected: HostMemory) -> None:
    cgroup(monkeypatch, files)
    assert environment.host_memory() == expected


@pytest.mark.parametrize("files", [{}, {"memory.max": "max", "memory.current": "700"}])
def test_without_a_container_limit_the_machine_counts(monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str]) -> None:
    cgroup(monkeypatch, files)
    assert environment.host_memory().total_bytes == environment.psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "250000 100000"}, 3),  # 2.5 CPUs keep three threads busy part of the time
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4),
    ],
)
def test_threads_are_physical_cores_within_the_quota(monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str], threads: int) -> None:
    cgroup(monkeypatch, files)
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda pid: set(range(12)), raising=False)
    monkeypatch.setattr(environment.psutil, "cpu_count", lambda logical=True: 16 if logical else 8)
    assert environment.cpu_threads() == threads


# --- manifest -----------------------------------------------------------------------------------------------------------------


def manifest(facts: DeviceFacts, device: str = "cpu", **changes: Any) -> dict[str, Any]:
    plan = WORKLOAD.plan("quick", "cpu", {"n": "4,8", "seed": "7"})
    return environment.manifest(
        **{
            "run_id": "run",
            "workload": WORKLOAD,
            "plan": plan,
            "preset": "custom",
            "device": device,
            "facts": facts,
            "created_at": 0.0,
            "started_at": 61.0,
            **changes,
        }
    )


def test_the_manifest_tells_the_circumstances(monkeypatch: pytest.MonkeyPatch) -> None:
    found = manifest(look(monkeypatch, FakeNvml(FULL)), "cuda:0")
    assert json.loads(json.dumps(found))["schema_version"] == SCHEMA_VERSION
    assert (found["run_id"], found["seed"], found["parameters"]["n"]) == ("run", 7, [4, 8])
    assert (found["hardware"], found["gpu"], found["driver"]) == ("NVIDIA H100 80GB HBM3",) * 2 + ("580.65.06",)
    assert (found["created_at"], found["started_at"], found["ended_at"]) == ("1970-01-01T00:00:00Z", "1970-01-01T00:01:01Z", None)
    assert found["clocks"]["start"]["sm_clock_hz"] == 1_200_000_000
    assert found["versions"]["cuda"] == "13.0"
    assert found["energy_method"].startswith("not measured: ")
    assert found["command"].endswith(
        "--set n=4,8 --set repeats=3 --set interval_s=0 --set ending=finish --set chatter=false --set seed=7 --device cuda"
    )


def test_the_manifest_of_a_cpu_run_says_why_no_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = look(monkeypatch, None)
    found = manifest(facts, started_at=None)
    assert (found["hardware"], found["gpu"], found["status"], found["started_at"]) == (facts.cpu.model, None, "queued", None)
    assert found["gpu_reason"] == "the NVML library for Python (nvidia-ml-py) is not installed"
    assert found["clocks"] == {"start": None, "end": None, "reason": "no clock is read for a CPU run"}
    assert manifest(look(monkeypatch, FakeNvml(FULL)))["gpu_reason"] == "the run uses the CPU"


def test_the_end_of_a_run_completes_its_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    started = manifest(look(monkeypatch, FakeNvml(FULL)), "cuda:0")
    look(monkeypatch, FakeNvml({**FULL, "clocks": (900, 2_619)}))
    facts = {"threads": 3, "versions": {"torch": "2.13.0", "cudnn": 91000}, "gpu": {"l2_cache_bytes": 52_428_800}}
    facts |= {"data_fallback": "digits instead of MNIST", "run_id": "another"}  # an experiment adds entries, and replaces none of the lab's
    found = environment.completed(
        started,
        worker_facts=facts,
        data=[{"name": "text"}],
        protocols=["sound", "published", "sound"],
        status="failed",
        reason="why",
        ended_at=120.0,
    )
    assert found["protocols"] == ["published", "sound"]
    assert (found["threads"], found["versions"]["torch"], found["versions"]["cudnn"], found["versions"]["cuda"]) == (
        3,
        "2.13.0",
        91000,
        "13.0",
    )
    assert (found["data"], started["data"]) == ([{"name": "text"}], [])
    assert found["gpu_properties"] == {"l2_cache_bytes": 52_428_800}
    assert (found["data_fallback"], found["run_id"]) == ("digits instead of MNIST", started["run_id"])
    assert found["energy_method"] == "not measured: the run has not said how"
    assert (found["clocks"]["start"]["sm_clock_hz"], found["clocks"]["end"]["sm_clock_hz"]) == (1_200_000_000, 900_000_000)
    assert (found["status"], found["reason"], found["ended_at"]) == ("failed", "why", "1970-01-01T00:02:00Z")
    assert started["status"] == "running"  # a new manifest, the old one is as it was


@given(n=st.lists(st.integers(1, 2**50), min_size=1, max_size=4, unique=True), interval_s=st.floats(0, 10), chatter=st.booleans())
def test_the_command_reproduces_the_plan(n: list[int], interval_s: float, chatter: bool) -> None:
    plan = Plan.of(WORKLOAD.parameters, {"n": n, "interval_s": interval_s, "chatter": chatter})
    words = shlex.split(environment.reproducing_command("demo", "custom", plan.texts(), "cpu"))
    assert words[:5] == ["python", "-m", "lab", "run", "demo"]
    settings = [words[i + 1].partition("=") for i, word in enumerate(words) if word == "--set"]
    assert Plan.parse(WORKLOAD.parameters, {name: value for name, _, value in settings}) == plan


def test_outside_a_checkout_the_commit_is_missing_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "lab" / "environment.py"))
    assert environment._commit.__wrapped__() == (None, "not run from a git checkout")


Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Runs git in an empty checkout of the test's own."""

    def run(*words: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    run("init", "--quiet")
    return run


def test_the_commit_tells_local_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: Git) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "lab" / "environment.py"))
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "--quiet", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert environment._commit.__wrapped__() == (commit, "")
    (tmp_path / "file").write_text("2")
    assert environment._commit.__wrapped__() == (f"{commit}-dirty", "")


def test_a_run_recorded_anew_is_no_change_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: Git) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "lab" / "environment.py"))
    recorded = tmp_path / "workloads" / "activations" / "recorded" / "h200" / "manifest.json"
    recorded.parent.mkdir(parents=True)
    recorded.write_text("{}")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    recorded.write_text("{ }")
    (recorded.parent.parent / "h100").mkdir()
    (recorded.parent.parent / "h100" / "manifest.json").write_text("{}")
    assert environment._commit.__wrapped__() == (git("rev-parse", "HEAD"), "")


# --- imports ------------------------------------------------------------------------------------------------------------------


def test_engine_and_command_line_import_nothing_heavy() -> None:
    program = "import lab.__main__, lab.environment, sys; lab.environment.device_facts(); print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "'lab.jobs'" in modules
    for name in ("torch", "scipy", "sklearn", "streamlit", "pandas", "plotly", "jinja2", "markdown_it"):
        assert f"'{name}'" not in modules
