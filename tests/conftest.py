"""Settings of every test: properties have no time limit of their own (pytest-timeout ends what hangs), and repeat the same examples.

On several processes the contract tests of one workload stay together: a second process would have to make its runs again.
"""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from hypothesis import settings

# Threads of two tests at once (and of their workers) share the cores: those that wait must not keep the others from working, as they do
# by default for milliseconds at the end of every parallel loop. Read when torch is loaded, so it stands before everything.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
settings.register_profile("lab", deadline=None, derandomize=True)
settings.load_profile("lab")

PLACES = {"browser": "tests/browser/", "interpreter": "tests/workloads/"}  # where `make test` looks for tests that are marked so
CONTRACT = re.compile(r"tests/workloads/test_contract\.py::.*\[([^\]]+)\]$")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a marked test in a place where nobody would run it."""
    for item in items:
        for mark, folder in PLACES.items():
            if item.get_closest_marker(mark) and not item.nodeid.startswith(folder):
                raise pytest.UsageError(f"{item.nodeid} is marked {mark}, so its place is {folder}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One work unit per workload of the contract tests, one per test otherwise."""
    from xdist.scheduler import LoadScopeScheduling

    class ByContract(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            found = CONTRACT.search(nodeid)
            return found.group(1) if found else nodeid

    return ByContract(config, log)
