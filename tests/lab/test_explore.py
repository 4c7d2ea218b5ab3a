"""What an exploration may be."""

from __future__ import annotations

import pytest

from lab.bundle_check import LIMITS
from lab.explore import MAX_UPLOAD_BYTES, Explore, Upload
from lab.parameters import Parameters, parameter
from lab.workload import Workload, workloads
from tests.demo_workloads.smoothing.spec import WORKLOAD as SMOOTHING


class Swept(Parameters):
    n: int = parameter(1, title="n", help="", sweep=True)


def test_a_swept_parameter_is_no_setting_of_an_exploration() -> None:
    with pytest.raises(TypeError, match="n cannot be swept"):
        Explore("title", "", Swept, lambda *_: [])


@pytest.mark.parametrize("max_bytes", [0, MAX_UPLOAD_BYTES + 1])
def test_an_upload_is_no_larger_than_the_server_lets_through(max_bytes: int) -> None:
    with pytest.raises(ValueError, match=f"max_bytes is {max_bytes}; allowed: 1 to 1048576"):
        Upload("a file", {}, len, "", max_bytes)


def test_the_server_lets_through_what_the_largest_upload_needs() -> None:
    import tomllib
    from pathlib import Path

    settings = tomllib.loads(Path(__file__).parents[2].joinpath(".streamlit/config.toml").read_text())
    assert settings["server"]["maxUploadSize"] << 20 == max(MAX_UPLOAD_BYTES, LIMITS.upload_bytes)


EXPLORED = [found for found in (*workloads().values(), SMOOTHING) if found.explore is not None]


@pytest.mark.parametrize("declared", EXPLORED, ids=lambda found: found.name)
def test_a_section_can_be_drawn_before_there_is_anything(declared: Workload) -> None:
    assert declared.explore is not None
    explore, uploaded = declared.explore, None
    if explore.upload is not None:
        example = explore.upload.example.encode()
        assert len(example) <= explore.upload.max_bytes
        uploaded = explore.upload.parse(example)
        assert all(name in explore.upload.example for name in explore.upload.columns)
    for value in {id(uploaded): uploaded, id(None): None}.values():
        explore.charts(explore.parameters(), [], [], value)
