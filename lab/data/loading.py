"""Loads a data set by its name."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from lab.data import catalogue, mnist
from lab.data.dataset import Dataset


def load(name: str, *, cache_dir: str | Path, seed: int = 0, folder: str | Path = "", **options: Any) -> Dataset:
    """The data set ``name`` (one of ``catalogue.names()``); equal arguments give equal data.

    ``seed`` decides what is random about it (a split, generated sequences). ``cache_dir`` keeps what was downloaded; ``folder`` is where
    the data set ``idx`` lies. ``options`` are those of its loader (``distance`` of ``recall`` and ``copy``). Raises ValueError for an
    unknown name or a bad option, DataUnavailable where the data cannot be had.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; allowed: 0 or more")
    module, _, function = catalogue.entry(name).loader.partition(":")
    return getattr(importlib.import_module(module), function)(cache_dir=Path(cache_dir), seed=seed, folder=folder, **options)


def needs_download(name: str, cache_dir: str | Path) -> str:
    """What a first use of the data set fetches and from where, in one sentence to show beforehand; "" where nothing is downloaded."""
    known = catalogue.entry(name)
    if not known.download_bytes or mnist.cache_file(Path(cache_dir)).is_file():
        return ""
    return f"{known.title} is downloaded from OpenML, once, about {known.download_bytes / 1e6:.0f} MB"
