"""Associative recall and fixed-offset copy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.data import load

SIZES = (60, 20, 20)


@settings(max_examples=25)
@given(n_pairs=st.integers(4, 10), distance=st.integers(1, 40), spare=st.integers(0, 10), seed=st.integers(0, 2**31))
def test_the_answer_is_the_value_of_the_key_that_is_asked_for(n_pairs: int, distance: int, spare: int, seed: int) -> None:
    seq_len = 2 * n_pairs + distance + spare
    found = load("recall", cache_dir="", seed=seed, n_pairs=n_pairs, distance=distance, seq_len=seq_len, sizes=SIZES)
    assert (found.n_classes, found.chance, len(found.vocabulary)) == (n_pairs, 1 / n_pairs, 2 * n_pairs + 1)
    for inputs, target in zip(found.train.inputs.astype(int), found.train.targets, strict=True):
        (asked,) = np.flatnonzero(inputs[:-1] == inputs[-1])  # the key stands once before the query
        assert found.vocabulary[inputs[asked + 1]] == f"value {target}"
        assert (seq_len - 1 - (asked + 1) - distance) in range(0, 2 * n_pairs, 2)
        pairs = inputs[spare : spare + 2 * n_pairs]
        assert sorted(pairs) == list(range(2 * n_pairs))
        assert {*inputs[:spare], *inputs[spare + 2 * n_pairs : -1]} <= {2 * n_pairs}  # filler before and after


def test_the_place_of_the_queried_pair_tells_nothing() -> None:
    inputs = load("recall", cache_dir="", n_pairs=4, distance=1, seq_len=9, sizes=(800, 1, 1)).train.inputs
    places = [int(np.flatnonzero(row[:-1] == row[-1])[0]) // 2 for row in inputs]
    # 800 draws over four places: 200 each with deviation √(800·¼·¾) = 12.2; five of them are 61.
    assert np.abs(np.bincount(places, minlength=4) - 200).max() <= 61


@settings(max_examples=25)
@given(distance=st.integers(1, 30), spare=st.integers(1, 10), n_tokens=st.integers(2, 20), seed=st.integers(0, 2**31))
def test_the_answer_of_a_copy_stands_at_the_distance(distance: int, spare: int, n_tokens: int, seed: int) -> None:
    seq_len = distance + spare + 16
    found = load("copy", cache_dir="", seed=seed, distance=distance, seq_len=seq_len, n_tokens=n_tokens, sizes=SIZES)
    np.testing.assert_array_equal(found.test.targets, found.test.inputs[:, seq_len - 1 - distance])
    assert found.chance == 1 / n_tokens


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("recall", {"distance": 0}, "distance is 0; allowed: 1 to seq_len − 2 n_pairs = 48"),
        ("recall", {"distance": 49}, "distance is 49"),
        ("recall", {"n_pairs": 1}, "n_pairs is 1"),
        ("recall", {"n_pairs": 200}, "n_pairs is 200; allowed: 2 to 127"),
        ("recall", {"sizes": (0, 1, 1)}, "number of training sequences is 0"),
        ("recall", {"sizes": (1, 1, 0)}, "number of test sequences is 0"),
        ("recall", {"n_pairs": 2, "sizes": (8, 1, 1)}, "number of sequences is 10; .* of which only 8"),  # 2!·2! pairs, 2 queries
        ("recall", {"seq_len": 10**9}, "number of tokens"),
        ("copy", {"distance": 64}, "distance is 64; allowed: 1 to seq_len − 1 = 63"),
        ("copy", {"n_tokens": 257}, "n_tokens is 257"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(name, cache_dir="", **options)
