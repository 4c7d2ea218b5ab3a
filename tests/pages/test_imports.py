"""The server process never imports torch, scipy or sklearn, whatever page is opened and while a run is watched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.pages.app_copy import ROOT, app_with_demo_pages

VISIT = """
import sys, time
from pathlib import Path
from streamlit.testing.v1 import AppTest
start = Path(sys.argv[1])
for page in [None, *sorted(start.parent.glob("pages/*.py"))]:
    test = AppTest.from_file(str(start), default_timeout=60)
    if page is not None:
        test.switch_page(f"pages/{page.name}")
    test.run()
    assert not test.exception, test.exception
test = AppTest.from_file(str(start), default_timeout=60)
test.switch_page("pages/demo.py")
test.run()
next(button for button in test.button if button.label == "Run").click().run()
from lab.ui import server
server.engine().wait(server.store().runs()[0].id, 60)
test.run()
assert test.success, "the run did not finish"
server.engine().close()
print(sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "scipy", "sklearn", "triton"}))
"""


def test_no_page_imports_what_belongs_to_the_worker(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "EFFICIENCY_LAB_HOME": str(tmp_path / "home"),
        "EFFICIENCY_LAB_LOCK_DIR": str(tmp_path / "locks"),
        "EFFICIENCY_LAB_WORKLOADS": "tests.demo_workloads",
    }
    command = [sys.executable, "-c", VISIT, str(app_with_demo_pages(tmp_path / "app"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
