"""How workloads are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab import workload as declarations
from lab.parameters import ParameterError
from tests.demo_workloads.demo.spec import WORKLOAD


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A further package for workloads, on the path and known to the lab; its name is that of its folder."""
    folder = tmp_path / f"plugins_{abs(hash(tmp_path))}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("EFFICIENCY_LAB_WORKLOADS", folder.name)
    return folder


def add(package: Path, name: str, spec: str | None) -> None:
    (package / name).mkdir()
    (package / name / "__init__.py").touch()
    if spec is not None:
        (package / name / "spec.py").write_text(spec)


def test_workloads_of_further_packages_are_found_by_their_name(package: Path) -> None:
    add(package, "demo", "from tests.demo_workloads.demo.spec import WORKLOAD\n")
    add(package, "unfinished", None)
    assert declarations.workload("demo") is WORKLOAD
    assert declarations.workloads()["demo"] is WORKLOAD
    assert "calibration" in declarations.workloads()
    assert "calibration" not in declarations.experiments()
    with pytest.raises(ParameterError, match=r"workload: 'unfinished' is unknown; allowed: one of activations, .*, demo$"):
        declarations.workload("unfinished")


def test_a_workload_is_called_as_its_package(package: Path) -> None:
    add(package, "other", "from tests.demo_workloads.demo.spec import WORKLOAD\n")
    with pytest.raises(ValueError, match=r"the workload in plugins_\d+\.other\.spec is called 'demo'"):
        declarations.workload("other")


def test_one_workload_does_not_import_the_others() -> None:
    code = "import sys; from lab.workload import workload; workload('calibration'); print([m for m in sys.modules if m.endswith('.spec')])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "['workloads.calibration.spec']\n"
    )
