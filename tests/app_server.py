"""A real server of the app in a folder of its own: started, stopped, killed and started again on the same store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.pages.app_copy import ROOT

DEADLINE_S = 90.0  # ends a broken test, measures nothing


class AppServer:
    """The server of the app that starts with ``start_page``; its store, locks and log are in ``folder``."""

    def __init__(self, start_page: Path, folder: Path, **environment: str) -> None:
        self._start_page, self._folder = start_page, folder
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "EFFICIENCY_LAB_HOME": str(self.home),
            "EFFICIENCY_LAB_LOCK_DIR": str(folder / "locks"),
            "EFFICIENCY_LAB_WORKLOADS": "tests.demo_workloads",
            **environment,
        }
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return self._folder / "home"

    @property
    def log(self) -> Path:
        return self._folder / "server.log"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["--server.headless", "true", "--server.port", str(self._port), "--server.address", "127.0.0.1"]
        command = [sys.executable, "-m", "streamlit", "run", str(self._start_page), *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._start_page.parent, env=self._environment, stdout=log, stderr=log)
        limit_s = time.monotonic() + DEADLINE_S
        while not self._healthy():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < limit_s, "the server never answered"
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as Ctrl-C would, if it runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE_S)

    def kill(self) -> None:
        """SIGKILL: it can clean up nothing."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(DEADLINE_S)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
