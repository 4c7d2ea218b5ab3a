"""Which parameters change nothing for the choices made, and that every declaration of it can be met and agrees with the cost formulas."""

from __future__ import annotations

from typing import Literal

import pytest

from lab.parameters import Field, ParameterError, Parameters, Plan, fields, parameter
from lab.relevance import distinct_cells, in_words, without_effect
from lab.workload import DeviceKind, Workload, experiments, workloads

NEEDED = {"studies": ("speed",)}


class Model(Parameters):
    studies: tuple[Literal["speed", "learning"], ...] = parameter(("speed",), title="Studies", help="", labels={"speed": "Speed"})
    mode: Literal["plain", "block"] = parameter("plain", title="Mode", help="", when=NEEDED)
    n: int = parameter(1, title="N", help="", ge=0, le=9, sweep=True, when=NEEDED)
    width: int = parameter(1, title="Width", help="", sweep=True, when=NEEDED | {"mode": ("block",)})
    energy: bool = parameter(False, title="Energy", help="", when=(NEEDED, {"mode": ("block",)}))
    counted: int = parameter(1, title="Counted", help="", when={"energy": ("true",)})


def idle(**texts: str) -> set[str]:
    return set(without_effect(Model, {**Plan.of(Model).texts(), **texts}))


def test_a_condition_is_met_by_one_of_its_choices() -> None:
    assert idle() == {"width", "counted"}
    assert idle(mode="block") == {"counted"}
    assert idle(mode="block", energy="true") == set()
    assert "mode" not in idle(studies="all")


def test_what_changes_nothing_asks_for_nothing() -> None:
    """Mode is "block", which width needs, but mode itself means nothing for learning alone."""
    assert idle(studies="learning", mode="block", energy="true") == {"mode", "n", "width", "energy", "counted"}


def test_texts_that_are_not_valid_ask_for_nothing() -> None:
    assert {"mode", "n"} <= idle(studies="nonsense")


def test_combinations_that_differ_in_nothing_count_once() -> None:
    assert distinct_cells(Plan.of(Model, {"n": [1, 2, 3]})) == 3
    assert distinct_cells(Plan.of(Model, {"n": [1, 2, 3], "studies": ("learning",)})) == 1
    assert distinct_cells(Plan.of(Model, {"n": [1, 2], "width": [1, 2, 3]})) == 2
    assert distinct_cells(Plan.of(Model, {"n": [1, 2], "width": [1, 2, 3], "mode": "block"})) == 6


def test_needs_in_words() -> None:
    words = {name: in_words(Model, info.when) for name, info in fields(Model).items()}
    assert words["width"] == "Studies: Speed and Mode: block"
    assert words["energy"] == "Studies: Speed, or Mode: block"


@pytest.mark.parametrize("declared", workloads().values(), ids=lambda declared: declared.name)
def test_every_declaration_names_choices_that_there_are(declared: Workload) -> None:
    known = fields(declared.parameters)
    for info in known.values():
        for condition in info.when:
            for other, choices in condition.items():
                options = known[other].options or ("true", "false")
                assert set(choices) <= set(options), (info.name, other)
                assert set(choices) != set(options) or known[other].kind == "choice", f"{info.name} needs nothing of {other}"


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
@pytest.mark.parametrize("declared", experiments().values(), ids=lambda declared: declared.name)
def test_what_changes_nothing_takes_no_time(declared: Workload, kind: DeviceKind) -> None:
    """With each single choice that others depend on, the estimated duration is the same whatever an idle parameter is."""
    model = declared.parameters
    known = fields(model)
    base = declared.plan("quick", kind).texts()
    deciding = {name for info in known.values() for condition in info.when for name in condition}
    for texts in [{**base, name: option} for name in deciding for option in known[name].options]:
        plan = parsed(model, texts)
        for idle_name in without_effect(model, texts) if plan else ():
            changed = parsed(model, {**texts, idle_name: another(known[idle_name], texts[idle_name])})
            if plan and changed:
                message = f"{idle_name} with {texts}"
                assert declared.duration_s(changed, kind) == pytest.approx(declared.duration_s(plan, kind)), message


def parsed(model: type[Parameters], texts: dict[str, str]) -> Plan | None:
    """The plan, or None where these choices do not go together."""
    try:
        return Plan.parse(model, texts)
    except ParameterError:
        return None


def another(info: Field, text: str) -> str:
    """Another value than ``text``."""
    if info.kind == "bool":
        return "false" if text == "true" else "true"
    if info.options:
        return next((option for option in info.options if option != text), text)
    assert info.minimum is not None
    assert info.maximum is not None
    return info.text(info.maximum if text == info.text(info.minimum) else info.minimum)
