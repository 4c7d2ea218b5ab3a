"""The section of a page that evaluates stored records anew when one of its widgets moves (``lab.explore``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from lab import formatting
from lab.explore import MAX_UPLOAD_BYTES, Explore, Upload
from lab.parameters import ParameterError, Parameters, Plan, fields
from lab.ui.figures import figures
from lab.ui.results import Results, drawn
from lab.ui.text import plain
from lab.ui.widgets import parameters
from lab.workload import Workload


class ExploreState:
    """The values of the section in this browser session; they stay when another run is shown, and are no part of a run."""

    def __init__(self, workload: Workload, explore: Explore) -> None:
        self.workload, self.explore = workload, explore

    def key(self, name: str) -> str:
        """The session key of a value or widget of this section."""
        return f"{self.workload.name}:explore:{name}"

    @property
    def model(self) -> type[Parameters]:
        return self.explore.parameters

    @property
    def texts(self) -> Mapping[str, str]:
        defaults = {name: info.text(info.default) for name, info in fields(self.model).items()}
        return {**defaults, **st.session_state.get(self.key("texts"), {})}

    def edit(self, name: str, text: str) -> None:
        """A value was changed."""
        st.session_state[self.key("texts")] = {**self.texts, name: text}


def section(workload: Workload, found: Results | None) -> None:
    """Draw the section of ``workload``, if it has one, on the results shown; without results only if it takes a file."""
    explore = workload.explore
    if explore is None or (found is None and explore.upload is None):
        return
    st.subheader(explore.title)
    # A fragment: its widgets run it alone again, not the page.
    st.fragment(_section)(ExploreState(workload, explore), found)


def _section(state: ExploreState, found: Results | None) -> None:
    explore = state.explore
    if explore.text:
        st.markdown(explore.text)
    parameters(state)
    uploaded = None if explore.upload is None else _uploaded(state, explore.upload)
    try:
        (params,) = Plan.parse(explore.parameters, state.texts).cells
        estimates, records = ([], []) if found is None else (found.estimates, found.view.records)
        charts = explore.charts(params, estimates, records, uploaded)
    except ParameterError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    shown = drawn(state.workload, charts, {} if found is None else found.view.manifest)
    if shown:
        figures(shown, state.key(found.reference if found is not None else "no run"))
    else:
        st.caption("Nothing to draw for these settings.")


def _uploaded(state: ExploreState, upload: Upload) -> Any:
    """What the reader's file holds; None while there is none, or none that can be read."""
    with st.expander(f"What {upload.title} must look like"):
        st.markdown("\n".join(f"- `{name}`: {meaning}" for name, meaning in upload.columns.items()))
        st.code(upload.example, language=None)
        st.caption(f"CSV with a header in UTF-8, at most {formatting.quantity(upload.max_bytes, 'B')}. It stays in this browser session.")
    file = st.file_uploader(
        formatting.sentence(upload.title).rstrip("."),
        type=["csv", "txt"],
        key=state.key("upload"),
        max_upload_size=MAX_UPLOAD_BYTES >> 20,
    )
    if file is None:
        return None
    try:
        if file.size > upload.max_bytes:
            allowed = formatting.quantity(upload.max_bytes, "B")
            raise ValueError(f"has {formatting.quantity(file.size, 'B')}; allowed: at most {allowed}")
        return upload.parse(file.getvalue())
    except ValueError as error:
        st.error(plain(f"{file.name}: {error}"), icon=":material/error:")
        return None
