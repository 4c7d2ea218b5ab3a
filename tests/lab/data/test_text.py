"""The built-in text and its split by topic."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.data import load, text
from lab.data.dataset import DataUnavailable

LONG = "this sentence has more than forty characters"
OTHER = "another sentence that is longer than forty characters"


def test_a_repeated_paragraph_stays_in_the_longest_topic_only() -> None:
    topics = {"if": f"If\n\n{LONG}", "compound": f"Compound\n\n{LONG}\n\n{OTHER}", "in": f"In\n\n{OTHER} too"}
    kept = text.without_repeats(topics)
    assert kept == {"compound": f"Compound\n\n{LONG}\n\n{OTHER}", "in": f"In\n\n{OTHER} too"}  # nothing is left of "if" but its title


def test_line_breaks_and_footnote_numbers_make_no_new_paragraph() -> None:
    broken = LONG.replace("has more", "has\n   more [3]").replace(" [3]", "[3]")
    assert list(text.without_repeats({"a": f"{LONG}\n\n{OTHER}", "b": broken})) == ["a"]


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.text("xyz \n", max_size=200), max_size=12))
def test_each_topic_goes_into_one_part_and_held_out_parts_stay_small(topics: dict[str, str]) -> None:
    parts = text.split(topics)
    assert sorted(name for part in parts for name in part) == sorted(topics)
    whole = sum(map(len, topics.values()))
    assert all(sum(map(len, part.values())) <= 0.1 * whole for part in parts[1:])
    assert text.split(dict(reversed(topics.items()))) == parts  # whatever the order


@given(st.text("añ€😀\n ", min_size=1, max_size=60))
def test_encoding_is_undone_by_decoding(characters: str) -> None:
    vocabulary = tuple(sorted(set(characters)))
    ids = text.encode(characters, vocabulary)
    assert ids.dtype == np.uint8
    assert text.decode(ids, vocabulary) == characters


def test_too_many_characters_are_refused() -> None:
    # 15 topics of 20 characters each, and the line break between topics.
    with pytest.raises(ValueError, match="301 distinct characters"):
        text.dataset({f"topic {i}": "".join(chr(1000 + 20 * i + j % 20) for j in range(50)) for i in range(15)})


def test_too_few_topics_to_hold_any_out_are_refused() -> None:
    with pytest.raises(ValueError, match="too few topics"):
        text.dataset({"topic": LONG, "other": OTHER})


@pytest.fixture(scope="module")
def found() -> text.Dataset:
    return load("text", cache_dir="unused")


def test_the_target_of_a_character_is_the_next_one(found: text.Dataset) -> None:
    for part in (found.train, found.validation, found.test):
        np.testing.assert_array_equal(part.inputs[1:], part.targets[:-1])
    assert found.n_classes == len(found.vocabulary) <= 256


def test_the_shares_are_near_eighty_ten_ten(found: text.Dataset) -> None:
    sizes = found.used().sizes
    whole = sum(sizes.values())
    assert 0.78 < sizes["train"] / whole < 0.84
    assert all(0.08 < sizes[part] / whole < 0.11 for part in ("validation", "test"))


def test_held_out_text_is_hardly_ever_found_in_training_text(found: text.Dataset) -> None:
    train, validation, test = (
        re.sub(r"\s+", " ", text.decode(part.inputs, found.vocabulary)) for part in (found.train, found.validation, found.test)
    )
    trained = {train[i : i + 60] for i in range(len(train))}
    for held_out in (validation, test):
        pieces = [held_out[i : i + 60] for i in range(0, len(held_out) - 60, 20)]
        assert sum(piece in trained for piece in pieces) / len(pieces) < 0.03  # a split that keeps repeats has 0.32 and 0.74


def test_the_label_names_python_and_the_hash(found: text.Dataset) -> None:
    assert re.fullmatch(rf"built-in text of Python [\d.]+\S* \(SHA-256 {found.sha256[:8]}…\)", found.label)
    again = load("text", cache_dir="unused", seed=5)  # the split is fixed
    assert again.sha256 == found.sha256
    changed = text.dataset({f"topic {i}": f"{OTHER} {i}" for i in range(20)})
    assert changed.sha256 != found.sha256
    assert changed.label != found.label


def test_a_python_without_its_documentation_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataUnavailable, match="without pydoc_data"):
        load("text", cache_dir="unused")
