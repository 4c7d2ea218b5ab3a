"""The state of an experiment's page between reruns, and its agreement with the address bar.

The choice lives in ``st.session_state`` under a key of its own, not in widgets, so that it survives a switch of pages. Each rerun reads
the address bar first (unless a widget of the page caused the rerun: then the page is newer), and writes it last.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from lab import environment, formatting
from lab.collection import origin
from lab.database import StoreDamaged, StoreError
from lab.jobs import QueueFull
from lab.parameters import ParameterError, Parameters
from lab.ui import choice as choices
from lab.ui import results, server
from lab.ui.choice import Choice
from lab.workload import DeviceKind, Workload

SESSION = "session"  # session key: a random name of this browser session, by which the engine counts its runs


class PageState:
    """The state of one workload's page in this browser session."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload

    def key(self, name: str) -> str:
        """The session key of a value or widget of this page."""
        return f"{self.workload.name}:{name}"

    @property
    def choice(self) -> Choice:
        return st.session_state[self.key("choice")]

    @choice.setter
    def choice(self, value: Choice) -> None:
        st.session_state[self.key("choice")] = value

    @property
    def model(self) -> type[Parameters]:
        return self.workload.parameters

    @property
    def texts(self) -> Mapping[str, str]:
        return self.choice.texts

    @property
    def kind(self) -> DeviceKind:
        """The kind of device that the chosen device stands for on this machine."""
        return server.device_kind(self.choice.device)

    @property
    def problem(self) -> str:
        """What is wrong with the address that was opened; "" once the reader has changed anything."""
        return st.session_state.get(self.key("problem"), "")

    @property
    def refusal(self) -> str:
        """Why the last press of Run started nothing, and no other will before the reader changes something; "" where nothing does."""
        return st.session_state.get(self.key("refusal"), "")

    @property
    def setback(self) -> str:
        """Why the last press of Run started nothing, where the next may: a full queue, a locked store; "" where nothing did."""
        return st.session_state.get(self.key("setback"), "")

    # --- the address bar --------------------------------------------------------------------------------------------------

    def read_address(self) -> None:
        """Take the choice from the address bar where that says something new."""
        own_rerun = st.session_state.pop(self.key("own"), False)
        query = {name: st.query_params.get_all(name) for name in st.query_params}
        first = self.key("choice") not in st.session_state
        if own_rerun or (not first and (not query or query == st.session_state.get(self.key("written")))):
            return
        found, problem = choices.read(self.workload, query, server.device_kind(query.get("device", ["auto"])[-1]))
        if found.run:
            try:
                found = self._of_run(found.run)
            except ParameterError as error:
                found, problem = replace(found, run=""), error
        self._take(found)
        st.session_state.pop(self.key("own"))
        st.session_state[self.key("problem")] = str(problem or "")

    def write_address(self) -> None:
        """Make the address bar say what the page shows. A refused address stays until the reader changes something."""
        if self.problem:
            return
        query = self.choice.query(self.workload, self.kind)
        wanted = {name: [text] for name, text in query.items()}
        if {name: st.query_params.get_all(name) for name in st.query_params} != wanted:
            st.query_params.from_dict(query)
        st.session_state[self.key("written")] = wanted

    def _of_run(self, reference: str) -> Choice:
        """The choice that shows a run. Raises ParameterError when there is no such run of this workload."""
        if origin(reference) == "local":
            run = server.store().run(reference)
            name, device, plan = run.workload, run.device, run.plan
        else:
            view = results.of(reference).view
            name, device, plan = view.workload.name, str(view.manifest.get("device") or "auto"), view.plan
        if name != self.workload.name:
            raise ParameterError("run", reference, f"a run of {self.workload.name}; this one is of {name}", "belongs to another page")
        kind = environment.device_kind(device)
        # Evidence from a GPU must open without an error on a machine that has none.
        return Choice("auto" if server.device_obstacle(kind) else kind, plan.texts(), reference)

    def lose_run(self, error: ParameterError) -> None:
        """The run shown is there no more (deleted elsewhere): its parameters stay."""
        self._take(replace(self.choice, run=""))
        st.session_state[self.key("problem")] = str(error)

    def own_rerun(self) -> None:
        """The coming rerun is the page's own: the browser may still send the address of before."""
        st.session_state[self.key("own")] = True

    # --- what the reader does (callbacks) ---------------------------------------------------------------------------------

    def edit(self, name: str, text: str) -> None:
        """A parameter was changed."""
        if self.choice.texts.get(name) != text:
            self._take(self.choice.edited(name, text))

    def choose_preset(self, preset: str) -> None:
        """A preset was chosen: all its values."""
        self._take(choices.from_preset(self.workload, preset, self.kind, self.choice.device))

    def choose_device(self, device: str) -> None:
        """A device was chosen; an untouched preset follows it, since presets depend on the kind of device."""
        before = self.choice
        preset = before.preset(self.workload, self.kind)
        if preset == choices.CUSTOM:
            self._take(replace(before, device=device, run=""))
        else:
            self._take(choices.from_preset(self.workload, preset, server.device_kind(device), device))

    def accept(self) -> None:
        """Go on with the values shown instead of those of a refused address."""
        self._take(self.choice)

    def show_run(self, reference: str) -> None:
        """Show a run with its parameters, or with "" none."""
        try:
            self._take(self._of_run(reference) if reference else replace(self.choice, run=""))
        except (ParameterError, StoreError) as error:
            st.session_state[self.key("refusal")] = str(error)

    def press_run(self) -> None:
        """Run was pressed. The edits that came with the press may be told after it, so it is answered by :meth:`start_if_pressed`."""
        st.session_state[self.key("pressed")] = True
        self.own_rerun()

    def start_if_pressed(self) -> None:
        """Queue a run of the choice if Run was pressed. A second press before the page has answered the first is the same run."""
        if not st.session_state.pop(self.key("pressed"), False) or self.problem:
            return
        st.session_state[self.key("setback")] = ""
        try:
            run_id = server.engine().submit(
                self.workload.name,
                self.choice.plan(self.workload),
                self.choice.preset(self.workload, self.kind),
                device=self.choice.device,
                token=self._token(),
                session=st.session_state.setdefault(SESSION, secrets.token_hex(16)),
            )
        except StoreDamaged:  # another is opened in its place, in which nothing can be started unasked
            raise
        except QueueFull as error:
            st.session_state[self.key("setback")] = formatting.sentence(str(error))
        except StoreError as error:
            st.session_state[self.key("setback")] = f"{formatting.sentence(str(error))} Nothing was started."
        except ParameterError as error:
            st.session_state[self.key("refusal")] = str(error)
        else:
            self.choice = replace(self.choice, run=run_id)

    def _token(self) -> str:
        """One token for each choice the page has shown: it changes with any edit and when a run ends."""
        return st.session_state.setdefault(self.key("token"), secrets.token_hex(16))

    def run_ended(self) -> None:
        """The run shown has ended: the next press of Run starts another."""
        st.session_state.pop(self.key("token"), None)

    def _take(self, choice: Choice) -> None:
        """Make ``choice`` the page's state and forget what was said about the one before."""
        if not choice.run:
            self.run_ended()
        self.choice = choice
        self.own_rerun()
        st.session_state[self.key("problem")] = ""
        st.session_state[self.key("refusal")] = ""
        st.session_state[self.key("setback")] = ""
