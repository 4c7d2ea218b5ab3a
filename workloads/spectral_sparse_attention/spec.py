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
        "eigenvalue": Metric("Eigenvalue of the Laplacian", "1", "neither", compare="none"),
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
        "largest_sine": Metric("Largest sine between the leading eigenspaces", "1", "lower", compare="none"),
        "sine_frobenius": Metric("‖sin Θ‖ (Frobenius)", "1", "lower", compare="none"),
        "sine_bound": Metric("Davis–Kahan bound, with its factor 2", "1", "lower", compare="none"),
        "printed_bound": Metric("Bound as the source prints it", "1", "lower", compare="none"),
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
    method=METHOD,
    deadline_s=7200.0,
    labels={**LABELS, "idle": "idle GPU"},
)
