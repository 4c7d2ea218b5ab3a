"""The page of an experiment, the same for every workload:

claim and source → preset → main parameters, more → duration → Run / Cancel → live panel or results → what to notice → explore → charts
→ take away → tabs
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from lab import formatting
from lab.collection import origin
from lab.parameters import ParameterError, Plan
from lab.relevance import distinct_cells
from lab.store import Run
from lab.ui import choice as choices
from lab.ui import exploring, hints, importing, live, results, server, shell, trouble
from lab.ui.downloads import downloads, links
from lab.ui.figures import figures
from lab.ui.page_state import PageState
from lab.ui.results import Results
from lab.ui.text import plain
from lab.ui.verdict_cards import answer, cards
from lab.ui.widgets import parameters, told, widget_key
from lab.workload import Workload, workload

PRESET_LABELS = {"published": "As published", "quick": "Quick", "thorough": "Thorough"}
PRESET_HELP = (
    "**As published** repeats the claim's own benchmark. **Quick** answers within half a minute. **Thorough** measures more and longer, "
    "for narrow intervals."
)
DEVICE_LABELS = {"auto": "Automatic", "cpu": "CPU", "cuda": "GPU"}
RECENT_RUNS = 8
KEEP_HELP = "The store holds a limited number of runs and removes the oldest first; a run that is kept is never removed."
# What can be shown; a recorded run with its subject, where it has one.
OWN, IMPORTED, RECORDED = "The run on this machine", "The imported run", "The recorded run"


@trouble.told()
def show(name: str) -> None:
    """Draw the page of the workload called ``name``."""
    declared = workload(name)
    shell.frame(declared.title)
    _heading(declared)
    body(declared)


def body(declared: Workload, latest: Run | None = None, findings: Callable[[Results], None] | None = None) -> None:
    """What follows the heading: the choice, the run, its results.

    ``latest``: the ended run whose results are shown while the choice shows none. ``findings``: draws what the workload has to say of its
    results beside verdicts and charts.
    """
    state = PageState(declared)
    state.read_address()
    state.start_if_pressed()
    state.write_address()
    run = _shown_run(state)
    if run is not None and not run.active:
        state.run_ended()
    top = st.container()  # the answer comes before the questions, and is known after them
    if not declared.instrument:
        hints.hint("experiment", hints.EXPERIMENT, about_running=True)
    _set_up(state, run)
    if run is not None and run.active:
        top.caption("A run is being measured: its verdicts stand here when it has ended.")
        st.header("Live", divider="gray")
        live.panel(state)
    else:
        _results(state, run or latest, findings, top)
    _recent(state)


def _shown_run(state: PageState) -> Run | None:
    """The run of this machine that the choice shows, if it shows one."""
    reference = state.choice.run
    if not reference or origin(reference) != "local":
        return None
    try:
        return server.store().run(reference)
    except ParameterError as error:
        state.lose_run(error)
        return None


def _heading(declared: Workload) -> None:
    st.title(declared.title)
    st.markdown(f"**The claim:** {plain(declared.question)}  \n:small[:gray[Source: {plain(declared.source)}]]")


# --- set up, run, cancel --------------------------------------------------------------------------------------------------------


def _set_up(state: PageState, run: Run | None) -> None:
    active = run is not None and run.active
    with st.container(border=True):
        with st.container(horizontal=True, gap="medium"):
            _preset(state)
            _device(state)
        parameters(state)
        plan, obstacle = _plan(state)
        with st.container(horizontal=True, vertical_alignment="center"):
            blocked = active or plan is None or bool(obstacle)
            st.button("Run", key=state.key("run"), type="primary", icon=":material/play_arrow:", disabled=blocked, on_click=state.press_run)
            st.button("Cancel", key=state.key("cancel"), icon=":material/stop:", disabled=not active, on_click=_cancel, args=(state,))
            if plan is not None:
                seconds = state.workload.duration_s(plan, state.kind)
                combinations = distinct_cells(plan)
                cells = f" for {combinations} combinations" if combinations > 1 else ""
                time = formatting.sentence(
                    f"about {formatting.duration(seconds)}" if seconds >= 1 else formatting.duration(seconds)
                ).rstrip(".")
                st.caption(f"{time} of measuring{cells}, plus start-up and compilation.", width="content")
    for said in filter(None, (obstacle, state.setback)):
        st.error(plain(said), icon=":material/error:")
    if state.problem:
        st.button("Go on with the values shown", key=state.key("accept"), on_click=state.accept)


def _plan(state: PageState) -> tuple[Plan | None, str]:
    """The plan of the choice, and what keeps it from being run, in one line ("" when nothing does)."""
    try:
        plan = state.choice.plan(state.workload)
        return plan, state.problem or state.refusal or server.device_obstacle(state.choice.device)
    except ParameterError as error:
        return None, state.problem or str(error)


def _preset(state: PageState) -> None:
    current = state.choice.preset(state.workload, state.kind)
    key = widget_key(state.key("widget:preset"), None if current == choices.CUSTOM else current)
    st.segmented_control(
        "Preset" if current != choices.CUSTOM else "Preset (now custom values)",
        state.workload.presets,
        key=key,
        format_func=PRESET_LABELS.__getitem__,
        help=PRESET_HELP,
        on_change=told(key, lambda preset: state.choose_preset(preset or current)),
    )


def _device(state: PageState) -> None:
    obstacle = server.cuda_obstacle()
    offered = [device for device in choices.DEVICES if device != "cuda" or not obstacle or state.choice.device == "cuda"]
    key = widget_key(state.key("widget:device"), state.choice.device)
    st.segmented_control(
        "Device",
        offered,
        key=key,
        required=True,
        format_func=DEVICE_LABELS.__getitem__,
        help=plain(server.device_sentence()),
        on_change=told(key, state.choose_device),
    )


def _cancel(state: PageState) -> None:
    state.own_rerun()
    with trouble.kept():
        server.engine().cancel(state.choice.run)


# --- results ----------------------------------------------------------------------------------------------------------------------


def _results(state: PageState, run: Run | None, findings: Callable[[Results], None] | None, top: DeltaGenerator) -> None:
    offered = {} if run is None else {OWN: results.of(run.id)}
    reference = state.choice.run
    if reference and origin(reference) == "imported":
        offered[IMPORTED] = results.of(reference)
    recorded = results.recordings(state.workload.name)
    offered |= {f"{RECORDED}: {subject}" if subject else RECORDED: found for subject, found in recorded.items()}
    own = offered.get(OWN)
    first = next((label for label, found in offered.items() if found.reference == reference), next(iter(offered), ""))
    st.header("Results" if first != RECORDED or len(offered) > 1 else "Recorded run", divider="gray")
    found: Results | None = offered.get(first)
    if len(offered) > 1:
        # Each run has a choice of its own: one made among the recorded runs must not hide a run of one's own that comes later.
        key = state.key(f"show {reference or (run.id if run else '')}")
        shown = st.segmented_control("Show", tuple(offered), default=first, required=True, key=key, label_visibility="collapsed")
        found = offered.get(shown, found)
    if found is None:
        st.info("Nothing has been run yet, and no run is recorded for this experiment. Press Run: results appear here as they arrive.")
        exploring.section(state.workload, None)
        method, link = st.tabs(["Method", "Links and command line"])
        with method:
            _method(state.workload)
        with link:
            links(state, None)
        return
    with st.spinner("Working out the verdicts and the charts of the run: the first time this takes a few seconds"):
        found.prepare()
    if found.verdicts:
        with top:
            answer(found.verdicts, _where(found))
    if found is own and run is not None:
        _ended(run, found)
    else:
        _foreign_label(found)
    if found is own and run is not None:
        key = state.key(f"pin {run.id}")
        st.toggle("Keep this run", run.pinned, key=key, help=KEEP_HELP, on_change=_pin, args=(run.id, key))
    if findings is not None:
        findings(found)
    _findings(state, found)


def _where(found: Results) -> str:
    """What kind of run it is, on what and when, in a few words."""
    manifest = found.view.manifest
    kind = {"local": "Run of this machine", "recorded": "Recorded run", "imported": "Imported run"}[found.origin]
    return f"{kind}, {manifest.get('hardware', 'unknown hardware')}, {formatting.date(str(manifest.get('started_at', '')))}"


def _pin(run_id: str, key: str) -> None:
    with trouble.kept():
        server.store().pin(run_id, st.session_state[key])


def _ended(run: Run, found: Results) -> None:
    manifest = found.view.manifest
    where = f"{manifest.get('hardware', run.device)}, {formatting.time_of_day(str(manifest.get('started_at', '')))}"
    took = f"took {live.elapsed(run)}"
    if run.status == "finished":
        st.success(plain(f"Measured on {where}; {took}."), icon=":material/check:")
        return
    made = len(found.view.records)
    kept = f"{made:,} measurements made before are kept and shown." if made else "Nothing was measured before."
    word = {"cancelled": "The run was cancelled.", "interrupted": "The run was interrupted."}.get(run.status, "The run failed.")
    st.warning(plain(" ".join(part for part in (word, formatting.sentence(run.reason), kept) if part)), icon=":material/warning:")


def _foreign_label(found: Results) -> None:
    """Where a run that was not made here comes from."""
    manifest = found.view.manifest
    hardware = manifest.get("hardware", "unknown hardware")
    date = formatting.date(str(manifest.get("started_at") or manifest.get("created_at") or "undated"))
    early = "" if found.view.status == "finished" else " The run was ended early: what it had measured by then is shown."
    if found.origin == "imported":
        said = f"Imported; measured on {hardware} on {date} by whoever made the bundle; not checked by this machine.{early}"
    else:
        said = f"Recorded on {hardware}, {date}.{early} Not measured on this machine: press Run for that."
    st.info(plain(said), icon=":material/inventory_2:")
    if found.origin == "imported":
        for notice in importing.notices(found.reference):
            st.warning(plain(notice), icon=":material/difference:")


def _findings(state: PageState, found: Results) -> None:
    key = found.reference
    if found.verdicts:
        st.subheader("Verdicts")
        cards(found.verdicts, f"{key}:verdicts")
        shell.glossary_link("What the words of a verdict mean", "verdict")
    if state.workload.notice:
        st.subheader("What to notice")
        st.markdown("\n".join(f"- {sentence}" for sentence in state.workload.notice))
    exploring.section(state.workload, found)
    st.subheader("Charts")
    if found.figures:
        figures(found.figures, key)
    else:
        st.caption("No measurement to draw.")
    st.subheader("Take away")
    downloads(found, key)
    st.fragment(_details)(state, found)


def _details(state: PageState, found: Results) -> None:
    """Method, raw data, links; each is sent when it is asked for."""
    names = ["Method", "Raw data", "Links and command line"]
    method, raw, link = st.tabs(names, key=state.key(f"details {found.reference}"), on_change="rerun")
    with method:
        _method(state.workload)
    with raw:
        if raw.open:
            _raw(found)
    with link:
        if link.open:
            links(state, found)


def _method(declared: Workload) -> None:
    if declared.method:
        st.markdown(declared.method)


def _raw(found: Results) -> None:
    for title, rows in found.tables.items():
        st.markdown(f"**{title}**")
        if rows.empty:
            st.caption("No rows.")
        else:
            st.dataframe(rows, hide_index=True, height=320, alt=f"{title} of the run, as in the file of that name")
    with st.expander("Manifest"):
        st.json(dict(found.view.manifest), expanded=1)


def _recent(state: PageState) -> None:
    """Earlier runs of this experiment on this machine, to open again."""
    runs = [run for run in server.store().runs(RECENT_RUNS, state.workload.name) if run.id != state.choice.run]
    if not runs:
        return
    with st.expander("Other runs of this experiment on this machine", icon=":material/history:"):
        for run in runs:
            named = f"{run.name} · " if run.name else ""
            label = f"{named}{formatting.moment(run.created_at)} · {run.preset} · {run.device} · {run.status}"
            st.button(plain(label), key=state.key(f"open {run.id}"), type="tertiary", on_click=state.show_run, args=(run.id,))
