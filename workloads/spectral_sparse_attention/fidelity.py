"""How near SSA's output and gradients come to dense attention's, on data sets of several seeds, beside rivals of equal density.

Definitions, Y of the approximation and Y_d of dense attention in float64 on the same inputs: relative error ‖Y − Y_d‖_F/‖Y_d‖_F, norm ratio
‖Y‖_F/‖Y_d‖_F, cosine ⟨Y, Y_d⟩/(‖Y‖ ‖Y_d‖) of the flattened outputs, and its mean over tokens. The gradient's cosine is that of
∂⟨Y, G⟩/∂Q (K, V) for a random cotangent G, clusters and samples held fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from lab.records import Event, Phase, Progress, Protocol, Record, Role, Scalar
from lab.timing import described
from lab.workload import Context
from workloads.spectral_sparse_attention import eager, reference, rivals, sampling
from workloads.spectral_sparse_attention.arms import Ssa
from workloads.spectral_sparse_attention.clustering import Clusters, cluster, clusters_of
from workloads.spectral_sparse_attention.costs import FIDELITY_N, GRADIENT_N
from workloads.spectral_sparse_attention.data import Tokens
from workloads.spectral_sparse_attention.parameters import SsaParameters, longest_to
from workloads.spectral_sparse_attention.sampling import Samples
from workloads.spectral_sparse_attention.series import (
    FAST,
    FIDELITY,
    MEAN_OF_V,
    NO_SAMPLES,
    RANDOM_CLUSTERS,
    REFERENCE,
    REWEIGHTED,
    RIVALS,
    SSA,
    TRUE_CLUSTERS,
    WINDOW,
    dimensions,
)
from workloads.spectral_sparse_attention.tokens import Recipe, Source, first_head

GRADIENTS = ("gradient_cosine_q", "gradient_cosine_k", "gradient_cosine_v")
LEVELS = ("output_cosine", "relative_error", "norm_ratio", "row_cosine")


def compared(output: Tensor, truth: Tensor) -> dict[str, float]:
    """What ``output`` [N, d] is beside ``truth`` [N, d]: the four levels of :data:`LEVELS`."""
    y, exact = output.double(), truth.double()
    norm, exact_norm = torch.linalg.vector_norm(y), torch.linalg.vector_norm(exact)
    return {
        "output_cosine": float((y * exact).sum() / (norm * exact_norm)),
        "row_cosine": float(torch.nn.functional.cosine_similarity(y, exact, dim=-1).mean()),
        "relative_error": float(torch.linalg.vector_norm(y - exact) / exact_norm),
        "norm_ratio": float(norm / exact_norm),
    }


def exact_attention(query: Tensor, key: Tensor, value: Tensor, *, causal: bool = False) -> Tensor:
    """Dense attention [N, d], a few rows of the table at a time, in float64.

    On a CPU above N = 1,024 in float32: its rounding of about 1e-6 is far below what is compared.
    """
    n = len(query)
    dtype = torch.float32 if query.device.type == "cpu" and n > 1024 and query.dtype == torch.float32 else torch.float64
    q, k, v = (x.to(dtype) for x in (query, key, value))
    positions = torch.arange(n, device=q.device)
    parts = []
    for rows in positions.split(max(1, reference.ENTRIES_AT_ONCE // n)):
        logits = q[rows] @ k.mT / math.sqrt(q.shape[-1])
        parts.append((logits.masked_fill(positions > rows[:, None], -torch.inf) if causal else logits).softmax(-1) @ v)
    return torch.cat(parts)


def cosine(first: Tensor, second: Tensor) -> float:
    """Cosine of two tensors, flattened."""
    return float(torch.nn.functional.cosine_similarity(first.flatten().double(), second.flatten().double(), dim=0))


@dataclass(frozen=True)
class Case:
    """One data set with what SSA makes of it: tokens [N, d] of one head, clusters and samples."""

    tokens: Tokens
    clusters: Clusters
    samples: Samples
    k: int
    s: int
    causal: bool

    @classmethod
    def of(cls, params: SsaParameters, source: Source, n: int, k: int, s: int, seed: int, device: str) -> Case:
        """Data set, clusters (k-means++, Lloyd) and samples, all from ``seed``."""
        tokens = first_head(source.tokens(n, seed, device))
        clusters = cluster(tokens.query, k, m=params.m, seed=seed, steps=params.kmeans_steps)
        return cls(tokens, clusters, draw(params, clusters, s, seed), k, s, params.causal)

    @property
    def edges_per_query(self) -> float:
        """Mean number of keys that a query sees, samples included."""
        return rivals.edges_per_query(self.clusters, self.samples, causal=self.causal)

    def attended(self, clusters: Clusters, samples: Samples, *, weighted: bool = False) -> Tensor:
        """SSA's output [N, d] at given clusters and samples; cluster by cluster on a CPU, where the whole table takes longer."""
        t = self.tokens
        attend = eager.attention if t.query.device.type == "cpu" else reference.attention
        return attend(t.query, t.key, t.value, clusters, samples, weighted=weighted, causal=self.causal).output

    def dense(self) -> Tensor:
        """Dense attention's output [N, d], float64."""
        return exact_attention(self.tokens.query, self.tokens.key, self.tokens.value, causal=self.causal)


def draw(params: SsaParameters, clusters: Clusters, s: int, seed: int) -> Samples:
    """Samples of each query's own, or shared by blocks of queries, as ``params`` ask."""
    way = sampling.shared if params.samples == "per_block" else sampling.per_query
    return way(clusters, s, seed=seed, causal=params.causal)


def outputs(params: SsaParameters, case: Case, seed: int) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Every approximation of dense attention that is compared: SSA as algorithm 2 has it, re-weighted, at true clusters, and the rivals."""
    t, n = case.tokens, len(case.tokens.query)
    yield SSA, lambda: case.attended(case.clusters, case.samples)
    yield REWEIGHTED, lambda: case.attended(case.clusters, case.samples, weighted=True)
    planted = int(t.labels.max()) + 1
    if planted > 1:
        true = clusters_of(t.labels, planted)
        yield TRUE_CLUSTERS, lambda: case.attended(true, draw(params, true, case.s, seed))
    width = case.edges_per_query

    def no_samples() -> Tensor:
        # Fewer, larger clusters make up for the samples that are missing.
        fewer = cluster(t.query, max(1, round(n / width)), m=params.m, seed=seed, steps=params.kmeans_steps)
        return case.attended(fewer, draw(params, fewer, 0, seed))

    def random_clusters() -> Tensor:
        equal = rivals.random_clusters(case.clusters, seed=seed)
        return case.attended(equal, draw(params, equal, min(n, max(0, round(width - n / case.k))), seed))

    yield NO_SAMPLES, no_samples
    yield RANDOM_CLUSTERS, random_clusters
    yield WINDOW, lambda: rivals.sliding_window(t.query, t.key, t.value, width, causal=case.causal)
    yield MEAN_OF_V, lambda: rivals.mean_of_values(t.value, causal=case.causal)


def gradients(case: Case, seed: int) -> dict[str, dict[str, float]]:
    """Arm → cosine of the true gradients with respect to Q, K and V, in float64."""
    t = case.tokens
    generator = torch.Generator(t.query.device).manual_seed(seed + 1)
    cotangent = torch.randn(t.value.shape, dtype=torch.float64, device=t.value.device, generator=generator)

    def gradient(attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> tuple[Tensor, ...]:
        leaves = [x.detach().double().requires_grad_() for x in (t.query, t.key, t.value)]
        return torch.autograd.grad(attend(*leaves), leaves, cotangent)

    def sparse(weighted: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        return lambda q, k, v: reference.attention(q, k, v, case.clusters, case.samples, weighted=weighted, causal=case.causal).output

    true = gradient(lambda q, k, v: exact_attention(q, k, v, causal=case.causal))
    found = {}
    for arm, weighted in ((SSA, False), (REWEIGHTED, True)):
        found[arm] = dict(zip(GRADIENTS, map(cosine, gradient(sparse(weighted)), true), strict=True))
    return found


def fast_output(params: SsaParameters, case: Case, seed: int) -> Tensor:
    """The output [N, d] of the fast version at its own clusters and samples, in the data type whose time is measured."""
    ssa = Ssa(params.model_copy(update={"seed": seed}), case.k, case.s, str(case.tokens.query.device))
    dtype = getattr(torch, params.dtype)
    return ssa.fast(case.tokens.query.to(dtype), case.tokens.key.to(dtype), case.tokens.value.to(dtype))


def purity(case: Case) -> float:
    """Share of tokens whose cluster's most common planted label is their own."""
    k, planted = case.k, int(case.tokens.labels.max()) + 1
    table = torch.zeros(k * planted, device=case.tokens.labels.device)
    table.scatter_add_(
        0, case.clusters.labels.long() * planted + case.tokens.labels, torch.ones_like(case.tokens.labels, dtype=table.dtype)
    )
    return float(table.view(k, planted).amax(1).sum() / len(case.tokens.labels))


class Levels:
    """Makes the records of levels: protocol by arm, ``seed`` of the data set."""

    def __init__(self, device: str) -> None:
        self.device = device

    def record(self, arm: str, metric: str, value: float | None, seed: int | None, where: dict[str, Scalar], *, reason: str = "",
               implementation: str = REFERENCE, whole_run: bool = False) -> Record:  # fmt: skip
        """One record. Rivals stand under the published protocol beside algorithm 2, and what re-weights under the sound one."""
        protocol: Protocol = "sound" if arm == REWEIGHTED else "published"
        role: Role = "baseline" if arm in RIVALS else "technique"
        return Record(
            protocol, arm, role, implementation, self.device, "float32", metric, value, "1", seed=seed, reason=reason, dimensions=where,
            whole_run=whole_run,
        )  # fmt: skip


def fidelity(params: SsaParameters, context: Context, source: Source | None = None) -> Generator[Event, None, None]:
    """Levels of every approximation at the cell's N, for each seed, on synthetic data or on ``source``."""
    n, k, s = params.n, params.clusters(params.n), params.sampled(params.n)
    # Re-weighting is an arm of its own here.
    own = params.model_copy(update={"reweighted": False})
    where = dimensions(FIDELITY, params.data, n, k, s, setting=own.departures)
    levels = Levels(context.device)
    most = FIDELITY_N[context.device_kind]
    if n > most:
        reason = f"float64 dense attention is compared with up to N = {most:,} on this device"
        for arm in (SSA, REWEIGHTED):
            for metric in (*LEVELS, *GRADIENTS):
                yield levels.record(arm, metric, None, None, where, reason=reason)
        return
    # Rivals and gradients once, at the longest sequence that has them: what they show does not need every N.
    whole = n == longest_to(context.plan, most)
    with_gradients = n == longest_to(context.plan, GRADIENT_N[context.device_kind])

    wanted = LEVELS if whole else LEVELS[:2]

    def measured(arm: str, attend: Callable[[], Tensor], truth: Tensor, seed: int, implementation: str = REFERENCE) -> Iterator[Record]:
        try:
            found = compared(attend(), truth)
        except Exception as error:  # a kernel that fails or memory that runs out: the others can still be measured
            yield levels.record(arm, "output_cosine", None, seed, where, reason=described(error), implementation=implementation)
            return
        for metric in wanted if arm in (SSA, REWEIGHTED) and implementation == REFERENCE else LEVELS[:1]:
            yield levels.record(arm, metric, found[metric], seed, where, implementation=implementation)

    chosen = source or Recipe.of(params, n)
    for index in range(params.seeds):
        seed = params.seed + index
        yield Phase("fidelity", f"N = {n:,}, data set {index + 1} of {params.seeds}")
        case = Case.of(params, chosen, n, k, s, seed, context.device)
        truth = case.dense()
        for arm, attend in outputs(params, case, seed):
            if whole or arm in (SSA, REWEIGHTED):
                yield from measured(arm, attend, truth, seed)
        yield from measured(SSA, partial(fast_output, params, case, seed), truth, seed, implementation=FAST)
        yield levels.record(SSA, "density", case.edges_per_query / n, seed, where)
        if int(case.tokens.labels.max()) > 0:
            yield levels.record(SSA, "cluster_purity", purity(case), seed, where)
        if with_gradients:
            for arm, cosines in gradients(case, seed).items():
                for metric, value in cosines.items():
                    yield levels.record(arm, metric, value, seed, where)
        yield Progress((index + 1) / params.seeds, f"fidelity, N = {n:,}")
    if n > GRADIENT_N[context.device_kind]:
        reason = f"gradients need the N × N table; they are computed up to N = {GRADIENT_N[context.device_kind]:,} on this device"
        for arm in (SSA, REWEIGHTED):
            for metric in GRADIENTS:
                yield levels.record(arm, metric, None, None, where, reason=reason)
