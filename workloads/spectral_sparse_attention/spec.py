"""What the SSA experiment declares to the lab. Imported by the web server, so nothing here imports torch."""

from __future__ import annotations

from lab.energy import ENERGY_METRICS
from lab.workload import Metric, Workload
from workloads.spectral_sparse_attention.charts import charts
from workloads.spectral_sparse_attention.costs import duration_s, memory
from workloads.spectral_sparse_attention.findings import measure, pairs
from workloads.spectral_sparse_attention.parameters import SsaParameters, preset
from workloads.spectral_sparse_attention.series import DIMENSIONS, LABELS

METHOD = """
**The method** (algorithm 2 of the source): queries are projected at random to m dimensions; k-means makes k clusters of them; each query
attends to all keys of its cluster and to s keys sampled outside it; softmax over these edges. *As published* the sampled edges are not
re-weighted; *re-weighted* they count (keys outside)/s times, which makes their sum unbiased. The reference runs k-means++ and up to 25
Lloyd steps. The fast version computes the same function at its own clusters, with samples shared by blocks of 128 queries and a cheaper
clustering; before it is timed its attention is compared with float64 at the clusters and samples that it found.

**Time** is that of a whole call, projection, clustering and sampling included, in mirrored passes over all arms on inputs that rotate.
*As published*: eager SSA against naive dense attention, which stores its N × N table. *Best against best*: the fastest SSA against the
fastest fused attention of this machine. The exponent is fitted through the five longest sequences of a sweep; where these times bend on
logarithmic axes (a parabola fits them clearly better), fixed costs hide the order and the verdict stays open. A crossover is interpolated
between the last N at which SSA is clearly slower and the first at which it is clearly faster; these two are its interval. A sweep that
never crosses gives a bound, judged only if it lies beyond everything that would count as the claim. What is too large or too slow at an N
is left out with its reason; the rest is measured all the same. Runs that are causal, re-weighted or share samples say nothing of the
published table.

**Fidelity** compares outputs with dense attention computed in float64 (on a CPU above N = 1,024 in float32) from the same fp32 inputs,
over several data sets: cosine of the
flattened outputs, mean cosine of tokens, relative error, norm ratio. Gradients are those of ⟨Y, G⟩ for a random G, with clusters and
samples held fixed. Rivals keep as many edges as SSA: fewer clusters without samples, random clusters, a sliding window; the mean of V
keeps none.

**Spectra** are those of the symmetric normalised Laplacian I − D^−½ W D^−½ of W = exp(QKᵀ/√d). Algorithm 2 samples directed edges, so its
graph is not symmetric even where q = k: it is symmetrised, (W + Wᵀ)/2, where theory needs it, a departure from the source; its own
complex eigenvalues stand beside it (Arnoldi). Up to N = 1,024 every eigenvalue is computed, above that the leading ones by block Lanczos
with full reorthogonalisation, whose residuals bound the error. Angles: sines of the principal angles between the spaces of the first k
eigenvectors, against Davis and Kahan's bound with the factor 2 that it needs when the gap is that of one matrix alone; a bound of 1 or
more is called vacuous. Mixing: steps until the walk from the worst token is within 1 % of its stationary distribution in total variation,
of the directed walk itself.

**Table 6** leaves out spread, sharpness, values and more. It is run at the run's own settings and at those of a fixed grid that come
nearest to two of its rows; only the other rows are judged at these, and the best verdict is then "reproducible with settings", none at
all where the search ends on an edge of its grid. A smaller error than printed is a better one.

**Quality Q**: the source makes its bands a rule for all data, so each band is judged by the data set in it that bears the rule out least,
at the N and k at which its Q was measured.

**Real text**: a causal character model (two layers, four heads of 32) trained on the built-in text, once, then kept. Its perplexity is
measured on held-out text with each attention in every layer and head, with the same weights. Clusters are made of all queries of a
window, later ones too, which favours SSA.

**Energy**, where asked for and where the GPU has a counter: fast SSA against the fastest fused attention, at N = 32,768 and 131,072.
"""

WORKLOAD = Workload(
    name="spectral_sparse_attention",
    title="SSA eigenspectrum",
    question="“Spectral Sparse Attention: O(N^1.5) complexity with provable spectral preservation; 2× speed at N = 4,096, 350× less energy "
    "per layer at 128K tokens.”",
    source="Da Xu: A Unified Mathematical Theory of Energy-Efficient AI (2025), sections 4, 8, 9 and 11",
    parameters=SsaParameters,
    preset=preset,
    dimensions=DIMENSIONS,
    metrics={
        "latency_s": Metric("Time per call", "s"),
        "device_time_s": Metric("Time on the device", "s"),
        "peak_memory_bytes": Metric("Peak memory", "B", compare="none"),
        "peak_reserved_bytes": Metric("Peak reserved memory", "B", compare="none"),
        **ENERGY_METRICS,
        "output_cosine": Metric("Cosine of the outputs", "1", "higher", compare="difference", looks=1),
        "row_cosine": Metric("Cosine of the outputs, mean over tokens", "1", "higher", compare="none"),
        "relative_error": Metric("Relative error of the outputs", "1", "lower", compare="none"),
        "norm_ratio": Metric("Norm of the output over dense attention's", "1", "neither", compare="none"),
        "gradient_cosine_q": Metric("Cosine of the gradient to the queries", "1", "higher", compare="none"),
        "gradient_cosine_k": Metric("Cosine of the gradient to the keys", "1", "higher", compare="none"),
        "gradient_cosine_v": Metric("Cosine of the gradient to the values", "1", "higher", compare="none"),
        "density": Metric("Share of edges kept", "1", "lower", compare="none"),
        "cluster_purity": Metric("Tokens in a cluster with their planted majority", "1", "higher", compare="none"),
        "eigenvalue": Metric("Eigenvalue of the Laplacian", "1", "neither", compare="ratio", looks=1),
        "ritz_value": Metric("Ritz value", "1", "neither", compare="none"),
        "residual": Metric("Residual norm of the Ritz values", "1", "lower", compare="none"),
        "directed_real": Metric("Eigenvalue of the directed graph, real part", "1", "neither", compare="none"),
        "directed_imaginary": Metric("Eigenvalue of the directed graph, imaginary part", "1", "neither", compare="none"),
        "complex_share": Metric("Complex eigenvalues of the directed graph", "1", "neither", compare="none"),
        "lambda_2": Metric("λ₂", "1", "neither", compare="ratio", looks=1),
        "gap": Metric("Gap δ_k", "1", "neither", compare="none"),
        "quality": Metric("Quality Q", "1", "higher", compare="none"),
        "eigenvalue_error": Metric("Largest relative error of λ₂ … λ_k", "1", "lower", compare="none"),
        "gap_ratio": Metric("Gap over dense attention's", "1", "neither", compare="ratio", looks=1),
        "largest_sine": Metric("Largest sine between the leading eigenspaces", "1", "neither", compare="ratio", looks=1),
        "sine_frobenius": Metric("‖sin Θ‖ (Frobenius)", "1", "neither", compare="ratio", looks=1),
        "sine_bound": Metric("Davis–Kahan bound, with its factor 2", "1", "neither", compare="ratio", looks=1),
        "printed_bound": Metric("Bound as the source prints it", "1", "neither", compare="ratio", looks=1),
        "sine_exponent": Metric("Exponent of ‖sin Θ‖ in s", "1", "lower", compare="none"),
        "mixing_time": Metric("Mixing time of the walk", "1", "neither", compare="ratio", looks=1),
        "mixing_bound": Metric("Bound on the mixing time from λ₂", "1", "neither", compare="ratio", looks=1),
        "mixing_ratio": Metric("Mixing time over dense attention's", "1", "neither", compare="ratio", looks=1),
        "relative_attention": Metric("Attention over uniform attention", "1", "neither", compare="none"),
        "search_distance": Metric("Distance from the source's figures", "1", "lower", compare="none"),
        "perplexity": Metric("Perplexity per character", "1", "lower", looks=1),
        "loss": Metric("Loss", "1", "lower", compare="none"),
    },
    entry_point="workloads.spectral_sparse_attention.experiment:run",
    claims=(
        "ssa-speedup",
        "ssa-error",
        "ssa-cosine",
        "ssa-crossover",
        "ssa-order",
        "ssa-eigen",
        "ssa-gap",
        "ssa-bound",
        "ssa-mixing",
        "ssa-ablate-k",
        "ssa-ablate-s",
        "ssa-random",
        "ssa-gradient",
        "ssa-quality",
        "ssa-flash",
        "ssa-savings",
    ),
    duration_s=duration_s,
    memory=memory,
    memory_parameter="n",
    measure=measure,
    charts=charts,
    pairs=pairs,
    notice=(
        "The published speed is against naive attention, which stores an N × N table. Fused attention does not: compare the two lines of "
        "“Speed against dense attention”.",
        "Not re-weighted, as published, each sampled key stands for itself alone instead of for the (N − |C|)/s keys that it was drawn "
        "from: on planted clusters these come loose from one another, λ₂ falls, and the walk mixes more slowly. Compare the re-weighted "
        "graph.",
        "The clustering decides: look at SSA at the planted clusters beside SSA at those that k-means finds. With q = k every token "
        "attends to itself most of all, which any pattern keeps: choose q ≠ k, or a smaller sharpness, to see how much clusters matter.",
        "A relative error above 1 beside a cosine of 0.76 means an output of several times the norm: few keys cancel less than all keys "
        "do. Table 6's own figures imply a norm ratio that grows from 1.7 to 5.",
        "The bound on the angle of the eigenspaces is often 1 or more, which no sine exceeds: it then guarantees nothing. What can be "
        "tested is the fall as s^−½: compare the fitted exponents, at k-means clusters as published and at planted clusters re-weighted.",
        "Q measures how far the k-th and the next eigenvalue lie apart, so it needs the right k. Overlapping sharp clusters can have a Q "
        "near 0 and a cosine near 1.",
    ),
    method=METHOD,
    deadline_s=7200.0,
    labels={**LABELS, "idle": "idle GPU"},
)
