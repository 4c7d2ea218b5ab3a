"""MNIST-1D, generated."""

from __future__ import annotations

import numpy as np
import pytest

from lab.data import load, mnist1d


def test_templates_begin_at_zero_with_a_deviation_of_a_sixth() -> None:
    found = mnist1d.templates()
    assert found.shape == (10, 12)
    np.testing.assert_allclose(found[:, 0], 0)
    np.testing.assert_allclose(found.std(axis=1), 1 / 6)


def test_stretching_keeps_ends_and_shape() -> None:
    # The first three of four points, 0, 1, 2, over four places: 0, 2/3, 4/3, 2. All four: as they are.
    series = np.array([[0.0, 1.0, 2.0, 9.0], [0.0, 1.0, 2.0, 9.0]])
    np.testing.assert_allclose(mnist1d._stretch(series, np.array([3, 4])), [[0, 2 / 3, 4 / 3, 2], [0, 1, 2, 9]])


def test_smoothing_is_what_scipy_does() -> None:
    from scipy.ndimage import gaussian_filter1d

    noise = np.random.default_rng(0).standard_normal((3, 72))
    np.testing.assert_allclose(mnist1d._smooth(noise), gaussian_filter1d(noise, 2.0, axis=1), atol=1e-12)


def test_without_its_random_parts_a_series_is_its_template(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SCALE", "CORRELATED_NOISE", "WHITE_NOISE", "SHEAR"):
        monkeypatch.setattr(mnist1d, name, 0.0)
    monkeypatch.setattr(mnist1d, "MAX_SHIFT", 1)
    monkeypatch.setattr(mnist1d, "MIN_PADDING", 60)
    shapes = mnist1d.templates()
    # 12 + 60 points stretched to 72 are themselves; 40 samples over places 0 to 71.
    places = np.linspace(0, 71, 40)
    expected = np.array([np.interp(places, np.arange(72), np.concatenate([shape, np.zeros(60)])) for shape in shapes])
    np.testing.assert_allclose(mnist1d.distort(shapes, np.random.default_rng(0)), expected, atol=1e-12)


def test_the_published_sizes_and_a_standard_scale() -> None:
    found = load("mnist1d", cache_dir="unused")
    assert found.used().sizes == {"train": 3200, "validation": 800, "test": 1000}
    assert found.train.inputs.shape[1] == 40
    assert found.train.inputs.mean() == pytest.approx(0, abs=1e-5)
    assert found.train.inputs.std() == pytest.approx(1, abs=1e-5)
    assert np.bincount(found.test.targets).tolist() == [100] * 10


def test_a_linear_model_is_about_as_good_as_published() -> None:
    # Published: 32 % for logistic regression. Least squares on one-hot targets, a weaker linear classifier, stands in for it.
    found = load("mnist1d", cache_dir="unused")
    train = np.c_[found.train.inputs, np.ones(len(found.train))]
    weights, *_ = np.linalg.lstsq(train, np.eye(10)[found.train.targets], rcond=None)
    right = (np.c_[found.test.inputs, np.ones(len(found.test))] @ weights).argmax(axis=1) == found.test.targets
    assert 0.2 < right.mean() < 0.35


@pytest.mark.parametrize("n_samples", [0, 99, 1_000_001])
def test_sizes_out_of_range_are_refused(n_samples: int) -> None:
    with pytest.raises(ValueError, match=f"n_samples is {n_samples}; allowed: 100 to 1000000"):
        load("mnist1d", cache_dir="unused", n_samples=n_samples)
