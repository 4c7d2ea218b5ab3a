"""The page "Compare": runs of one experiment side by side. Who is compared → what differs → verdicts → what moved → the files.

The runs stand in the address bar, the first one being the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlencode

import streamlit as st

from lab import collection, comparison_csv, formatting
from lab.comparison import MAX_RUNS, Comparison, ComparisonError
from lab.parameters import ParameterError
from lab.ui import compare_data, compare_query, hints, shell, trouble
from lab.ui import compare_sections as sections
from lab.ui.compare_data import Choice
from lab.ui.compare_sections import LETTERS
from lab.ui.results import Results
from lab.ui.text import plain

TITLE = "Compare"
RUNS, OWN, WRITTEN, PROBLEMS = "compare:runs", "compare:own", "compare:written", "compare:problems"
ORIGIN_LOOK: dict[str, tuple[Literal["green", "blue", "violet"], str]] = {
    "local": ("green", ":material/computer:"),
    "recorded": ("blue", ":material/inventory_2:"),
    "imported": ("violet", ":material/download:"),
}
SUGGESTED = 3
# Names inside the pictures are text to be read, and the charts' own grey is too pale for its size.
STYLE = '<style>[data-testid="stPlotlyChart"] .annotation-text { fill: light-dark(#31333F, #E6E8EC) !important; }</style>'


@trouble.told()
def show() -> None:
    """Draw the page."""
    shell.frame(TITLE)
    st.html(STYLE)
    st.title(TITLE)
    st.markdown("Runs of one experiment side by side, wherever they were made: what differs, whether the verdicts hold, what moved.")
    hints.hint("compare", hints.COMPARE)
    _read_address()
    problems = list(st.session_state.get(PROBLEMS, ()))
    references, unread = _readable(_runs())
    problems += unread
    for problem in problems:
        st.error(plain(problem), icon=":material/error:")
    if problems:
        st.button("Go on with the runs that can be read", key="compare:accept", on_click=_take, args=(references,))
    _picker(references)
    if not problems and len(references) >= 2:
        try:
            found = compare_data.of(tuple(references))
        except ComparisonError as error:
            st.error(plain(str(error)), icon=":material/error:")
        else:
            _comparison(found, tuple(references))
    elif not problems:
        _suggestions(references)
    _write_address(references, problems)


# --- the address bar ------------------------------------------------------------------------------------------------------------


def _runs() -> list[str]:
    return st.session_state[RUNS]


def _read_address() -> None:
    own = st.session_state.pop(OWN, False)
    query = {name: st.query_params.get_all(name) for name in st.query_params}
    first = RUNS not in st.session_state
    if own or (not first and (not query or query == st.session_state.get(WRITTEN))):
        return
    st.session_state[RUNS], st.session_state[PROBLEMS] = compare_query.read(query)


def _write_address(references: Sequence[str], problems: Sequence[str]) -> None:
    if problems:
        return  # a refused address stays until the reader changes something
    query = compare_query.write(references)
    wanted = {name: [value] for name, value in query.items()}
    if {name: st.query_params.get_all(name) for name in st.query_params} != wanted:
        st.query_params.from_dict(query)
    st.session_state[WRITTEN] = wanted


def _take(references: Sequence[str]) -> None:
    """The reader's new choice of runs: newer than what the address still says."""
    st.session_state[RUNS], st.session_state[PROBLEMS], st.session_state[OWN] = list(references), [], True


def _readable(references: Sequence[str]) -> tuple[list[str], list[str]]:
    found, problems = [], []
    for reference in references:
        try:
            compare_data.read(reference)
            found.append(reference)
        except ParameterError as error:
            problems.append(str(error))
    return found, problems


# --- who is compared ------------------------------------------------------------------------------------------------------------


def _picker(references: list[str]) -> None:
    if references:
        runs = [compare_data.read(reference) for reference in references]
        experiments = dict.fromkeys(found.workload.title for found in runs)
        with st.container(border=True):
            if len(experiments) == 1:
                st.markdown(f"**{plain(next(iter(experiments)))}**")
            for place, found in enumerate(runs):
                _run(references, place, found, f"{found.workload.title}: " if len(experiments) > 1 else "")
    if len(references) >= MAX_RUNS:
        st.caption(f"{MAX_RUNS} runs, as many as can be compared at once.")
        return
    offered = [one for one in compare_data.choices() if one.reference not in references]
    if references:
        workload = compare_data.read(references[0]).workload.name
        offered = [one for one in offered if one.workload == workload]
    if not offered:
        st.caption("There is no other run of this experiment to compare with: run it here, or import somebody else's on the page Runs.")
        return
    labels = {one.reference: one.label for one in offered}
    key = f"compare:add:{len(references)}:{references[0] if references else ''}"
    st.selectbox(
        "Add a run" if references else "First run, the reference the others are compared with",
        tuple(labels),
        index=None,
        key=key,
        format_func=lambda reference: labels[reference],
        placeholder="Choose a run",
        on_change=lambda: _take([*references, st.session_state[key]] if st.session_state[key] else references),
    )


def _run(references: list[str], place: int, found: Results, experiment: str) -> None:
    """One run in a line: its letter, where it comes from, what it is, and what can be done with it."""
    manifest = found.view.manifest
    reference = references[place]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{LETTERS[place]}**{' · reference' if place == 0 else ''}", width="content")
        colour, icon = ORIGIN_LOOK[found.origin]
        st.badge(compare_data.ORIGINS[found.origin], color=colour, icon=icon)
        page, query = shell.run_link(reference, found.workload)
        label = experiment + compare_data.title(reference)
        if found.workload in shell.with_page() or found.workload.instrument:
            st.page_link(page, label=plain(label), query_params=query, width="content")
        else:
            st.markdown(plain(label), width="content")
        hardware = str(manifest.get("hardware") or "unknown hardware")
        date = formatting.time_of_day(str(manifest.get("started_at") or ""))
        early = "" if found.view.status == "finished" else f" · ended early ({found.view.status})"
        st.caption(plain(f"{hardware} · {date or 'undated'} · preset {manifest.get('preset') or 'unknown'}{early}"), width="content")
        _button("Move up", "arrow_upward", f"up {reference}", place == 0, _moved(references, place))
        _button("Remove", "close", f"remove {reference}", False, [one for one in references if one != reference])


def _moved(references: Sequence[str], place: int) -> list[str]:
    changed = list(references)
    if place:
        changed[place - 1], changed[place] = changed[place], changed[place - 1]
    return changed


def _button(label: str, icon: str, key: str, disabled: bool, then: Sequence[str]) -> None:
    st.button(
        label, key=f"compare:{key}", type="tertiary", icon=f":material/{icon}:", disabled=disabled, on_click=_take, args=(list(then),)
    )


def _suggestions(references: Sequence[str]) -> None:
    """Pairs worth a look: the newest run of this machine against the recorded one of the same experiment."""
    st.info(
        "Choose two to six runs of one experiment. The first is the reference; three or more runs of equal settings also tell how much "
        "runs differ from each other.",
        icon=":material/compare_arrows:",
    )
    if references:
        return
    newest: dict[str, Choice] = {}
    recorded: dict[str, Choice] = {}
    for one in compare_data.choices():
        origin = collection.origin(one.reference)
        if origin != "recorded":
            newest.setdefault(one.workload, one)
        else:
            recorded.setdefault(one.workload, one)
    for name in [name for name in newest if name in recorded][:SUGGESTED]:
        pair = (newest[name], recorded[name])
        st.button(
            plain(f"{pair[0].title} against the recorded run ({pair[1].about})"),
            key=f"compare:suggest {name}",
            type="tertiary",
            icon=":material/arrow_forward:",
            on_click=_take,
            args=([one.reference for one in pair],),
        )


# --- the comparison -------------------------------------------------------------------------------------------------------------


def _comparison(found: Comparison, references: tuple[str, ...]) -> None:
    st.header("What differs", divider="gray")
    sections.differences("Parameters", found.parameters)
    sections.differences("Circumstances", found.environment)
    if found.verdicts:
        st.header("Verdicts side by side", divider="gray")
        sections.verdicts(found)
    st.header("What moved", divider="gray")
    sections.pairings(found, references)
    for spread in found.spreads:
        sections.spread(found, spread)
    with st.expander("How this is judged", icon=":material/rule:"):
        st.markdown(sections.METHOD)
    st.header("Take away", divider="gray")
    _take_away(references)


def _take_away(references: tuple[str, ...]) -> None:
    st.download_button(
        "Comparison (CSV)",
        compare_data.csv(references),
        "comparison.csv",
        "text/csv",
        key="compare:csv",
        on_click="ignore",
        type="primary",
        icon=":material/download:",
    )
    with st.expander("The columns of the file"):
        st.markdown("\n".join(f"- `{name}`: {meaning}" for name, meaning in comparison_csv.COLUMNS.items()))
    st.caption("This comparison. Runs of this machine and imported ones are found on this machine only.")
    st.code(f"{st.context.url or ''}?{urlencode(compare_query.write(references), safe=',/')}", language=None, wrap_lines=True)
