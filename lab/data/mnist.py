"""MNIST from OpenML, fetched once and kept."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import zipfile
from pathlib import Path

import numpy as np

from lab.data import idx
from lab.data.catalogue import entry
from lab.data.dataset import Dataset, DataUnavailable

N_TRAIN, N_TEST, SIDE = 60_000, 10_000, 28
SILENCE_S = 20.0  # without a byte, after which a connection counts as lost
DOWNLOAD_LIMIT_S = 300.0  # for the whole download, its unpacking included


def load(*, cache_dir: Path, seed: int, folder: str | Path) -> Dataset:
    """MNIST as float32 images [n, 28, 28] in [0, 1]: 50,000 for training, 10,000 for validation (by ``seed``), the published test set.

    The first use downloads about 15 MB (:func:`lab.data.needs_download` says so beforehand) and keeps them in ``cache_dir``. What came is
    called MNIST only if its content is. Raises DataUnavailable where the download fails or takes more than ``DOWNLOAD_LIMIT_S``.
    """
    arrays = _kept(cache_file(cache_dir))
    if arrays is None:
        arrays = _arrays(*_download())
        _keep(cache_file(cache_dir), arrays)
    return idx.dataset("mnist", arrays, seed)


def cache_file(cache_dir: Path) -> Path:
    """Where a download is kept."""
    return cache_dir / "data" / "mnist.npz"


def _kept(path: Path) -> list[np.ndarray] | None:
    """The arrays kept at ``path``; None where there are none or they cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            return _arrays(found["pixels"], found["labels"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, DataUnavailable):
        return None


def _keep(path: Path, arrays: list[np.ndarray]) -> None:
    """Keep the arrays for the next time; a full disk only means that they are downloaded again."""
    new = path.with_suffix(f".{os.getpid()}.tmp")
    pixels, labels = np.concatenate([arrays[0], arrays[2]]), np.concatenate([arrays[1], arrays[3]])
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with new.open("wb") as file:
                np.savez_compressed(file, pixels=pixels, labels=labels)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


def _arrays(pixels: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Training images and labels, test images and labels from all pixels and labels (uint8) in the published order."""
    n = N_TRAIN + N_TEST
    if pixels.size != n * SIDE * SIDE or labels.shape != (n,) or not pixels.dtype == labels.dtype == np.uint8:
        raise _unavailable(f"the download holds {labels.size:,} labels and {pixels.size:,} pixels, not those of {n:,} images")
    images = pixels.reshape(n, SIDE, SIDE)
    return [images[:N_TRAIN], labels[:N_TRAIN], images[N_TRAIN:], labels[N_TRAIN:]]


def _download() -> tuple[np.ndarray, np.ndarray]:
    """All pixels and labels from OpenML, within ``DOWNLOAD_LIMIT_S``."""
    found: list[tuple[np.ndarray, np.ndarray]] = []
    failed: list[Exception] = []

    def fetch() -> None:
        try:
            found.append(_fetch())
        except Exception as error:  # of the network, the server or the parser: each is told to the reader
            failed.append(error)

    # In a thread, because nothing else bounds a name server that does not answer; left behind, it ends with the worker.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        thread = threading.Thread(target=fetch, name="download MNIST", daemon=True)
        thread.start()
        thread.join(DOWNLOAD_LIMIT_S)
    finally:
        socket.setdefaulttimeout(before)
    if failed:
        lines = str(failed[0]).strip().splitlines() or [type(failed[0]).__name__]
        raise _unavailable(f"the download from OpenML failed ({lines[0][:200]})")
    if not found:
        raise _unavailable(f"the download from OpenML took more than {DOWNLOAD_LIMIT_S:g} s")
    return found[0]


def _fetch() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import fetch_openml

    found = fetch_openml("mnist_784", version=1, as_frame=False, parser="pandas", cache=False, n_retries=1)
    return np.asarray(found.data).astype(np.uint8), np.asarray(found.target).astype(np.uint8)


def _unavailable(reason: str) -> DataUnavailable:
    return DataUnavailable("mnist", f"{reason}; a folder with its IDX files serves as well (data set idx)", entry("mnist").alternative)
