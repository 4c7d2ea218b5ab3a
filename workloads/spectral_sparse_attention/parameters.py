"""Parameters of the SSA experiment and its presets. Light: the web server imports this."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

import pydantic

from lab import shared_parameters
from lab.parameters import ParameterError, Parameters, Plan, parameter
from lab.shared_parameters import DTYPE_LABELS, DataType, EnergyEffort
from lab.workload import DeviceKind

Data = Literal["planted", "planted_qk", "unclustered", "text"]
Values = Literal["cluster", "independent", "tokens"]
Samples = Literal["per_query", "per_block"]
Part = Literal["spectrum", "fidelity", "speed", "table6", "ablation", "quality", "text"]

MIN_N, MAX_N = 128, 1 << 17
EXACT_SPECTRUM_N = 1024  # up to here every eigenvalue is computed; above, the leading ones by Lanczos
SAVINGS_N = (1 << 15, 1 << 17)  # the lengths the source names for its energy savings: 32K and 128K tokens
TEXT_CONTEXT = 256  # tokens that the character model is trained to see
TEXT_LAYERS, TEXT_HEADS, TEXT_HEAD_DIM = 2, 4, 32
MIN_SEEDS_JUDGED = 5  # fewer give no interval
# With which choices a parameter matters.
SPEED = {"parts": ("speed",)}
TIMED = {"parts": ("speed", "ablation")}
ON_TEXT = {"data": ("text",)}


class SsaParameters(Parameters):
    """Parameters of the SSA experiment; see each field's help."""

    n: int = parameter(
        1024,
        title="N",
        help="Tokens of the sequence, for speed and fidelity. Sweep it to see where the curves cross. Dense attention that stores its N "
        "× N "
        "matrix, and float64 references, are left out where they cannot fit or finish; what is left is still measured.",
        unit="tokens",
        ge=MIN_N,
        le=MAX_N,
        scale="log2",
        group="main",
        sweep=True,
        when={"parts": ("speed", "fidelity", "table6")},
    )
    k: int = parameter(
        0,
        title="k (0: √N)",
        help="Clusters that k-means makes of the projected queries. 0 is the nearest whole number to √N, as the source advises: 32 at "
        "N = 1,024, 64 at 4,096, 362 at 131,072. Few clusters keep many edges: k = 1 is dense attention.",
        unit="clusters",
        ge=0,
        le=4096,
        scale="log2",
        labels={"0": "√N"},
        group="main",
        sweep=True,
    )
    s: int = parameter(
        0,
        title="s (0: √N)",
        help="Keys sampled for each query outside its own cluster. 0 is the nearest whole number to √N: 32 at N = 1,024, 64 at 4,096, 362 "
        "at 131,072. (No samples at all is one of the "
        "rivals, measured beside it.)",
        unit="samples",
        ge=0,
        le=MAX_N,
        scale="log2",
        labels={"0": "√N"},
        group="main",
        sweep=True,
    )
    data: Data = parameter(
        "planted",
        title="Data",
        help="Gaussian tokens around planted centres, in random order: with q = k = x, where attention is symmetric and within the "
        "theory's "
        "assumptions, or with other noise in queries than in keys. Unclustered: no structure at all. Text: queries and keys of a character "
        "model trained on the built-in text, causal; its N is at most its context.",
        labels={"planted": "Planted, q = k", "planted_qk": "Planted, q ≠ k", "unclustered": "Unclustered", "text": "Real text"},
        group="main",
    )
    parts: tuple[Part, ...] = parameter(
        ("speed", "fidelity", "spectrum", "table6", "quality"),
        title="What is measured",
        help="Speed and fidelity at every N; the eigenspectrum at its own N; table 6 and figure 3 of the source at its own N; quality: "
        "what Q "
        "says of speed and cosine; text: a small character model with SSA in the place of its attention.",
        labels={
            "speed": "Speed",
            "fidelity": "Fidelity",
            "spectrum": "Eigenspectrum",
            "table6": "Table 6",
            "ablation": "Figure 3",
            "quality": "Quality Q",
            "text": "Text model",
        },
        group="main",
    )
    spectrum_n: int = parameter(
        512,
        title="N of the spectrum",
        help="Tokens of the graphs whose Laplacians are compared: they are stored as N × N matrices. Up to 1,024 every eigenvalue is "
        "computed, above that the leading ones by Lanczos, drawn while they converge.",
        unit="tokens",
        ge=MIN_N,
        le=16384,
        scale="log2",
        when={"parts": ("spectrum", "quality")},
    )
    spread: float = parameter(
        0.5,
        title="Cluster spread",
        help="Standard deviation of a planted token around its centre, as a share of the centres' own. 0 puts all tokens of a cluster on "
        "one "
        "point.",
        ge=0.0,
        le=4.0,
        step=0.05,
        sweep=True,
    )
    sharpness: float = parameter(
        1.0,
        title="Sharpness",
        help="Factor on every score. At 1 two planted tokens of one cluster score about √d, of different clusters about 0: attention "
        "stays in "
        "the cluster. At 0.1 it is nearly uniform.",
        ge=0.01,
        le=4.0,
        step=0.05,
        sweep=True,
    )
    planted: int = parameter(
        0,
        title="Planted clusters (0: as k)",
        help="Clusters that the data really have; 0 means as many as k. Apart from k, so that a wrong guess of k can be seen.",
        unit="clusters",
        ge=0,
        le=4096,
        step=1,
        sweep=True,
    )
    values: Values = parameter(
        "cluster",
        title="Values",
        help="Values around centres of their own, one for each planted cluster; independent of clusters; or the tokens themselves, v = q.",
        labels={"cluster": "Depend on the cluster", "independent": "Independent", "tokens": "The tokens, v = q"},
    )
    samples: Samples = parameter(
        "per_query",
        title="Samples",
        help="Of the reference: own samples for each query, as in algorithm 2, or shared by a block of queries, as in the fast version: "
        "per-query samples at N = 131,072 would gather about 190 GB.",
        labels={"per_query": "For each query", "per_block": "Shared by a block"},
    )
    reweighted: bool = parameter(
        False,
        title="Re-weight the samples",
        help="Multiply the sampled weights by (keys outside the cluster)/s, which makes the sampled sum unbiased. Algorithm 2 does not.",
    )
    causal: bool = parameter(False, title="Causal", help="Each token sees itself and earlier ones only, on both sides of every comparison.")
    m: int = parameter(
        16,
        title="m, projected dimensions",
        help="Dimensions of the random projection before k-means.",
        ge=1,
        le=256,
        step=1,
    )
    kmeans_steps: int = parameter(
        25, title="k-means steps", help="Lloyd steps of the reference, after k-means++ seeding.", ge=1, le=100, step=1
    )
    n_heads: int = parameter(
        4, title="Heads", help="Attention heads, each with its own tokens and clusters.", ge=1, le=64, step=1, when=SPEED
    )
    head_dim: int = parameter(64, title="Head dimension", help="Features of a query, key and value.", ge=8, le=256, step=8)
    dtype: DataType = parameter(
        "float32",
        title="Data type",
        help="Of the timed arms. Fidelity and spectra are computed from fp32 inputs against float64.",
        labels=DTYPE_LABELS,
    )
    energy: EnergyEffort = shared_parameters.energy(
        "Joules from the GPU's own counter at N = 32,768 and 131,072 where the run has them, else at its largest N: fast SSA against the "
        "fastest fused attention. Standard takes about 30 s an arm, thorough about 70 s.",
        when=SPEED,
    )
    seeds: int = parameter(
        5,
        title="Seeds",
        help="Independent data sets behind each level; fewer than 5 give no interval.",
        ge=1,
        le=40,
        step=1,
        when={"parts": ("fidelity", "spectrum", "table6", "ablation", "quality", "text")},
    )
    train_steps: int = parameter(
        600,
        title="Training steps of the text model",
        help="Once for each choice: the trained model is kept.",
        ge=10,
        le=20000,
        step=50,
        when=(ON_TEXT, {"parts": ("text",)}),
    )
    layer: int = parameter(
        1,
        title="Layer of the text model",
        help="Whose queries and keys are the real text; counted from 0.",
        ge=0,
        le=TEXT_LAYERS - 1,
        step=1,
        when=ON_TEXT,
    )
    head: int = parameter(0, title="Head of the text model", help="Counted from 0.", ge=0, le=TEXT_HEADS - 1, step=1, when=ON_TEXT)
    segment_s: float = shared_parameters.segment_s(0.1, when=TIMED)
    looks: int = shared_parameters.looks(3, when=TIMED)
    precision: float = shared_parameters.precision(0.01, when=TIMED)
    seed: int = shared_parameters.seed("Of data, projections, starts of k-means and samples.")

    @pydantic.model_validator(mode="after")
    def _fits_the_sequence(self) -> Self:
        for name in ("k", "s", "planted"):
            value = getattr(self, name)
            if value > self.n:
                raise ParameterError(name, value, f"at most N = {self.n}, or 0 for √N", "is larger than the sequence")
        self._fits_the_spectrum()
        if self.m > self.head_dim:
            raise ParameterError(
                "m", self.m, f"at most the head dimension, {self.head_dim}", "projects into more dimensions than there are"
            )
        return self

    def _fits_the_spectrum(self) -> None:
        asked = [part for part in ("spectrum", "quality") if part in self.parts]
        n = self.on_its_data.spectrum_n
        if not asked:
            return
        without = f"or parts without {' and '.join(asked)}"
        if self.k > n // 2:
            allowed = f"at most half the N of the spectrum, {n // 2}, {without}"
            raise ParameterError("k", self.k, allowed, "leaves too few eigenvalues beyond the k leading ones")
        if self.s > n:
            raise ParameterError("s", self.s, f"at most the N of the spectrum, {n}, {without}", "is larger than the graph of the spectrum")

    @pydantic.model_validator(mode="after")
    def _text_fits_its_context(self) -> Self:
        if self.data == "text" and self.n > TEXT_CONTEXT:
            raise ParameterError("n", self.n, f"at most {TEXT_CONTEXT} for data = text, the context it is trained for", "is too long")
        return self

    @property
    def on_its_data(self) -> SsaParameters:
        """The parameters with what real text decides: its head dimension, causal attention, spectra within its context."""
        if self.data != "text":
            return self
        own = {"head_dim": TEXT_HEAD_DIM, "m": min(self.m, TEXT_HEAD_DIM), "causal": True, "spectrum_n": min(self.spectrum_n, TEXT_CONTEXT)}
        return self.model_copy(update=own)

    @property
    def departures(self) -> str:
        """What sets this run's SSA apart from algorithm 2, in words; "" where nothing does. It goes into the dimension ``setting``."""
        own = self.on_its_data
        named = {"causal": own.causal, "samples re-weighted": own.reweighted, "samples shared by blocks": own.samples == "per_block"}
        return ", ".join(name for name, there in named.items() if there)

    def clusters(self, n: int) -> int:
        """k at a sequence of ``n`` tokens: as chosen, else √n."""
        return self.k or nearest_root(n)

    def sampled(self, n: int) -> int:
        """s at a sequence of ``n`` tokens: as chosen, else √n."""
        return self.s or nearest_root(n)

    def planted_clusters(self, n: int) -> int:
        """How many clusters the data have at ``n`` tokens: as chosen, else k."""
        return self.planted or self.clusters(n)


def nearest_root(n: int) -> int:
    """The whole number nearest to √n."""
    return round(math.sqrt(n))


def longest(plan: Plan) -> int:
    """The longest sequence of a sweep: what belongs to the run as a whole goes up to it."""
    return max(cell.n for cell in plan.cells if isinstance(cell, SsaParameters))


def longest_to(plan: Plan, most: int) -> int:
    """The longest sequence of a sweep of at most ``most`` tokens; 0 where all are longer."""
    return max((cell.n for cell in plan.cells if isinstance(cell, SsaParameters) and cell.n <= most), default=0)


def energy_cells(plan: Plan) -> tuple[int, ...]:
    """Indices of the cells in which energy is measured: the lengths that the source names, else the longest sequence."""
    lengths = [cell.n for cell in plan.cells if isinstance(cell, SsaParameters)]
    wanted = [n for n in SAVINGS_N if n in lengths] or [max(lengths)]
    return tuple(lengths.index(n) for n in wanted)


def preset(name: str, device_kind: DeviceKind) -> Mapping[str, Any]:
    """Parameter values of a preset (a list sweeps). ``quick`` keeps to 30 s on two CPU cores and 15 s on a GPU."""
    gpu = device_kind == "cuda"
    fast = {"n_heads": 2 if name == "quick" else 16, "dtype": "bfloat16"} if gpu else {"n_heads": 1}
    if name == "published":
        return {
            "n": [128, 256, 512, 1024, 2048, 4096],
            "n_heads": 1,
            "parts": ("speed", "fidelity", "spectrum", "table6", "ablation", "quality"),
            "looks": 2,
        }
    if name == "quick":
        lengths = [2048, 32768] if gpu else [256, 1024, 4096]
        return {**fast, "n": lengths, "spectrum_n": 256, "segment_s": 0.02, "looks": 1}
    powers = range(9, 18) if gpu else range(7, 15)
    return {
        **fast,
        "n": [1 << power for power in powers],
        "parts": ("speed", "fidelity", "spectrum", "table6", "ablation", "quality", "text"),
        "spectrum_n": 4096 if gpu else 1024,
        "energy": "standard",
        "looks": 2,
    }
