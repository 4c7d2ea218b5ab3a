"""The claims board as CSV: two rows for each claim and table, one as published and one best against best.

``COLUMNS`` says what each column holds. Cells are written as in every file of the lab (``lab.csv_format``): numbers exact, missing values
empty, text that a spreadsheet would execute guarded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.board import Row, Standing
from lab.csv_format import number_cell, scalar_cell, table, text_cell

COLUMNS: Mapping[str, str] = {
    "claim_id": "the claim's id; the id of a cell begins with that of its claim family",
    "table": "id of the table it is a cell of, empty otherwise",
    "is_table": "true for a table, whose verdict sums up its cells; do not count it beside them",
    "technique": "the technique it speaks of",
    "statement": "what is claimed",
    "source": "who says so, and where",
    "claimed": "the claimed figure in the claim's unit, empty where the source gives none",
    "claimed_text": "the claimed figure as printed",
    "unit": "unit of claimed, measured, ci_low and ci_high",
    "comparison": "published (as published) or best (best against best)",
    "verdict": "the leading verdict; not measured where there is none",
    "measured": "the measured value in the claim's unit",
    "ci_low": "lower end of its 95 % interval, adjusted where the claim is a cell of a table",
    "ci_high": "upper end",
    "protocol": "the protocol of the leading verdict, published or sound",
    "metric": "the metric it rests on",
    "reason": "why the verdict is what it is",
    "evidence": "where the run comes from, and hardware, data and date of the measurement",
    "run": "the run's reference",
    "workload": "the experiment that tests the claim, empty where there is none yet",
    "other_verdicts": "other verdicts on the same claim and comparison: another protocol, setting or run",
    "disagreeing_runs": "references of other runs whose own first verdict differs",
    "contradiction": "true where the sources contradict each other or themselves",
    "note": "contradictions in the sources and the lab's readings",
}


def encode(rows: Iterable[Row]) -> bytes:
    """The rows as CSV in UTF-8, with a header."""
    cells = (_cells(row, standing) for row in rows for standing in row.standings)
    return table(tuple(COLUMNS), ([found[name] for name in COLUMNS] for found in cells))


def _cells(row: Row, standing: Standing) -> dict[str, str]:
    claim, lead = row.claim, standing.lead
    verdict = None if lead is None else lead.verdict
    return {
        "claim_id": text_cell(claim.id),
        "table": text_cell(claim.table),
        "is_table": scalar_cell(claim.is_table),
        "technique": text_cell(claim.technique_title),
        "statement": text_cell(claim.statement),
        "source": text_cell(claim.source),
        "claimed": number_cell(claim.value),
        "claimed_text": text_cell(claim.claimed_text),
        "unit": text_cell(claim.unit),
        "comparison": standing.comparison,
        "verdict": text_cell(standing.verdict),
        "measured": number_cell(verdict.measured if verdict else None),
        "ci_low": number_cell(verdict.ci_low if verdict else None),
        "ci_high": number_cell(verdict.ci_high if verdict else None),
        "protocol": verdict.protocol if verdict else "",
        "metric": text_cell(verdict.metric if verdict else ""),
        "reason": text_cell(standing.reason),
        "evidence": text_cell(lead.evidence if lead is not None and lead.measured else ""),
        "run": text_cell(lead.run.reference if lead is not None else ""),
        "workload": text_cell(row.workload),
        "other_verdicts": text_cell(standing.dissent()),
        "disagreeing_runs": text_cell(", ".join(finding.run.reference for finding in standing.disagreement)),
        "contradiction": scalar_cell(claim.contradiction),
        "note": text_cell(claim.note),
    }
