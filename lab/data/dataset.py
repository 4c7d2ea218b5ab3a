"""A data set in three parts, the hash that tells it from every other, and the error of one that cannot be had."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.data.catalogue import Entry, Kind, entry
from lab.records import DataUsed

LABEL_DIGITS = 8  # of the SHA-256 in a label: enough to tell the data sets of one lab apart


class DataUnavailable(RuntimeError):
    """A data set cannot be had. ``alternative`` names another one that is always there ("" for none); nobody takes it in silence."""

    def __init__(self, name: str, reason: str, alternative: str = "") -> None:
        self.name, self.reason, self.alternative = name, reason, alternative
        offer = f"; {alternative!r} is there instead" if alternative else ""
        super().__init__(f"data set {name!r} cannot be used: {reason}{offer}")


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set: ``inputs`` [n, …] and ``targets`` [n] or [n, …], item by item. Raises ValueError if their lengths differ.

    Of a text both are token ids [n]: the target of a position is the token that follows it.
    """

    inputs: np.ndarray
    targets: np.ndarray

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise ValueError(f"{len(self.inputs)} inputs do not fit {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with its provenance; training, validation and test are disjoint.

    ``sha256`` covers every input and target of the three parts (and the vocabulary): results of different hashes are never compared.
    ``label`` is the name to give in a measurement (``Measured.data``, a dimension ``data``): the title alone for published data with one
    fixed content, else with the beginning of the hash, so that results of other data never meet under one name. ``chance`` is the accuracy
    of guessing (0 to 1). ``vocabulary`` holds the characters of a text by token id. ``note`` says what a reader must know.
    """

    name: str
    title: str
    label: str
    source: str
    licence: str
    sha256: str
    kind: Kind
    n_classes: int
    train: Split
    validation: Split
    test: Split
    chance: float
    vocabulary: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        parts: Sequence[Split],
        *,
        n_classes: int,
        sha256: str,
        chance: float,
        title: str = "",
        fixed: bool = False,
        source: str = "",
        licence: str = "",
        vocabulary: tuple[str, ...] = (),
        note: str = "",
    ) -> Dataset:
        """The data set ``name`` of the catalogue from its ``parts`` (train, validation, test).

        ``fixed`` marks published data of one content. Title, source and licence are those of the catalogue unless given.
        """
        train, validation, test = parts
        known: Entry = entry(name)
        called = title or known.title
        return cls(
            name=name,
            title=called,
            label=called if fixed else f"{called} (SHA-256 {sha256[:LABEL_DIGITS]}…)",
            source=source or known.source,
            licence=licence or known.licence,
            sha256=sha256,
            kind=known.kind,
            n_classes=n_classes,
            train=train,
            validation=validation,
            test=test,
            chance=chance,
            vocabulary=vocabulary,
            note=note,
        )

    def used(self) -> DataUsed:
        """The event that puts this data set into the run's manifest."""
        sizes = {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}
        return DataUsed(self.name, self.title, self.label, self.source, self.licence, self.sha256, sizes, self.note)


def fingerprint(*arrays: np.ndarray, text: str = "") -> str:
    """The SHA-256 (hex) of the arrays' types, shapes and values in order, then of ``text``; the same on every machine."""
    digest = hashlib.sha256()
    for array in arrays:
        little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(little.reshape(-1).view(np.uint8).data)
    digest.update(text.encode())
    return digest.hexdigest()


def stratified(labels: np.ndarray, shares: Sequence[float], rng: np.random.Generator) -> list[np.ndarray]:
    """Random disjoint index sets, one per share (of 1), each with the class proportions of ``labels`` [n]; their union is everything.

    Within each class the cumulative shares are rounded, so that a part misses its share by less than one item per class.
    """
    ends = np.cumsum([0.0, *shares])
    if not np.isclose(ends[-1], 1.0):
        raise ValueError(f"the shares add up to {ends[-1]:g}, not to 1")
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    for value in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == value))
        cuts = np.rint(ends / ends[-1] * len(members)).astype(int)
        for part, start, stop in zip(parts, cuts, cuts[1:], strict=False):
            part.append(members[start:stop])
    return [rng.permutation(np.concatenate(part)) for part in parts]
