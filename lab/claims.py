"""The claims under test: every figure the sources state, read from ``claims.toml`` and checked when it is loaded.

A row of the file is one claim, or a table whose cells are claims of their own (``ssa-speedup`` holds ``ssa-speedup-4096``).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["ratio", "difference", "exact", "level", "equivalence", "rank", "exponent", "open"]
Bound = Literal["value", "at_least", "at_most"]
HardwareClass = Literal["any", "cpu", "gpu"]

DEFAULT_TOLERANCE = 0.10  # of the claimed effect
GPU_RATIO_MARGIN = 0.01
CPU_RATIO_MARGIN = 0.05
ACCURACY_MARGIN = 0.5  # percentage points

# Techniques that have no workload (yet) are listed under a title of their own.
TECHNIQUES: Mapping[str, str] = MappingProxyType(
    {
        "activations": "Activation functions",
        "fft_mixing": "FFT-Mix",
        "spectral_sparse_attention": "Spectral Sparse Attention",
        "moe_routing": "Mixture of experts",
        "entropy_stopping": "Entropy early stopping",
        "training_diagnostics": "Training diagnostics",
        "model_shape": "Model shape and sparsity",
        "theory": "Theory",
    }
)


class ClaimsError(ValueError):
    """The claims file is not what it must be; the message names the row and what is wrong with it."""


@dataclass(frozen=True)
class Source:
    """A document that makes claims. ``year`` is None where the document bears no date."""

    key: str
    name: str
    title: str
    authors: str
    year: int | None

    @property
    def short(self) -> str:
        """How a reader cites it: name and year."""
        return f"{self.name} {self.year}" if self.year else f"{self.name}, undated"


@dataclass(frozen=True)
class Citation:
    """Where a source makes the claim: the source and the place in it."""

    source: Source
    locator: str


@dataclass(frozen=True)
class Claim:
    """One claim, or a table of claims (then ``cells`` names them and ``value`` is None).

    Args:
        id: its id; a cell's id begins with that of the claim family it belongs to.
        table: id of the table row it is a cell of, "" where it stands alone.
        cells: ids of a table row's cells, () otherwise.
        label: what sets a cell apart from its table ("N = 4,096").
        technique: the workload that measures it, or a key of :data:`TECHNIQUES`.
        citations: sources and places, the main one first.
        kind: how it is judged (see ``lab.verdicts``).
        statement: what is claimed, in the lab's words.
        value: the claimed number in ``unit``, None where the source gives none.
        claimed_text: the claimed figure as the source prints it.
        unit: "×" for ratios (technique better than baseline: > 1), "% fewer", "points", …
        better: which direction of the measured value is the better one.
        null: the value that means "no effect" (1 for ratios).
        scale: on which effects are measured: "log" takes ln(value / null), "linear" takes value − null.
        tolerance: half-width of the reproduced region, as a share of the claimed effect; 0 for thresholds.
        margin: practical margin around the null in ``unit`` (a share of the null on the log scale); None: by hardware class.
        data: the data set the claim speaks of, "" where it speaks of none.
        hardware_class: the hardware it speaks of.
        bound: "value" claims this value; "at_least" and "at_most" claim a threshold, everything beyond it included.
        chance: probability that a rank claim comes true by chance.
        note: contradictions in the sources and the lab's readings.
        contradiction: the sources contradict each other or themselves about it; ``note`` says how.
        under_specified: the source leaves out settings that decide the result.
    """

    id: str
    table: str
    cells: tuple[str, ...]
    label: str
    technique: str
    citations: tuple[Citation, ...]
    kind: Kind
    statement: str
    value: float | None
    claimed_text: str
    unit: str
    better: Literal["higher", "lower"]
    null: float
    scale: Literal["linear", "log"]
    tolerance: float
    margin: float | None
    data: str
    hardware_class: HardwareClass
    bound: Bound
    chance: float | None
    note: str
    contradiction: bool
    under_specified: bool

    @property
    def is_table(self) -> bool:
        return bool(self.cells)

    @property
    def source(self) -> str:
        """The citation as one text: "TECS-L report 2026, Key Highlights; …"."""
        return "; ".join(f"{citation.source.short}, {citation.locator}" for citation in self.citations)

    @property
    def technique_title(self) -> str:
        return TECHNIQUES[self.technique]


class _Cell(BaseModel):
    """What a cell may say; whatever it leaves out it inherits from its row."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    id: str
    label: str = ""
    kind: Kind | None = None
    value: float | None = None
    text: str = ""
    unit: str | None = None
    better: Literal["higher", "lower"] | None = None
    null: float | None = None
    scale: Literal["linear", "log"] | None = None
    tolerance: float | None = None
    margin: float | None = None
    data: str | None = None
    hardware: HardwareClass | None = None
    bound: Bound | None = None
    chance: float | None = None
    note: str | None = None
    contradiction: bool | None = None
    under_specified: bool | None = None


class _Row(_Cell):
    technique: str
    cite: dict[str, str]
    statement: str
    cell_prefix: str | None = None  # of the cells' ids, where it is not the row's own id
    cells: tuple[_Cell, ...] = ()


class _SourceRow(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    title: str
    authors: str
    year: int | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: dict[str, _SourceRow]
    claim: tuple[_Row, ...]


def parse(text: str) -> tuple[dict[str, Source], dict[str, Claim]]:
    """Sources and claims from the text of a claims file, in its order. Raises ClaimsError when it is malformed or incomplete."""
    try:
        file = _File.model_validate(_tuples(tomllib.loads(text)))
    except ValueError as error:  # both tomllib's and pydantic's errors are ValueErrors
        raise ClaimsError(str(error)) from error
    found_sources = {key: Source(key, row.name, row.title, row.authors, row.year) for key, row in file.sources.items()}
    found: dict[str, Claim] = {}
    for row in file.claim:
        for claim in _claims_of(row, found_sources):
            _check(claim)
            if claim.id in found:
                raise ClaimsError(f"claim {claim.id}: the id is used twice")
            found[claim.id] = claim
    return found_sources, found


def _tuples(value: Any) -> Any:
    """TOML arrays as tuples, which strict validation of immutable rows wants."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _claims_of(row: _Row, known: Mapping[str, Source]) -> list[Claim]:
    for key in row.cite:
        if key not in known:
            raise ClaimsError(f"claim {row.id}: unknown source {key!r}")
    citations = tuple(Citation(known[key], locator) for key, locator in row.cite.items())
    prefix = row.cell_prefix or row.id
    cells = [_claim(row, cell, f"{prefix}-{cell.id}", citations) for cell in row.cells]
    return [_claim(row, row, row.id, citations, tuple(cell.id for cell in cells)), *cells]


def _claim(row: _Row, own: _Cell, claim_id: str, citations: tuple[Citation, ...], cells: tuple[str, ...] = ()) -> Claim:
    def inherited(name: str) -> Any:
        value = getattr(own, name)
        return getattr(row, name) if value is None else value

    is_cell = own is not row
    kind = inherited("kind")
    if kind is None:
        raise ClaimsError(f"claim {claim_id}: has no kind")
    # A cell of another kind than its row (a cosine beside a speed) does not inherit what only makes sense for the row's kind.
    unit = own.unit if own.unit is not None else row.unit if own.kind in (None, row.kind) else None
    if unit is None:
        unit = "×" if kind == "ratio" else ""
    is_ratio = kind == "ratio" and unit == "×"
    scale, null = inherited("scale"), inherited("null")
    bound: Bound = inherited("bound") or "value"
    tolerance = inherited("tolerance")
    note = row.note or ""
    if is_cell and own.note:
        note = f"{note} {own.note}".strip()
    return Claim(
        id=claim_id,
        table=row.id if is_cell else "",
        cells=cells,
        label=own.label,
        technique=row.technique,
        citations=citations,
        kind=kind,
        statement=f"{row.statement}: {own.label}" if is_cell else row.statement,
        value=own.value,
        claimed_text=own.text or ", ".join(cell.text for cell in row.cells),
        unit=unit,
        better=inherited("better"),
        null=null if null is not None else (1.0 if is_ratio else 0.0),
        scale=scale or ("log" if is_ratio else "linear"),
        tolerance=tolerance if tolerance is not None else (DEFAULT_TOLERANCE if bound == "value" else 0.0),
        margin=inherited("margin"),
        data=inherited("data") or "",
        hardware_class=inherited("hardware") or "any",
        bound=bound,
        chance=inherited("chance"),
        note=note,
        contradiction=bool(inherited("contradiction")),
        under_specified=bool(inherited("under_specified")),
    )


def _check(claim: Claim) -> None:
    """Raise ClaimsError unless a verdict can be given on the claim."""

    def require(condition: bool, problem: str) -> None:
        if not condition:
            raise ClaimsError(f"claim {claim.id}: {problem}")

    require(claim.technique in TECHNIQUES, f"unknown technique {claim.technique!r}")
    require(bool(claim.citations), "cites no source")
    for citation in claim.citations:
        require(bool(citation.locator), f"does not say where in source {citation.source.key} it stands")
    require(bool(claim.statement and claim.claimed_text), "lacks its statement or the claimed text")
    require(bool(claim.note) or not claim.contradiction, "has a contradiction and no note that says which")
    require(claim.better in ("higher", "lower"), "does not say which direction is better")
    require(claim.tolerance >= 0, "has a negative tolerance")
    require(claim.margin is None or claim.margin >= 0, "has a negative margin")
    require(claim.scale == "linear" or claim.null > 0, "needs a positive null on the log scale")
    if claim.is_table:
        require(claim.value is None, "is a table and has a value of its own")
        return
    require(not claim.table or bool(claim.label), "is a cell without a label")
    if claim.kind in ("equivalence", "open"):
        require(claim.value is None, f"is of kind {claim.kind} and has a value")
    else:
        require(claim.value is not None, f"is of kind {claim.kind} and has no value")
    if claim.value is not None:
        require(claim.scale == "linear" or claim.value > 0, "needs a positive value on the log scale")
        if claim.kind != "rank" and claim.bound == "value":
            require(claim.value != claim.null, "claims no effect; that is an equivalence")
    require((claim.chance is not None) == (claim.kind == "rank"), "a rank claim, and no other, has a chance rate")
    has_default = claim.scale == "log" or claim.unit == "points" or claim.kind in ("exact", "rank", "open")
    require(claim.margin is not None or has_default, "needs a margin: there is no default for its kind")


@cache
def _load() -> tuple[Mapping[str, Source], Mapping[str, Claim]]:
    found_sources, found = parse(resources.files("lab").joinpath("claims.toml").read_text(encoding="utf-8"))
    return MappingProxyType(found_sources), MappingProxyType(found)


def sources() -> Mapping[str, Source]:
    """The source documents by key (T, N, P)."""
    return _load()[0]


def claims() -> Mapping[str, Claim]:
    """Every claim and table row by id, in the order of the sources; read once."""
    return _load()[1]
