"""MNIST from OpenML with a stand-in for the network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lab.data import DataUnavailable, load, mnist, needs_download


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST with 120 training and 30 test images of 2 × 2 pixels."""
    for name, value in {"N_TRAIN": 120, "N_TEST": 30, "SIDE": 2}.items():
        monkeypatch.setattr(mnist, name, value)


def answer(monkeypatch: pytest.MonkeyPatch, fetch: Callable[[], tuple[np.ndarray, np.ndarray]]) -> None:
    monkeypatch.setattr(mnist, "_fetch", fetch)


def good() -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(0).integers(256, size=(150, 4), dtype=np.uint8)
    return pixels, (np.arange(150) % 10).astype(np.uint8)


def no_network() -> tuple[np.ndarray, np.ndarray]:
    raise OSError("<urlopen error [Errno -2] Name or service not known>")


def test_a_download_is_kept_and_not_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, good)
    assert needs_download("mnist", tmp_path)
    first = load("mnist", cache_dir=tmp_path)
    assert first.used().sizes == {"train": 100, "validation": 20, "test": 30}
    assert not needs_download("mnist", tmp_path)
    answer(monkeypatch, no_network)
    assert load("mnist", cache_dir=tmp_path).sha256 == first.sha256
    assert load("mnist", cache_dir=tmp_path, seed=1).sha256 != first.sha256  # another validation set
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mnist.npz"]


def test_what_is_not_the_published_content_is_not_called_mnist_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, good)
    found = load("mnist", cache_dir=tmp_path)
    assert found.label == f"MNIST (SHA-256 {found.sha256[:8]}…)"


def test_a_damaged_file_is_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, good)
    before = load("mnist", cache_dir=tmp_path).sha256
    kept = mnist.cache_file(tmp_path)
    for damaged in (b"", kept.read_bytes()[:200], b"no archive"):
        kept.write_bytes(damaged)
        assert load("mnist", cache_dir=tmp_path).sha256 == before
    np.savez(kept, pixels=np.zeros((3, 4), np.uint8), labels=np.zeros(3, np.uint8))  # of another size
    assert load("mnist", cache_dir=tmp_path).sha256 == before


def test_without_a_network_the_alternatives_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, no_network)
    with pytest.raises(DataUnavailable) as caught:
        load("mnist", cache_dir=tmp_path)
    assert str(caught.value) == (
        "data set 'mnist' cannot be used: the download from OpenML failed (<urlopen error [Errno -2] Name or service not known>); "
        "a folder with its IDX files serves as well (data set idx); 'digits' is there instead"
    )


def test_a_download_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go_on = threading.Event()

    def hang() -> tuple[np.ndarray, np.ndarray]:
        assert socket.getdefaulttimeout() == mnist.SILENCE_S  # a connection without a byte does not last
        go_on.wait(60)
        return good()

    answer(monkeypatch, hang)
    monkeypatch.setattr(mnist, "DOWNLOAD_LIMIT_S", 0.05)
    before = socket.getdefaulttimeout()
    try:
        with pytest.raises(DataUnavailable, match=r"took more than 0\.05 s"):
            load("mnist", cache_dir=tmp_path)
    finally:
        go_on.set()
    assert socket.getdefaulttimeout() == before


def test_a_download_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, lambda: (np.zeros((150, 5), np.uint8), np.zeros(150, np.uint8)))
    with pytest.raises(DataUnavailable, match="150 labels and 750 pixels, not those of 150 images"):
        load("mnist", cache_dir=tmp_path)


def test_a_full_disk_costs_only_the_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer(monkeypatch, good)
    (tmp_path / "data").write_text("a file where the folder would be")
    assert len(load("mnist", cache_dir=tmp_path).test) == 30
