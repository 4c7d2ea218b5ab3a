"""The claims board: every claim of the sources with the verdicts that runs gave on it, and which of them leads.

    runs --(JudgedRun)--> board() --> a Row for each claim --> Standing as published, Standing best against best --> Findings

A *finding* is one verdict of one run. Findings on one claim and comparison are ordered by this rule, and the first leads:

1. measured before not measured;
2. the protocol that the comparison is about: the published one as published, the sound one best against best;
3. a recorded run before one of this machine, whatever that is and whatever else it was doing, and that before an imported one, which
   nobody here has measured;
4. a run that finished before one that ended early;
5. any other run before one with the quick preset, which is a first look;
6. the newest run;
7. within a run, the order in which its experiment gives them (its main setting first).

The rule looks at no value and no verdict word, so it cannot choose the result that pleases. Nothing is averaged over runs, and a table is
judged by one run as a whole, as its intervals are adjusted for the cells of that run. Findings that do not lead stay in the row;
those with another verdict are its :attr:`Standing.differing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lab import formatting
from lab import verdicts as words
from lab.claims import Claim, claims
from lab.collection import origin
from lab.records import Comparison, RunView
from lab.verdicts import NOT_MEASURED, Verdict, word
from lab.workload import Workload

COMPARISONS: tuple[Comparison, ...] = ("published", "best")
COMPARISON_TITLES: Mapping[str, str] = {"published": "as published", "best": "best against best"}
ORIGINS = {"recorded": "recorded run", "local": "run of this machine", "imported": "imported run"}  # in the order in which they lead
FIRST_LOOK = "quick"  # the preset with which a run is a first look
NO_EXPERIMENT = "No experiment yet."
NO_COMPARISON = "No run among this evidence makes this comparison for the claim."

# The order in which a reader wants to know how many there are: from borne out to not, then what is open.
COUNTED = (
    *(words.REPRODUCED, words.REPRODUCIBLE, words.LARGER, words.SMALLER),
    *(words.NO_DIFFERENCE, words.CONTRADICTED, words.INCONCLUSIVE, NOT_MEASURED),
)


@dataclass(frozen=True, eq=False)
class JudgedRun:
    """One run as evidence: its reference, what its manifest says of it, and its verdicts. Equal only to itself.

    ``started_at`` is ISO 8601, "" where it is not known. ``finished`` is False for a run that was cancelled, failed or was interrupted.
    ``preset`` is "custom" for a run with settings of its own. ``run_id`` is the same for all copies of one run.
    """

    reference: str
    workload: str
    hardware: str
    started_at: str
    finished: bool
    verdicts: tuple[Verdict, ...]
    preset: str = ""
    run_id: str = ""

    @classmethod
    def of(cls, reference: str, view: RunView, verdicts: Sequence[Verdict]) -> JudgedRun:
        """The run called ``reference`` with the verdicts that follow from its records."""
        manifest = view.manifest
        return cls(
            reference=reference,
            workload=view.workload.name,
            hardware=str(manifest.get("hardware") or manifest.get("device") or "unknown hardware"),
            started_at=str(manifest.get("started_at") or manifest.get("created_at") or ""),
            finished=view.status == "finished",
            verdicts=tuple(verdicts),
            preset=str(manifest.get("preset") or ""),
            run_id=view.run_id,
        )

    @property
    def origin(self) -> str:
        """Where it comes from, in words: "recorded run", "run of this machine" or "imported run"."""
        return ORIGINS[origin(self.reference)]

    @property
    def title(self) -> str:
        """What it is in words: "recorded run, NVIDIA H200, 22 November 2026, ended early"."""
        date = formatting.date(self.started_at) or "undated"
        return ", ".join((self.origin, self.hardware, date, *self.reservations))

    @property
    def reservations(self) -> tuple[str, ...]:
        """What should be known of the run wherever it is named as evidence."""
        return (*((f"{FIRST_LOOK} preset",) if self.preset == FIRST_LOOK else ()), *(() if self.finished else ("ended early",)))

    @property
    def precedence(self) -> tuple[int, bool, bool, float, str]:
        """The part of the module's rule that looks at the run; its reference only makes runs of one moment stand the same every time."""
        rank = tuple(ORIGINS).index(origin(self.reference))
        return rank, not self.finished, self.preset == FIRST_LOOK, self.age_key, self.reference

    @property
    def age_key(self) -> float:
        """Smaller for newer runs; largest where the time is not known."""
        try:
            moment = datetime.fromisoformat(self.started_at)
        except ValueError:
            return float("inf")
        return -(moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True)
class Finding:
    """One verdict with the run that gave it."""

    run: JudgedRun
    verdict: Verdict

    @property
    def measured(self) -> bool:
        return self.verdict.verdict != NOT_MEASURED

    @property
    def word(self) -> str:
        """The verdict's word, without the settings of "reproducible with settings …"."""
        return word(self.verdict.verdict)

    @property
    def evidence(self) -> str:
        """Where the run comes from, and the hardware, data and date of this measurement."""
        return "; ".join((f"{self.run.origin}: {self.verdict.evidence}", *self.run.reservations))


@dataclass(frozen=True)
class Standing:
    """How a claim stands in one comparison: the finding that leads, the others in order, and the reason where nothing was measured."""

    comparison: Comparison
    findings: tuple[Finding, ...]
    missing: str = ""

    @property
    def lead(self) -> Finding | None:
        """The first finding by the rule; None where no run says anything."""
        return self.findings[0] if self.findings else None

    @property
    def measured(self) -> bool:
        return self.lead is not None and self.lead.measured

    @property
    def verdict(self) -> str:
        """The leading verdict in full, "not measured" where there is none."""
        return self.lead.verdict.verdict if self.lead is not None else NOT_MEASURED

    @property
    def word(self) -> str:
        return word(self.verdict)

    @property
    def reason(self) -> str:
        """Why the verdict is what it is, in words."""
        return self.lead.verdict.reason if self.lead is not None else self.missing

    @property
    def differing(self) -> tuple[Finding, ...]:
        """The measured findings with another verdict than the one that leads, of this run (another protocol or setting) or of others."""
        return tuple(finding for finding in self.findings[1:] if finding.measured and finding.word != self.word)

    @property
    def disagreement(self) -> tuple[Finding, ...]:
        """The differing findings of other runs: each other run's own first one, where that has another verdict."""
        firsts: dict[str, Finding] = {}
        for finding in self.findings:
            firsts.setdefault(finding.run.reference, finding)
        return tuple(finding for finding in firsts.values() if finding in self.differing and finding.run is not self.findings[0].run)

    def dissent(self) -> str:
        """What differs, in words, each verdict once: "contradicted (sound protocol); reproduced (another run: …)"; "" for nothing."""
        if self.lead is None:
            return ""
        said = (f"{finding.word} ({self._where(finding)})" for finding in self.differing)
        return "; ".join(dict.fromkeys(said))

    def _where(self, finding: Finding) -> str:
        assert self.lead is not None
        apart = []
        if finding.verdict.protocol != self.lead.verdict.protocol:
            apart.append(f"{finding.verdict.protocol} protocol")
        if finding.run.reference != self.lead.run.reference:
            apart.append(f"another run, {finding.evidence}")
        return ", ".join(apart) or "another setting of the same run"


@dataclass(frozen=True)
class Row:
    """One claim, or one table of claims, with how it stands in both comparisons. ``workload`` tests it, "" where none does yet."""

    claim: Claim
    workload: str
    published: Standing
    best: Standing

    @property
    def standings(self) -> tuple[Standing, Standing]:
        return self.published, self.best

    @property
    def measured(self) -> bool:
        return any(standing.measured for standing in self.standings)

    @property
    def leading(self) -> tuple[Finding, ...]:
        """The findings that lead, as published first; only measured ones where there is any."""
        leads = [standing.lead for standing in self.standings if standing.lead is not None]
        return tuple([lead for lead in leads if lead.measured] or leads)

    @property
    def reference(self) -> str:
        """The run that the row leads to; "" where no run speaks of the claim."""
        return self.leading[0].run.reference if self.leading else ""

    @property
    def evidence(self) -> str:
        """Origin, hardware, data and date of what leads; "" where nothing was measured."""
        return " / ".join(dict.fromkeys(lead.evidence for lead in self.leading if lead.measured))

    @property
    def dissent(self) -> str:
        """What differs from the leading verdicts, in words; "" for nothing."""
        said = [(COMPARISON_TITLES[standing.comparison], standing.dissent()) for standing in self.standings]
        return ". ".join(f"{title[0].upper()}{title[1:]} also: {text}" for title, text in said if text)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that the runs say of the claim, each finding once."""
        return tuple(dict.fromkeys(finding for standing in self.standings for finding in standing.findings))


def tested_by(declared: Iterable[Workload]) -> dict[str, Workload]:
    """Which of the workloads tests a claim, by the claim's id, cells of tables included; the first that names it."""
    found: dict[str, Workload] = {}
    for workload in declared:
        for claim_id in workload.claims:
            for each in (claim_id, *claims()[claim_id].cells):
                found.setdefault(each, workload)
    return found


def board(runs: Sequence[JudgedRun], declared: Iterable[Workload]) -> list[Row]:
    """A row for every claim and table, tables before their cells, in the order of the sources.

    ``runs`` is the evidence, in any order; ``declared`` are the experiments there are.
    """
    experiments = tested_by(declared)
    by_claim: dict[str, list[Finding]] = {}
    for run in runs:
        for verdict in run.verdicts:
            by_claim.setdefault(verdict.claim_id, []).append(Finding(run, verdict))
    return [_row(claim, by_claim.get(claim.id, ()), experiments.get(claim.id)) for claim in claims().values()]


def _row(claim: Claim, found: Sequence[Finding], experiment: Workload | None) -> Row:
    compared = any(finding.verdict.comparison for finding in found)
    published, best = (_standing(comparison, found, experiment, compared=compared) for comparison in COMPARISONS)
    return Row(claim, experiment.name if experiment is not None else "", published, best)


def _standing(comparison: Comparison, found: Sequence[Finding], experiment: Workload | None, *, compared: bool) -> Standing:
    # A verdict without a comparison says that its run does not bear on the claim: it stands for both where no run compares anything.
    wanted = comparison if compared else ""
    mine = tuple(sorted((finding for finding in found if finding.verdict.comparison == wanted), key=_precedence))
    if mine:
        return Standing(comparison, mine)
    if found:
        return Standing(comparison, (), NO_COMPARISON)
    return Standing(comparison, (), NO_EXPERIMENT if experiment is None else f"No run of “{experiment.title}” is among this evidence.")


def _precedence(finding: Finding) -> tuple[tuple[bool, bool], tuple[int, bool, bool, float, str]]:
    """The rule of the module's docstring as a sort key; verdicts of one run keep their order."""
    return words.precedence(finding.verdict), finding.run.precedence


# --- in one sentence ------------------------------------------------------------------------------------------------------------


def single(rows: Iterable[Row]) -> list[Row]:
    """The rows that are claims of their own: tables are left out, as their cells are counted."""
    return [row for row in rows if not row.claim.is_table]


def counts(rows: Iterable[Row], comparison: Comparison) -> dict[str, int]:
    """How many claims (cells counted, tables not) have each verdict word in a comparison, in the order of ``COUNTED``."""
    tally = Counter((row.published if comparison == "published" else row.best).word for row in single(rows))
    return {name: tally[name] for name in COUNTED if tally[name]}


def adverse(claim: Claim) -> bool:
    """Whether more of the claimed effect is worse for the technique: what is claimed is a slow-down, an error, a length to reach.

    "Larger than claimed" is then no praise, and "smaller than claimed" no blame.
    """
    return claim.value is not None and claim.kind != "rank" and (words.direction(claim) > 0) != (claim.better == "higher")


def headline(rows: Sequence[Row]) -> str:
    """The board in two sentences: how many claims were tested, reproduced, contradicted and left open, how many were not; cells counted."""
    each = single(rows)
    if not each:
        return "No claim fits."
    measured = sum(row.measured for row in each)
    untested = sum(not row.workload for row in each)
    silent = len(each) - measured - untested
    said = f"Of {len(each)} {'claim' if len(each) == 1 else 'claims'}, {measured} {'is' if measured == 1 else 'are'} put to the test"
    parts = []
    for comparison in COMPARISONS:
        found = counts(each, comparison)
        of = sum(count for name, count in found.items() if name != NOT_MEASURED)
        if of:
            held, failed, unclear = (found.get(name, 0) for name in (words.REPRODUCED, words.CONTRADICTED, words.INCONCLUSIVE))
            told = [f"{held} of {of} {'was' if held == 1 else 'were'} reproduced", f"{failed} contradicted"]
            told += [f"{unclear} left inconclusive"] if unclear else []
            parts.append(f"{COMPARISON_TITLES[comparison]} {', '.join(told[:-1])} and {told[-1]}")
    said += f": {'; '.join(parts)}." if parts else "."
    rest = [f"{untested} {'has' if untested == 1 else 'have'} no experiment yet"] if untested else []
    if silent:
        rest.append(f"{silent} {'is' if silent == 1 else 'are'} not measured by these runs")
    return f"{said} {formatting.sentence('; '.join(rest))}".strip()


def larger_for_worse(rows: Iterable[Row]) -> str:
    """How often "larger than claimed" is worse for the technique, in a sentence; "" where it never is."""
    larger = [row.claim for row in single(rows) for standing in row.standings if standing.word == words.LARGER]
    worse = sum(adverse(claim) for claim in larger)
    if not worse:
        return ""
    return (
        f"“Larger than claimed” is not always better: {worse} of these {len(larger)} {'is' if worse == 1 else 'are'} "
        "worse for the technique (a larger slow-down, error or threshold)."
    )
