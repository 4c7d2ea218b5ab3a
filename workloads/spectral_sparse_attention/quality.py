"""What the quality Q of a data set foretells: Q of dense attention and SSA's cosine on data sets from well to poorly clustered."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import torch

from lab.records import Event, Phase, Progress
from lab.workload import Context
from workloads.spectral_sparse_attention import graph
from workloads.spectral_sparse_attention.fidelity import LEVELS, Case, Levels, compared
from workloads.spectral_sparse_attention.lanczos import block_lanczos
from workloads.spectral_sparse_attention.paper import FIGURE3_N
from workloads.spectral_sparse_attention.parameters import EXACT_SPECTRUM_N, SsaParameters
from workloads.spectral_sparse_attention.series import DENSE, QUALITY, SSA, dimensions
from workloads.spectral_sparse_attention.tokens import Recipe

MAX_N = 4096  # the longest published sequence
SETTINGS = ((0.3, 0.15), (0.3, 0.3), (0.3, 0.5), (0.3, 0.8), (1.0, 0.8))  # (spread, sharpness): Q from nearly 0 to above 0.3


def settings(params: SsaParameters, n: int) -> dict[str, Recipe]:
    """Recipes of the data sets by their names: the run's own kind of planted data at several spreads and sharpnesses."""
    own = replace(Recipe.of(params, n), data="planted")
    return {f"spread {a:g}, sharpness {b:g}": replace(own, spread=a, sharpness=b) for a, b in SETTINGS}


def quality_of(case: Case, k: int, seed: int) -> float:
    """Q = (λ_(k+1) − λ_k)/λ_N of dense attention's symmetrised Laplacian: exact up to N = 1,024, by Lanczos above."""
    matrix = graph.normalised(graph.symmetrised(graph.dense_logits(case.tokens.query, case.tokens.key, causal=case.causal)))
    n = len(matrix)
    if n <= EXACT_SPECTRUM_N:
        values = 1 - torch.linalg.eigvalsh(matrix).flip(0)
        return float((values[k] - values[k - 1]) / values[-1])
    generator = torch.Generator(matrix.device).manual_seed(seed)
    *_, last = block_lanczos(lambda block: matrix @ block, n, k + 1, generator, tolerance=1e-6, every=3)
    return float((last.values[k - 1] - last.values[k]) / (1 - last.smallest))


def quality(params: SsaParameters, context: Context) -> Generator[Event, None, None]:
    """Q and the levels of algorithm 2 for each setting and seed.

    At the N at which figure 3 times the same data sets, where it does and a GPU makes that quick; else at that of the spectrum.
    """
    timed = "ablation" in params.parts and context.device_kind == "cuda"
    n = FIGURE3_N if timed else min(params.spectrum_n, MAX_N)
    params = params.model_copy(update={"k": 0, "s": 0}) if timed else params  # as figure 3 times them
    k, s = params.clusters(n), params.sampled(n)
    device = context.device if n > EXACT_SPECTRUM_N else "cpu"  # a GPU has no advantage on small eigenproblems
    levels = Levels(device)
    chosen = settings(params, n)
    for place, (name, recipe) in enumerate(chosen.items()):
        yield Phase("quality", f"N = {n:,}, {name}")
        where = dimensions(QUALITY, "planted", n, k, s, setting=name)
        for index in range(params.seeds):
            seed = params.seed + index
            case = Case.of(params, recipe, n, k, s, seed, device)
            yield levels.record(DENSE, "quality", quality_of(case, k, seed), seed, where, whole_run=True)
            found = compared(case.attended(case.clusters, case.samples), case.dense())
            for metric in LEVELS[:2]:
                yield levels.record(SSA, metric, found[metric], seed, where, whole_run=True)
            yield Progress((place + (index + 1) / params.seeds) / len(chosen), f"quality, {name}")
