"""The filters over the list of this machine's runs."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence

import streamlit as st

from lab.listing import Order
from lab.ui import server
from lab.ui.choice import CUSTOM
from lab.ui.run_query import FIRST_DAY, LAST_DAY, MAX_SEARCH, STATUSES, Wanted
from lab.ui.run_table import experiment
from lab.ui.runs_state import RunsState
from lab.ui.widgets import told, widget_key
from lab.workload import PRESETS

ORDER_LABELS: dict[Order, str] = {"newest": "Newest first", "oldest": "Oldest first", "longest": "Longest first"}
KEPT_LABELS = {"": "All", "yes": "Kept", "no": "Not kept"}


def filters(state: RunsState) -> None:
    """Draw them. What no stored run has is not offered, unless it is wanted already."""
    wanted = state.wanted
    store = server.store()
    search, *selects = st.columns([3, 3, 2, 2], gap="small")
    with search:
        key = widget_key(state.key("text"), wanted.text)
        st.text_input(
            "Search",
            key=key,
            placeholder="Name, note or id",
            max_chars=MAX_SEARCH,
            icon=":material/search:",
            on_change=told(key, lambda text: state.want(text=_printable(text))),
        )
    _several(state, selects[0], "Experiment", "workload", store.occurring("workload"))
    _several(state, selects[1], "Status", "status", _in_order(store.occurring("status"), STATUSES))
    _several(state, selects[2], "Preset", "preset", _in_order(store.occurring("preset"), (*PRESETS, CUSTOM)))
    active = sum(bool(value) for value in (wanted.device, wanted.since, wanted.until, wanted.kept)) + (wanted.order != "newest")
    with st.expander(f"More filters and order ({active} set)" if active else "More filters and order", icon=":material/tune:"):
        device, since, until, kept, order = st.columns([3, 2, 2, 2, 2], gap="small")
        with device:
            _device(state, store.occurring("hardware"))
        _day(state, since, "From day (UTC)", "since", wanted.since)
        _day(state, until, "To day (UTC)", "until", wanted.until)
        with kept:
            key = widget_key(state.key("kept"), wanted.kept)
            st.selectbox("Kept", list(KEPT_LABELS), key=key, format_func=KEPT_LABELS.__getitem__, on_change=_changes(state, key, "kept"))
        with order:
            key = widget_key(state.key("order"), wanted.order)
            st.selectbox(
                "Order", list(ORDER_LABELS), key=key, format_func=ORDER_LABELS.__getitem__, on_change=_changes(state, key, "order")
            )


def clear(state: RunsState) -> None:
    """Want everything again."""
    state.want(**{**Wanted().__dict__, "tab": state.wanted.tab})


def _several(state: RunsState, column: st.delta_generator.DeltaGenerator, title: str, name: str, found: Sequence[str]) -> None:
    chosen = list(getattr(state.wanted, name))
    options = [*found, *(value for value in chosen if value not in found)]
    key = widget_key(state.key(name), chosen)
    with column:
        st.multiselect(
            title,
            options,
            key=key,
            placeholder="All",
            format_func=experiment if name == "workload" else str.capitalize,
            on_change=told(key, lambda values: state.want(**{name: tuple(values)})),
        )


def _device(state: RunsState, found: Sequence[str]) -> None:
    chosen = state.wanted.device
    options = ["", *found, *([chosen] if chosen and chosen not in found else [])]  # an address may name a part of a device's name
    key = widget_key(state.key("device"), chosen)
    st.selectbox("Device", options, key=key, format_func=lambda name: name or "All", on_change=_changes(state, key, "device"))


def _day(state: RunsState, column: st.delta_generator.DeltaGenerator, title: str, name: str, chosen: datetime.date | None) -> None:
    key = widget_key(state.key(name), chosen)
    with column:
        st.date_input(title, key=key, min_value=FIRST_DAY, max_value=LAST_DAY, format="YYYY-MM-DD", on_change=_changes(state, key, name))


def _changes(state: RunsState, key: str, name: str) -> Callable[[], None]:
    return told(key, lambda value: state.want(**{name: value}))


def _in_order(found: Sequence[str], order: Sequence[str]) -> list[str]:
    return [name for name in order if name in found]


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip()
