"""Parameters across fields: what is refused and which field it names; the widths of a block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.parameters import ParameterError, Plan, validate
from workloads.activations.parameters import ActivationParameters, round_up


def cell_of(**values):
    return validate(ActivationParameters, values)


@pytest.mark.parametrize(
    ("values", "name", "allowed"),
    [
        ({"functions": ["phi6", "copy"]}, "functions", "gelu_erf or gelu_tanh"),
        ({"functions": ["gelu_erf", "copy"]}, "functions", "besides GELU and copy"),
        ({"mode": "ffn", "implementations": ["numpy"]}, "implementations", "inside an FFN"),
        ({"d_model": 4}, "d_model", "from 8 to 16384"),
        ({"expansion": "3"}, "expansion", "4, 8/3, 2, 4/3, 1"),
        ({"cache": []}, "cache", "cold, warm"),
        ({"energy": "a little"}, "energy", "none, standard, thorough"),
    ],
)
def test_a_refusal_names_its_field(values, name, allowed):
    with pytest.raises(ParameterError) as refused:
        cell_of(**values)
    assert refused.value.name == name
    assert allowed in str(refused.value)


def test_numpy_alone_is_the_published_benchmark_outside_an_ffn():
    assert cell_of(implementations=["numpy"]).implementations == ("numpy",)


def test_the_published_width_is_odd_and_its_multiples_are_not():
    published = cell_of(mode="ffn", d_model=4096, expansion="4/3")
    assert published.d_ff == 5461  # floor(4 · 4096 / 3) = floor(5461.33)
    assert cell_of(mode="ffn", d_model=4096, expansion="4/3", align="64").d_ff == 5504  # 86 · 64
    # 5504 = 43 · 128 is the multiple of both, and is measured once.
    assert published.widths == {"width_4x": 16384, "width_exact": 5461, "width_64": 5504}
    # floor(4 · 512 / 3) = 682: 11 · 64 = 704 and 6 · 128 = 768
    assert cell_of(d_model=512, expansion="4/3").widths == {"width_4x": 2048, "width_exact": 682, "width_64": 704, "width_128": 768}
    assert cell_of(d_model=4096, expansion="4").widths == {"width_4x": 16384}


def test_elements_are_what_the_activation_sees():
    assert cell_of(n=2048).elements == 2048
    assert cell_of(n=2048, mode="ffn", d_model=64, expansion="2", tokens=10).elements == 10 * 128


@given(width=st.integers(1, 10**6), multiple=st.sampled_from([1, 64, 128]))
def test_rounding_up_is_the_least_multiple(width, multiple):
    rounded = round_up(width, multiple)
    assert rounded % multiple == 0
    assert width <= rounded < width + multiple


@given(d_model=st.integers(8, 16384), expansion=st.sampled_from(["4", "8/3", "2", "4/3", "1"]))
def test_widths_are_distinct_and_hold_the_exact_one(d_model, expansion):
    cell = cell_of(d_model=d_model, expansion=expansion)
    widths = list(cell.widths.values())
    assert len(set(widths)) == len(widths)
    assert {4 * d_model, cell.exact_width} <= set(widths)
    numerator, _, denominator = expansion.partition("/")
    assert cell.exact_width == int(numerator) * d_model // int(denominator or 1)


def test_permalink_texts_of_an_ffn_read_back():
    plan = Plan.of(ActivationParameters, {"mode": "ffn", "expansion": ["4", "4/3"], "align": ["1", "128"], "energy": "thorough"})
    assert Plan.parse(ActivationParameters, plan.texts()) == plan
