"""The state of the page of runs between reruns, and its agreement with the address bar (as :mod:`lab.ui.page_state` has it).

Besides what is wanted (:class:`lab.ui.run_query.Wanted`) it knows which runs are selected, by reference and not by place, which dialog
is open, and what the last action had to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import streamlit as st

from lab.ui import run_query
from lab.ui.run_query import Wanted
from lab.ui.run_table import Row
from lab.workload import workloads


@dataclass(frozen=True)
class Dialog:
    """An open dialog: what it is for and the runs that it is about, as they were when it was opened."""

    purpose: Literal["delete", "describe"]
    rows: tuple[Row, ...]


class RunsState:
    """The state of the page in this browser session."""

    def key(self, name: str) -> str:
        """The session key of a value or widget of this page."""
        return f"runs:{name}"

    def _get(self, name: str, default: Any) -> Any:
        return st.session_state.get(self.key(name), default)

    def _set(self, name: str, value: Any) -> None:
        st.session_state[self.key(name)] = value

    @property
    def wanted(self) -> Wanted:
        return self._get("wanted", Wanted())

    @property
    def problem(self) -> str:
        """What is wrong with the address that was opened, or with what is wanted."""
        return self._get("problem", "") or self.wanted.problem

    @property
    def selected(self) -> tuple[str, ...]:
        """The references of the selected runs; only what the page shows can be selected."""
        return self._get("selected", ())

    @property
    def dialog(self) -> Dialog | None:
        return self._get("dialog", None)

    # --- the address bar --------------------------------------------------------------------------------------------------

    def read_address(self) -> None:
        """Take what is wanted from the address bar where that says something new."""
        if st.session_state.pop(self.key("own"), False):
            return
        if self._left():  # a question of before is no longer asked
            self._set("dialog", None)
        query = {name: st.query_params.get_all(name) for name in st.query_params}
        first = self.key("wanted") not in st.session_state
        if not first and (not query or query == self._get("written", None)):
            return
        wanted, problem = run_query.read(query, workloads())
        self._set("wanted", wanted)
        self._set("problem", str(problem or ""))

    def _left(self) -> bool:
        """Whether the reader was on another page since: the widgets of a page that is left are forgotten."""
        name = self.key("tab")
        return f"{name}#{st.session_state.get(f'{name} version', 0)}" not in st.session_state

    def write_address(self) -> None:
        """Make the address bar say what the page shows. A refused address stays until the reader changes something."""
        if self._get("problem", ""):
            return
        query = self.wanted.query
        wanted = {name: [text] for name, text in query.items()}
        if {name: st.query_params.get_all(name) for name in st.query_params} != wanted:
            st.query_params.from_dict(query)
        self._set("written", wanted)

    def own_rerun(self) -> None:
        """The coming rerun is the page's own: the browser may still send the address of before."""
        self._set("own", True)

    # --- what the reader does (callbacks) ---------------------------------------------------------------------------------

    def want(self, **changes: Any) -> None:
        """Something else is wanted; the list begins anew unless another page of it is."""
        self.own_rerun()
        self._set("wanted", replace(self.wanted, **{"page": 1, **changes}))
        self._set("problem", "")
        self._set("said", [])

    def select(self, references: Sequence[str]) -> None:
        """These runs are selected."""
        self._set("selected", tuple(references))

    def touched(self) -> None:
        """The reader did something that changes nothing but the selection."""
        self.own_rerun()
        self._set("said", [])

    def open(self, dialog: Dialog) -> None:
        """Open a dialog."""
        self.own_rerun()
        self._set("said", [])
        self._set("dialog", dialog)

    def close(self) -> None:
        """Close the dialog."""
        self.own_rerun()
        self._set("dialog", None)

    def say(self, sentences: Sequence[str]) -> None:
        """What did not go as the reader wanted; shown until the reader does something else."""
        self._set("said", list(sentences))

    @property
    def said(self) -> Sequence[str]:
        return self._get("said", [])
