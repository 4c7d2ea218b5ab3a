"""The page "Claims": which claims hold. Counts → filters → the picture → the table → the evidence of one claim → CSV.

The state is a :class:`lab.board_query.BoardQuery` in the browser session; the address bar says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from lab import board, board_csv, board_query, charts, formatting
from lab.board import COMPARISON_TITLES, Row, Standing
from lab.board_query import BoardQuery
from lab.claims import TECHNIQUES, Claim, claims, sources
from lab.ui import board_data, hints, shell, trouble
from lab.ui.board_data import Board
from lab.ui.text import plain
from lab.ui.verdict_cards import badge, look
from lab.ui.widgets import told, widget_key
from lab.verdicts import NOT_MEASURED
from lab.workload import workload

TITLE = "Claims"
STATE, OWN, WRITTEN, PROBLEMS, CLOSED, OPEN = (f"claims:{name}" for name in ("state", "own", "written", "problems", "closed", "open"))
EVIDENCE = {"recorded": "Recorded runs", "local": "This machine", "all": "All evidence"}
AXES = {"effect": "Share of the claim", "times": "Times (×)"}
FILTER_LABELS = {"technique": "Technique", "published": "As published", "best": "Best against best", "source": "Source"}
OPTION_LABELS = {"technique": TECHNIQUES, "source": {key: source.name for key, source in sources().items()}}
AXIS_MEANING = {
    "effect": "How much of the claimed effect was measured, on one axis for all claims: **0** is no effect, **1** exactly as claimed, "
    "below 0 the opposite of the claim. Ratios count by their logarithm: of a claimed 9×, a measured 3× is half and 81× is twice.",
    "times": "The measured ratio beside the claimed one, for the claims of a ratio; the dotted line is 1×, no difference.",
}
MARKERS = (
    "● as published, ◆ best against best; bars are 95 % intervals, an arrow marks what lies beyond the edge. "
    "Point at a marker for its figures, press it for its evidence."
)
TABLE_HEIGHT = 560
RULE = (
    "Where several verdicts speak of one claim and comparison, the first by this rule leads: measured before not measured; the published "
    "protocol as published, the sound one best against best; recorded runs, then runs of this machine, then imported ones; finished runs "
    "before those ended early; runs with the quick preset after others; the newest. The rule looks at no value. Other verdicts stand "
    "beside it under “Other verdicts” and in the claim's evidence."
)


@trouble.told()
def show() -> None:
    """Draw the page."""
    shell.frame(TITLE)
    st.title(TITLE)
    hints.hint("claims", hints.CLAIMS)
    _read_address()
    state = _state()
    for problem in st.session_state.get(PROBLEMS, ()):
        st.warning(plain(problem), icon=":material/warning:")
    shown = board_data.of(state.evidence)
    rows = state.rows(shown.rows)
    summary(rows)
    _evidence(state, shown)
    _filters(state)
    if state.filters:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Filtered: {len(rows)} of {len(shown.rows)} rows, tables and their cells counted.", width="content")
            st.button("Show all claims", type="tertiary", on_click=_take, args=(BoardQuery(evidence=state.evidence, axis=state.axis),))
    if not rows:
        st.info("No claim fits these filters.")
    else:
        _picture(state, shown)
        _table(state, rows)
        _downloads(state, shown, rows)
    if state.claim:
        _detail(next(row for row in shown.rows if row.claim.id == state.claim))
    _write_address(state)


def summary(rows: Sequence[Row]) -> None:
    """How many claims were tested and what became of them: a sentence, and a badge for each verdict of each comparison."""
    st.markdown(f"**{plain(board.headline(rows))}**")
    for comparison in board.COMPARISONS:
        found = board.counts(rows, comparison)
        if set(found) <= {NOT_MEASURED}:
            continue
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            title = COMPARISON_TITLES[comparison]
            st.markdown(f"{title[0].upper()}{title[1:]}:", width="content")
            for name, count in found.items():
                if name != NOT_MEASURED:  # the sentence says how many
                    colour, icon = look(name)
                    st.badge(f"{count} {name}", color=colour, icon=icon)
    if doubtful := board.larger_for_worse(rows):
        st.caption(plain(doubtful))


# --- the address bar ------------------------------------------------------------------------------------------------------------


def _state() -> BoardQuery:
    return st.session_state[STATE]


def _read_address() -> None:
    own = st.session_state.pop(OWN, False)
    query = {name: st.query_params.get_all(name) for name in st.query_params}
    first = STATE not in st.session_state
    if own or (not first and (not query or query == st.session_state.get(WRITTEN))):
        return
    st.session_state[STATE], st.session_state[PROBLEMS] = board_query.read(query)
    st.session_state[OPEN] = _state().filters


def _write_address(state: BoardQuery) -> None:
    if st.session_state.get(PROBLEMS):
        return  # a refused address stays until the reader changes something
    query = state.query()
    wanted = {name: [value] for name, value in query.items()}
    if {name: st.query_params.get_all(name) for name in st.query_params} != wanted:
        st.query_params.from_dict(query)
    st.session_state[WRITTEN] = wanted


def _take(state: BoardQuery) -> None:
    """The reader's new state, from a widget: newer than what the address still says."""
    st.session_state[STATE], st.session_state[PROBLEMS], st.session_state[OWN] = state, [], True


def _set(name: str, value: Any) -> None:
    _take(replace(_state(), **{name: value}))


# --- evidence and filters -------------------------------------------------------------------------------------------------------


def _evidence(state: BoardQuery, shown: Board) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        _one_of("evidence", "Evidence", EVIDENCE, state.evidence)
        titles = dict.fromkeys(run.title for run in shown.runs)
        some = f"{len(shown.runs)} {'run' if len(shown.runs) == 1 else 'runs'}"
        st.caption(
            plain(f"{some}: {'; '.join(titles)}." if titles else "No run of this machine has ended yet: open an experiment and press Run."),
            width="stretch",
        )
    for problem in shown.problems:
        st.caption(plain(f"Not used: {problem}"))


def _one_of(name: str, label: str, options: Mapping[str, str], value: str) -> None:
    key = widget_key(f"claims:widget:{name}", value)
    st.segmented_control(
        label,
        tuple(options),
        key=key,
        required=True,
        format_func=options.__getitem__,
        on_change=told(key, lambda chosen: _set(name, chosen)),
    )


def _filters(state: BoardQuery) -> None:
    # As it was when the address was opened: an expander that changed while it is used would take the widget from under the reader.
    with st.expander("Filters", icon=":material/filter_list:", expanded=st.session_state[OPEN]):
        columns = st.columns(2, gap="medium")
        for place, name in enumerate(FILTER_LABELS):
            with columns[place % 2]:
                _several_of(name, getattr(state, name))
        with columns[0]:
            key = widget_key("claims:widget:text", state.text)
            st.text_input("Search", key=key, max_chars=board_query.MAX_TEXT, on_change=told(key, lambda text: _set("text", text)))
        with columns[1]:
            key = widget_key("claims:widget:contradictions", state.contradictions)
            st.toggle(
                "Only where the sources contradict themselves",
                key=key,
                on_change=told(key, lambda value: _set("contradictions", bool(value))),
            )


def _several_of(name: str, chosen: Sequence[str]) -> None:
    options, key = board_query.OPTIONS[name], widget_key(f"claims:widget:{name}", list(chosen))
    st.multiselect(
        FILTER_LABELS[name],
        options,
        key=key,
        format_func=lambda value: OPTION_LABELS[name][value] if name in OPTION_LABELS else value,
        placeholder="All",
        on_change=told(key, lambda values: _set(name, tuple(option for option in options if option in values))),
    )


# --- picture and table ----------------------------------------------------------------------------------------------------------


def _picture(state: BoardQuery, shown: Board) -> None:
    st.header("Claimed against measured", divider="gray")
    _one_of("axis", "Axis", AXES, state.axis)
    drawn = board_data.picture(shown, state)
    if not drawn.n_lines:
        st.caption(plain(drawn.left_out) or "Nothing is measured among these claims.")
        return
    st.markdown(AXIS_MEANING[state.axis])
    st.caption(MARKERS)
    key = _selecting("claims:forest")
    st.plotly_chart(
        drawn.figure,
        key=key,
        config=charts.CONFIG,
        alt=drawn.alt,
        on_select=lambda: _pressed(st.session_state[key]["selection"]["points"]),
        selection_mode="points",
    )
    if drawn.left_out:
        st.caption(plain(drawn.left_out))
    with st.expander("The numbers of this picture"):
        st.dataframe(drawn.table, hide_index=True, alt="The numbers of the picture of claimed against measured")


def _pressed(points: Sequence[Mapping[str, Any]]) -> None:
    for point in points:
        if point.get("customdata") in claims():
            _set("claim", point["customdata"])


def _table(state: BoardQuery, rows: Sequence[Row]) -> None:
    st.header("All claims", divider="gray")
    pages = {declared.name for declared in shell.with_page()}
    shown = pd.DataFrame([_cells(row, pages) for row in rows])
    key = _selecting("claims:table")
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height=min(TABLE_HEIGHT, 36 * (len(rows) + 1) + 3),
        alt="Every claim with what was claimed, what was measured, the verdicts and the evidence",
        column_config={
            "Claim": st.column_config.TextColumn(width=290),
            "Claimed": st.column_config.TextColumn(width=90),
            "As published": st.column_config.TextColumn(width=245),
            "Best against best": st.column_config.TextColumn(width=245),
            "Run": st.column_config.LinkColumn(display_text="Open", width=66, help="The page in the state that produced the evidence"),
            **{
                name: st.column_config.TextColumn(width=300) for name in ("Evidence", "Other verdicts", "The sources contradict themselves")
            },
        },
        on_select=lambda: _selected(st.session_state[key]["selection"]["rows"], rows),
        selection_mode="single-row",
    )
    st.caption(plain(f"Select a row for its evidence. {RULE}"))
    choice = widget_key("claims:widget:claim", state.claim or None)
    st.selectbox(
        "Evidence of a claim",
        [row.claim.id for row in rows if row.claim.id != state.claim] + ([state.claim] if state.claim else []),
        key=choice,
        index=None,
        format_func=lambda claim_id: f"{claim_id}: {claims()[claim_id].statement}",
        placeholder="Choose a claim",
        on_change=told(choice, lambda chosen: _set("claim", chosen or "")),
    )


def _selected(places: Sequence[int], rows: Sequence[Row]) -> None:
    if places and places[0] < len(rows):
        _set("claim", rows[places[0]].claim.id)


def _selecting(name: str) -> str:
    """The key of an element to select in: a new one once the evidence was closed, or the same could not be selected again."""
    return f"{name}#{st.session_state.get(CLOSED, 0)}"


def _cells(row: Row, pages: set[str]) -> dict[str, str | None]:
    claim = row.claim
    return {
        # What tells a cell from its neighbours comes first: the column may cut off the rest.
        "Claim": f"↳ {claim.label} · {claims()[claim.table].statement}" if claim.table else claim.statement,
        "Claimed": claim.claimed_text,
        "As published": _stands(claim, row.published),
        "Best against best": _stands(claim, row.best),
        "Run": _address(row, pages),
        "Evidence": row.evidence or " / ".join(dict.fromkeys(standing.reason for standing in row.standings)),
        "Other verdicts": row.dissent,
        "The sources contradict themselves": claim.note if claim.contradiction else "",
        "Technique": claim.technique_title,
        "Source": claim.source,
        "Id": claim.id,
    }


def _stands(claim: Claim, standing: Standing) -> str:
    """The verdict with the measured value and its interval."""
    if standing.lead is None or standing.lead.verdict.measured is None:
        return standing.verdict
    found = standing.lead.verdict
    return f"{standing.verdict} · {formatting.estimate(found.measured, found.ci_low, found.ci_high, claim.unit)}"


def _address(row: Row, pages: set[str]) -> str | None:
    """The page of the run that the row leads to, relative to this one; None where there is none."""
    return f"{row.workload}?{urlencode({'run': row.reference})}" if row.reference and row.workload in pages else None


# --- one claim ------------------------------------------------------------------------------------------------------------------


def _close() -> None:
    """The evidence was closed."""
    st.session_state[CLOSED] = st.session_state.get(CLOSED, 0) + 1
    _set("claim", "")


def _detail(row: Row) -> None:
    """The evidence of one claim in a drawer beside the board: it opens wherever the reader is, and closing it leaves the board in place."""
    st.dialog(plain(row.claim.statement), width=760, position="right", on_dismiss=_close)(_claim)(row)


def _claim(row: Row) -> None:
    claim = row.claim
    st.markdown(f"Claimed: **{plain(claim.claimed_text)}**  \n:small[:gray[{plain(claim.source)} · {plain(claim.id)}]]")
    if claim.note:
        contradiction = ":material/report: **The sources contradict themselves.** " if claim.contradiction else ""
        st.markdown(f"{contradiction}{plain(claim.note)}")
    if board.adverse(claim):
        st.markdown("More of this effect is worse for the technique: “larger than claimed” is no praise here.")
    for standing in row.standings:
        with st.container(border=True):
            _standing(claim, standing)
    _links(row)
    if row.findings:
        st.markdown("**All evidence**, in the order in which it leads")
        st.dataframe(_findings(row), hide_index=True, alt=f"All evidence on: {claim.statement}")


def _standing(claim: Claim, standing: Standing) -> None:
    title = COMPARISON_TITLES[standing.comparison]
    lead = standing.lead
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        measured = lead.verdict.measured if lead is not None else None
        st.metric(f"{title[0].upper()}{title[1:]}", "–" if measured is None else formatting.quantity(measured, claim.unit), width="content")
        badge(standing.verdict)
    protocol = f":gray[{lead.verdict.protocol.capitalize()} protocol.] " if lead is not None and lead.verdict.protocol else ""
    st.markdown(f"{protocol}{plain(standing.reason)}")
    if standing.differing:
        st.markdown(f"**Also:** {plain(standing.dissent())}.")
    if lead is not None and lead.measured:
        st.caption(plain(lead.evidence))


def _findings(row: Row) -> pd.DataFrame:
    leads = {id(standing.lead) for standing in row.standings}
    return pd.DataFrame(
        [
            {
                "Leads": "leads" if id(finding) in leads else "",
                "Comparison": COMPARISON_TITLES.get(finding.verdict.comparison, "–"),
                "Protocol": finding.verdict.protocol or "–",
                "Verdict": finding.verdict.verdict,
                "Measured": formatting.estimate(finding.verdict.measured, finding.verdict.ci_low, finding.verdict.ci_high, row.claim.unit),
                "Why": finding.verdict.reason,
                "Evidence": finding.evidence,
            }
            for finding in row.findings
        ]
    )


def _links(row: Row) -> None:
    """A link to each run that says something of the claim, in the state that produced it."""
    pages = {declared.name for declared in shell.with_page()}
    runs = {finding.run.reference: finding.run for finding in row.findings if finding.run.workload in pages}
    for reference, run in runs.items():
        path, query = shell.run_link(reference, workload(run.workload))
        st.page_link(path, label=f"Open the {run.origin}", icon=":material/arrow_forward:", query_params=query)
        st.caption(plain(f"{run.title} · {reference}"))
    if not runs and row.workload in pages:
        declared = workload(row.workload)
        st.page_link(shell.page(declared), label=f"Open the experiment: {plain(declared.title)}", icon=":material/arrow_forward:")


# --- files ----------------------------------------------------------------------------------------------------------------------


def _downloads(state: BoardQuery, shown: Board, rows: Sequence[Row]) -> None:
    st.header("Take away", divider="gray")
    everything = BoardQuery(evidence=state.evidence)
    with st.container(horizontal=True):
        if state.filters:
            _download(f"These {len(rows)} rows (CSV)", board_data.csv(shown, state), f"claims-{state.evidence}-filtered.csv")
        _download(f"All {len(shown.rows)} rows (CSV)", board_data.csv(shown, everything), f"claims-{state.evidence}.csv")
    with st.expander("The columns of the file"):
        st.markdown("\n".join(f"- `{name}`: {meaning}" for name, meaning in board_csv.COLUMNS.items()))
    st.caption("This board, with these filters")
    query = urlencode(state.query())
    st.code(f"{st.context.url or ''}{'?' if query else ''}{query}", language=None, wrap_lines=True)


def _download(label: str, data: bytes, name: str) -> None:
    st.download_button(label, data, name, "text/csv", key=f"claims:{name}", on_click="ignore", icon=":material/download:")
