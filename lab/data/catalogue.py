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
