"""One browser's side of a page: the messages that Streamlit's own client exchanges with the server, without a browser around them.

Twenty Chromium windows would keep two cores busy with drawing; the server cannot tell these sessions from theirs. What is kept of the
client: a session for each connection, the address bar as the server sets it, a rerun for each press, and each fragment that renews itself
asked for again after the interval that the server named.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

DEADLINE_S = 90.0  # ends a broken test, measures nothing


class PageSession:
    """One page in one browser. ``said`` holds every text that the page showed, in order; ``errors`` the exceptions among them."""

    def __init__(self, connection: ClientConnection, page: str, query: str) -> None:
        self._connection = connection
        self._page, self._page_hash, self.query = page, "", query
        self._buttons: dict[str, str] = {}
        self._renewals: dict[str, asyncio.Task[None]] = {}
        self._news = asyncio.Condition()
        self.said: list[str] = []
        self.errors: list[str] = []
        self.renewed = 0  # how often a part was asked for again
        self.complete = False  # whether the page has been drawn to its end
        self.ended = False

    async def press(self, label: str) -> None:
        """Press the button called ``label``."""
        message = self._rerun()
        state = message.rerun_script.widget_states.widgets.add()
        state.id, state.trigger_value = self._buttons[label], True
        await self._connection.send(message.SerializeToString())

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition on what the page has shown; fails when it never comes true or the page shows an exception."""
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: bool(condition() or self.errors)), DEADLINE_S)
        assert self.errors == []

    def offers(self, label: str) -> bool:
        """Whether the page has shown a button called ``label``."""
        return label in self._buttons

    def has(self, words: str) -> bool:
        """Whether the page has shown these words."""
        return any(words in text for text in self.said)

    async def open(self) -> None:
        """Ask for the page, as a browser that opens its address does."""
        await self._connection.send(self._rerun().SerializeToString())

    async def listen(self) -> None:
        """Take in what the server sends, until the connection ends."""
        try:
            async for data in self._connection:
                message = ForwardMsg()
                message.ParseFromString(data)
                async with self._news:
                    self._take(message)
                    self._news.notify_all()
        except Exception as error:
            async with self._news:
                self.errors.append(repr(error))
                self._news.notify_all()
            raise

    def close(self) -> None:
        """Ask for no renewal any more."""
        for task in self._renewals.values():
            task.cancel()

    def _rerun(self) -> BackMsg:
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_script_hash = self._page_hash
        message.rerun_script.page_name = "" if self._page_hash else self._page
        return message

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            if not message.metadata.run.fragment_ids:  # a run of the whole page names its fragments anew
                self.close()
                self.complete = False
        elif kind == "script_finished":
            self.complete = True
        elif kind == "navigation":
            self._page_hash = message.navigation.page_script_hash
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            fragment, interval_s = message.auto_rerun.fragment_id, message.auto_rerun.interval
            if fragment in self._renewals:
                self._renewals[fragment].cancel()
            self._renewals[fragment] = asyncio.create_task(self._renew(fragment, interval_s))
        elif kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                if fragment in self._renewals:
                    self._renewals.pop(fragment).cancel()
        elif kind == "delta":
            self._show(message.delta)

    async def _renew(self, fragment: str, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)  # as the browser does: the page asked for it
            message = self._rerun()
            message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = fragment, True
            await self._connection.send(message.SerializeToString())
            self.renewed += 1

    def _show(self, delta: Delta) -> None:
        element = delta.new_element
        kind = element.WhichOneof("type")
        if kind == "button":
            self._buttons[element.button.label] = element.button.id
        elif kind == "exception":
            self.errors.append(f"{element.exception.type}: {element.exception.message}")
        elif kind == "progress":
            self.said.append(element.progress.text)
        elif kind == "alert":
            self.said.append(element.alert.body)
        elif kind in ("markdown", "heading"):
            self.said.append(getattr(element, kind).body)


@contextlib.asynccontextmanager
async def page_session(address: str, page: str, query: str = "") -> AsyncIterator[PageSession]:
    """Open a page in a browser session of its own: ``page_session(server.address, "demo", "seed=3")``."""
    url = f"{address.replace('http', 'ws', 1)}/_stcore/stream"
    async with connect(url, max_size=None, subprotocols=["streamlit"]) as connection:  # type: ignore[list-item]
        session = PageSession(connection, page, query)
        listening = asyncio.create_task(session.listen())
        try:
            await session.open()
            yield session
        finally:
            session.close()
            listening.cancel()
