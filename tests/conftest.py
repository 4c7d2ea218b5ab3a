"""Settings of every test: properties have no time limit of their own (pytest-timeout ends what hangs), and repeat the same examples.

On several processes the contract tests of one workload stay together, and those of the report of one recorded run: a second process would
have to make the runs, or the report, again.
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
TOGETHER = re.compile(r"tests/(workloads/test_contract\.py)::.*\[([^\]]+)\]$|tests/(lab/test_report\.py)::.*\[(recorded/[^\]]+)\]$")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a marked test in a place where nobody would run it."""
    for item in items:
        for mark, folder in PLACES.items():
            if item.get_closest_marker(mark) and not item.nodeid.startswith(folder):
                raise pytest.UsageError(f"{item.nodeid} is marked {mark}, so its place is {folder}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One work unit for tests that stay together, one per test otherwise."""
    from xdist.scheduler import LoadScopeScheduling

    class ByWhatTheyShare(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            found = TOGETHER.search(nodeid)
            return " ".join(filter(None, found.groups())) if found else nodeid

    return ByWhatTheyShare(config, log)
