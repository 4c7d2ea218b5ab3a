"""The eigenspectra of dense and SSA attention on the same tokens: one study over several seeds, and how the error falls with s.

For each seed: W of dense attention, W̃ of SSA as algorithm 2 has it (samples not re-weighted) and with re-weighted samples; eigenvalues
of the symmetric normalised Laplacians of the symmetrised graphs, and mixing times of the directed walks themselves. Of the first seed
also: block Lanczos step by step, the complex eigenvalues of algorithm 2's directed graph (Arnoldi), and the attention matrices in
cluster order.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor

from lab.records import Event, Phase, Progress, Protocol, Record, Role
from lab.statistics import power_law_exponent
from lab.workload import Context
from workloads.spectral_sparse_attention import graph, sampling
from workloads.spectral_sparse_attention.clustering import Clusters, cluster, clusters_of
from workloads.spectral_sparse_attention.data import Tokens
from workloads.spectral_sparse_attention.lanczos import Ritz, block_lanczos
from workloads.spectral_sparse_attention.parameters import EXACT_SPECTRUM_N, SsaParameters
from workloads.spectral_sparse_attention.sampling import Samples
from workloads.spectral_sparse_attention.series import (
    BOUND,
    CONVERGENCE,
    DENSE,
    DIRECTED,
    MAP,
    REFERENCE,
    REWEIGHTED,
    SPECTRUM,
    SSA,
    dimensions,
)
from workloads.spectral_sparse_attention.spectrum import (
    ROUNDING,
    Spectrum,
    davis_kahan,
    exact_spectrum,
    mixing_bound,
    mixing_time,
    relative_errors,
)
from workloads.spectral_sparse_attention.tokens import Recipe, Source, first_head

PROTOCOLS: dict[str, Protocol] = {DENSE: "published", SSA: "published", REWEIGHTED: "sound"}
BOUND_N = 512  # at most, of the study of error against samples: every eigenvector is computed
BOUND_SAMPLES = (128, 64, 32, 16, 8)  # N over s: few samples: drawing without replacement steepens the line by 0.02 only
MAP_CELLS = 10  # rows and columns of the pictures of attention
SHOWN_EIGENVALUES = 10
UNCONVERGED = 1e-6  # a residual above says that Lanczos stopped too early for its values to be compared
AGREEING = 1e-9  # sines below are rounding
DIRECTED_EIGENVALUES = 16  # at most, of the directed graph


class Study:
    """Makes the records of one study; ``seed`` of a record is the data set it came from."""

    def __init__(self, params: SsaParameters, device: str, source: Source | None) -> None:
        self.params, self.source, self.n = params, source, params.spectrum_n
        self.device = device if self.n > EXACT_SPECTRUM_N else "cpu"  # a GPU has no advantage on small eigenproblems
        self.k, self.s = params.clusters(self.n), params.sampled(self.n)
        self.setting = params.model_copy(update={"reweighted": False}).departures  # re-weighting is an arm of its own here

    def record(
        self,
        arm: str,
        metric: str,
        value: float | None,
        seed: int | None = None,
        *,
        part: str = SPECTRUM,
        n: int = 0,
        s: int = -1,
        index: int = 0,
        step: int = 0,
        setting: str = "",
        implementation: str = REFERENCE,
        reason: str = "",
    ) -> Record:
        """One record of the whole run; a value that is not finite goes with its reason."""
        if value is not None and not math.isfinite(value):
            value, reason = None, reason or "not finite"
        where = dimensions(
            part, self.params.data, n or self.n, self.k, self.s if s < 0 else s, setting=setting or self.setting, index=index, step=step
        )
        role: Role = "baseline" if arm == DENSE else "technique"
        return Record(
            PROTOCOLS[arm], arm, role, implementation, self.device, "float64", metric, value, "1",
            seed=seed, reason=reason, dimensions=where, whole_run=True,
        )  # fmt: skip

    def tokens(self, n: int, seed: int) -> Tokens:
        """The first head of one data set of ``n`` tokens, without leading dimension."""
        return first_head((self.source or Recipe.of(self.params, n)).tokens(n, seed, self.device))

    def draw(self, clusters: Clusters, s: int, seed: int) -> Samples:
        if self.params.samples == "per_block":
            return sampling.shared(clusters, s, seed=seed, causal=self.params.causal)
        return sampling.per_query(clusters, s, seed=seed, causal=self.params.causal)


def spectral_study(params: SsaParameters, context: Context, source: Source | None = None) -> Generator[Event, None, None]:
    """Everything the part "spectrum" records, of synthetic data or of ``source``."""
    study = Study(params, context.device, source)
    total = params.seeds + 2
    for index in range(params.seeds):
        seed = params.seed + index
        yield Phase("spectrum", f"N = {study.n:,}, k = {study.k}, data set {index + 1} of {params.seeds}")
        yield from _one(study, seed, first=index == 0)
        yield Progress((index + 1) / total, f"eigenspectrum, data set {index + 1}")
    if params.data == "text":
        yield Progress(1.0, "the fall of the error with s is studied on planted clusters")
        return
    yield Phase("error against samples", f"N = {min(BOUND_N, study.n)}, {len(BOUND_SAMPLES)} numbers of samples")
    for index in range(params.seeds):
        yield from _error_against_samples(study, params.seed + index)
        yield Progress((params.seeds + 2 * (index + 1) / params.seeds) / total, "error against samples")


def _one(study: Study, seed: int, first: bool) -> Iterator[Event]:
    """One data set: spectra of the three graphs, what became of each quantity, and of the first one the pictures."""
    params = study.params
    tokens = study.tokens(study.n, seed)
    clusters = cluster(tokens.query, study.k, m=params.m, seed=seed, steps=params.kmeans_steps)
    samples = study.draw(clusters, study.s, seed)
    logits = {
        DENSE: graph.dense_logits(tokens.query, tokens.key, causal=params.causal),
        SSA: graph.sparse_logits(tokens.query, tokens.key, clusters, samples, causal=params.causal),
        REWEIGHTED: graph.sparse_logits(tokens.query, tokens.key, clusters, samples, weighted=True, causal=params.causal),
    }
    if first:
        for arm in (DENSE, SSA):
            yield from _attention_map(study, arm, graph.transition(logits[arm]), clusters)
    matrices = {arm: graph.normalised(graph.symmetrised(w)) for arm, w in logits.items()}
    spectra: dict[str, Spectrum] = {}
    for arm, matrix in matrices.items():
        spectra[arm] = yield from _spectrum(study, arm, matrix, seed, first)
        yield from _levels(study, arm, spectra[arm], logits[arm], seed)
        yield study.record(arm, "density", graph.density(logits[arm]), seed)
    for arm in (SSA, REWEIGHTED):
        if max(spectra[DENSE].residual, spectra[arm].residual) > UNCONVERGED:
            yield from _unconverged(study, arm, seed)
        else:
            yield from _compared(study, arm, spectra, matrices, seed)
    yield from _mixing(study, logits, spectra, seed)
    if first:
        yield from _directed(study, logits[SSA])


def _spectrum(study: Study, arm: str, matrix: Tensor, seed: int, first: bool) -> Generator[Event, None, Spectrum]:
    """All eigenvalues up to N = 1,024, above the k + 1 leading ones by Lanczos; of the first data set Lanczos is shown step by step."""
    exact = study.n <= EXACT_SPECTRUM_N
    last: Ritz | None = None
    if not exact or (first and arm != REWEIGHTED):
        generator = torch.Generator(matrix.device).manual_seed(seed)
        for last in block_lanczos(lambda block: matrix @ block, study.n, study.k + 1, generator, every=1 if first else 3):
            if first and (last.step <= 3 or last.step % 3 == 0):
                for index in shown_indices(study.k, study.k + 1)[::3]:
                    value = 1 - float(last.values[index - 1])
                    yield study.record(arm, "ritz_value", value, part=CONVERGENCE, index=index, step=last.step)
                yield study.record(arm, "residual", last.residual, part=CONVERGENCE, step=last.step)
            yield Progress(0.0, f"Lanczos, {arm}: step {last.step}, residual {last.residual:.1e}, λ₂ ≈ {1 - float(last.values[1]):.4g}")
    if exact:
        spectrum = exact_spectrum(matrix, study.k)
    else:
        assert last is not None
        spectrum = Spectrum(1 - last.values, last.vectors[:, : study.k], 1 - last.smallest, last.residual)
    for index in shown_indices(study.k, len(spectrum.values)):
        yield study.record(arm, "eigenvalue", float(spectrum.values[index - 1]), seed, index=index)
    if spectrum.residual > UNCONVERGED:
        yield study.record(arm, "residual", spectrum.residual, seed, reason="Lanczos stopped before all k + 1 eigenvalues had converged")
    return spectrum


def shown_indices(k: int, known: int) -> list[int]:
    """Which eigenvalues (counted from 1, of ``known``) are recorded: up to 10 evenly spread over 1 … k, k + 1, and a few of the rest."""
    leading = {1 + round(i * (k - 1) / (SHOWN_EIGENVALUES - 1)) for i in range(SHOWN_EIGENVALUES)}
    rest = {known, *(k + round((known - k) * share) for share in (0.05, 0.2, 0.5))} if known > k + 1 else set()
    return sorted(i for i in leading | {k, k + 1} | rest if 1 <= i <= known)


def _levels(study: Study, arm: str, spectrum: Spectrum, logits: Tensor, seed: int) -> Iterator[Record]:
    yield study.record(arm, "lambda_2", spectrum.second, seed)
    yield study.record(arm, "gap", spectrum.gap, seed)
    yield study.record(arm, "quality", spectrum.quality, seed)
    bound = mixing_bound(graph.rarest(graph.symmetrised(logits)), spectrum.second)
    yield study.record(arm, "mixing_bound", bound, seed, reason="λ₂ is 0 within rounding: the graph falls apart")


def _unconverged(study: Study, arm: str, seed: int) -> Iterator[Record]:
    for metric in ("eigenvalue_error", "gap_ratio", "largest_sine", "sine_frobenius", "sine_bound", "printed_bound"):
        yield study.record(arm, metric, None, seed, reason="Lanczos stopped before all k + 1 eigenvalues had converged")


def _compared(study: Study, arm: str, spectra: dict[str, Spectrum], matrices: dict[str, Tensor], seed: int) -> Iterator[Record]:
    """What became of the dense graph's spectrum in the sparse one."""
    dense, sparse = spectra[DENSE], spectra[arm]
    errors = relative_errors(dense, sparse)
    apart = "λ₂ of dense attention is 0 within rounding: relative errors mean nothing" if dense.k > 1 else "k = 1 has no λ₂ … λ_k"
    yield study.record(arm, "eigenvalue_error", float(errors.max()) if len(errors) else None, seed, reason="" if len(errors) else apart)
    yield study.record(arm, "gap_ratio", sparse.gap / dense.gap if dense.gap > 0 else None, seed, reason="the dense gap is 0")
    found = davis_kahan(dense, sparse, matrices[DENSE], matrices[arm])
    yield study.record(arm, "largest_sine", found.largest_sine, seed)
    yield study.record(arm, "sine_frobenius", found.frobenius, seed)
    yield study.record(arm, "sine_bound", found.operator, seed)
    yield study.record(arm, "printed_bound", found.printed, seed)


def _mixing(study: Study, logits: dict[str, Tensor], spectra: dict[str, Spectrum], seed: int) -> Iterator[Record]:
    """Mixing times of the walks themselves, and their ratio to dense attention's; a causal walk never leaves the first token."""
    reason = ""
    if study.params.causal:
        reason = "a causal walk only ever moves to earlier tokens: it has no mixing time in this sense"
    elif study.n > EXACT_SPECTRUM_N:
        reason = f"walks are followed step by step up to N = {EXACT_SPECTRUM_N:,} only; the bound from λ₂ is beside it"
    if reason:
        for arm in (SSA, REWEIGHTED):
            yield study.record(arm, "mixing_ratio", None, seed, reason=reason)
        return
    times = {arm: mixing_time(graph.transition(w)) for arm, w in logits.items()}
    for arm, steps in times.items():
        yield study.record(arm, "mixing_time", steps, seed, reason="" if math.isfinite(steps) else "does not mix within 2⁴⁰ steps")
        if arm != DENSE:
            yield study.record(arm, "mixing_ratio", steps / times[DENSE], seed, reason="one of the walks does not mix within 2⁴⁰ steps")


def _directed(study: Study, logits: Tensor) -> Iterator[Record]:
    """Leading eigenvalues 1 − μ of the random-walk Laplacian of algorithm 2's directed graph, complex, by Arnoldi."""
    from scipy.sparse.linalg import eigs

    count = min(study.k + 1, DIRECTED_EIGENVALUES)
    walk = graph.transition(logits).cpu().numpy()
    if study.n <= BOUND_N:
        every = np.linalg.eigvals(walk)
        yield study.record(SSA, "complex_share", float((np.abs(every.imag) > ROUNDING).mean()), implementation=DIRECTED)
    found = sorted(1 - eigs(walk, k=count, which="LR", return_eigenvectors=False, v0=walk.sum(0)), key=lambda value: value.real)
    for index, value in enumerate(found, 1):
        yield study.record(SSA, "directed_real", float(value.real), index=index, implementation=DIRECTED)
        yield study.record(SSA, "directed_imaginary", float(value.imag), index=index, implementation=DIRECTED)


def _attention_map(study: Study, arm: str, walk: Tensor, clusters: Clusters) -> Iterator[Record]:
    """Mean attention between blocks of tokens in cluster order, times N: 1 is what uniform attention gives everywhere."""
    order = clusters.order.long()
    sorted_walk = walk[order][:, order]
    rows = torch.stack([part.mean(0) for part in sorted_walk.tensor_split(MAP_CELLS, 0)])
    cells = torch.stack([part.mean(1) for part in rows.tensor_split(MAP_CELLS, 1)], 1) * study.n
    for row, values in enumerate(cells.tolist()):
        for column, value in enumerate(values):
            yield study.record(arm, "relative_attention", value, part=MAP, index=row, step=column)


def _error_against_samples(study: Study, seed: int) -> Iterator[Record]:
    """sin Θ of one data set at growing s, and the exponent of its fall: k-means as algorithm 2 has it, and true clusters re-weighted.

    The bound has a term for the clustering and one for the samples; with the planted clusters themselves only the samples' is left, and
    re-weighting is what its proof assumes.
    """
    params, n = study.params, min(BOUND_N, study.n)
    k, counts = params.planted_clusters(n), [n // share for share in BOUND_SAMPLES]
    reason = ""
    if params.data == "unclustered":
        reason = "the bound speaks of clusters: unclustered data have none"
    elif k > n // 2:
        reason = f"{k} planted clusters leave too few eigenvalues beyond the leading ones at N = {n}"
    if reason:
        for arm in (SSA, REWEIGHTED):
            yield study.record(arm, "sine_exponent", None, seed, part=BOUND, n=n, s=0, reason=reason)
        return
    tokens = study.tokens(n, seed)
    dense = graph.normalised(graph.symmetrised(graph.dense_logits(tokens.query, tokens.key, causal=params.causal)))
    true = exact_spectrum(dense, k)
    partitions = {
        SSA: cluster(tokens.query, k, m=params.m, seed=seed, steps=params.kmeans_steps),
        REWEIGHTED: clusters_of(tokens.labels, k),
    }
    for arm, clusters in partitions.items():
        sines = []
        for s in counts:
            samples = study.draw(clusters, s, seed)
            logits = graph.sparse_logits(tokens.query, tokens.key, clusters, samples, weighted=arm == REWEIGHTED, causal=params.causal)
            matrix = graph.normalised(graph.symmetrised(logits))
            found = davis_kahan(true, exact_spectrum(matrix, k), dense, matrix)
            sines.append(found.frobenius)
            yield study.record(arm, "sine_bound", found.operator, seed, part=BOUND, n=n, s=s)
            yield study.record(arm, "largest_sine", found.largest_sine, seed, part=BOUND, n=n, s=s)
        fitted = power_law_exponent(counts, sines)
        value, reason = fitted.mean, fitted.reason if fitted.mean is None else ""
        if max(sines) < AGREEING:
            value, reason = None, "the eigenspaces agree within rounding at every s: no error that could fall"
        yield study.record(arm, "sine_exponent", value, seed, part=BOUND, n=n, s=0, reason=reason)
