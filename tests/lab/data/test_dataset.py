"""What every data set has: disjoint parts, a hash, a place in the manifest."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.data import Dataset, DataUnavailable, Split, catalogue, load, needs_download
from lab.data.dataset import fingerprint, stratified

SMALL: dict[str, dict[str, object]] = {
    "text": {},
    "digits": {},
    "mnist1d": {"n_samples": 500},
    "recall": {"sizes": (200, 50, 50)},
    "copy": {"sizes": (200, 50, 50)},
}


def rows(split: Split) -> set[bytes]:
    return {np.ascontiguousarray(item).tobytes() for item in split.inputs}


@pytest.mark.parametrize("name", SMALL)
def test_equal_seeds_give_equal_data_and_the_hash_says_so(name: str) -> None:
    first, second, other = (load(name, cache_dir="unused", seed=seed, **SMALL[name]) for seed in (3, 3, 4))
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(first, part).inputs, getattr(second, part).inputs)
        np.testing.assert_array_equal(getattr(first, part).targets, getattr(second, part).targets)
    assert first.sha256 == second.sha256
    assert (first.sha256 == other.sha256) == (name == "text")  # whose split is fixed


@pytest.mark.parametrize("name", ["digits", "mnist1d", "recall", "copy"])
def test_no_item_is_in_two_parts(name: str) -> None:
    found = load(name, cache_dir="unused", **SMALL[name])
    train, validation, test = rows(found.train), rows(found.validation), rows(found.test)
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_digits_are_all_there_in_equal_shares_of_each_class() -> None:
    found = load("digits", cache_dir="unused")
    parts = (found.train, found.validation, found.test)
    assert sum(map(len, parts)) == 1797
    for part in parts:
        assert part.inputs.dtype == np.float32
        assert part.inputs.shape[1:] == (8, 8)
        assert (part.inputs.min(), part.inputs.max()) == (0, 1)
    # 174 (digit 8) to 183 (digit 3) of each digit: a fifth is 34.8 to 36.6, so a test set has 34 to 37 of each.
    counts = np.bincount(found.test.targets)
    assert counts.min() >= 34
    assert counts.max() <= 37


def test_the_event_for_the_manifest_says_all_that_matters() -> None:
    used = load("digits", cache_dir="unused").used()
    assert (used.name, used.title, used.licence) == ("digits", "digits", "CC BY 4.0")
    assert used.label == f"digits (SHA-256 {used.sha256[:8]}…)"
    assert "Alpaydin" in used.source
    assert set(used.sizes) == {"train", "validation", "test"}


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 100),
)
def test_a_stratified_split_shares_out_every_index_once(counts: list[int], cuts: tuple[float, float], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    low, high = sorted(cuts)
    shares = (low, high - low, 1 - high)
    if not len(labels):
        return
    parts = stratified(labels, shares, np.random.default_rng(seed))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    for part, share in zip(parts, shares, strict=True):
        for value, count in enumerate(counts):
            assert abs(np.count_nonzero(labels[part] == value) - share * count) <= 1  # both ends are rounded


def test_shares_must_make_a_whole() -> None:
    with pytest.raises(ValueError, match=r"add up to 0\.9"):
        stratified(np.zeros(4), (0.5, 0.4), np.random.default_rng(0))


@pytest.mark.parametrize(
    "changed",
    [np.array([[1, 2, 4]], dtype=np.int16), np.array([[1, 2, 3]], dtype=np.int32), np.array([[1], [2], [3]], dtype=np.int16)],
)
def test_the_hash_depends_on_values_type_and_shape(changed: np.ndarray) -> None:
    before = np.array([[1, 2, 3]], dtype=np.int16)
    assert fingerprint(before) == fingerprint(before.astype(">i2")) != fingerprint(changed)
    assert fingerprint(before, text="a") != fingerprint(before, text="b")


def test_inputs_need_as_many_targets() -> None:
    with pytest.raises(ValueError, match="3 inputs do not fit 2 targets"):
        Split(np.zeros(3), np.zeros(2))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'imagenet' is unknown; there are text, digits, mnist, idx, mnist1d, recall, copy"):
        load("imagenet", cache_dir="unused")
    with pytest.raises(ValueError, match="seed is -1"):
        load("digits", cache_dir="unused", seed=-1)


def test_only_what_is_fetched_announces_a_download(tmp_path: object) -> None:
    assert {name for name in catalogue.names() if needs_download(name, str(tmp_path))} == {"mnist"}
    assert needs_download("mnist", str(tmp_path)) == "MNIST is downloaded from OpenML, once, about 15 MB"


def test_alternatives_are_data_sets_that_are_always_there() -> None:
    for name in catalogue.names():
        known = catalogue.entry(name)
        if known.alternative:
            assert not catalogue.entry(known.alternative).download_bytes
            assert not catalogue.entry(known.alternative).alternative
    error = DataUnavailable("mnist", "no network", "digits")
    assert str(error) == "data set 'mnist' cannot be used: no network; 'digits' is there instead"


def test_published_data_of_one_content_need_no_hash_in_their_label() -> None:
    part = Split(np.zeros((1, 2)), np.zeros(1))
    assert Dataset.of("mnist", [part] * 3, n_classes=10, sha256="abc", chance=0.1, fixed=True).label == "MNIST"


def test_the_package_is_light() -> None:
    code = "import sys, lab.data, lab.data.catalogue; print([m for m in ('torch', 'scipy', 'sklearn', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
