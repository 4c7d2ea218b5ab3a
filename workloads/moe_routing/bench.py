"""Time of a mixture layer and of each of its parts: ``python -m workloads.moe_routing.bench [--check] [--tune] [--backward]``.

A development bench (the experiment measures whole layers in mirrored passes with intervals). Forward, 16,384 tokens, d_model 1024, top-2,
bf16: 8 experts of width 4096 and 24 of width 1365 (rows padded to 1368). Every implementation is checked against float64 first. All
arms of one size are compared in mirrored passes (``lab.timing``), as replayed CUDA graphs; the parts beside their floors: the bytes that a
part must move over the measured copy bandwidth, the operations of a product over those of the dense FFN's own rate. Every section stands
alone: one that fails is reported and the rest still runs.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from lab.statistics import ratio_interval
from lab.timing import Arm, DeviceTimeSampler, LatencySampler, Observation, Sampler, Sampling, compare, synchronizer
from workloads.moe_routing import checks, fused, layer
from workloads.moe_routing.layer import Mixture
from workloads.moe_routing.parameters import expert_width, round_up

TOP_K = 2
SIZES = ((8, 1), (24, 3))  # experts, and into how many each standard one is cut
TARGETS = {8: 1.5, 24: 1.9}  # time against a dense FFN of the same active FLOPs
SAMPLING = Sampling(segment_s=0.02, looks=(10,), warmup_s=0.2)
FORWARD: dict[str, Callable[[Tensor, Mixture], Tensor]] = {
    "eager": layer.loop_over_experts,
    "grouped": layer.grouped,
    "fused": fused.mixture_layer,
}


class Bench:
    """The inputs of one bench run, and what failed in it."""

    def __init__(self, device: str, dtype: torch.dtype, tokens: int, d_model: int) -> None:
        self.device, self.dtype, self.tokens, self.d_model = device, dtype, tokens, d_model
        self.generator = torch.Generator(device).manual_seed(time.time_ns() % 2**31)
        self.failures: list[str] = []
        self.copy_bytes_per_s = 0.0

    def tokens_of(self, n: int) -> Tensor:
        return torch.randn(n, self.d_model, device=self.device, generator=self.generator).to(self.dtype)

    def mixture(self, n_experts: int, split: int) -> Mixture:
        return layer.draw(n_experts, self.d_model, expert_width(self.d_model, split), TOP_K, self.generator, self.dtype)

    def seconds(self, calls: dict[str, Callable[[], object]], baseline: str) -> dict[str, list[float]]:
        """Seconds per call of each of ``calls``, observation by observation; those that cannot be measured are reported and left out."""
        arms = [Arm(name, "", "technique", self.device, "", lambda i, call=call: call()) for name, call in calls.items()]  # type: ignore[misc]
        sampler: Sampler = DeviceTimeSampler(self.device) if self.device != "cpu" else LatencySampler(synchronizer("cpu"))
        found: dict[str, list[float]] = {}
        for outcome in compare(arms, (baseline, ""), sampler, SAMPLING):
            if isinstance(outcome, Observation):
                for (name, _), seconds in outcome.seconds.items():
                    found.setdefault(name, []).append(seconds)
            else:
                print(f"    {outcome.arm.name}: not measured: {outcome.reason}")
        if isinstance(sampler, DeviceTimeSampler):
            sampler.close()
        return found


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def copy_bandwidth(bench: Bench) -> None:
    """Bytes per second, read plus written, of a copy of as many bytes as the gathered rows have."""
    x = bench.tokens_of(bench.tokens * TOP_K)
    y = torch.empty_like(x)
    seconds = mean(bench.seconds({"copy": lambda: y.copy_(x)}, "copy")["copy"])
    bench.copy_bytes_per_s = 2 * x.numel() * x.element_size() / seconds
    print(f"copy: {bench.copy_bytes_per_s / 1e9:.0f} GB/s")


def check(bench: Bench, n_experts: int, split: int) -> None:
    """Every implementation against float64: full size forward, small size backward, and loads as uneven as they get."""
    mixture = bench.mixture(n_experts, split)
    padded = mixture.padded()
    one_sided = mixture._replace(router=mixture.router * 0 + torch.arange(n_experts, device=bench.device)[:, None].to(bench.dtype) / 64)
    for tokens, case, weights in (
        (bench.tokens, "random", mixture),
        (1000, "few tokens", mixture),
        (1, "one token", mixture),
        (1000, "two experts take all", one_sided),
    ):
        x = bench.tokens_of(tokens)
        x = x.abs() if case.startswith("two") else x
        for name, forward in FORWARD.items():
            used = weights if name == "eager" else weights.padded()
            try:
                chosen = fused.route(x, used.router, TOP_K)[0] if name == "fused" else layer.route(x, used)
                wrong = checks.wrong_choice(chosen, x, used) or checks.wrong_output(forward(x, used), chosen, x, used)
            except Exception as error:
                wrong = f"{type(error).__name__}: {str(error)[:300]}"
            _told(bench, f"check {n_experts} experts, {case}, {name} forward", wrong)
    x, dy = bench.tokens_of(192), bench.tokens_of(192)
    for name, forward in FORWARD.items():
        try:
            leaves = [tensor.detach().clone().requires_grad_() for tensor in (x, *padded[:3])]
            used = Mixture(leaves[1], leaves[2], leaves[3], TOP_K)
            chosen = fused.route(x, padded.router, TOP_K)[0] if name == "fused" else layer.route(x, padded)
            got = torch.autograd.grad(forward(leaves[0], used), leaves, dy)
            wrong = checks.wrong_gradients(got, chosen, x, padded, dy)
        except Exception as error:
            wrong = f"{type(error).__name__}: {str(error)[:300]}"
        _told(bench, f"check {n_experts} experts, {name} gradients", wrong)


def _told(bench: Bench, what: str, wrong: str) -> None:
    print(f"{what}: {wrong or 'right'}", flush=True)
    if wrong:
        bench.failures.append(f"{what}: {wrong}")


def dense_weights(bench: Bench, d_ff: int) -> tuple[Tensor, Tensor]:
    def normal(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, device=bench.device, generator=bench.generator).mul_(columns**-0.5).to(bench.dtype)

    return normal(d_ff, bench.d_model), normal(bench.d_model, d_ff)


def whole_layers(bench: Bench, n_experts: int, split: int, backward: bool) -> None:
    """Every implementation of the layer against the dense FFN of the same active FLOPs, in one comparison."""
    mixture = bench.mixture(n_experts, split)
    padded = mixture.padded()
    width = TOP_K * round_up(expert_width(bench.d_model, split), 8)
    up, down = dense_weights(bench, width)
    x, dy = bench.tokens_of(bench.tokens), bench.tokens_of(bench.tokens)
    calls: dict[str, Callable[[], object]] = {}

    def differentiated(function: Callable[..., Tensor], *leaves: Tensor) -> Callable[[], object]:
        own = [leaf.detach().clone().requires_grad_() for leaf in leaves]
        return lambda: torch.autograd.grad(function(*own), own, dy)

    def of_mixture(name: str) -> Callable[..., Tensor]:
        return lambda x, router, up, down: FORWARD[name](x, Mixture(router, up, down, TOP_K))

    for name in FORWARD:
        used = mixture if name == "eager" else padded
        calls[name] = differentiated(of_mixture(name), x, *used[:3]) if backward else partial(FORWARD[name], x, used)
    calls["dense"] = differentiated(layer.dense, x, up, down) if backward else partial(layer.dense, x, up, down)
    with torch.set_grad_enabled(backward):
        found = bench.seconds(calls, "dense")
    eager_s = host_s(bench, calls["eager"])
    base = found["dense"]
    direction = "forward + backward" if backward else "forward"
    print(f"{n_experts} experts × {expert_width(bench.d_model, split)}, {direction}; dense FFN of width {width}: {mean(base) * 1e3:.4f} ms")
    print(f"    eager      {eager_s * 1e3:8.4f} ms by the host's clock")
    for name, seconds in found.items():
        if name == "dense":
            continue
        interval = ratio_interval(base, seconds, looks=1)
        ends = f"{interval.low:.3f} to {interval.high:.3f}" if interval.low and interval.high else interval.reason
        print(f"    {name:10s} {mean(seconds) * 1e3:8.4f} ms, {interval.mean:.3f} times the dense FFN ({ends})", flush=True)
        if name == "fused" and not backward:
            print("   ", "met   " if (interval.mean or 9) <= TARGETS.get(n_experts, 9) else "MISSED", f"≤ {TARGETS.get(n_experts)}")


def host_s(bench: Bench, call: Callable[[], object], calls: int = 5) -> float:
    """Mean seconds of a call by the host's clock."""
    synchronize = synchronizer(bench.device)
    call()
    synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    synchronize()
    return (time.perf_counter() - start) / calls


def parts(bench: Bench, n_experts: int, split: int) -> None:
    """Each part of the fused layer alone, beside its floor."""
    mixture = bench.mixture(n_experts, split).padded()
    x = bench.tokens_of(bench.tokens)
    chosen, counts = fused.route(x, mixture.router, TOP_K)
    places, ends = fused.sort_by_expert(chosen.experts, counts)
    rows = fused.gather(x, places)
    hidden = functional.grouped_mm(rows, mixture.up, offs=ends)
    active = functional.gelu(hidden)
    out = functional.grouped_mm(active, mixture.down, offs=ends)
    up_column = mixture.up.transpose(1, 2).contiguous().transpose(1, 2)
    down_column = mixture.down.transpose(1, 2).contiguous().transpose(1, 2)
    dense_up, dense_down = dense_weights(bench, TOP_K * mixture.up.shape[2])
    item = x.element_size()
    moved = {
        "route": x.numel() * item,
        "gather": (x.numel() + rows.numel()) * item,
        "gelu": 2 * hidden.numel() * item,
        "combine": (out.numel() + x.numel()) * item,
    }
    calls: dict[str, Callable[[], object]] = {
        "route": lambda: fused.route(x, mixture.router, TOP_K),
        "sort": lambda: fused.sort_by_expert(chosen.experts, counts),
        "gather": lambda: fused.gather(x, places),
        "product 1": lambda: functional.grouped_mm(rows, mixture.up, offs=ends),
        "product 1, columns": lambda: functional.grouped_mm(rows, up_column, offs=ends),
        "gelu": lambda: functional.gelu(hidden),
        "product 2": lambda: functional.grouped_mm(active, mixture.down, offs=ends),
        "product 2, columns": lambda: functional.grouped_mm(active, down_column, offs=ends),
        "combine": lambda: fused.combine(out, places, chosen.weights),
        "dense product 1": lambda: functional.linear(x, dense_up),
        "dense product 2": lambda: functional.linear(active.view(bench.tokens, -1), dense_down),
        "framework: route": lambda: layer.route(x, mixture),
        "framework: sort": lambda: chosen.experts.flatten().sort(stable=True),
        "framework: gather": lambda: x[places.flatten() // TOP_K],
    }
    for name, seconds in bench.seconds(calls, "route").items():
        floor = (
            f", {moved[name] / bench.copy_bytes_per_s / mean(seconds):.0%} of the copy" if name in moved and bench.copy_bytes_per_s else ""
        )
        rate = (
            f", {2 * rows.shape[0] * bench.d_model * mixture.up.shape[2] / mean(seconds) / 1e12:.0f} TFLOP/s" if "product" in name else ""
        )
        print(f"    {name:20s} {mean(seconds) * 1e6:9.2f} µs{floor}{rate}", flush=True)


def tune(bench: Bench, n_experts: int, split: int) -> None:
    """Launches of routing, gather and combine, best first."""
    mixture = bench.mixture(n_experts, split).padded()
    x = bench.tokens_of(bench.tokens)
    routes = [fused.RouteLaunch(t, d, w, s) for t, d, w, s in ((16, 128, 4, 3), (16, 256, 4, 3), (32, 128, 4, 3), (32, 128, 4, 4),
        (32, 256, 4, 3), (32, 64, 4, 4), (64, 64, 4, 4), (64, 128, 4, 3), (64, 128, 8, 3), (128, 64, 8, 3))]  # fmt: skip
    copies = [fused.CopyLaunch(t, d, w) for t, d, w in ((1, 1024, 1), (1, 1024, 2), (1, 1024, 4), (2, 1024, 4), (4, 1024, 4), (4, 1024, 8),
        (8, 1024, 8), (8, 512, 4), (16, 256, 4))]  # fmt: skip
    chosen, counts = fused.route(x, mixture.router, TOP_K)
    places, _ = fused.sort_by_expert(chosen.experts, counts)
    rows = fused.gather(x, places)
    groups: dict[str, dict[str, Callable[[], object]]] = {
        "route": {str(tuple(way)): partial(_routed, x, mixture, way) for way in routes},
        "gather": {str(tuple(way)): partial(fused.gather, x, places, way) for way in copies},
        "combine": {str(tuple(way)): partial(fused.combine, rows, places, chosen.weights, way) for way in copies},
    }
    for what, calls in groups.items():
        found = bench.seconds(calls, next(iter(calls)))
        ranked = sorted(found.items(), key=lambda item: mean(item[1]))
        print(f"    {what}: " + ", ".join(f"{name} {mean(seconds) * 1e6:.2f} µs" for name, seconds in ranked), flush=True)


def _routed(x: Tensor, mixture: Mixture, launch: fused.RouteLaunch) -> object:
    chosen, counts = fused.route(x, mixture.router, TOP_K, launch)
    return fused.sort_by_expert(chosen.experts, counts, launch)


def main(arguments: list[str] | None = None) -> int:
    """Runs the bench. Exit status 1 where something was wrong or a section could not run; a missed target is printed, not an error."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tokens", type=int, default=0, help="default: 16384 on a GPU, 256 on a CPU")
    parser.add_argument("--d-model", type=int, default=0, help="default: 1024 on a GPU, 64 on a CPU")
    parser.add_argument("--check", action="store_true", help="only check against float64")
    parser.add_argument("--tune", action="store_true", help="also time launch configurations")
    parser.add_argument("--backward", action="store_true", help="also time forward + backward")
    options = parser.parse_args(arguments)
    on_gpu = torch.cuda.is_available()
    device = "cuda:0" if on_gpu else "cpu"
    tokens, d_model = options.tokens or (16_384 if on_gpu else 256), options.d_model or (1024 if on_gpu else 64)
    bench = Bench(device, torch.bfloat16 if on_gpu else torch.float32, tokens, d_model)
    missing = fused.available(device)
    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    print(f"{name}, torch {torch.__version__}, {tokens} tokens × {d_model}; own kernels: {missing or 'yes'}", flush=True)
    if missing:
        del FORWARD["fused"]
    sections: list[tuple[str, Callable[[], None]]] = [(f"check {e}", partial(check, bench, e, s)) for e, s in SIZES]
    if not options.check:
        sections.append(("copy bandwidth", partial(copy_bandwidth, bench)))
        sections += [(f"layers {e}", partial(whole_layers, bench, e, s, False)) for e, s in SIZES]
        if not missing:
            sections += [(f"parts {e}", partial(parts, bench, e, s)) for e, s in SIZES]
        if options.tune and not missing:
            sections += [(f"tune {e}", partial(tune, bench, e, s)) for e, s in SIZES]
        if options.backward:
            sections += [(f"backward {e}", partial(whole_layers, bench, e, s, True)) for e, s in SIZES]
    for title, section in sections:
        start = time.monotonic()
        print(f"--- {title}", flush=True)
        try:
            with torch.set_grad_enabled(title.startswith(("check", "backward"))):
                section()
        except Exception:  # a section that fails must not lose the other sections' numbers
            bench.failures.append(f"{title}: {traceback.format_exc(limit=-2)}")
            print(bench.failures[-1], flush=True)
        print(f"    ({time.monotonic() - start:.1f} s)", flush=True)
    for failure in bench.failures:
        print("FAILED", failure.splitlines()[0][:300])
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
