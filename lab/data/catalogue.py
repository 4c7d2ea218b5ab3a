"""What data sets there are: their titles, sources and licences, for specs and pages. Light: imports neither NumPy nor scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "images", "series", "tokens"]


@dataclass(frozen=True)
class Entry:
    """One data set as readers see it before it is loaded.

    ``n_classes`` is None where only the loaded data tell (the vocabulary of a text, the labels of a folder). ``alternative`` names the
    data set that is offered where this one cannot be had; ``download_bytes`` is what a first use fetches (0: nothing). ``loader`` is
    ``module:function``, called by :func:`lab.data.load`.
    """

    name: str
    title: str
    kind: Kind
    source: str
    licence: str
    n_classes: int | None
    loader: str
    alternative: str = ""
    download_bytes: int = 0


_ENTRIES = (
    Entry(
        name="text",
        title="built-in text",
        kind="text",
        source="the language reference that ships inside CPython (pydoc_data.topics)",
        licence="Python Software Foundation License 2",
        n_classes=None,
        loader="lab.data.text:load",
    ),
    Entry(
        name="digits",
        title="digits",
        kind="images",
        source="scikit-learn's digits: the test part of UCI's Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998)",
        licence="CC BY 4.0",
        n_classes=10,
        loader="lab.data.digits:load",
    ),
    Entry(
        name="mnist",
        title="MNIST",
        kind="images",
        source="MNIST (LeCun, Cortes and Burges, 1998), from OpenML (data set 554, mnist_784)",
        licence="CC BY-SA 3.0",
        n_classes=10,
        loader="lab.data.mnist:load",
        alternative="digits",
        download_bytes=15_000_000,
    ),
    Entry(
        name="idx",
        title="IDX folder",
        kind="images",
        source="four IDX files in a folder of this machine",
        licence="that of the files",
        n_classes=None,
        loader="lab.data.idx:load",
        alternative="digits",
    ),
    Entry(
        name="mnist1d",
        title="MNIST-1D",
        kind="series",
        source="generated as MNIST-1D is (Greydanus, 2020, arXiv:2011.14439)",
        licence="Apache 2.0 (the published templates)",
        n_classes=10,
        loader="lab.data.mnist1d:load",
    ),
    Entry(
        name="recall",
        title="associative recall",
        kind="tokens",
        source="generated: key-value pairs, then one key; the answer is its value",
        licence="none needed",
        n_classes=None,
        loader="lab.data.sequences:load_recall",
    ),
    Entry(
        name="copy",
        title="fixed-offset copy",
        kind="tokens",
        source="generated: random tokens; the answer is the token at a fixed distance before the last",
        licence="none needed",
        n_classes=None,
        loader="lab.data.sequences:load_copy",
    ),
)


def names() -> tuple[str, ...]:
    """The names of all data sets."""
    return tuple(entry.name for entry in _ENTRIES)


def entry(name: str) -> Entry:
    """What is known of a data set before it is loaded. Raises ValueError listing the names there are."""
    for found in _ENTRIES:
        if found.name == name:
            return found
    raise ValueError(f"data set {name[:60]!r} is unknown; there are {', '.join(names())}")
