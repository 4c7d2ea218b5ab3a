"""Speed and fidelity of the fast version: ``python -m workloads.spectral_sparse_attention.bench [--sections check,speed,…]``.

A development bench (the experiment measures with mirrored pairs and intervals in a run of its own). Sections: ``check`` (kernels against
float64), ``speed`` (whole calls against the fused backends, time of the parts, cosines, memory), ``backward``, ``energy`` (joules at the
largest N) and ``tune`` (tiles and clustering effort). Planted clusters, 16 heads of 64, bfloat16, k and s nearest √N. Each section stands
alone: one that fails is reported and the rest still runs. On a CPU a small ``speed`` runs with the framework's operations.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from lab.timing import Arm, DeviceTimeSampler, Excluded, LatencySampler, Sampler, Sampling, compare, synchronizer
from workloads.spectral_sparse_attention import data, dense, eager, fast, fast_clustering, fused, reference, rivals, sampling
from workloads.spectral_sparse_attention.clustering import PROJECTED_DIM, Clusters, cluster, clusters_of, projection
from workloads.spectral_sparse_attention.data import Tokens
from workloads.spectral_sparse_attention.fast_clustering import LAUNCH, Launch, usual_effort
from workloads.spectral_sparse_attention.fused import Tiles
from workloads.spectral_sparse_attention.reference import Attended

HEADS, HEAD_DIM = 16, 64
LENGTHS = (4096, 8192, 16384, 65536, 131072)
CPU_HEADS, CPU_LENGTHS = 2, (1024, 4096)
TUNED_LENGTH = 65536
SHORT_TUNED_LENGTH = 8192
BACKWARD_LENGTHS = (16384, 65536)
GRAPH_LENGTHS = 16384  # above, a graph of 50 calls would take long, and launches are short beside the kernels
TARGETS = {131072: 20.0, 65536: 8.0, 16384: 1.0, 8192: 1.0}  # times faster than the fastest fused backend
COSINE_MARGIN = 0.02
REPEATS = 8
HOST_CALLS = 50
QUICK_LOOK = Sampling(segment_s=0.05, looks=(5,), warmup_s=0.1, warmup_calls=1)
ENERGY_S = 4.0


@dataclass
class Bench:
    """The device, and what the sections found."""

    device: torch.device
    lengths: tuple[int, ...]
    deadline: float
    failures: list[str] = field(default_factory=list)
    targets: list[tuple[bool, str]] = field(default_factory=list)

    @property
    def n_heads(self) -> int:
        return HEADS if self.device.type == "cuda" else CPU_HEADS

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.device.type == "cuda" else torch.float32

    def tokens(self, n: int, *, spread: float = 0.5, largest: float = 4.0) -> Tokens:
        """Planted tokens: √N clusters, the largest 4 × the mean."""
        return data.planted(
            self.n_heads, n, HEAD_DIM, root(n), spread=spread, largest=largest, seed=n, device=self.device, dtype=self.dtype
        )

    @property
    def late(self) -> bool:
        return time.monotonic() > self.deadline


def root(n: int) -> int:
    """The whole number nearest √n."""
    return round(math.sqrt(n))


def sign_projection(device: torch.device) -> Tensor:
    return projection(PROJECTED_DIM, HEAD_DIM, torch.Generator("cpu").manual_seed(0)).to(device)


def cosine(a: Tensor, b: Tensor) -> float:
    """Cosine of two outputs as one long vector for each head, mean over heads."""
    return float(cosine_similarity(a.double().flatten(-2), b.double().flatten(-2), dim=-1).mean())


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Median seconds of one call: replays of a CUDA graph; on a CPU the best of three."""
    if device.type == "cuda":
        from triton.testing import do_bench_cudagraph

        # The replays' stream waits for no other: inputs still being computed elsewhere would be read as positions half-written.
        torch.cuda.synchronize(device)
        with torch.cuda.stream(torch.cuda.Stream(device)):
            return do_bench_cudagraph(call, rep=15, return_mode="median") * 1e-3
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def mismatch(got: Tensor, exact: Tensor, same_precision: Tensor) -> str:
    """Why ``got`` is further from the float64 ``exact`` than 3 × a same-precision computation at its worst; "" where it is not."""
    error = (got.double() - exact).abs().max().item()
    allowed = 3 * (same_precision.double() - exact).abs().max().item() + 8 * torch.finfo(got.dtype).eps * exact.abs().max().item()
    return "" if error <= allowed else f"error {error:.3g}, allowed {allowed:.3g}"


def check_case(
    bench: Bench, n: int, head_dim: int, k: int, s: int, row: int, dtype: torch.dtype, weighted: bool, causal: bool
) -> list[str]:
    """Samples, output, log-sum-exp and gradients of one case against the float64 reference; what is wrong."""
    seed = time.time_ns() % 2**31
    tokens = data.planted(2, n, head_dim, max(1, k // 2), largest=4.0, seed=seed, device=bench.device, dtype=dtype)
    labels = cluster(tokens.query, k, seed=seed).labels
    labels[0, : min(n, 3)] = k - 1  # a cluster of very few, which may leave others empty
    clusters = clusters_of(labels, k)
    wanted = sampling.shared(clusters, s, queries_per_row=row, seed=seed, causal=causal)
    samples = fused.shared_samples(clusters, s, queries_per_row=row, seed=seed, causal=causal)
    wrong = [] if torch.equal(samples.keys.long(), wanted.keys) else ["samples differ"]
    cotangent = torch.randn(tokens.query.shape, device=bench.device).to(dtype)
    results = []
    ways: tuple[tuple[Callable[..., Attended], torch.dtype], ...] = (
        (fused.attention, dtype),
        (reference.attention, torch.float64),
        (reference.attention, dtype),
    )
    for attention, kind in ways:
        inputs = [x.to(kind).requires_grad_() for x in (tokens.query, tokens.key.clone(), tokens.value)]
        attended = attention(*inputs, clusters, samples, weighted=weighted, causal=causal)
        gradients = torch.autograd.grad(attended.output, inputs, cotangent.to(kind))
        results.append([attended.output.detach(), attended.log_sum_exp.detach(), *gradients])
    for name, got, exact, same in zip(("output", "log-sum-exp", "dQ", "dK", "dV"), *results, strict=True):
        found = mismatch(got, exact, same)
        wrong += [f"{name}: {found}"] if found else []
    return wrong


def check(bench: Bench) -> None:
    """The kernels against float64, on fresh random inputs; and the clustering against its own definition."""
    b, h, f = torch.bfloat16, torch.float16, torch.float32
    cases = (
        (1000, 64, 9, 50, 128, b, False, False),
        (1000, 64, 9, 50, 64, b, True, True),
        (777, 128, 5, 777, 64, h, True, False),
        (513, 32, 100, 0, 32, f, False, True),
    )
    for case in cases:
        try:
            wrong = check_case(bench, *case)
        except Exception as error:
            wrong = [repr(error)[:400]]
        print(f"check N, head_dim, k, s, row = {case[:5]} {case[5]} weighted {case[6]} causal {case[7]}: {'; '.join(wrong) or 'agrees'}")
        bench.failures += [f"check {case}: {text}" for text in wrong]
    for n, k, m in ((8192, 91, 16), (20011, 141, 32), (131072, 362, 16), (300, 300, 16)):
        guarded(bench, f"clustering {n}", partial(check_clustering, bench, n, k, m))


def check_clustering(bench: Bench, n: int, k: int, m: int) -> None:
    """The same clusters every time, sorted as the framework sorts them."""
    tokens = bench.tokens(n)
    phi = projection(m, HEAD_DIM, torch.Generator("cpu").manual_seed(0)).to(bench.device)
    padded, effort = fast_clustering.padded_projection(phi), usual_effort(n)
    no_steps = effort._replace(seed_steps=0, subset_steps=0, full_steps=0)
    stages = {"seeds": no_steps, "steps of their program": no_steps._replace(seed_steps=4), "a full step": no_steps._replace(full_steps=1)}
    for stage, part in stages.items():
        first, *rest = (fast_clustering.fit(tokens.query, k, padded, 3, part, LAUNCH) for _ in range(REPEATS))
        if not all(torch.equal(first.centres, one.centres) and torch.equal(first.sums, one.sums) for one in rest):
            print(f"check clustering N, k, m = {n, k, m}, {stage}: differ from call to call")
            bench.failures.append(f"clustering {n, k, m}: {stage} differ from call to call")
    found, *others = (fast_clustering.cluster(tokens.query, k, phi=phi, seed=3) for _ in range(REPEATS))
    sorted_by_torch = clusters_of(found.labels, k)
    for words, good in (
        (f"the same clusters {REPEATS} times", all(torch.equal(found.labels, other.labels) for other in others)),
        ("a stable sort by cluster", torch.equal(found.order.long(), sorted_by_torch.order)),
        ("offsets", torch.equal(found.offsets.long(), sorted_by_torch.offsets)),
    ):
        print(f"check clustering N, k, m = {n, k, m}, {words}: {'agrees' if good else 'WRONG'}")
        bench.failures += [] if good else [f"clustering {n, k, m}: {words}"]


def whole_call(tokens: Tokens, k: int, s: int, phi: Tensor) -> Callable[[], Tensor]:
    return lambda: fast.attention(tokens.query, tokens.key, tokens.value, k, s, phi=phi).output


def ignoring_index(call: Callable[[], object], index: int) -> None:
    """One call of an arm: its inputs are many times the L2 cache, so none are rotated."""
    call()


def speed_at(bench: Bench, n: int) -> None:
    """One length: times of the whole call and of every backend, of the parts, cosines and peak memory."""
    tokens, k, s, phi = bench.tokens(n), root(n), root(n), sign_projection(bench.device)
    fast_call = whole_call(tokens, k, s, phi)
    calls: dict[str, Callable[[], Tensor]] = {"ssa fast": fast_call}
    for name, reason in dense.usable_backends(tokens.query).items():
        if not reason:
            calls[f"dense {name}"] = partial(dense.with_backend(name), tokens.query, tokens.key, tokens.value)
    if n <= (GRAPH_LENGTHS if bench.device.type == "cuda" else max(CPU_LENGTHS)):
        calls["dense naive"] = partial(dense.naive, tokens.query, tokens.key, tokens.value)
    device = str(bench.device)
    arms = [
        Arm(name, "bench", "technique" if name == "ssa fast" else "baseline", device, str(bench.dtype), partial(ignoring_index, call))
        for name, call in calls.items()
    ]
    samplers: list[Sampler] = [LatencySampler(synchronizer(device))]
    if bench.device.type == "cuda" and n <= GRAPH_LENGTHS:
        samplers.append(DeviceTimeSampler(device))
    with torch.no_grad():
        for sampler in samplers:
            times: dict[str, list[float]] = {}
            for outcome in compare(arms, ("ssa fast", "bench"), sampler, QUICK_LOOK):
                if isinstance(outcome, Excluded):
                    bench.failures.append(f"N = {n}, {outcome.arm.name}, {sampler.metric}: {outcome.reason}")
                    continue
                for key, value in outcome.seconds.items():
                    times.setdefault(key[0], []).append(value)
            means = {name: sum(values) / len(values) for name, values in times.items()}
            print(f"N = {n}, {sampler.metric}, ms: " + ", ".join(f"{name} {value * 1e3:.3f}" for name, value in means.items()), flush=True)
            fused_times = {name: value for name, value in means.items() if name.startswith("dense") and name != "dense naive"}
            if "ssa fast" not in means or not fused_times:
                continue
            best = min(fused_times, key=lambda name: fused_times[name])
            ratio = fused_times[best] / means["ssa fast"]
            words = f"N = {n}, {sampler.metric}: {ratio:.2f} × against {best}"
            if n in TARGETS and bench.device.type == "cuda":
                bench.targets.append((ratio >= TARGETS[n], f"{words}, wanted {TARGETS[n]:g}"))
            else:
                print(words)
        parts_at(bench, tokens, k, s, phi)
        cosines_at(bench, tokens, k, s)
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            fast_call()
            peak = torch.cuda.max_memory_allocated() - before
            inputs = 3 * tokens.query.numel() * tokens.query.element_size()
            print(f"N = {n}, peak memory beside the inputs {peak / 2**20:.0f} MiB (inputs {inputs / 2**20:.0f} MiB)", flush=True)


def host_seconds(call: Callable[[], object]) -> float:
    """Median seconds until a call returns, the device idle at its start: what the host needs to launch it."""
    times = []
    for _ in range(HOST_CALLS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[HOST_CALLS // 2]


def parts_at(bench: Bench, tokens: Tokens, k: int, s: int, phi: Tensor) -> None:
    """Time of each part of one call, alone."""
    if bench.device.type != "cuda":
        return
    n = tokens.query.shape[-2]
    padded = fast_clustering.padded_projection(phi)
    row, effort = sampling.QUERIES_PER_ROW, usual_effort(n)
    found = fast_clustering.fit(tokens.query, k, padded, 0, effort, LAUNCH)
    _, plan = fast_clustering.assign(tokens.query, padded, found, row, LAUNCH)
    keys, population = fused.draw(plan, s, 0, False)
    options = fused.Options(False, False, HEAD_DIM**-0.5, None, None)
    seeds_only = effort._replace(seed_steps=0, subset_steps=0, full_steps=0)
    efforts = {
        "seeds": seeds_only,
        "seeds + steps of their program": seeds_only._replace(seed_steps=effort.seed_steps),
        "seeds + full step": seeds_only._replace(full_steps=1),
        "seeds + all steps": effort,
    }
    parts: dict[str, Callable[[], object]] = {
        name: partial(fast_clustering.fit, tokens.query, k, padded, 0, part, LAUNCH) for name, part in efforts.items()
    }
    parts |= {
        "assign + sort": partial(fast_clustering.assign, tokens.query, padded, found, row, LAUNCH),
        "samples": partial(fused.draw, plan, s, 0, False),
        "attention": partial(fused.forward, tokens.query, tokens.key, tokens.value, plan, keys, population, options),
    }
    times = {name: seconds(call, bench.device) * 1e3 for name, call in parts.items()}
    sizes = (plan.offsets[:, 1:] - plan.offsets[:, :-1]).double()
    edges = float(sizes.square().sum() / (n * len(sizes))) + s
    rate = 4 * edges * n * len(sizes) * HEAD_DIM / (times["attention"] * 1e-3) / 1e12
    print(f"N = {n}, parts, ms: " + ", ".join(f"{name} {value:.3f}" for name, value in times.items()))
    print(f"N = {n}, the host's part of a whole call: {host_seconds(whole_call(tokens, k, s, phi)) * 1e3:.3f} ms")
    print(
        f"N = {n}: {edges:.0f} keys for each query, largest cluster {float(sizes.max() / sizes.mean()):.1f} × the mean, "
        f"{float((sizes == 0).double().mean()):.1%} empty; attention {rate:.0f} TFLOP/s",
        flush=True,
    )


def attend(tokens: Tokens, clusters: Clusters, s: int) -> Tensor:
    """Fast attention at given clusters."""
    if fused.available(tokens.query.device):
        return eager.attention(tokens.query, tokens.key, tokens.value, clusters, sampling.shared(clusters, s)).output
    samples = fused.shared_samples(clusters, s)
    return fused.attention(tokens.query, tokens.key, tokens.value, clusters, samples).output


def dense_output(tokens: Tokens) -> Tensor:
    usable = [name for name, reason in dense.usable_backends(tokens.query).items() if not reason]
    return dense.with_backend(usable[0])(tokens.query, tokens.key, tokens.value)


def cosines_at(bench: Bench, tokens: Tokens, k: int, s: int) -> None:
    """Cosine with dense attention: fast clustering, reference clustering, true clusters, and rivals of the same density."""
    n = tokens.query.shape[-2]
    exact = dense_output(tokens)
    start = time.monotonic()
    fixed = cluster(tokens.query, k)
    fixed_s = time.monotonic() - start
    ours = fast.cluster(tokens.query, k)
    found = {
        "fast": cosine(attend(tokens, ours, s), exact),
        "reference": cosine(attend(tokens, fixed, s), exact),
        "true clusters": cosine(attend(tokens, clusters_of(tokens.labels, k), s), exact),
        "no samples": cosine(attend(tokens, ours, 0), exact),
        "random clusters": cosine(attend(tokens, rivals.random_clusters(ours), s), exact),
        "mean of V": cosine(rivals.mean_of_values(tokens.value), exact),
    }
    print(
        f"N = {n}, cosine with dense: "
        + ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        + f" (reference clustering {fixed_s:.1f} s)",
        flush=True,
    )
    shortfall = found["reference"] - found["fast"]
    bench.targets.append((shortfall <= COSINE_MARGIN, f"N = {n}: cosine {shortfall:+.4f} below the reference's, at most {COSINE_MARGIN}"))


def speed(bench: Bench) -> None:
    """All lengths, each on its own."""
    for n in bench.lengths:
        if bench.late:
            print(f"left out for lack of time: N = {n}")
            continue
        guarded(bench, f"speed at N = {n}", partial(speed_at, bench, n))


def backward(bench: Bench) -> None:
    """Forward and backward together, at clusters and samples given, against the fused backends."""
    for n in BACKWARD_LENGTHS:
        tokens, k = bench.tokens(n), root(n)
        clusters = fast.cluster(tokens.query, k, phi=sign_projection(bench.device))
        for row in (64, 128):
            samples = fused.shared_samples(clusters, k, queries_per_row=row)
            for tiles in (Tiles(64, 8, 2), Tiles(64, 4, 2), Tiles(32, 4, 2), Tiles(32, 8, 2)):
                ours = partial(fused_output, clusters=clusters, samples=samples, tiles=tiles)
                guarded(bench, f"backward {row} {tiles}", partial(training_step, bench, tokens, ours, f"rows of {row}, {tuple(tiles)}"))
        for name in ("cudnn", "flash"):
            guarded(bench, f"backward {name}", partial(training_step, bench, tokens, dense.with_backend(name), f"dense {name}"))


def fused_output(query: Tensor, key: Tensor, value: Tensor, *, clusters: Clusters, samples: sampling.Samples, tiles: Tiles) -> Tensor:
    return fused.attention(query, key, value, clusters, samples, backward=tiles).output


def training_step(bench: Bench, tokens: Tokens, attention: Callable[[Tensor, Tensor, Tensor], Tensor], words: str) -> None:
    """Print how long forward and backward of ``attention`` take together."""
    if bench.late:
        print(f"left out for lack of time: {words}")
        return
    query, key, value = (x.detach().clone().requires_grad_() for x in (tokens.query, tokens.key, tokens.value))
    cotangent = torch.randn_like(tokens.query)
    taken = latency_ms(lambda: torch.autograd.grad(attention(query, key, value), (query, key, value), cotangent))
    print(f"N = {query.shape[-2]}, forward + backward, {words}: {taken:.3f} ms", flush=True)


def latency_ms(call: Callable[[], object]) -> float:
    """Milliseconds of one call, back to back, by events."""
    from triton.testing import do_bench

    return do_bench(call, warmup=5, rep=30, return_mode="median")


def energy(bench: Bench) -> None:
    """Joules of one call at the largest length, by the board's counter over some seconds of back-to-back calls."""
    from lab.energy_meter import NoMeter, open_meter

    meter = open_meter(str(bench.device), "")
    if isinstance(meter, NoMeter):
        print(f"joules not measured: {meter.reason}")
        return
    n = max(bench.lengths)
    tokens, k = bench.tokens(n), root(n)
    for name, call in (
        ("ssa fast", whole_call(tokens, k, k, sign_projection(bench.device))),
        ("dense cudnn", partial(dense.with_backend("cudnn"), tokens.query, tokens.key, tokens.value)),
    ):
        with torch.no_grad():
            call()
            torch.cuda.synchronize()
            start_j, start, calls = meter.energy_j(), time.monotonic(), 0
            while time.monotonic() - start < ENERGY_S:
                call()
                torch.cuda.synchronize()
                calls += 1
            print(f"N = {n}, {name}: {(meter.energy_j() - start_j) / calls:.2f} J a call, {calls} calls", flush=True)


def tune(bench: Bench) -> None:
    """Attention tiles, then launches and effort of the clustering, best first; a short sequence and the longest."""
    for n in dict.fromkeys((SHORT_TUNED_LENGTH, max(bench.lengths))):
        guarded(bench, f"tune N = {n}", partial(tune_clustering, bench, n))
    guarded(bench, "tune tiles", partial(tune_tiles, bench))


def tune_tiles(bench: Bench) -> None:
    """Time of the attention kernel at one length for rows and tiles."""
    tokens, k = bench.tokens(TUNED_LENGTH), root(TUNED_LENGTH)
    padded = fast_clustering.padded_projection(sign_projection(bench.device))
    rows: list[tuple[float, str]] = []
    found = fast_clustering.fit(tokens.query, k, padded, 0, usual_effort(TUNED_LENGTH), LAUNCH)
    for row in (128, 64):
        _, plan = fast_clustering.assign(tokens.query, padded, found, row, LAUNCH)
        keys, population = fused.draw(plan, k, 0, False)
        for tiles in itertools.starmap(Tiles, ((128, 4, 2), (128, 4, 3), (64, 4, 3), (64, 4, 4), (128, 8, 3))):
            if bench.late:
                break
            options = fused.Options(False, False, HEAD_DIM**-0.5, tiles, None)
            forward = partial(fused.forward, tokens.query, tokens.key, tokens.value, plan, keys, population, options)
            guarded(bench, f"tiles {row} {tiles}", partial(time_into, rows, f"{row}/{tuple(tiles)}", forward, bench.device))
    report("attention, queries in a row/(keys, warps, stages)", rows)


def tune_clustering(bench: Bench, n: int) -> None:
    """Time of the centres for launches, and time and cosine for efforts, of one length."""
    tokens, k, phi, usual = bench.tokens(n), root(n), sign_projection(bench.device), usual_effort(n)
    padded = fast_clustering.padded_projection(phi)
    rows: list[tuple[float, str]] = []
    for launch in (
        LAUNCH,
        LAUNCH._replace(candidates=16),
        LAUNCH._replace(seed_warps=16),
        LAUNCH._replace(seed_warps=4),
        LAUNCH._replace(seed_warps=16, seed_tokens=512),
        LAUNCH._replace(seed_tokens=128),
        LAUNCH._replace(block_k=64),
        LAUNCH._replace(block_k=64, seed_warps=16),
        LAUNCH._replace(sum_k=32),
        LAUNCH._replace(sum_k=128),
        LAUNCH._replace(lloyd_block=64),
        LAUNCH._replace(programs=256),
        LAUNCH._replace(programs=1024),
    ):
        if bench.late:
            break
        fit = partial(fast_clustering.fit, tokens.query, k, padded, 0, usual, launch)
        guarded(bench, f"{launch}", partial(time_into, rows, launch_words(launch), fit, bench.device))
    report(f"N = {n}, centres", rows)

    efforts = (
        usual,
        *(usual._replace(full_steps=steps) for steps in (1, 2, 4) if steps != usual.full_steps),
        usual._replace(seed_steps=usual.seed_steps and 8, subset_steps=usual.subset_steps and 8),
        usual._replace(seed_steps=usual.seed_steps and 12, subset_steps=usual.subset_steps and 18),
        usual._replace(step_length=1.3),
        usual._replace(n_seeds=2 * usual.n_seeds),
        usual._replace(tokens_per_cluster=2 * usual.tokens_per_cluster),
    )
    with torch.no_grad():
        exact = dense_output(tokens)
        print(f"N = {n}, reference cosine {cosine(attend(tokens, cluster(tokens.query, k), k), exact):.4f}")
        for effort in efforts:
            if bench.late:
                break
            fit = partial(fast_clustering.fit, tokens.query, k, padded, 0, effort, LAUNCH)
            values = []
            for seed in (0, 1, 2):
                clusters = fast_clustering.cluster(tokens.query, k, phi=phi, seed=seed, effort=effort)
                values.append(f"{cosine(attend(tokens, clusters, k), exact):.4f}")
            print(f"N = {n}, effort {tuple(effort)}: {seconds(fit, bench.device) * 1e3:.3f} ms, cosine {' '.join(values)}", flush=True)


def time_into(rows: list[tuple[float, str]], words: str, call: Callable[[], object], device: torch.device) -> None:
    """Time a call and note it."""
    rows.append((seconds(call, device), words))


def launch_words(launch: Launch) -> str:
    """How a launch differs from the default."""
    changes = {name: value for name, value in launch._asdict().items() if value != getattr(LAUNCH, name)}
    return ", ".join(f"{name}={value}" for name, value in changes.items()) or "default"


def report(title: str, rows: list[tuple[float, str]]) -> None:
    """One line: everything that was tried, fastest first."""
    print(f"tune {title}: " + "; ".join(f"{words} {value * 1e3:.3f} ms" for value, words in sorted(rows)), flush=True)


def guarded(bench: Bench, title: str, section: Callable[[], object]) -> None:
    """Run a part; where it fails, say so and go on."""
    try:
        section()
    except Exception:
        text = traceback.format_exc(limit=-3)
        bench.failures.append(f"{title}: {text.strip().splitlines()[-1][:300]}")
        print(f"FAILED {title}\n{text[-1500:]}", flush=True)
        if bench.device.type == "cuda":
            try:
                torch.cuda.synchronize(bench.device)
                torch.cuda.empty_cache()
            except RuntimeError:
                print("the device answers no more in this process: what remains is left out", flush=True)
                bench.deadline = -math.inf


SECTIONS = {"check": check, "speed": speed, "backward": backward, "energy": energy, "tune": tune}


def main(arguments: list[str] | None = None) -> int:
    """Runs the bench. Exit status 1 where a kernel was wrong or a part could not run; a missed target is printed, not an error."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--sections", default="check,speed,backward,energy", help=f"comma-separated, of {', '.join(SECTIONS)}")
    parser.add_argument("--lengths", default="", help="comma-separated N")
    parser.add_argument("--budget", type=float, default=90.0, help="seconds after which what remains is left out")
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    no_kernels = fused.available(device)
    lengths = tuple(int(n) for n in options.lengths.split(",") if n) or (CPU_LENGTHS if no_kernels else LENGTHS)
    bench = Bench(device, lengths, time.monotonic() + options.budget)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {bench.n_heads} heads of {HEAD_DIM}, {bench.dtype}", flush=True)
    for section in options.sections.split(","):
        if bench.deadline == -math.inf:
            break
        if no_kernels and section != "speed":
            print(f"{section} left out: {no_kernels}")
            continue
        start = time.monotonic()
        print(f"--- {section}", flush=True)
        guarded(bench, section, partial(SECTIONS[section], bench))
        print(f"    ({time.monotonic() - start:.1f} s)", flush=True)
    for met, words in bench.targets:
        print("met   " if met else "MISSED", words)
    for failure in bench.failures:
        print("FAILED", failure.splitlines()[0])
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
