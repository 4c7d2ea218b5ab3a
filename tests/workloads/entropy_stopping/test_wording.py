"""Rules and their settings in words."""

from __future__ import annotations

import pytest

from workloads.entropy_stopping.wording import point_words, setting_words, signed


def test_a_setting_is_named_after_what_it_sets() -> None:
    assert setting_words("plateau", 0.01) == "threshold 0.01"
    assert setting_words("plateau", "picked on test data") == "threshold picked on test data"
    assert setting_words("patience_loss", 3) == "patience 3"
    assert setting_words("cosine", 12) == "12 epochs"
    assert point_words("patience_accuracy", 3) == "on accuracy, patience 3"


@pytest.mark.parametrize(("points", "text"), [(0.1, "+0.10"), (-0.2, "−0.20"), (0.0, "0.00"), (-0.001, "0.00")])
def test_a_change_has_its_sign(points: float, text: str) -> None:
    assert signed(points) == text
