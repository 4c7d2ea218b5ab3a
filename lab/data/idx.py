"""Images and labels from the four IDX files of a folder, as MNIST and its successors come (Fashion-MNIST, EMNIST, KMNIST).

An IDX file is a big-endian header (two zero bytes, the type, 8 for unsigned bytes, the number of dimensions, each dimension as four bytes)
and then the values. Files are untrusted: what a header claims is compared with the size of the file before anything is allocated.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import stat
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from lab.data.catalogue import entry
from lab.data.dataset import Dataset, DataUnavailable, Split, fingerprint, stratified

FOLDER_VARIABLE = "EFFICIENCY_LAB_IDX"  # a folder of IDX files, for those who give none in the call
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
UNSIGNED_BYTE = 8  # the only type of values that images and labels come in
MAX_BYTES = 1 << 28  # of values in one file; MNIST has 47 MB
MAX_GZIP_RATIO = 1032  # DEFLATE cannot compress more
BLOCK_BYTES = 1 << 20
VALIDATION_SHARE = 1 / 6  # of the training images, as many as MNIST has test images
WHITE = 255


@dataclass(frozen=True)
class Known:
    """A published data set that is recognised by the SHA-256 of its four uncompressed files."""

    title: str
    source: str
    licence: str
    sha256: tuple[str, str, str, str]


KNOWN = (
    Known(
        "MNIST",
        "MNIST (LeCun, Cortes and Burges, 1998)",
        entry("mnist").licence,
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cd351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    Known(
        "Fashion-MNIST",
        "Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747)",
        "MIT",
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
)


class IdxError(ValueError):
    """A file is no readable IDX file; the message names the file and what is wrong with it."""


def load(*, cache_dir: Path, seed: int, folder: str | Path) -> Dataset:
    """The images [n, height, width] of ``folder`` (else of ``$EFFICIENCY_LAB_IDX``) as float32 in [0, 1].

    The files are ``FILES``, each plain or with ``.gz``. The t10k files are the test set; validation is a sixth of the training images,
    drawn by ``seed`` with equal shares of each class. Files that hold a known data set are recognised by their content. Raises
    DataUnavailable naming the file and what is wrong with it.
    """
    place = folder or os.environ.get(FOLDER_VARIABLE, "")
    if not place:
        raise DataUnavailable("idx", f"no folder is given (set ${FOLDER_VARIABLE})", entry("idx").alternative)
    try:
        arrays = [read(_find(Path(place), name), 3 if "images" in name else 1) for name in FILES]
        return dataset("idx", arrays, seed)
    except IdxError as error:
        raise DataUnavailable("idx", str(error), entry("idx").alternative) from None


def dataset(name: str, arrays: Sequence[np.ndarray], seed: int) -> Dataset:
    """The data set ``name`` from training images and labels, test images and labels (all uint8), named by its content where that is known.

    Raises IdxError if they do not fit together.
    """
    images, labels, test_images, test_labels = arrays
    for pictures, given, (file, label_file) in ((images, labels, FILES[:2]), (test_images, test_labels, FILES[2:])):
        if len(pictures) != len(given):
            raise IdxError(f"{label_file}: holds {len(given):,} labels for the {len(pictures):,} images of {file}")
    if images.shape[1:] != test_images.shape[1:]:
        sides = (" × ".join(map(str, shape[1:])) for shape in (test_images.shape, images.shape))
        raise IdxError(f"{FILES[2]}: its images have {next(sides)} pixels, those for training {next(sides)}")
    counts = np.bincount(labels)
    if np.count_nonzero(counts) < 2:
        raise IdxError(f"{FILES[1]}: all labels are {labels[0]}, there is nothing to tell apart")
    if unknown := sorted(set(np.unique(test_labels).tolist()) - set(np.flatnonzero(counts).tolist())):
        raise IdxError(f"{FILES[3]}: the label {unknown[0]} is never trained on")
    validation, train = stratified(labels, (VALIDATION_SHARE, 1 - VALIDATION_SHARE), np.random.default_rng(seed))
    if not len(validation):
        raise IdxError(f"{FILES[0]}: {len(images)} images are too few to keep a sixth of them for validation")
    parts = [
        Split(_scaled(images[train]), labels[train].astype(np.int64)),
        Split(_scaled(images[validation]), labels[validation].astype(np.int64)),
        Split(_scaled(test_images), test_labels.astype(np.int64)),
    ]
    known = recognised(arrays)
    return Dataset.of(
        name,
        parts,
        title=known.title if known else "",
        fixed=known is not None,
        source=known.source if known else "",
        licence=known.licence if known else "",
        n_classes=len(counts),
        sha256=fingerprint(*arrays, train, validation),
        chance=float(np.mean(test_labels == counts.argmax())),
    )


def recognised(arrays: Sequence[np.ndarray]) -> Known | None:
    """The published data set whose training images and labels, test images and labels these are, in its order; None for others."""
    labels = hashlib.sha256(_file(arrays[1])).hexdigest()  # small: told apart by them, others are not hashed any further
    for known in KNOWN:
        if labels == known.sha256[1] and tuple(hashlib.sha256(_file(array)).hexdigest() for array in arrays) == known.sha256:
            return known
    return None


def _file(array: np.ndarray) -> bytes:
    """The IDX file that holds ``array`` (uint8)."""
    header = bytes((0, 0, UNSIGNED_BYTE, array.ndim)) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return header + np.ascontiguousarray(array).tobytes()


def _scaled(images: np.ndarray) -> np.ndarray:
    return np.divide(images, WHITE, dtype=np.float32)


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if os.path.lexists(candidate):
            return candidate
    raise IdxError(f"{name}: is not in the folder, plain or with .gz")


def read(path: Path, n_dimensions: int) -> np.ndarray:
    """The values of one IDX file of unsigned bytes with ``n_dimensions``, plain or compressed with gzip.

    Never allocates more than the file can hold. Raises IdxError naming the file and what is wrong with it.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise IdxError(f"{path.name}: is no file")
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if compressed:
                with gzip.open(file) as content:
                    return _values(path.name, content, n_dimensions, MAX_GZIP_RATIO * status.st_size)
            return _values(path.name, file, n_dimensions, status.st_size)
    except OSError as error:  # gzip's errors among them
        raise IdxError(f"{path.name}: cannot be read ({error.strerror or error})") from None
    except EOFError:
        raise IdxError(f"{path.name}: is cut off") from None
    except zlib.error as error:
        raise IdxError(f"{path.name}: its compressed data are damaged ({error})") from None


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe without waiting for somebody to write into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _values(name: str, content: IO[bytes] | gzip.GzipFile, n_dimensions: int, most_bytes: int) -> np.ndarray:
    """The array in ``content``, which cannot hold more than ``most_bytes``."""
    header = content.read(4 + 4 * n_dimensions)
    if header[:3] != bytes((0, 0, UNSIGNED_BYTE)) and len(header) >= 4:
        raise IdxError(f"{name}: is no IDX file of unsigned bytes (it begins with {header[:4].hex(' ')})")
    if len(header) >= 4 and header[3] != n_dimensions:
        raise IdxError(f"{name}: has {header[3]} dimensions; {n_dimensions} are needed")
    if len(header) < 4 + 4 * n_dimensions:
        raise IdxError(f"{name}: is cut off in its header")
    shape = tuple(int.from_bytes(header[4 * i : 4 * i + 4], "big") for i in range(1, n_dimensions + 1))
    claimed = math.prod(shape)
    sides = " × ".join(f"{side:,}" for side in shape)
    if not claimed:
        raise IdxError(f"{name}: holds nothing ({sides})")
    if claimed > MAX_BYTES:
        raise IdxError(f"{name}: its header claims {sides} bytes; at most {MAX_BYTES:,} are read")
    if claimed + len(header) > most_bytes:
        raise IdxError(f"{name}: its header claims {sides} bytes, which the file is too short for")
    values = bytearray()
    while block := content.read(min(BLOCK_BYTES, claimed + 1 - len(values))):
        values += block
    if len(values) != claimed:
        raise IdxError(f"{name}: is {'longer' if len(values) > claimed else 'shorter'} than the {sides} bytes its header claims")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)
