"""Speed of FFT-Mix against attention and against the machine's limits: ``python -m workloads.fft_mixing.bench [--sections check,parts,…]``.

A development bench: it measures with the lab's instrument (``lab.timing``: mirrored passes, cold cache, replayed graphs on a GPU), but
takes few observations and prints their spread instead of intervals. Sections: ``check``, correctness against float64; ``parts``, those of
the fast layer against their floors; ``layers``, whole ones at each N, forward, and ``training``, with backward; ``joules``, which takes
about 50 s; ``tune``, the launches that the kernels could have instead, only where asked for. Every section stands alone: one that fails is
reported and the rest still runs. On a CPU it runs at a small size, and there are neither kernels to tune nor joules.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.correctness import disagreement
from lab.energy import EFFORTS, ENERGY, POWER, PollingClock, energy_events
from lab.energy_meter import obstacle, open_meter
from lab.load import CudaLoad
from lab.records import Fact, Record, Role
from lab.rotation import Rotation, cache_bytes, rotated_buffers
from lab.timing import Arm, DeviceTimeSampler, Excluded, LatencySampler, Sampling, compare, synchronizer
from workloads.fft_mixing import circulant, fused, reference
from workloads.fft_mixing.attention import FusedAttention, PublishedAttention, fastest_backend
from workloads.fft_mixing.costs import circulant_flop, projection_flop
from workloads.fft_mixing.layers import FftMix
from workloads.fft_mixing.peers import DepthwiseConvolution, FNetMix

WINDOWS = reference.PUBLISHED_WINDOWS
TARGETS = {4096: 4.0, 8192: 6.5, 32_768: 25.0}  # times faster than fused attention, forward, 32,768 tokens × 768, bfloat16
TARGET_SIZE = (32_768, 768, "bfloat16")
JOULES_SEQ_LEN = 8192
WEIGHTS_MAX_BYTES = 8 << 30  # of the attention module's N × N weights, above which it is left out
SECTIONS = ("check", "parts", "layers", "training", "tune", "joules")
DEFAULT_SECTIONS = tuple(name for name in SECTIONS if name != "tune")
FAST, EAGER, BEST, MODULE = "fft_mix fused", "fft_mix eager", "attention fused", "attention module"
Call = Callable[..., object]
Seconds = Mapping[str, list[float]]  # by name, one per observation


@dataclass
class Bench:
    """What is measured, on what; the sections print and note what failed."""

    device: str
    tokens: int
    d_model: int
    n_heads: int
    dtype: torch.dtype
    seq_lens: tuple[int, ...]
    budget_s: float
    energy_obstacle: str
    failures: list[str] = field(default_factory=list)
    began_s: float = field(default_factory=time.monotonic)

    @property
    def on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def target_size(self) -> bool:
        return self.on_gpu and (self.tokens, self.d_model, str(self.dtype).removeprefix("torch.")) == TARGET_SIZE

    def left_s(self) -> float:
        return self.budget_s - (time.monotonic() - self.began_s)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, device=self.device).to(self.dtype)

    def rotation(self, *shapes: tuple[int, ...], gradient: bool = False) -> Rotation:
        """Rotating tuples of random tensors of these shapes; ``gradient``: the first requires one."""

        def make(_: int) -> tuple[Tensor, ...]:
            tensors = tuple(self.normal(*shape) for shape in shapes)
            if gradient:
                tensors[0].requires_grad_()
            return tensors

        return rotated_buffers(make, sum(map(math.prod, shapes)) * self.dtype.itemsize, cache_bytes(self.device))

    def arm(self, name: str, rotation: Rotation, call: Call, role: Role = "technique") -> Arm:
        return Arm(name, "", role, self.device, str(self.dtype), rotation.call(lambda buffers: call(*buffers)), rotation.period)

    def seconds(self, arms: Sequence[Arm], observations: int = 5, segment_s: float = 0.01) -> Seconds:
        """Device time of each arm on a GPU, latency on a CPU; what could not be measured is printed."""
        sampler = DeviceTimeSampler(self.device) if self.on_gpu else LatencySampler(synchronizer(self.device))
        sampling = Sampling(segment_s=segment_s, precision=1e-9, looks=(observations,), warmup_s=0.2)
        found: dict[str, list[float]] = {}
        for outcome in compare(arms, arms[0].key, sampler, sampling):
            if isinstance(outcome, Excluded):
                print(f"  {outcome.arm.name}: not measured, {outcome.reason}")
            else:
                for (name, _), value in outcome.seconds.items():
                    found.setdefault(name, []).append(value)
        if isinstance(sampler, DeviceTimeSampler):
            sampler.close()
        return found


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def ratio(slower: Sequence[float], faster: Sequence[float]) -> tuple[float, float, float]:
    """How many times faster: geometric mean over the observations, least and greatest."""
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    return math.exp(mean([math.log(r) for r in ratios])), min(ratios), max(ratios)


def inference(layer: nn.Module) -> Call:
    def call(x: Tensor, *_: Tensor) -> Tensor:
        with torch.no_grad():
            return layer(x)

    return call


def training(layer: nn.Module) -> Call:
    parameters = list(layer.parameters())

    def call(x: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(layer(x), [x, *parameters], dy)

    return call


def check(bench: Bench) -> None:
    """The fast mixing and its gradients against float64, at a small size with ends that no window divides."""
    wrong_ones = 0
    for windows, causal in ((WINDOWS, False), (WINDOWS, True), ((5, 7, 64), False)):
        x, filters = bench.normal(2, 515, bench.d_model), torch.randn(reference.filter_rows(windows), bench.d_model, device=bench.device)
        dy = bench.normal(2, 515, len(windows) * bench.d_model)
        exact = (circulant.mixed64(x, filters, windows, causal), *circulant.gradients64(x, filters, windows, dy, causal))
        results = []
        plain = partial(circulant.mixed, causal=True) if causal else reference.mixed
        for function in (partial(fused.mixed, causal=causal), plain):
            inputs = (x.clone().requires_grad_(), filters.clone().requires_grad_())
            y = function(*inputs, windows)
            results.append((y.detach(), *torch.autograd.grad(y, inputs, dy)))
        for part, got, framework, true in zip(("output", "gradient of x", "gradient of filters"), *results, exact, strict=True):
            wrong = disagreement(got, true, framework)
            if wrong:
                wrong_ones += 1
                bench.failures.append(f"check {windows} causal={causal} {part}: {wrong}")
                print(" ", bench.failures[-1])
    print(f"  9 comparisons with float64, {wrong_ones} wrong; kernels: {fused.available(bench.device) or 'own'}")


def parts(bench: Bench) -> None:
    """The mixing and the projection alone against their floors: bytes at copy bandwidth; operations at the rate of a square product."""
    batch = (bench.tokens // 4096 or 1, min(4096, bench.tokens))
    d, wide = bench.d_model, len(WINDOWS) * bench.d_model
    narrow_inputs, wide_inputs = bench.rotation((*batch, d)), bench.rotation((*batch, wide))
    copied, both = bench.rotation((*batch, 2 * d)), bench.rotation((*batch, d), (*batch, wide))
    layer = FftMix(d, WINDOWS, device=bench.device, dtype=bench.dtype)
    taps = circulant.taps(layer.filters, WINDOWS).detach()
    side = 8192 if bench.on_gpu else 512
    square = bench.normal(side, side)
    forward_bytes = bench.tokens * (d + wide) * bench.dtype.itemsize
    weights, bias = layer.projection.weight.detach(), layer.projection.bias.detach()
    arms = [
        bench.arm("copy", copied, torch.clone),
        bench.arm("filters to taps", narrow_inputs, lambda _: circulant.taps(layer.filters.detach(), WINDOWS)),
        bench.arm("mixing", narrow_inputs, inference_mix(layer)),
        bench.arm("projection", wide_inputs, lambda x: functional.linear(x, weights, bias)),
        bench.arm("square product", narrow_inputs, lambda _: square @ square),
    ]
    if not fused.available(bench.device):
        arms += [
            bench.arm("mixing kernel", narrow_inputs, lambda x: fused.forward(x, taps, WINDOWS, False)),
            bench.arm("gradient of x kernel", wide_inputs, lambda dy: fused.backward_x(dy, taps, WINDOWS, False)),
            bench.arm("gradient of taps kernels", both, lambda x, dy: fused.backward_taps(x, dy, WINDOWS, False)),
        ]
    seconds = {name: mean(values) for name, values in bench.seconds(arms).items()}
    bandwidth = 4 * bench.tokens * d * bench.dtype.itemsize / seconds["copy"]
    rate = 2 * side**3 / seconds["square product"]
    print(f"  copy {bandwidth / 1e9:.1f} GB/s, square product {rate / 1e12:.3f} TFLOP/s")
    for name, value in seconds.items():
        note = ""
        if name.startswith(("mixing", "gradient")):
            floor = forward_bytes / bandwidth
            operations = circulant_flop(bench.tokens, d, WINDOWS) - projection_flop(bench.tokens, d, WINDOWS)
            note = f"{floor / value:6.1%} of its byte floor {1e3 * floor:.4f} ms; {operations / value / 1e12:.3f} TFLOP/s as written out"
        elif name == "projection":
            floor = projection_flop(bench.tokens, d, WINDOWS) / rate
            note = f"{floor / value:6.1%} of its floor {1e3 * floor:.4f} ms"
        print(f"  {name:26s} {1e3 * value:9.4f} ms  {note}")


def inference_mix(layer: FftMix) -> Call:
    def call(x: Tensor) -> Tensor:
        with torch.no_grad():
            return layer.mix(x)

    return call


def tune(bench: Bench) -> None:
    """Launches that the kernels could have, best first; what no longer fits into the time is left out."""
    if fused.available(bench.device):
        print(f"  not measured: {fused.available(bench.device)}")
        return
    batch = (bench.tokens // 4096, 4096)
    d, wide = bench.d_model, len(WINDOWS) * bench.d_model
    narrow, wides, both = bench.rotation((*batch, d)), bench.rotation((*batch, wide)), bench.rotation((*batch, d), (*batch, wide))
    taps = circulant.taps(torch.randn(reference.filter_rows(WINDOWS), d, device=bench.device), WINDOWS)
    shapes = ((256, 4), (128, 4), (128, 2), (256, 8), (512, 8), (64, 1))
    windows = [fused.WindowsLaunch(stretch, *shape) for shape in shapes for stretch in (24, 48, 96, 192)]
    windows += [fused.WindowsLaunch(48, 256, 4, halved=False), fused.WindowsLaunch(48, 128, 4, halved=False)]
    gather = [fused.GatherLaunch(*shape) for shape in ((32, 64, 4), (64, 64, 4), (16, 128, 4), (32, 128, 4), (64, 128, 8))]

    def forward(launch: Any, x: Tensor) -> Tensor:
        return fused.forward(x, taps, WINDOWS, False, launch)

    def backward_x(launch: Any, dy: Tensor) -> Tensor:
        return fused.backward_x(dy, taps, WINDOWS, False, launch)

    def backward_taps(launch: Any, x: Tensor, dy: Tensor) -> Tensor:
        return fused.backward_taps(x, dy, WINDOWS, False, launch)

    gradient_launches = [fused.WindowsLaunch(0, *shape) for shape in shapes[:4]] + [fused.WindowsLaunch(0, 256, 4, halved=False)]
    for title, call, rotation, launches in (
        ("forward", forward, narrow, [*windows, *gather[:2]]),
        ("gradient of x", backward_x, wides, gather),
        ("gradient of taps", backward_taps, both, [*gradient_launches, gather[0]]),
    ):
        found: list[tuple[float, str]] = []
        for launch in launches:
            if bench.left_s() < 5:
                print(f"  {title}: out of time before {launch}")
                break
            values = bench.seconds([bench.arm("launch", rotation, partial(call, launch))], observations=2, segment_s=0.005)
            found += [(mean(value), described(launch)) for value in values.values()]
        print(f"  {title}: " + ", ".join(f"{text} {1e3 * value:.4f}" for value, text in sorted(found)) + " ms", flush=True)


def described(launch: Any) -> str:
    if isinstance(launch, fused.GatherLaunch):
        return f"gather {launch.block_t}×{launch.block_d}/{launch.num_warps}"
    return f"{launch.stretch}×{launch.block_d}/{launch.num_warps}" + ("" if launch.halved else " direct")


def layers(bench: Bench, seq_len: int, backward: bool) -> None:
    """Whole layers side by side at one N: milliseconds, and how many times faster the fast FFT-Mix is."""
    batch = max(1, bench.tokens // seq_len)
    d = bench.d_model
    where: dict[str, Any] = {"device": bench.device, "dtype": bench.dtype}
    shape = (batch, seq_len, d)
    rotation = bench.rotation(shape, shape, gradient=True) if backward else bench.rotation(shape)
    attention = FusedAttention(d, bench.n_heads, **where)
    choice = fastest_backend(attention, rotation.buffers[0][0], backward=backward)
    chosen: dict[str, nn.Module] = {FAST: FftMix(d, WINDOWS, **where), BEST: attention}
    if not backward:
        chosen |= {"depthwise_conv": DepthwiseConvolution(d, max(WINDOWS), **where), "fnet": FNetMix()}
    chosen[EAGER] = FftMix(d, WINDOWS, implementation="reference", **where)
    if batch * bench.n_heads * seq_len**2 * bench.dtype.itemsize <= WEIGHTS_MAX_BYTES and not backward:
        chosen[MODULE] = PublishedAttention(d, bench.n_heads, **where)
    step = training if backward else inference
    arms = [bench.arm(name, rotation, step(layer), "technique" if name == FAST else "baseline") for name, layer in chosen.items()]
    # A slow layer's graph of 50 calls fills seconds: the two that the targets speak of are timed together, the others beside them once.
    seconds = dict(bench.seconds(arms[:2]))
    rotation.drop_outputs()
    title = f"  N = {seq_len:6,}, {'forward + backward' if backward else 'forward'}:"
    times, least, greatest = ratio(seconds[BEST], seconds[FAST])
    print(
        f"{title} {FAST} {1e3 * mean(seconds[FAST]):.4f} ms, {BEST} ({choice.name}) {1e3 * mean(seconds[BEST]):.4f} ms: "
        f"{times:.2f} times faster ({least:.2f} to {greatest:.2f})"
    )
    if not backward and bench.target_size and seq_len in TARGETS:
        print(f"    {'met   ' if times >= TARGETS[seq_len] else 'MISSED'} target of {TARGETS[seq_len]:g} times")
    other: dict[str, list[float]] = {}
    for arm in arms[2:]:
        other |= bench.seconds([arm], observations=1)
        rotation.drop_outputs()
    print("    " + ", ".join(f"{name} {1e3 * mean(values):.4f} ms" for name, values in other.items()), flush=True)


def joules(bench: Bench) -> None:
    """Gross joules of a call, forward: the fast FFT-Mix and the fastest attention."""
    if bench.energy_obstacle:
        print(f"  not measured: {bench.energy_obstacle}")
        return
    batch, d = max(1, bench.tokens // JOULES_SEQ_LEN), bench.d_model
    where: dict[str, Any] = {"device": bench.device, "dtype": bench.dtype}
    rotation = bench.rotation((batch, JOULES_SEQ_LEN, d))
    attention = FusedAttention(d, bench.n_heads, **where)
    choice = fastest_backend(attention, rotation.buffers[0][0])
    arms = [bench.arm(FAST, rotation, inference(FftMix(d, WINDOWS, **where))), bench.arm(BEST, rotation, inference(attention), "baseline")]
    clock = PollingClock()
    load = CudaLoad(bench.device, clock)
    found: dict[tuple[str, str], list[float]] = {}
    try:
        for event in energy_events(arms, open_meter(bench.device, bench.energy_obstacle), load, EFFORTS["standard"], "sound", {}):
            if isinstance(event, Record) and event.metric in (ENERGY, POWER):
                if event.value is None:
                    print(f"  {event.arm}: not measured, {event.reason}")
                else:
                    found.setdefault((event.arm, event.metric), []).append(event.value)
            elif isinstance(event, Fact):
                print(f"  {event.value}"[:150])
    finally:
        load.close()
    if (FAST, ENERGY) in found and (BEST, ENERGY) in found:
        times, least, greatest = ratio(found[BEST, ENERGY], found[FAST, ENERGY])
        for name in (FAST, BEST):
            print(f"  {name}: {mean(found[name, ENERGY]):.4f} J per call at {mean(found[name, POWER]):.0f} W")
        print(f"  N = {JOULES_SEQ_LEN:,}: {times:.2f} times fewer joules than {BEST} ({choice.name}), {least:.2f} to {greatest:.2f}")


def main(arguments: list[str] | None = None) -> int:
    """Runs the bench. Exit status 1 where a result was wrong or a section could not run; a missed target is printed, not an error."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sections", default=",".join(DEFAULT_SECTIONS), help=f"comma-separated, of {', '.join(SECTIONS)}")
    parser.add_argument("--budget", type=float, default=80.0, help="seconds after which tuning ends")
    options = parser.parse_args(arguments)
    chosen = options.sections.split(",")
    if set(chosen) - set(SECTIONS):
        parser.error(f"--sections: {options.sections!r} names others than {', '.join(SECTIONS)}")
    on_gpu = torch.cuda.is_available()
    device = "cuda:0" if on_gpu else "cpu"
    energy_obstacle = obstacle(device)  # before there is a CUDA context
    if on_gpu:
        tokens, d_model, dtype_name = TARGET_SIZE
        bench = Bench(device, tokens, d_model, 12, getattr(torch, dtype_name), tuple(TARGETS), options.budget, energy_obstacle)
    else:
        bench = Bench(device, 2048, 64, 4, torch.float32, (256, 1024), options.budget, energy_obstacle)
    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    print(f"{name}, torch {torch.__version__}, {bench.tokens:,} tokens × {bench.d_model}, {bench.n_heads} heads, {bench.dtype}", flush=True)
    everything: list[tuple[str, Callable[[], None]]] = [
        ("check", partial(check, bench)),
        ("parts", partial(parts, bench)),
        *(("layers", partial(layers, bench, seq_len, False)) for seq_len in bench.seq_lens),
        *(("training", partial(layers, bench, seq_len, True)) for seq_len in bench.seq_lens[:2]),
        ("tune", partial(tune, bench)),
        ("joules", partial(joules, bench)),
    ]
    for title, section in everything:
        if title not in chosen:
            continue
        began = time.monotonic()
        print(f"--- {title}", flush=True)
        try:
            section()
        except Exception:  # a section that fails must not lose the other sections' numbers
            bench.failures.append(f"{title}: {traceback.format_exc(limit=-3)}")
            print(bench.failures[-1], flush=True)
        if on_gpu:
            torch.cuda.empty_cache()
        print(f"    ({time.monotonic() - began:.1f} s)", flush=True)
    for failure in bench.failures:
        print("FAILED", failure.splitlines()[0], failure.splitlines()[-1] if "\n" in failure else "")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
