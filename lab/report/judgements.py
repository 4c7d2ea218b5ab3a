"""The verdicts of one run as a reader meets them: claim by claim, as published beside best against best, cells inside their table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab import formatting
from lab.claims import Claim, claims
from lab.verdicts import NOT_MEASURED, WORDS, Verdict, precedence, reasons, word

COMPARISONS: Mapping[str, str] = {"published": "As published", "best": "Best against best", "": "Not measured"}
PROTOCOLS: Mapping[str, str] = {"published": "Published protocol", "sound": "Sound protocol", "": ""}


@dataclass(frozen=True)
class Judgement:
    """One verdict in words."""

    claim: Claim
    row: Verdict

    @property
    def comparison(self) -> str:
        return COMPARISONS[self.row.comparison]

    @property
    def protocol(self) -> str:
        return PROTOCOLS[self.row.protocol]

    @property
    def measured(self) -> str:
        """The measured value with its interval; "" where there is none (a table has one for each cell)."""
        row = self.row
        return "" if row.measured is None else formatting.estimate(row.measured, row.ci_low, row.ci_high, self.claim.unit)

    @property
    def verdict(self) -> str:
        return self.row.verdict

    @property
    def word(self) -> str:
        """The verdict without the settings of "reproducible with settings …"."""
        return word(self.row.verdict)

    @property
    def reason(self) -> str:
        return self.row.reason


@dataclass(frozen=True)
class Comparison:
    """The verdicts of one claim in one comparison: the one that leads, and the others."""

    lead: Judgement
    others: tuple[Judgement, ...]

    @property
    def title(self) -> str:
        return self.lead.comparison


@dataclass(frozen=True)
class JudgedClaim:
    """One claim with all that the run says of it; ``cells`` are those of a table."""

    claim: Claim
    comparisons: tuple[Comparison, ...]
    cells: tuple[Judgement, ...]

    @property
    def is_measured(self) -> bool:
        """Whether any comparison has a verdict from a measurement."""
        return any(comparison.lead.word != NOT_MEASURED for comparison in self.comparisons)

    @property
    def by_title(self) -> dict[str, Judgement]:
        """The leading verdict of each comparison."""
        return {comparison.title: comparison.lead for comparison in self.comparisons}

    @property
    def evidence(self) -> list[str]:
        """What the verdicts rest on, each hardware, data and date once."""
        rows = [row for comparison in self.comparisons for row in (comparison.lead, *comparison.others)]
        return list(dict.fromkeys(row.row.evidence for row in rows))

    @property
    def reasons(self) -> list[str]:
        """Every reason once, with the comparison it speaks of where there are several."""
        return reasons(row.row for comparison in self.comparisons for row in (comparison.lead, *comparison.others))


def judged(found: Sequence[Verdict]) -> list[JudgedClaim]:
    """The claims that ``found`` speaks of, in its order; cells stand inside their table where that is among them."""
    by_claim: dict[str, list[Judgement]] = {}
    for row in found:
        by_claim.setdefault(row.claim_id, []).append(Judgement(claims()[row.claim_id], row))
    return [
        JudgedClaim(claims()[name], _comparisons(rows), tuple(cell for other in claims()[name].cells for cell in by_claim.get(other, ())))
        for name, rows in by_claim.items()
        if claims()[name].table not in by_claim
    ]


def _comparisons(rows: Sequence[Judgement]) -> tuple[Comparison, ...]:
    groups = [[row for row in rows if row.row.comparison == name] for name in COMPARISONS]
    return tuple(_comparison(group) for group in groups if group)


def _comparison(rows: Sequence[Judgement]) -> Comparison:
    lead, *others = sorted(rows, key=lambda item: precedence(item.row))
    return Comparison(lead, tuple(others))


def counts(found: Sequence[JudgedClaim]) -> list[tuple[str, list[tuple[str, int]]]]:
    """How many claims got which verdict, for each comparison that any claim has; a table counts once. Not measured at all comes last."""
    counted = []
    for title in COMPARISONS.values():
        tally = Counter(claim.by_title[title].word for claim in found if title in claim.by_title and claim.is_measured)
        counted.append((title, [(name, tally[name]) for name in WORDS if tally[name]]))
    missing = sum(not claim.is_measured for claim in found)
    return [*((title, words) for title, words in counted if words), *([("Not measured", [(NOT_MEASURED, missing)])] if missing else [])]
