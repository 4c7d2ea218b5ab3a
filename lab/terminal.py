"""What the command line shows on a terminal: how a run stands, and its verdicts as a short table."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from typing import TextIO

from lab.claims import Claim, claims
from lab.formatting import estimate
from lab.store import Run
from lab.verdicts import Verdict
from lab.worker import START

BAR_WIDTH = 24


class ProgressLine:
    """Shows how a run stands: one line redrawn in place on a terminal; elsewhere a new line for each phase, cell and tenth."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._start_s = time.monotonic()
        self._shown: tuple[object, ...] = ()

    def show(self, run: Run) -> None:
        """Draw the run as it stands now."""
        if self._in_place:
            self._redraw(self._text(run))
            return
        state = (run.queue_place or 0, run.phase or START, run.cell, int(run.progress * 10))
        if state != self._shown:
            self._shown = state
            print(self._text(run), file=self._stream, flush=True)

    def finish(self, run: Run) -> None:
        """Show the ended run; on a terminal, take the line away instead, so that other text can follow."""
        if self._in_place:
            self._redraw("")
        else:
            self.show(run)

    def _redraw(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r\x1b[K" + text[:width])
        self._stream.flush()

    def _text(self, run: Run) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._start_s), 60)
        elapsed = f"{minutes}:{seconds:02d}"
        if run.status == "queued" and run.queue_place:
            return f"queued, runs before this one: {run.queue_place}  {elapsed}"
        done = int(run.progress * BAR_WIDTH)
        cell = f"  cell {run.cell + 1} of {run.n_cells}" if run.n_cells > 1 else ""
        words = run.message or run.phase_detail
        return f"[{'#' * done}{'.' * (BAR_WIDTH - done)}] {run.progress:4.0%}  {elapsed}{cell}  {run.phase or START}  {words}".rstrip()


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Claims with what was claimed, what was measured (with its interval) and what follows; one line for each verdict row."""
    rows = [("claim", "protocol", "compared", "claimed", "measured", "verdict")]
    for row in verdicts:
        claim = claims()[row.claim_id]
        measured = estimate(row.measured, row.ci_low, row.ci_high, claim.unit) if row.measured is not None else ""
        rows.append((row.claim_id, row.protocol, row.comparison, _claimed(claim, row.claimed), measured, row.verdict))
    return columns(rows)


def _claimed(claim: Claim, value: float | None) -> str:
    if claim.is_table:  # its cells stand in rows of their own
        return f"{len(claim.cells)} cells"
    return claim.claimed_text if value is None else estimate(value, None, None, claim.unit)


def columns(rows: Iterable[Sequence[str]]) -> str:
    """Rows of texts as aligned columns."""
    table = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in table)
