"""Data sets of the training studies: text, images and sequences, each with its source, licence, split and SHA-256.

    catalogue (light: titles, licences, what needs a download) <- specs, pages
    load(name) -> Dataset(train, validation, test) -> used() -> the run's manifest

NumPy only; scikit-learn is imported by the loaders that need it. Nothing is downloaded without :func:`needs_download` saying so before, and
nothing is replaced in silence: what is not there is a :class:`DataUnavailable` that names an alternative.
"""

from lab.data.dataset import Dataset, DataUnavailable, Split
from lab.data.loading import load, needs_download

__all__ = ["DataUnavailable", "Dataset", "Split", "load", "needs_download"]
