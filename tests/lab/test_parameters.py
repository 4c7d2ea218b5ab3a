"""Parameters: every way in (text, JSON, Python) accepts the same values and refuses the rest with one line."""

import json
from typing import Literal, Self

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.parameters import MAX_CELLS, ParameterError, Parameters, Plan, fields, parameter, validate


class Example(Parameters):
    n: int = parameter(1024, title="N", help="elements", unit="elements", ge=2, le=1 << 20, scale="log2", group="main", sweep=True)
    rate: float = parameter(0.5, title="Rate", help="a rate", ge=0.0, le=1.0, sweep=True)
    dtype: Literal["float32", "bfloat16"] = parameter("float32", title="Type", help="a type", sweep=True)
    functions: tuple[Literal["gelu", "relu", "phi6"], ...] = parameter(("gelu",), title="Functions", help="some")
    shuffle: bool = parameter(False, title="Shuffle", help="a switch")

    @pydantic.model_validator(mode="after")
    def _relu_needs_room(self) -> Self:
        if "relu" in self.functions and self.n < 4:
            raise ParameterError("n", self.n, "at least 4 with relu")
        return self


def test_fields_describe_the_model():
    known = fields(Example)
    assert list(known) == ["n", "rate", "dtype", "functions", "shuffle"]
    assert (known["n"].kind, known["n"].minimum, known["n"].maximum, known["n"].scale) == ("int", 2, 1 << 20, "log2")
    assert known["functions"].kind == "choices"
    assert known["functions"].options == ("gelu", "relu", "phi6")
    assert known["n"].allowed == "a whole number from 2 to 1048576 elements"


@pytest.mark.parametrize(
    ("texts", "name", "says"),
    [
        ({"n": "1"}, "n", "from 2 to 1048576"),
        ({"n": "1e3"}, "n", "a whole number"),
        ({"n": "nan"}, "n", "a whole number"),
        ({"n": "12" * 400}, "n", "allowed"),
        ({"n": ",".join(str(i) for i in range(2, 500))}, "n", "longer than"),
        ({"n": "4,4"}, "n", "repeats"),
        ({"n": "4,"}, "n", "a whole number"),
        ({"n": "٣"}, "n", "a whole number"),
        ({"rate": "inf"}, "rate", "from 0 to 1"),
        ({"rate": "1.5"}, "rate", "from 0 to 1"),
        ({"rate": "1_0"}, "rate", "from 0 to 1"),
        ({"rate": "1e400"}, "rate", "from 0 to 1"),
        ({"dtype": "float64"}, "dtype", "one of float32, bfloat16"),
        ({"functions": ""}, "functions", "one or more"),
        ({"functions": "gelu,gelu"}, "functions", "each once"),
        ({"shuffle": "yes"}, "shuffle", "true or false"),
        ({"shuffle": "true,false"}, "shuffle", "cannot be swept"),
        ({"epochs": "3"}, "epochs", "belongs to no parameter"),
        ({"__class__": "x"}, "__class__", "belongs to no parameter"),
        ({"n": "2", "functions": "relu"}, "n", "at least 4 with relu"),
        ({"n": "\x00\x1b[31m"}, "n", "a whole number"),
    ],
)
def test_bad_text_is_refused_in_one_line(texts, name, says):
    with pytest.raises(ParameterError) as refused:
        Plan.parse(Example, texts)
    message = str(refused.value)
    assert message.startswith(f"{name}: ")
    assert says in message
    assert message.isprintable()


@pytest.mark.parametrize(
    "values",
    [
        {"n": 4.0},
        {"n": "4"},
        {"n": True},
        {"n": None},
        {"n": 2**70},
        {"rate": float("nan")},
        {"rate": float("-inf")},
        {"functions": ["relu", "relu"]},
        {"functions": "relu"},
        {"functions": []},
        {"functions": [["relu"]]},
        {"dtype": 3},
        {"shuffle": 1},
        {"other": 1},
        {"n": {"a": 1}},
    ],
)
def test_bad_json_values_are_refused(values):
    with pytest.raises(ParameterError) as refused:
        validate(Example, values)
    assert str(refused.value).startswith(next(iter(values)) + ": ")


def test_a_sweep_makes_every_combination_in_order():
    plan = Plan.parse(Example, {"n": "4,8", "dtype": "bfloat16,float32"})
    assert [(cell.n, cell.dtype) for cell in plan.cells] == [(4, "bfloat16"), (4, "float32"), (8, "bfloat16"), (8, "float32")]
    assert plan.swept == ("n", "dtype")


def test_too_many_combinations_are_refused():
    many = ",".join(str(n) for n in range(2, 2 + MAX_CELLS + 1))
    with pytest.raises(ParameterError, match=r"^n: .*at most 64"):
        Plan.parse(Example, {"n": many})


def test_texts_replace_a_preset_and_keep_the_rest():
    plan = Plan.parse(Example, {"n": "8"}, base={"n": [16, 32], "rate": 0.25})
    assert plan.values["n"] == (8,)
    assert plan.values["rate"] == (0.25,)


def in_order(functions):
    """All choices at once are written as "all", which is read in the order of the options."""
    options = fields(Example)["functions"].options
    return options if len(functions) == len(options) else tuple(functions)


plans = st.builds(
    lambda n, rate, dtype, functions, shuffle: Plan.of(
        Example, {"n": n, "rate": rate, "dtype": dtype, "functions": in_order(functions), "shuffle": shuffle}
    ),
    st.lists(st.integers(4, 1 << 20), min_size=1, max_size=3, unique=True),
    st.lists(st.floats(0, 1), min_size=1, max_size=2, unique_by=repr),
    st.lists(st.sampled_from(["float32", "bfloat16"]), min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(["gelu", "relu", "phi6"]), min_size=1, max_size=3, unique=True),
    st.booleans(),
)


@given(plans)
def test_a_plan_survives_text_and_json(plan):
    assert Plan.parse(Example, plan.texts()) == plan
    assert Plan.from_json(Example, json.loads(json.dumps(plan.to_json()))) == plan
    assert Plan.from_json(Example, plan.to_json()).cells == plan.cells


def test_all_choices_have_a_short_text():
    info = fields(Example)["functions"]
    assert info.text(tuple(reversed(info.options))) == "all"
    assert info.parse("all") == info.options
    assert info.text(info.options[:1]) == info.options[0]
    assert "or all" in info.allowed


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)


def refusal(read, *arguments):
    """The one line with which ``read`` refuses, or "" where it accepts; anything but ParameterError fails the test."""
    try:
        read(Example, *arguments)
    except ParameterError as refused:
        return str(refused)
    return ""


@given(st.dictionaries(st.sampled_from([*Example.model_fields, "x"]), st.text(max_size=500), max_size=4))
def test_hostile_text_is_accepted_or_refused_in_one_line(texts):
    assert "\n" not in refusal(Plan.parse, texts)


@given(json_values)
def test_hostile_json_is_accepted_or_refused_in_one_line(value):
    for data in ({"n": value}, {"rate": value}, {"functions": value}, value):
        assert "\n" not in refusal(Plan.from_json, data)
