"""What a reader sees instead of an exception where the store cannot be used: one line that says why and what to do.

    page    @trouble.told() above its ``show``       the line, and the page again by itself as soon as the store can be used
    part    @trouble.told_in_part() above a fragment that renews itself: the line until it does
    action  with trouble.kept(): in a callback       the line at the head of the page that follows

A store that is damaged, removed or replaced while the lab runs is opened anew by ``lab.ui.server``: the page is drawn again at once, and
:func:`notices` says what happened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import streamlit as st

from lab import formatting
from lab.database import StoreDamaged, StoreError
from lab.parameters import ParameterError
from lab.ui import server
from lab.ui.text import plain

RETRY_S = 2.0
AGAIN = "This page goes on by itself as soon as it can."
REFUSED, REOPENED, READ = "trouble:refused", "trouble:reopened", "trouble:read"  # session keys


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Around all of a page (or as the decorator of what draws it): a store that cannot be used is told, and tried again."""
    try:
        yield
    except StoreError as error:
        _reopen(error)
        _line(f"{formatting.sentence(str(error))} {AGAIN}")
        st.fragment(_look, run_every=RETRY_S)()
    else:
        st.session_state.pop(REOPENED, None)


@contextlib.contextmanager
def told_in_part() -> Iterator[None]:
    """Around all of a fragment that renews itself (or as its decorator): as :func:`told`, and the next renewal tries again."""
    try:
        yield
    except StoreError as error:
        _reopen(error)
        _line(f"{formatting.sentence(str(error))} {AGAIN}")


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Around what a callback does: a refusal is kept for the page that follows."""
    try:
        yield
    except (ParameterError, StoreError) as error:
        st.session_state[REFUSED] = str(error)


def notices() -> None:
    """Say at the head of a page what a callback was refused, and what happened to the store when it was opened, until that is read."""
    refused = st.session_state.pop(REFUSED, "")
    if refused:
        _line(formatting.sentence(refused))
    notice = server.store().notice
    if notice and st.session_state.get(READ) != notice:
        st.warning(plain(notice), icon=":material/inventory_2:")
        st.button("Close this notice", type="tertiary", icon=":material/close:", on_click=_read, args=(notice,))


def _reopen(error: StoreError) -> None:
    """Draw the page again with the store that is opened in the place of a damaged one; once, lest a fault that stays never be told."""
    if isinstance(error, StoreDamaged) and not st.session_state.get(REOPENED):
        st.session_state[REOPENED] = True
        st.rerun()


def _look() -> None:
    with contextlib.suppress(StoreError):
        server.store().has_active()
        st.rerun()


def _line(text: str) -> None:
    st.error(plain(text), icon=":material/error:")


def _read(notice: str) -> None:
    st.session_state[READ] = notice
