"""What a measurement says of a claim: pure functions from claims and estimates to verdicts with their reasons in words.

Effects are oriented so that the claimed direction is positive: ``d · ln(x / null)`` on the log scale, ``d · (x − null)`` on the linear one,
with d = ±1. With the claim at c, its tolerance t and the practical margin m (never more than c / 4) the regions are

    contradicted  <  −m  ≤  no difference  ≤  m  <  smaller than claimed  <  c − t·c  ≤  reproduced  ≤  c + t·c  <  larger than claimed

A value exactly on a border belongs to "no difference" or "reproduced"; rounding of 1 part in 10⁹ counts as on the border. The verdict is
the region that holds the whole 95 % interval (touching a border from inside is not crossing it); if it reaches into another,
``inconclusive``. For a threshold (bound ``at_least`` or ``at_most``) everything from c on is reproduced.

Equivalence ("kept", "as good as") is reproduced when the whole interval lies inside ±m, non-inferiority (a bound on an equivalence)
when it lies above −m; contradicted when it lies wholly outside. A rank claim is reproduced by the claimed rank or a better one. An
open claim states no figure: whatever is measured is reported as inconclusive.

Where the source leaves settings open, or settings were searched to come near the claim, the best verdict is "reproducible with settings …".

The cells of a table share the 5 % error of a single claim: their intervals are Holm-adjusted, against the border that lies nearest to
each estimate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from lab import formatting
from lab.claims import ACCURACY_MARGIN, CPU_RATIO_MARGIN, GPU_RATIO_MARGIN, Claim, claims
from lab.records import Comparison, Estimate, Measured, Protocol
from lab.statistics import MIN_OBSERVATIONS, Interval, holm_widen

if TYPE_CHECKING:
    from lab.workload import Workload

CONTRADICTED = "contradicted"
NO_DIFFERENCE = "no difference"
SMALLER = "smaller than claimed"
REPRODUCED = "reproduced"
LARGER = "larger than claimed"
INCONCLUSIVE = "inconclusive"
NOT_MEASURED = "not measured"
REPRODUCIBLE = "reproducible with settings"  # followed by the settings

REGIONS = (CONTRADICTED, NO_DIFFERENCE, SMALLER, REPRODUCED, LARGER)  # from far against the claim to beyond it
WORDS = (*REGIONS, INCONCLUSIVE, NOT_MEASURED, REPRODUCIBLE)
# What a table is called after its cells: the first of these that any cell has. One unmeasured cell leaves the table open.
_WORST_FIRST = (CONTRADICTED, NO_DIFFERENCE, SMALLER, INCONCLUSIVE, NOT_MEASURED, LARGER, REPRODUCIBLE, REPRODUCED)

_COMPARED: Mapping[str, str] = {"published": "As published", "best": "Best against best"}

SETTINGS_FLAW = "settings searched:"
BORDER_ROUNDING = 1e-9
INTERVAL = "95 % interval"
ADJUSTED_INTERVAL = "Holm-adjusted 95 % interval"

HardwareClass = Literal["cpu", "gpu", "any"]


@dataclass(frozen=True)
class Evidence:
    """What one run's measurements rest on: hardware in words, data set ("" for none), ISO date, preset, and the host's CPU.

    ``host`` is what a GPU run measured on where it measured on the CPU (a published NumPy benchmark).
    """

    hardware: str
    hardware_class: HardwareClass
    data: str
    date: str
    preset: str
    host: str = ""

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Evidence:
        """From a run's manifest (``lab.environment.manifest``); what the manifest lacks is called unknown."""
        device = str(manifest.get("device") or "")
        used = [entry if isinstance(entry, Mapping) else {"name": entry} for entry in manifest.get("data") or ()]
        data = [str(entry.get("label") or entry.get("name") or "") for entry in used]
        return cls(
            hardware=str(manifest.get("hardware") or device or "unknown hardware"),
            hardware_class="gpu" if device.startswith("cuda") else "cpu" if device else "any",
            data=", ".join(data),
            date=str(manifest.get("started_at") or manifest.get("created_at") or "")[:10],
            preset=str(manifest.get("preset") or ""),
            host=_host(manifest),
        )

    def text(self, data: str = "", hardware_class: HardwareClass = "any") -> str:
        """The evidence column: hardware, data, date. ``data`` and ``hardware_class`` are those of one measurement where they are known."""
        on_host = hardware_class == "cpu" and self.hardware_class == "gpu"
        return "; ".join((self.host or "CPU" if on_host else self.hardware, data or self.data or "no data set", self.date or "undated"))


def _host(manifest: Mapping[str, Any]) -> str:
    machine = manifest.get("machine")
    cpu = machine.get("cpu") if isinstance(machine, Mapping) else None
    return str(cpu.get("model") or "") if isinstance(cpu, Mapping) else ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict word with its reason in words."""

    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of verdicts.csv; the fields are its columns. ``measured`` and the interval are in the claim's own unit.

    ``protocol`` and ``comparison`` are "" where nothing was measured.
    """

    claim_id: str
    source: str
    protocol: Protocol | Literal[""]
    comparison: Comparison | Literal[""]
    metric: str
    claimed: float | None
    measured: float | None
    ci_low: float | None
    ci_high: float | None
    verdict: str
    reason: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Borders:
    """Where the regions of one claim meet, as oriented effects: ±``margin``, ``low`` = c − t·c and ``high`` = c + t·c.

    ``high`` is infinite for thresholds. The ``low`` and ``high`` of an equivalence are the edges of what counts as equivalent.
    """

    margin: float
    low: float
    high: float


def direction(claim: Claim) -> int:
    """+1 where the claim says "more than the null", −1 where it says "less"; the better direction where it says neither."""
    if claim.kind in ("equivalence", "open") or claim.value is None:
        return 1 if claim.better == "higher" else -1
    if claim.bound != "value":
        return 1 if claim.bound == "at_least" else -1
    return 1 if claim.value > claim.null else -1


def effect(claim: Claim, value: float) -> float:
    """The oriented effect of ``value`` (claim's unit); infinite for a value on the log scale that is not positive."""
    if claim.scale == "linear":
        return direction(claim) * (value - claim.null)
    return direction(claim) * (math.log(value / claim.null) if value > 0 else -math.inf)


def value_of(claim: Claim, oriented: float) -> float:
    """The value (claim's unit) with this oriented effect; inverse of :func:`effect`."""
    signed = direction(claim) * oriented
    return claim.null + signed if claim.scale == "linear" else claim.null * math.exp(signed)


def borders(claim: Claim, hardware_class: HardwareClass = "any") -> Borders:
    """The borders of the claim's regions. The default margin of a ratio is 1 % where a GPU was measured, 5 % elsewhere."""
    if claim.margin is not None:
        margin = claim.margin
    elif claim.scale == "log":
        margin = GPU_RATIO_MARGIN if hardware_class == "gpu" else CPU_RATIO_MARGIN
    else:
        margin = ACCURACY_MARGIN if claim.unit == "points" and claim.kind != "exact" else 0.0
    if claim.scale == "log":
        margin = math.log1p(margin)
    if claim.value is None:
        return Borders(margin, -margin, math.inf if claim.bound != "value" else margin)
    c = effect(claim, claim.value)
    if c > 0:
        margin = min(margin, c / 4)
    return Borders(margin, c - claim.tolerance * c, math.inf if claim.bound != "value" else c + claim.tolerance * c)


def region(claim: Claim, value: float, hardware_class: HardwareClass = "any") -> str:
    """The one region that holds ``value`` (claim's unit). An equivalence knows only "reproduced" and "contradicted"."""
    edge = borders(claim, hardware_class)
    return _region(claim, effect(claim, value), edge)


def _region(claim: Claim, oriented: float, edge: Borders) -> str:
    slack = _slack(edge)
    if claim.kind == "equivalence":
        return REPRODUCED if edge.low - slack <= oriented <= edge.high + slack else CONTRADICTED
    if oriented < -edge.margin - slack:
        return CONTRADICTED
    if oriented <= edge.margin + slack:
        return NO_DIFFERENCE
    if oriented < edge.low - slack:
        return SMALLER
    return REPRODUCED if oriented <= edge.high + slack else LARGER


def _slack(edge: Borders) -> float:
    """What rounding may move an effect by."""
    return BORDER_ROUNDING * max(abs(border) for border in (edge.margin, edge.low, edge.high) if math.isfinite(border))


def _spanned(claim: Claim, low: float, high: float, edge: Borders) -> list[str]:
    """The regions that the interval of oriented effects reaches into, in order."""
    inset = 2 * _slack(edge)
    if high - low > 2 * inset:
        low, high = low + inset, high - inset
    first, last = _region(claim, low, edge), _region(claim, high, edge)
    if claim.kind == "equivalence":
        around = first == last == CONTRADICTED and low < edge.low and high > edge.high  # sticks out on both sides
        return [CONTRADICTED, REPRODUCED] if first != last or around else [first]
    inner = {SMALLER: edge.margin < edge.low}  # a region that has no room is not named
    between = REGIONS[REGIONS.index(first) : REGIONS.index(last) + 1]
    return [name for name in between if name in (first, last) or inner.get(name, True)]


def judge(claim: Claim, measured: Measured, hardware_class: HardwareClass = "any", *, interval_name: str = INTERVAL) -> Judgement:
    """The verdict on ``claim`` from one measurement.

    ``hardware_class``: what the run measured on, where ``measured`` does not say. ``interval_name``: what the reason calls the interval.
    Raises ValueError for a table row, whose verdict follows from its cells.
    """
    if claim.is_table:
        raise ValueError(f"claim {claim.id} is a table: judge its cells")
    hardware_class = measured.hardware_class if measured.hardware_class != "any" else hardware_class
    missing = _missing(claim, measured, hardware_class)
    if missing:
        return Judgement(NOT_MEASURED, missing)
    assert measured.value is not None
    said = f"Measured {_shown(claim, measured, interval_name)}; claimed {claim.claimed_text}"
    of = f"{measured.pair}." if measured.pair else ""
    flaws = [flaw for flaw in measured.flaws if not flaw.startswith(SETTINGS_FLAW)]
    doubt = "; ".join(flaws)
    if claim.kind == "open":
        return Judgement(
            INCONCLUSIVE, _join(f"Measured {_shown(claim, measured, interval_name)}; the source states no figure to hold it against.", of)
        )
    ends: tuple[float, float] | None = None
    if measured.exact:
        ends = (measured.value, measured.value)
    elif measured.n < MIN_OBSERVATIONS:
        doubt = doubt or f"only {measured.n} observation{'' if measured.n == 1 else 's'}, at least {MIN_OBSERVATIONS} are needed"
    elif measured.ci_low is None or measured.ci_high is None or not (math.isfinite(measured.ci_low) and math.isfinite(measured.ci_high)):
        doubt = doubt or "there is no interval"
    else:
        ends = (measured.ci_low, measured.ci_high)
    if doubt or ends is None:
        return Judgement(INCONCLUSIVE, _join(f"{said}: inconclusive, because {doubt}.", of))
    if claim.kind == "rank":
        return _judge_rank(claim, measured, ends, said, of)
    edge = borders(claim, hardware_class)
    low, high = sorted(effect(claim, end) for end in ends)
    spanned = _spanned(claim, low, high, edge)
    if len(spanned) > 1:
        names = " and ".join((", ".join(f"“{name}”" for name in spanned[:-1]), f"“{spanned[-1]}”"))
        return Judgement(INCONCLUSIVE, _join(f"{said}: inconclusive, the interval reaches into {names}. {_meaning(claim, edge)}", of))
    verdict = _capped(claim, measured, spanned[0])
    explanation = "" if spanned[0] == REPRODUCED and claim.kind != "equivalence" else _meaning(claim, edge)
    if spanned[0] == NO_DIFFERENCE and edge.margin > 0:
        explanation = f"{_range(claim, -edge.margin, edge.margin)} counts as no difference. {explanation}"
    return Judgement(verdict, _join(f"{said}: {verdict}.", explanation, of))


def _missing(claim: Claim, measured: Measured, hardware_class: HardwareClass) -> str:
    """Why the measurement says nothing of the claim, "" when it does."""
    if measured.value is None or not math.isfinite(measured.value):
        return _sentence(measured.reason or "the experiment gave no finite value")
    if claim.data and measured.data.casefold() != claim.data.casefold():
        found = _shown(claim, measured)
        return f"The claim speaks of {claim.data}; this run used {measured.data or 'no data set'}, where it measured {found}."
    if claim.hardware_class != "any" and hardware_class != claim.hardware_class:
        other = {"cpu": "a CPU", "gpu": "a GPU", "any": "unknown hardware"}
        return f"The claim speaks of {other[claim.hardware_class]}; this run measured on {other[hardware_class]}."
    return ""


def _judge_rank(claim: Claim, measured: Measured, ends: tuple[float, float], said: str, of: str) -> Judgement:
    assert claim.value is not None
    assert claim.chance is not None
    chance = f"By chance alone the claim comes true in {formatting.number(100 * claim.chance, 3)} % of cases."
    best, worst = sorted(ends)
    if worst <= claim.value:
        verdict = _capped(claim, measured, REPRODUCED)
    elif best > claim.value:
        verdict = CONTRADICTED
    else:
        return Judgement(
            INCONCLUSIVE, _join(f"{said}: inconclusive, the interval reaches from “reproduced” into “contradicted”.", chance, of)
        )
    return Judgement(verdict, _join(f"{said}: {verdict}.", chance, of))


def _capped(claim: Claim, measured: Measured, verdict: str) -> str:
    """The verdict, with "reproduced" replaced where settings that decide it were left open or searched."""
    if verdict != REPRODUCED:
        return verdict
    searched = next((flaw for flaw in measured.flaws if flaw.startswith(SETTINGS_FLAW)), None)
    if searched is not None:
        return f"{REPRODUCIBLE} {searched.removeprefix(SETTINGS_FLAW).strip()}"
    if claim.under_specified:
        return f"{REPRODUCIBLE} {measured.pair or 'of this run'}"
    return verdict


def _meaning(claim: Claim, edge: Borders) -> str:
    """Which values would be the claim come true, in words."""
    if claim.kind == "equivalence":
        if math.isinf(edge.high):
            side = "at least" if direction(claim) > 0 else "at most"
            return f"No worse means {side} {_quantity(claim, value_of(claim, edge.low))}."
        return f"Kept means {_range(claim, edge.low, edge.high)}."
    low = max(edge.low, edge.margin)
    if math.isinf(edge.high):
        side = "at least" if direction(claim) > 0 else "at most"
        return f"Reproduced would be {side} {_quantity(claim, value_of(claim, low))}."
    return f"Reproduced would be {_range(claim, low, edge.high)}."


def _range(claim: Claim, low: float, high: float) -> str:
    first, last = sorted((value_of(claim, low), value_of(claim, high)))
    return formatting.span(first, last, claim.unit)


def _shown(claim: Claim, measured: Measured, interval_name: str = INTERVAL) -> str:
    """The measured value with its interval in words: "1.02× (95 % interval 1.01 to 1.03, n = 10)"."""
    value, low, high = measured.value, measured.ci_low, measured.ci_high
    assert value is not None
    if low is None or high is None:
        return _quantity(claim, value, 4) + (" (exact)" if measured.exact else f" (n = {measured.n})")
    digits = 3 if high - low > 0.01 * abs(value) else 4
    shown = _quantity(claim, value, digits)
    (first, unit), (last, other) = formatting.directed(low, claim.unit), formatting.directed(high, claim.unit)
    if unit == other == formatting.directed(value, claim.unit)[1]:  # the value's own, which is not said twice
        ends = formatting.span(min(first, last), max(first, last), "", digits)
    else:
        ends = formatting.span(low, high, claim.unit, digits)
    return f"{shown} ({interval_name} {ends}, n = {measured.n})"


def _quantity(claim: Claim, value: float, digits: int = 3) -> str:
    """A value in the claim's unit: −7.2 "% lower" is "7.2 % higher"."""
    directed, unit = formatting.directed(value, claim.unit)
    return formatting.with_unit(formatting.number(directed, digits), unit)


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.!?' else '.'}" if text else ""


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def verdicts(workload: Workload, estimates: Sequence[Estimate], evidence: Evidence) -> list[Verdict]:
    """A verdict for every claim of the workload, table rows before their cells.

    One row for each claim, protocol, comparison and pair that was measured, one "not measured" row for a claim of which the summary
    says nothing.
    """
    rows: list[Verdict] = []
    for claim_id in workload.claims:
        claim = claims()[claim_id]
        if not claim.is_table:
            rows += _rows(claim, list(workload.measure(claim, estimates)), evidence)
            continue
        cells = [claims()[cell_id] for cell_id in claim.cells]
        found = {cell.id: list(workload.measure(cell, estimates)) for cell in cells}
        rows += _table_rows(claim, cells, found, evidence)
    return rows


def _rows(claim: Claim, found: Sequence[Measured], evidence: Evidence) -> list[Verdict]:
    if not found:
        return [_unmeasured(claim, evidence)]
    return [_row(claim, measured, judge(claim, measured, evidence.hardware_class), evidence) for measured in found]


def _row(claim: Claim, measured: Measured, judgement: Judgement, evidence: Evidence) -> Verdict:
    judged = judgement.verdict != NOT_MEASURED
    return Verdict(
        claim_id=claim.id,
        source=claim.source,
        protocol=measured.protocol,
        comparison=measured.comparison,
        metric=measured.metric,
        claimed=claim.value,
        measured=measured.value if judged else None,
        ci_low=measured.ci_low if judged else None,
        ci_high=measured.ci_high if judged else None,
        verdict=judgement.verdict,
        reason=judgement.reason,
        evidence=evidence.text(measured.data, measured.hardware_class),
    )


def _unmeasured(claim: Claim, evidence: Evidence) -> Verdict:
    other = {"cpu": "a CPU", "gpu": "a GPU"}.get(claim.hardware_class, "")
    if other and evidence.hardware_class not in ("any", claim.hardware_class):
        reason = f"The claim speaks of {other}, which this run did not measure on."
    else:
        run = f"A run with the {evidence.preset} preset" if evidence.preset not in ("", "custom") else "This run"
        reason = f"{run} measures nothing that bears on the claim."
    return Verdict(claim.id, claim.source, "", "", "", claim.value, None, None, None, NOT_MEASURED, reason, evidence.text())


def _table_rows(table: Claim, cells: Sequence[Claim], found: Mapping[str, Sequence[Measured]], evidence: Evidence) -> list[Verdict]:
    keys = list(dict.fromkeys((m.protocol, m.comparison) for measured in found.values() for m in measured))
    summaries: list[Verdict] = []
    by_cell: dict[str, list[Verdict]] = {cell.id: [] for cell in cells}
    for key in keys:
        family = [(cell, m) for cell in cells for m in found[cell.id] if (m.protocol, m.comparison) == key]
        judged = _judge_family(family, evidence)
        for cell, row in judged:
            by_cell[cell.id].append(row)
        absent = [cell for cell in cells if not any(cell is other for other, _ in judged)]
        rows = [*judged, *((cell, _unmeasured(cell, evidence)) for cell in absent)]
        summaries.append(_table_row(table, rows, key, sum(m.ci_low is not None for _, m in family)))
    if not keys:
        summaries = [_table_row(table, [(cell, _unmeasured(cell, evidence)) for cell in cells], ("", ""), 0)]
    return [*summaries, *(row for cell in cells for row in by_cell[cell.id] or [_unmeasured(cell, evidence)])]


def _judge_family(family: Sequence[tuple[Claim, Measured]], evidence: Evidence) -> list[tuple[Claim, Verdict]]:
    """Judge the cells of one table together, with Holm-adjusted intervals."""
    # Each cell's hypothesis is that the true effect lies across the border nearest to the estimate: its distance from that border is
    # what Holm's procedure ranks. Cells that get no verdict from an interval do not count.
    counted: list[int] = []
    distances: list[Interval] = []
    for index, (claim, m) in enumerate(family):
        hardware_class: HardwareClass = m.hardware_class if m.hardware_class != "any" else evidence.hardware_class
        if m.exact or m.value is None or m.ci_low is None or m.ci_high is None or m.n < MIN_OBSERVATIONS or claim.kind in ("rank", "open"):
            continue
        if _missing(claim, m, hardware_class):
            continue
        low, high = sorted((effect(claim, m.ci_low), effect(claim, m.ci_high)))
        centre = effect(claim, m.value)
        edge = borders(claim, hardware_class)
        edges = (edge.low, edge.high) if claim.kind == "equivalence" else (-edge.margin, edge.margin, edge.low, edge.high)
        distance = min(abs(centre - border) for border in edges)
        half = (high - low) / 2
        if math.isfinite(distance) and math.isfinite(half) and half > 0:
            counted.append(index)
            distances.append(Interval(distance, distance - half, distance + half, m.n))
    rows = list(family)
    names = [INTERVAL] * len(family)
    # One look is assumed: for intervals built for several looks this widens a little more than needed, never less.
    for index, before, after in zip(counted, distances, holm_widen(distances, 0.0, looks=1), strict=True):
        assert before.low is not None
        assert before.high is not None
        assert after.low is not None
        assert after.high is not None
        claim, m = family[index]
        assert m.value is not None
        assert m.ci_low is not None
        assert m.ci_high is not None
        factor = (after.high - after.low) / (before.high - before.low)
        centre = effect(claim, m.value)
        ends = [value_of(claim, centre + factor * (effect(claim, end) - centre)) for end in (m.ci_low, m.ci_high)]
        rows[index] = (claim, replace(m, ci_low=min(ends), ci_high=max(ends)))
        names[index] = ADJUSTED_INTERVAL if factor > 1 else INTERVAL
    return [
        (claim, _row(claim, m, judge(claim, m, evidence.hardware_class, interval_name=name), evidence))
        for (claim, m), name in zip(rows, names, strict=True)
    ]


def _table_row(table: Claim, rows: Sequence[tuple[Claim, Verdict]], key: tuple[Any, Any], adjusted: int) -> Verdict:
    """The row of a table: how many cells got which verdict, and the worst cell with its evidence."""
    counts = Counter(word(row.verdict) for _, row in rows)
    counted = ", ".join(f"{counts[name]} {name}" for name in WORDS if counts[name])
    worst, row = min(rows, key=lambda item: (_WORST_FIRST.index(word(item[1].verdict)), _share_of_claim(*item)))
    verdict = row.verdict
    reason = f"{len(rows)} cells: {counted}."
    if counts[NOT_MEASURED] == len(rows):
        reason += f" {row.reason}"
    else:
        if word(verdict) == NOT_MEASURED:
            verdict = INCONCLUSIVE  # what was measured bears the table out, but not all of it was measured
        reason += f" Worst: {worst.id} ({worst.label}). {row.reason}"
    if adjusted > 1:
        reason += f" The intervals are adjusted for {adjusted} cells by Holm's procedure."
    metrics = {row.metric for _, row in rows if row.metric}
    metric = metrics.pop() if len(metrics) == 1 else ""
    return Verdict(table.id, table.source, key[0], key[1], metric, None, None, None, None, verdict, reason, row.evidence)


def word(verdict: str) -> str:
    """The verdict without its settings."""
    return REPRODUCIBLE if verdict.startswith(REPRODUCIBLE) else verdict


def reasons(found: Iterable[Verdict]) -> list[str]:
    """Every reason of ``found`` once; where there are several, each after the comparisons and protocols that it speaks of."""
    places: dict[str, dict[str, None]] = {}
    for row in found:
        if row.reason:
            named = filter(None, (_COMPARED.get(row.comparison), row.protocol and f"{row.protocol} protocol"))
            places.setdefault(row.reason, {})[", ".join(named)] = None
    if len(places) < 2:
        return list(places)
    return [f"{' / '.join(filter(None, where))}: {reason}" if any(where) else reason for reason, where in places.items()]


def precedence(row: Verdict) -> tuple[bool, bool]:
    """Sort key of the verdicts of one run on one claim in one comparison, the one that leads first; by nothing that was found.

    Measured before not measured, then the protocol that the comparison is about: the published one as published, the sound one best
    against best. Verdicts of equal key keep the order of their experiment.
    """
    return row.verdict == NOT_MEASURED, row.protocol != ("published" if row.comparison == "published" else "sound")


def _share_of_claim(claim: Claim, row: Verdict) -> float:
    """How much of the claimed effect was measured; cells of one verdict are ordered by it."""
    if row.measured is None:
        return math.inf
    claimed = effect(claim, claim.value) if claim.value is not None else 0.0
    return effect(claim, row.measured) / (claimed or 1.0)
