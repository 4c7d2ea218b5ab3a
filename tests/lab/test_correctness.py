"""The error bound that judges fast versions, derived by hand, and what counts as a wrong result."""

from __future__ import annotations

import pytest
import torch

from lab.correctness import disagreement, error_bound, failure_of


def test_error_bound_by_hand():
    exact = torch.tensor([1.0, 4.0], dtype=torch.float64)
    eager = torch.tensor([1.0, 4.0 + 2**-20], dtype=torch.float32)
    # The worst relative error of eager is 2⁻²⁰/4 = 2⁻²². Allowed: twice that, times the value, plus one rounding (ε = 2⁻²³) of the value.
    smallest = torch.finfo(torch.float32).smallest_normal * 2.0**-23
    expected = torch.tensor([2 * 2**-22 + 2**-23 + smallest, 4 * (2 * 2**-22 + 2**-23) + smallest], dtype=torch.float64)
    torch.testing.assert_close(error_bound(exact, eager), expected, rtol=0, atol=0)


def test_disagreement_names_the_first_wrong_element():
    exact = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    eager = exact.float()
    assert disagreement(eager.clone(), exact, eager) == ""
    assert "2 of 3 elements differ, first at (1,)" in disagreement(torch.tensor([1.0, 2.01, 0.0]), exact, eager)


@pytest.mark.parametrize("got", [0.0, float("inf")])
def test_disagreement_sees_a_missing_nan(got):
    exact = torch.tensor([float("nan")], dtype=torch.float64)
    assert disagreement(torch.tensor([got]), exact, exact.float())
    assert disagreement(exact.float(), exact, exact.float()) == ""


def test_overflow_must_match():
    # 300² is beyond float16's 65504, so the truth rounds to infinity there.
    exact = torch.tensor([9e4], dtype=torch.float64)
    assert disagreement(exact.half(), exact, exact.half()) == ""
    assert disagreement(torch.tensor([65504.0], dtype=torch.float16), exact, exact.half())


def test_failure_of_names_the_error_and_passes_out_of_memory_on():
    def refuse() -> str:
        raise RuntimeError("\nno such capability\nmore")

    def exhaust() -> str:
        raise torch.OutOfMemoryError("full")

    assert failure_of(lambda: "") == ""
    assert failure_of(lambda: "wrong") == "wrong"
    assert failure_of(refuse) == "RuntimeError: no such capability"
    with pytest.raises(torch.OutOfMemoryError):
        failure_of(exhaust)
