"""Everything whose time is compared: SSA and dense attention, each in every implementation that this machine has.

Eager SSA is algorithm 2 with its own cost: k-means++ and Lloyd steps, own samples for each query. The fast version is the same function
with samples shared by blocks of queries and a faster clustering. Both cluster anew in every call: clustering is part of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from workloads.spectral_sparse_attention import dense, eager, fast, fused, sampling
from workloads.spectral_sparse_attention.clustering import Clusters, clusters_of, kmeans, projection
from workloads.spectral_sparse_attention.parameters import SsaParameters
from workloads.spectral_sparse_attention.sampling import Samples
from workloads.spectral_sparse_attention.series import DENSE, EAGER, FAST, SSA, STEPS

Inputs = tuple[Tensor, Tensor, Tensor]  # query, key, value, each [n_heads, N, head_dim]
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
PROJECTION, CLUSTERING, GATHERING, ATTENTION = STEPS


@dataclass(frozen=True)
class Candidate:
    """One arm: what computes it, or the reason why this machine cannot."""

    name: str
    implementation: str
    function: Attention | None
    reason: str = ""


class Ssa:
    """SSA at k clusters and s samples, step by step and as a whole, in both implementations. Everything random is fixed by the seed."""

    def __init__(self, params: SsaParameters, k: int, s: int, device: str) -> None:
        self.params, self.k, self.s = params, k, s
        self.phi = projection(params.m, params.head_dim, torch.Generator("cpu").manual_seed(params.seed)).to(device)

    def project(self, query: Tensor) -> Tensor:
        """Queries in the projected dimensions."""
        return query @ self.phi.to(query.dtype).mT

    def eager_clusters(self, projected: Tensor) -> Clusters:
        generator = torch.Generator(projected.device).manual_seed(self.params.seed)
        return clusters_of(kmeans(projected, self.k, generator, self.params.kmeans_steps), self.k)

    def eager_samples(self, clusters: Clusters) -> Samples:
        if self.params.samples == "per_block":
            return sampling.shared(clusters, self.s, seed=self.params.seed, causal=self.params.causal)
        return sampling.per_query(clusters, self.s, seed=self.params.seed, causal=self.params.causal)

    def eager_attention(self, inputs: Inputs, clusters: Clusters, samples: Samples) -> Tensor:
        return eager.attention(*inputs, clusters, samples, weighted=self.params.reweighted, causal=self.params.causal).output

    def eager(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Algorithm 2 from projection to output."""
        clusters = self.eager_clusters(self.project(query))
        return self.eager_attention((query, key, value), clusters, self.eager_samples(clusters))

    def fast(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The fast version from projection to output."""
        p = self.params
        return fast.attention(query, key, value, self.k, self.s, phi=self.phi, seed=p.seed, weighted=p.reweighted, causal=p.causal).output

    def fast_clusters(self, query: Tensor) -> Clusters:
        """Projection and clustering of the fast version."""
        return fast.cluster(query, self.k, phi=self.phi, seed=self.params.seed)

    def fast_samples(self, clusters: Clusters) -> Samples:
        draw = sampling.shared if fused.available(clusters.labels.device) else fused.shared_samples
        return draw(clusters, self.s, seed=self.params.seed, causal=self.params.causal)

    def fast_attention(self, inputs: Inputs, clusters: Clusters, samples: Samples) -> Tensor:
        attend = eager.attention if fused.available(clusters.labels.device) else fused.attention
        return attend(*inputs, clusters, samples, weighted=self.params.reweighted, causal=self.params.causal).output


def candidates(params: SsaParameters, k: int, s: int, example: Inputs, *, only_published: bool = False) -> Iterator[Candidate]:
    """Every arm at k and s for inputs like ``example``; ``only_published``: eager SSA and naive dense attention alone."""
    device, causal = str(example[0].device), params.causal
    ssa = Ssa(params, k, s, device)
    yield Candidate(DENSE, EAGER, lambda q, k, v: dense.naive(q, k, v, causal=causal))
    yield Candidate(SSA, EAGER, ssa.eager)
    if only_published:
        return
    yield Candidate(SSA, FAST, ssa.fast)
    for name, reason in dense.usable_backends(example[0]).items():
        attend = dense.with_backend(name)
        if not reason or name == "flash":  # one that this machine does not have is worth a line only where none is there
            yield Candidate(DENSE, name, partial(attend, causal=causal), reason)


def steps(ssa: Ssa, implementation: str, inputs: Inputs) -> Iterator[tuple[str, Callable[[], object]]]:
    """The steps of one implementation, each alone on what the step before it gave; the fast one projects while it clusters."""
    query = inputs[0]
    if implementation == EAGER:
        projected = ssa.project(query)
        clusters = ssa.eager_clusters(projected)
        samples = ssa.eager_samples(clusters)
        yield PROJECTION, lambda: ssa.project(query)
        yield CLUSTERING, lambda: ssa.eager_clusters(projected)
        yield GATHERING, lambda: ssa.eager_samples(clusters)
        yield ATTENTION, lambda: ssa.eager_attention(inputs, clusters, samples)
        return
    clusters = ssa.fast_clusters(query)
    samples = ssa.fast_samples(clusters)
    yield PROJECTION, lambda: ssa.project(query)
    yield CLUSTERING, lambda: ssa.fast_clusters(query)
    yield GATHERING, lambda: ssa.fast_samples(clusters)
    yield ATTENTION, lambda: ssa.fast_attention(inputs, clusters, samples)
