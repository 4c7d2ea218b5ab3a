"""IDX files: what is read, and what is refused with the file's name and the fault."""

from __future__ import annotations

import gzip
import hashlib
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.data import DataUnavailable, idx, load

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = idx.FILES
N_TRAIN, N_TEST, N_CLASSES = 60, 20, 5


def content(shape: tuple[int, ...], values: bytes, kind: int = 8) -> bytes:
    """An IDX file, written by hand: two zero bytes, the type, the number of dimensions, each as four bytes, the values."""
    return bytes([0, 0, kind, len(shape)]) + b"".join(side.to_bytes(4, "big") for side in shape) + values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 60 and 20 images of 2 × 3 pixels in five classes."""
    for name, n in ((IMAGES, N_TRAIN), (TEST_IMAGES, N_TEST)):
        (tmp_path / name).write_bytes(content((n, 2, 3), bytes((7 * i + n) % 256 for i in range(6 * n))))
    for name, n in ((LABELS, N_TRAIN), (TEST_LABELS, N_TEST)):
        (tmp_path / name).write_bytes(content((n,), bytes(i % N_CLASSES for i in range(n))))
    return tmp_path


def read(folder: Path, seed: int = 0) -> idx.Dataset:
    return load("idx", cache_dir="unused", folder=folder, seed=seed)


def test_images_and_labels_are_read(folder: Path) -> None:
    found = read(folder)
    # A sixth of the twelve training images of each class: two.
    assert found.used().sizes == {"train": 50, "validation": 10, "test": 20}
    assert np.bincount(found.validation.targets).tolist() == [2] * 5
    assert found.test.inputs.shape == (20, 2, 3)
    # The first test image has the values 20, 27, 34, 41, 48, 55 of 255.
    np.testing.assert_allclose(found.test.inputs[0], np.array([[20, 27, 34], [41, 48, 55]]) / 255, rtol=1e-6)
    assert found.test.targets[:6].tolist() == [0, 1, 2, 3, 4, 0]
    assert (found.n_classes, found.chance) == (5, 0.2)
    assert found.label == f"IDX folder (SHA-256 {found.sha256[:8]}…)"


def test_the_seed_draws_the_validation_images(folder: Path) -> None:
    assert read(folder).sha256 == read(folder).sha256 != read(folder, seed=1).sha256


def test_compressed_files_are_the_same_data(folder: Path) -> None:
    plain = read(folder).sha256
    for name in idx.FILES:
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    assert read(folder).sha256 == plain


def test_the_folder_can_be_given_by_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataUnavailable, match=r"no folder is given \(set \$EFFICIENCY_LAB_IDX\); 'digits' is there instead"):
        load("idx", cache_dir="unused")
    monkeypatch.setenv("EFFICIENCY_LAB_IDX", str(folder))
    assert len(load("idx", cache_dir="unused").test) == N_TEST


def test_known_data_are_called_by_their_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [idx.read(folder / name, 3 if "images" in name else 1) for name in idx.FILES]
    assert idx.recognised(arrays) is None
    hashes = tuple(hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in idx.FILES)
    monkeypatch.setattr(idx, "KNOWN", (idx.Known("MNIST", "its source", "its licence", hashes),))
    found = read(folder)
    assert (found.name, found.label, found.source, found.licence) == ("idx", "MNIST", "its source", "its licence")
    (folder / TEST_IMAGES).write_bytes(content((N_TEST, 2, 3), bytes(6 * N_TEST)))  # the same labels, other pixels
    assert read(folder).label.startswith("IDX folder (")


def whole(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


FAULTS: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "empty": (IMAGES, lambda whole: b"", f"{IMAGES}: is cut off in its header"),
    "half a header": (LABELS, lambda whole: whole[:6], f"{LABELS}: is cut off in its header"),
    "cut off": (IMAGES, lambda whole: whole[:-1], f"{IMAGES}: its header claims 60 × 2 × 3 bytes, which the file is too short for"),
    "too long": (TEST_IMAGES, lambda whole: whole + b"0", f"{TEST_IMAGES}: is longer than the 20 × 2 × 3 bytes its header claims"),
    "text": (LABELS, lambda whole: b"label,pixel0\n5,0\n", f"{LABELS}: is no IDX file of unsigned bytes (it begins with 6c 61 62 65)"),
    "floats": (IMAGES, lambda whole: whole[:2] + b"\x0d" + whole[3:], f"{IMAGES}: is no IDX file of unsigned bytes"),
    "labels as images": (IMAGES, lambda whole: content((4,), b"0123"), f"{IMAGES}: has 1 dimensions; 3 are needed"),
    "no items": (TEST_LABELS, lambda whole: content((0,), b""), f"{TEST_LABELS}: holds nothing (0)"),
    "huge header": (
        IMAGES,
        lambda whole: content((2**32 - 1,) * 3, whole[16:]),
        f"{IMAGES}: its header claims 4,294,967,295 × 4,294,967,295 × 4,294,967,295 bytes; at most 268,435,456 are read",
    ),
    "large header": (IMAGES, lambda whole: content((1 << 14, 1 << 7, 1 << 7), whole[16:]), "which the file is too short for"),
    "huge compressed": (IMAGES, lambda whole: gzip.compress(content((1 << 14, 1 << 7, 1 << 7), b"0")), "which the file is too short for"),
    "compressed and cut off": (IMAGES, lambda whole: gzip.compress(whole)[:-12], f"{IMAGES}: is cut off"),
    "compressed and damaged": (IMAGES, lambda whole: gzip.compress(whole)[:-6] + bytes(6), f"{IMAGES}: cannot be read (CRC check failed"),
    "compressed and short": (
        IMAGES,
        lambda whole: gzip.compress(content((60, 2, 4), whole[16:])),
        f"{IMAGES}: is shorter than the 60 × 2 × 4 bytes its header claims",
    ),
    "fewer labels": (LABELS, lambda whole: content((59,), whole[8:-1]), f"{LABELS}: holds 59 labels for the 60 images of {IMAGES}"),
    "other sizes": (
        TEST_IMAGES,
        lambda whole: content((N_TEST, 3, 2), whole[16:]),
        f"{TEST_IMAGES}: its images have 3 × 2 pixels, those for training 2 × 3",
    ),
    "one class": (LABELS, lambda whole: content((60,), bytes([3]) * 60), f"{LABELS}: all labels are 3"),
    "an unknown class": (
        TEST_LABELS,
        lambda whole: content((20,), bytes([9]) + whole[9:]),
        f"{TEST_LABELS}: the label 9 is never trained on",
    ),
}


@pytest.mark.parametrize(("name", "broken", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_with_the_name_of_the_file(folder: Path, name: str, broken: Callable[[bytes], bytes], words: str) -> None:
    (folder / name).write_bytes(broken(whole(folder, name)))
    tracemalloc.start()
    try:
        with pytest.raises(DataUnavailable) as caught:
            read(folder)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20  # whatever a header claims
    finally:
        tracemalloc.stop()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.alternative == "digits"


def test_too_few_images_for_validation_are_refused(folder: Path) -> None:
    (folder / IMAGES).write_bytes(content((2, 2, 3), bytes(12)))
    (folder / LABELS).write_bytes(content((2,), bytes([0, 1])))
    (folder / TEST_LABELS).write_bytes(content((20,), bytes(20)))
    with pytest.raises(DataUnavailable, match="2 images are too few to keep a sixth"):
        read(folder)


def test_what_is_no_file_is_refused_at_once(folder: Path) -> None:
    (folder / LABELS).unlink()
    with pytest.raises(DataUnavailable, match=f"{LABELS}: is not in the folder, plain or with .gz"):
        read(folder)
    os.mkfifo(folder / LABELS)  # opening it must not wait for a writer
    with pytest.raises(DataUnavailable, match=f"{LABELS}: is no file"):
        read(folder)
    (folder / LABELS).unlink()
    (folder / LABELS).mkdir()
    with pytest.raises(DataUnavailable, match=f"{LABELS}: cannot be read"):
        read(folder)
    (folder / LABELS).rmdir()
    (folder / LABELS).symlink_to(LABELS)  # to itself
    with pytest.raises(DataUnavailable, match=f"{LABELS}: cannot be read .*[Ll]evels of symbolic links"):
        read(folder)
    with pytest.raises(DataUnavailable, match="is not in the folder"):
        read(folder / "nowhere")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_are_an_array_or_an_error_with_the_name(tmp_path: Path, found: bytes) -> None:
    path = tmp_path / "some-file"
    for data in (found, bytes([0, 0, 8, 1]) + found, b"\x1f\x8b" + found):
        path.write_bytes(data)
        try:
            told = len(idx.read(path, 1)) == len(data) - 8
        except idx.IdxError as error:
            told = str(error).startswith("some-file: ")
        assert told
