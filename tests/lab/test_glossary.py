"""The glossary: every verdict word and every metric that several experiments share is in it, and words are found."""

from __future__ import annotations

from collections import Counter

import pytest

from lab import verdicts
from lab.energy import ENERGY_METRICS
from lab.glossary import GROUPS, TERMS, found
from lab.workload import PRESETS, experiments


def test_every_verdict_word_is_explained() -> None:
    assert {term.name for term in TERMS} >= set(verdicts.WORDS)


def test_every_metric_of_the_instrument_is_explained() -> None:
    """Time, memory and joules, which most experiments measure; each experiment's own metrics are listed from its declaration."""
    shared = Counter(name for declared in experiments().values() for name in declared.metrics)
    instrument = {name for name, count in shared.items() if count >= 4}
    assert {"latency_s", "device_time_s", "peak_memory_bytes", *ENERGY_METRICS} <= instrument
    assert {term.name for term in TERMS} >= instrument


@pytest.mark.parametrize("word", [*PRESETS, "protocol", "implementation", "preset", "observation", "segment", "mirrored pass", "interval",
    "cold cache", "gross joules", "net joules", "drift", "Holm", "non-inferiority", "A/A", "recorded run", "imported run"])  # fmt: skip
def test_the_words_of_the_pages_are_found_by_name(word: str) -> None:
    assert found(word)


def test_each_word_stands_once_in_a_known_group_and_says_something() -> None:
    names = Counter(name for term in TERMS for name in term.names)
    assert [name for name, count in names.items() if count > 1] == []
    assert {term.group for term in TERMS} == set(GROUPS)
    assert all(term.meaning.endswith(".") and 20 < len(term.meaning) < 300 for term in TERMS)


def test_a_name_comes_before_a_mention() -> None:
    assert found("HOLM")[0].name == "Holm"
    assert found("net  joules")[0].name == "energy_net_j"
    assert [term.name for term in found("spectacles")] == []
    assert found("") == list(TERMS)
