"""What a reader wants to see of the claims board, as the query of an address: filters, evidence, axis of the picture, selected claim.

    ?technique=activations,theory&best=contradicted&text=energy&contradictions=yes&evidence=all&axis=times&claim=act-speed-phi6

Whatever is left out is at its default. A list may be split over several values of one name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, get_args

from lab.board import COUNTED, Row
from lab.claims import TECHNIQUES, claims, sources

EvidenceKind = Literal["recorded", "local", "all"]
Axis = Literal["effect", "times"]
MAX_TEXT = 200  # characters searched for
YES = "yes"


@dataclass(frozen=True)
class BoardQuery:
    """One state of the board; an empty tuple or text filters nothing.

    Args:
        technique: keys of ``lab.claims.TECHNIQUES``.
        published: verdict words as published (``lab.board.COUNTED``).
        best: verdict words best against best.
        source: keys of the source documents.
        text: words that must all occur in the claim's id, statement, figure, source or note; case does not matter.
        contradictions: only claims on which the sources contradict each other or themselves.
        evidence: which runs are asked.
        axis: what the picture's axis measures.
        claim: id of the claim whose evidence is shown, "" for none.
    """

    technique: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    best: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    text: str = ""
    contradictions: bool = False
    evidence: EvidenceKind = "recorded"
    axis: Axis = "effect"
    claim: str = ""

    def matches(self, row: Row) -> bool:
        """Whether the filters let the row through."""
        claim = row.claim
        return (
            _among(claim.technique, self.technique)
            and _among(row.published.word, self.published)
            and _among(row.best.word, self.best)
            and (not self.source or any(citation.source.key in self.source for citation in claim.citations))
            and (claim.contradiction or not self.contradictions)
            and all(part in _searched(row) for part in self.text.casefold().split())
        )

    def rows(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that the filters let through, in their order."""
        return [row for row in rows if self.matches(row)]

    @property
    def filters(self) -> bool:
        """Whether anything is filtered."""
        return bool(self.technique or self.published or self.best or self.source or self.text.split() or self.contradictions)

    def query(self) -> dict[str, str]:
        """The query of the address that says the same; what is at its default is left out."""
        found: dict[str, str] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                found[field.name] = ",".join(value) if isinstance(value, tuple) else YES if value is True else value
        return found


OPTIONS: Mapping[str, tuple[str, ...]] = {
    "technique": tuple(TECHNIQUES),
    "published": COUNTED,
    "best": COUNTED,
    "source": tuple(sources()),
}
_SINGLE: Mapping[str, tuple[str, ...]] = {"evidence": get_args(EvidenceKind), "axis": get_args(Axis), "contradictions": (YES, "no")}
NAMES = tuple(field.name for field in fields(BoardQuery))


def read(query: Mapping[str, Sequence[str]]) -> tuple[BoardQuery, list[str]]:
    """The state that a raw query asks for, and a line for each thing in it that is wrong and therefore ignored.

    ``query`` maps each name to all values given for it.
    """
    problems: list[str] = []
    state: dict[str, object] = {}
    for name, values in query.items():
        if name in OPTIONS:
            asked = [item.strip() for value in values for item in value.split(",") if item.strip()]
            state[name] = tuple(option for option in OPTIONS[name] if option in asked)
            problems += [_refused(name, item, "one of " + ", ".join(OPTIONS[name])) for item in asked if item not in OPTIONS[name]]
        elif name not in NAMES:
            problems.append(_refused(name, ", ".join(values), "the names " + ", ".join(NAMES), "belongs to no filter"))
        elif len(values) != 1:
            problems.append(_refused(name, ", ".join(values), "one value", "is given several times"))
        elif name == "text":
            if len(values[0]) > MAX_TEXT:
                problems.append(_refused(name, values[0], f"at most {MAX_TEXT} characters"))
            else:
                state[name] = values[0]
        elif name == "claim":
            if values[0] in claims():
                state[name] = values[0]
            else:
                problems.append(_refused(name, values[0], "the id of a claim, as act-speed-phi6"))
        elif values[0] not in _SINGLE[name]:
            problems.append(_refused(name, values[0], "one of " + ", ".join(_SINGLE[name])))
        else:
            state[name] = values[0] == YES if name == "contradictions" else values[0]
    return BoardQuery(**state), problems  # type: ignore[arg-type]


def _refused(name: str, value: str, allowed: str, problem: str = "is not allowed") -> str:
    shown = value if len(value) <= 60 else value[:59] + "…"
    return f"{name[:60]}: {shown!r} {problem} and is ignored; allowed: {allowed}"


def _among(value: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or value in wanted


def _searched(row: Row) -> str:
    claim = row.claim
    return " ".join((claim.id, claim.statement, claim.claimed_text, claim.source, claim.note, claim.technique_title)).casefold()
