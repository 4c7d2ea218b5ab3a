"""The language reference inside CPython as a character text, split by topic.

The topics quote each other: "compound" holds the whole of "if" and "while", and a fifth of all paragraphs stand in two topics or more. With
a split by topic alone, 74 % of the test text (in pieces of 60 characters, Python 3.11) stands in the training text as well. So each
paragraph is kept once only, in the longest of the topics that hold it, before the topics are split: that leaves 1.5 %. The text differs
between versions of Python: its hash and the version are in the label.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lab.data.catalogue import entry
from lab.data.dataset import Dataset, DataUnavailable, Split, fingerprint

MIN_PARAGRAPH = 40  # characters; a shorter one (a heading, "Note:") may be repeated, it says nothing of what follows
HELD_OUT_SHARE = 0.1  # of the characters, for validation and for test each
MAX_VOCABULARY = 256  # token ids are uint8


def load(*, cache_dir: Path, seed: int, folder: str | Path) -> Dataset:
    """The built-in text as token ids, one per character; the split is fixed, ``seed`` changes nothing.

    Raises DataUnavailable where this Python was installed without its documentation data.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataUnavailable("text", "this Python was installed without pydoc_data, which holds it", entry("text").alternative) from None
    return dataset(topics)


def dataset(topics: Mapping[str, str]) -> Dataset:
    """The text of ``topics`` (name → text), each paragraph once, split by topic.

    Raises ValueError for more than 256 distinct characters and for too few topics.
    """
    texts = ["\n\n".join(topic for _, topic in sorted(part.items())) for part in split(without_repeats(topics))]
    if min(map(len, texts)) < 2:
        raise ValueError(f"there are too few topics ({len(topics)}) to keep some for validation and test")
    vocabulary = tuple(sorted(set("".join(texts))))
    if len(vocabulary) > MAX_VOCABULARY:
        raise ValueError(f"the text has {len(vocabulary)} distinct characters; at most {MAX_VOCABULARY} fit its token ids")
    tokens = [encode(text, vocabulary) for text in texts]
    counts = np.bincount(tokens[0], minlength=len(vocabulary))
    return Dataset.of(
        "text",
        [Split(ids[:-1], ids[1:]) for ids in tokens],
        title=f"built-in text of Python {platform.python_version()}",
        n_classes=len(vocabulary),
        sha256=fingerprint(*tokens, text="".join(vocabulary)),
        chance=float(np.mean(tokens[2][1:] == counts.argmax())),
        vocabulary=vocabulary,
        note="The text differs between versions of Python; losses are comparable only where the SHA-256 is the same.",
    )


def without_repeats(topics: Mapping[str, str]) -> dict[str, str]:
    """The topics with every paragraph of at least ``MIN_PARAGRAPH`` characters once only, in the longest topic that holds it.

    Two paragraphs are the same where they differ in white space and footnote numbers only. Topics of which nothing is left are dropped.
    """
    seen: set[str] = set()
    kept: dict[str, str] = {}
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        paragraphs = []
        for paragraph in re.split(r"\n\s*\n", topics[name]):
            content = re.sub(r"\s+", " ", re.sub(r"\[\d+\]", "", paragraph)).strip()
            if len(content) >= MIN_PARAGRAPH:
                if content in seen:
                    continue
                seen.add(content)
            paragraphs.append(paragraph)
        if any(len(paragraph) >= MIN_PARAGRAPH for paragraph in paragraphs):
            kept[name] = "\n\n".join(paragraphs)
    return kept


def split(topics: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Whole topics for training, validation and test: about 80, 10 and 10 % of the characters, the same for the same topics.

    In the order of the SHA-256 of their names, which has nothing to do with what they say, topics go where they still fit: test,
    validation, else training.
    """
    room = HELD_OUT_SHARE * sum(map(len, topics.values()))
    train: dict[str, str] = {}
    validation: dict[str, str] = {}
    test: dict[str, str] = {}
    for name in sorted(topics, key=lambda name: hashlib.sha256(name.encode()).digest()):
        size = len(topics[name])
        fits = (part for part in (test, validation) if sum(map(len, part.values())) + size <= room)
        next(fits, train)[name] = topics[name]
    return train, validation, test


def encode(text: str, vocabulary: tuple[str, ...]) -> np.ndarray:
    """Token ids [n] (uint8) of ``text``: the place of each character in ``vocabulary``, which is sorted and holds them all."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    known = np.frombuffer("".join(vocabulary).encode("utf-32-le"), dtype="<u4")
    return np.searchsorted(known, codes).astype(np.uint8)


def decode(ids: np.ndarray, vocabulary: tuple[str, ...]) -> str:
    """The text of token ids [n]; the inverse of :func:`encode`."""
    return "".join(vocabulary[index] for index in ids)
