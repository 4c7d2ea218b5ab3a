"""Speed of every activation kernel against the copy bandwidth of the machine: ``python -m workloads.activations.bench [--tune]``.

A development bench of the kernels alone (the experiment measures with mirrored pairs and intervals; this takes medians). It checks every
fused kernel against float64 first and then prints milliseconds and the share of the measured copy bandwidth: the fewest bytes a pass
must move, over its time, over the bandwidth of a plain copy in the same run. Forward + backward is timed in replayed graphs, because
autograd's launches cost the host more than the kernels take; that cost is printed apart, as latency at a small N. Every section stands
alone: one that fails is reported and the rest still runs. On a CPU it runs at a small size without the fused kernels.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab import correctness
from workloads.activations import fused, reference
from workloads.activations.functions import BASELINES, FUNCTIONS, TECHNIQUES
from workloads.activations.operation_count import bytes_moved

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
COMPILED = ("gelu_erf", "gelu_tanh", "phi6", "zeta_ln2")  # the others compile to the same kind of kernel
TUNED = ("phi6", "gelu_erf")  # the cheapest and the dearest arithmetic
LATENCY_N = 4096
TARGET_SHARE = 0.93
SPECIAL = (0.0, -0.0, 2.0, -2.0, 2.0009765625, -2.0009765625, 1e-7, 300.0, -300.0, 6e4, -6e4, float("inf"), -float("inf"), float("nan"))


@dataclass
class Results:
    """What one bench run found; the sections fill it and ``--json`` writes it."""

    device: str
    torch_version: str
    n: int
    copy_bytes_per_s: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    tuning: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    targets: dict[str, bool] = field(default_factory=dict)


def median_s(call: Callable[[], object], device: torch.device) -> float:
    """Median seconds of one call. CUDA: events, L2 cleared before each call; CPU: monotonic clock, at least 10 calls."""
    if device.type == "cuda":
        from triton.testing import do_bench

        return do_bench(call, warmup=10, rep=40, return_mode="median") * 1e-3
    call()
    times = []
    for _ in range(10):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def graph_median_s(call: Callable[[], object], device: torch.device) -> float:
    """Median seconds of one call without what the host needs to launch it: replays of a CUDA graph. On a CPU as :func:`median_s`."""
    if device.type != "cuda":
        return median_s(call, device)
    from triton.testing import do_bench_cudagraph

    with torch.cuda.stream(torch.cuda.Stream(device)):
        return do_bench_cudagraph(call, rep=40, return_mode="median") * 1e-3


def mismatch(name: str, x: Tensor, dy: Tensor) -> str:
    """What the fused kernels of ``name`` get wrong on these inputs against float64, in words; empty where nothing."""
    inputs = x.clone().requires_grad_()
    y = fused.activation(name)(inputs)
    (dx,) = torch.autograd.grad(y, inputs, dy)
    plain = x.clone().requires_grad_()
    y_eager = reference.EAGER[name](plain)
    (dx_eager,) = torch.autograd.grad(y_eager, plain, dy)
    exact = {"forward": reference.reference64(name, x), "backward": reference.gradient64(name, x, dy)}
    for direction, got, eager in (("forward", y.detach(), y_eager.detach()), ("backward", dx, dx_eager)):
        found = correctness.disagreement(got, exact[direction], eager)
        if found:
            return f"{direction}: {found}"
    return ""


def check(results: Results, device: torch.device) -> None:
    """Every function and dtype against float64, on normals of several scales, special values and a length no block divides."""
    generator = torch.Generator(device).manual_seed(time.time_ns() % 2**31)
    n = (1 << 20) + 3 if device.type == "cuda" else 5000
    for dtype_name, dtype in DTYPES.items():
        for name in FUNCTIONS:
            x = torch.cat([torch.randn(n, generator=generator, device=device) * 3, torch.tensor(SPECIAL, device=device)]).to(dtype)
            dy = torch.randn(x.shape, generator=generator, device=device).to(dtype)
            wrong = mismatch(name, x, dy)
            results.checks.append({"function": name, "dtype": dtype_name, "wrong": wrong})
            if wrong:
                results.failures.append(f"check {name} {dtype_name}: {wrong}")
    print(
        f"checked {len(results.checks)} pairs of function and dtype against float64, {sum(bool(c['wrong']) for c in results.checks)} wrong"
    )


def check_compiled(results: Results, device: torch.device) -> None:
    """The fused function inside ``torch.compile(fullgraph=True)`` against the same without it, bitwise."""
    for name in ("phi6", "gelu_erf"):
        activation = fused.activation(name)
        inside = torch.compile(activation, fullgraph=True)
        x = torch.randn(3, 1001, device=device, requires_grad=True)
        dy = torch.randn_like(x)
        pairs = [(call(x), torch.autograd.grad(call(x), x, dy)[0]) for call in (activation, inside)]
        same = all(torch.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in zip(*pairs, strict=True))
        print(f"torch.compile of fused {name}: {'agrees' if same else 'DISAGREES'}")
        if not same:
            results.failures.append(f"torch.compile of fused {name} disagrees")


def profile(results: Results, device: torch.device) -> None:
    """The device kernels that one fused forward and backward launches."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    x = torch.randn(1 << 20, device=device, requires_grad=True)
    dy = torch.randn_like(x)
    activation = fused.activation("phi6")
    torch.autograd.grad(activation(x), x, dy)
    with profiler(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as record:
        torch.autograd.grad(activation(x), x, dy)
        torch.cuda.synchronize()
    kernels = [event.name for event in record.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    print("kernels of one fused forward and backward:", kernels)
    if sorted(kernels) != ["activation_backward_kernel", "activation_forward_kernel"]:
        results.failures.append(f"profile: {kernels}")


def copy_bandwidth(results: Results, device: torch.device, dtypes: tuple[str, ...]) -> None:
    """Bytes per second, read plus written, of the framework's copy between two tensors of N elements."""
    for dtype_name in dtypes:
        x = torch.randn(results.n, device=device).to(DTYPES[dtype_name])
        y = torch.empty_like(x)
        moved = bytes_moved(x.numel(), x.element_size(), "forward")
        results.copy_bytes_per_s[dtype_name] = moved / median_s(partial(y.copy_, x), device)
        print(f"copy {dtype_name}: {results.copy_bytes_per_s[dtype_name] / 1e9:.0f} GB/s")


def add_row(results: Results, name: str, dtype_name: str, implementation: str, mode: str, seconds: float) -> None:
    moved = bytes_moved(results.n, DTYPES[dtype_name].itemsize, "forward")
    if mode == "forward_backward":
        moved += bytes_moved(results.n, DTYPES[dtype_name].itemsize, "backward")
    share = moved / seconds / results.copy_bytes_per_s[dtype_name]
    row = {"function": name, "dtype": dtype_name, "implementation": implementation, "mode": mode, "ms": seconds * 1e3, "share": share}
    results.rows.append(row)
    print(f"{name:10s} {dtype_name:9s} {implementation:9s} {mode:17s} {seconds * 1e3:9.4f} ms  {share:6.1%} of copy", flush=True)


def implementation_of(name: str, implementation: str) -> Callable[[Tensor], Tensor]:
    """The function ``name`` as "fused", "eager" or "compiled" (the literal expression through ``torch.compile``)."""
    if implementation == "fused":
        return fused.activation(name)
    eager = reference.EAGER[name]
    return eager if implementation == "eager" else torch.compile(eager, fullgraph=True)


def measure(
    results: Results, device: torch.device, implementation: str, names: tuple[str, ...], dtypes: tuple[str, ...], deadline: float
) -> None:
    """Forward, and forward + backward, of one implementation over functions and dtypes; what comes after ``deadline`` is left out."""
    for dtype_name in dtypes:
        x = torch.randn(results.n, device=device).to(DTYPES[dtype_name])
        leaf = x.clone().requires_grad_()
        dy = torch.randn(results.n, device=device).to(DTYPES[dtype_name])
        for name in names:
            if time.monotonic() > deadline:
                results.left_out.append(f"{implementation} {name} {dtype_name}")
                continue
            try:
                call = implementation_of(name, implementation)
                with torch.no_grad():
                    add_row(results, name, dtype_name, implementation, "forward", median_s(partial(call, x), device))
                if name != "copy":  # a copy has nothing to do backward

                    def both(call: Callable[[Tensor], Tensor] = call, leaf: Tensor = leaf, dy: Tensor = dy) -> object:
                        return torch.autograd.grad(call(leaf), leaf, dy)

                    add_row(results, name, dtype_name, implementation, "forward_backward", graph_median_s(both, device))
            except Exception as error:  # one function that fails must not lose the others' numbers
                results.failures.append(f"{implementation} {name} {dtype_name}: {error!r}")
                print(results.failures[-1][:300], flush=True)


def latency(results: Results, device: torch.device) -> None:
    """Wall time per call at a size where launching dominates: 1,000 calls, synchronised at the end."""
    x = torch.randn(LATENCY_N, device=device)
    leaf = x.clone().requires_grad_()
    for label, call in (
        ("framework GELU", reference.EAGER["gelu_erf"]),
        ("eager phi6", reference.EAGER["phi6"]),
        ("fused phi6", fused.activation("phi6")),
    ):
        for mode, argument in (("without grad", x), ("with grad", leaf)):
            for _ in range(50):
                call(argument)
            torch.cuda.synchronize()
            start = time.perf_counter()
            for _ in range(1000):
                call(argument)
            torch.cuda.synchronize()
            print(f"forward latency at N = {LATENCY_N}: {label} {mode} {(time.perf_counter() - start) * 1e3:.1f} µs")


def tune(results: Results, device: torch.device, dtypes: tuple[str, ...], deadline: float) -> None:
    """Every launch configuration of :func:`fused.candidates` on the cheapest and the dearest function, best first."""
    for dtype_name in dtypes:
        x = torch.randn(results.n, device=device).to(DTYPES[dtype_name])
        dy = torch.randn(results.n, device=device).to(DTYPES[dtype_name])
        for name in TUNED:
            for direction in ("forward", "backward"):
                found = []
                for config in fused.candidates(x.element_size()):
                    if time.monotonic() > deadline:
                        results.left_out.append(f"tune {name} {dtype_name} {direction} from {config} on")
                        break

                    def call(
                        name: str = name, direction: str = direction, config: fused.LaunchConfig = config, x: Tensor = x, dy: Tensor = dy
                    ) -> Tensor:
                        return fused.forward(name, x, config) if direction == "forward" else fused.backward(name, x, dy, config)

                    found.append((median_s(call, device), config))
                found.sort()
                moved = bytes_moved(results.n, x.element_size(), "forward" if direction == "forward" else "backward")
                for seconds, config in found:
                    share = moved / seconds / results.copy_bytes_per_s[dtype_name]
                    results.tuning.append(
                        {
                            "function": name,
                            "dtype": dtype_name,
                            "direction": direction,
                            **config._asdict(),
                            "ms": seconds * 1e3,
                            "share": share,
                        }
                    )
                best = ", ".join(f"{config.block}/{config.num_warps} {seconds * 1e3:.4f} ms" for seconds, config in found)
                print(f"tune {name} {dtype_name} {direction} (block/warps): {best}", flush=True)


def judge(results: Results) -> None:
    """The targets: fused techniques at 93 % of copy bandwidth forward; forward + backward no slower than the framework's GELU."""
    found = {(r["function"], r["dtype"], r["implementation"], r["mode"]): r for r in results.rows}
    for name in ("phi6", "zeta_ln2"):
        for dtype_name in ("float32", "bfloat16"):
            row = found.get((name, dtype_name, "fused", "forward"))
            if row:
                results.targets[f"{name} {dtype_name} forward: {row['share']:.1%} of copy, wanted {TARGET_SHARE:.0%}"] = (
                    row["share"] >= TARGET_SHARE
                )
            both = found.get((name, dtype_name, "fused", "forward_backward"))
            gelus = [
                found[key]["ms"]
                for key in found
                if key[0] in ("gelu_erf", "gelu_tanh") and key[1:] == (dtype_name, "eager", "forward_backward")
            ]
            if both and gelus:
                words = f"{name} {dtype_name} forward + backward: {both['ms']:.4f} ms, framework GELU {min(gelus):.4f} ms"
                results.targets[words] = both["ms"] <= min(gelus)
    if not results.targets:
        print("not measured: the targets are for the fused kernels")
    for words, met in results.targets.items():
        print("met   " if met else "MISSED", words)


def main(arguments: list[str] | None = None) -> int:
    """Runs the bench. Exit status 1 where a kernel was wrong or a section could not run; a missed target is printed, not an error."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tune", action="store_true", help="also time every launch configuration")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--n", type=int, help="elements (default 2^26 on a GPU, 2^20 on a CPU)")
    parser.add_argument("--dtypes", default="float32,bfloat16", help="comma-separated")
    parser.add_argument("--budget", type=float, default=170.0, help="seconds after which remaining measurements are left out")
    options = parser.parse_args(arguments)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device_name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    results = Results(device_name, torch.__version__, options.n or (1 << 26 if device.type == "cuda" else 1 << 20))
    dtypes = tuple(options.dtypes.split(","))
    deadline = time.monotonic() + options.budget
    no_fused = fused.available(device)
    print(f"{device_name}, torch {torch.__version__}, N = {results.n:,}", flush=True)

    functions = (*BASELINES, *TECHNIQUES, "copy")
    sections: list[tuple[str, Callable[[], None]]] = [("copy bandwidth", lambda: copy_bandwidth(results, device, dtypes))]
    if no_fused:
        print(f"no fused kernels: {no_fused}")
    else:
        sections += [
            ("check", lambda: check(results, device)),
            ("fused", lambda: measure(results, device, "fused", functions, dtypes, deadline)),
        ]
    sections.append(("eager", lambda: measure(results, device, "eager", functions, dtypes, deadline)))
    if device.type == "cuda" and not no_fused:
        sections += [
            ("profile", lambda: profile(results, device)),
            ("latency", lambda: latency(results, device)),
            ("check compiled", lambda: check_compiled(results, device)),
        ]
    sections.append(("compiled", lambda: measure(results, device, "compiled", COMPILED, dtypes, deadline)))
    if options.tune and not no_fused:
        sections.append(("tune", lambda: tune(results, device, dtypes, deadline)))
    sections.append(("targets", lambda: judge(results)))
    for title, section in sections:
        start = time.monotonic()
        print(f"--- {title}", flush=True)
        try:
            section()
        except Exception:  # a section that fails must not lose the other sections' numbers
            results.failures.append(f"{title}: {traceback.format_exc(limit=-3)}")
            print(results.failures[-1], flush=True)
        print(f"    ({time.monotonic() - start:.1f} s)", flush=True)
    if options.json:
        options.json.write_text(json.dumps(asdict(results), indent=1))
    for failure in results.failures:
        print("FAILED", failure.splitlines()[0], failure.splitlines()[-1] if "\n" in failure else "")
    if results.left_out:
        print(f"left out, as the budget of {options.budget:g} s was spent: {', '.join(results.left_out)}")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
