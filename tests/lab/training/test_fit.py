"""Training: points worked out by hand, batched against alone, divergence that stays where it is, graphs against single steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lab.parameters import ParameterError
from lab.training.batches import Samples, Windows
from lab.training.evaluation import Evaluation
from lab.training.fit import Point, fit, last
from lab.training.initialisation import initialise, take
from lab.training.models import CharacterModel, ConvNet, Mlp
from lab.training.optimisers import Adam, AdamW, Sgd
from tests.lab.training.conftest import Parabola, half_square


def no_data(models: int) -> Samples:
    return Samples(torch.zeros(4, 1), torch.zeros(4), 2, list(range(models)))


def parabolas(rates: list[float], steps: int, every: int | None = None, **options: object) -> tuple[Parabola, list[Point]]:
    model = initialise(Parabola(len(rates)), range(len(rates))).double()
    optimiser = Sgd(model, torch.tensor(rates, dtype=torch.float64))
    points = fit(
        model, optimiser, no_data(len(rates)), steps, loss=half_square, evaluate=lambda m: {"w": m.w[:, 0]}, every=every, **options
    )
    return model, list(points)


def test_points_by_hand() -> None:
    # Rate 1/2 halves w at each step: losses before the steps 1/2, 1/8, 1/32, 1/128, 1/512.
    _, points = parabolas([0.5], steps=5, every=2)
    assert [point.step for point in points] == [0, 2, 4, 5]
    assert [point.metrics["w"][0] for point in points] == pytest.approx([1, 1 / 4, 1 / 16, 1 / 32])
    assert np.isnan(points[0].train_loss[0])
    assert [point.train_loss[0] for point in points[1:]] == pytest.approx([5 / 16, 5 / 256, 1 / 512])
    assert points[1].step_losses[:, 0].tolist() == pytest.approx([1 / 2, 1 / 8])
    assert [point.seconds for point in points] == sorted(point.seconds for point in points)


def test_a_model_that_diverges_is_found_at_its_step_and_no_other_is_touched() -> None:
    # Rate 3: w ← −2w, the loss grows fourfold a step: 4³ = 64 > 50 times the first is the loss of step 4.
    model, points = parabolas([0.5, 3.0, 0.25], steps=8, every=3)
    assert points[1].diverged_at.tolist() == [-1, -1, -1]
    assert points[2].diverged_at.tolist() == [-1, 4, -1]
    assert points[3].diverged_at.tolist() == [-1, 4, -1]
    assert points[2].diverged.tolist() == [False, True, False]
    assert np.isnan(points[2].metrics["w"][1])
    assert points[3].metrics["w"][[0, 2]] == pytest.approx([0.5**8, 0.75**8])
    assert model.w[1].isnan().all()


def test_a_loss_that_is_not_finite_is_divergence() -> None:
    # Rate 1e200 overflows: w = −1e200 after the first step, so the loss of step 2 is infinite.
    _, points = parabolas([1e200, 0.5], steps=4, exploded=float("inf"))
    assert points[-1].diverged_at.tolist() == [2, -1]


def test_parameters_that_are_not_finite_after_the_last_step_are_divergence() -> None:
    model = initialise(Parabola(2), [0, 1])
    optimiser = Sgd(model, torch.tensor([1e39, 0.5], dtype=torch.float64))  # beyond float32: w = −inf after the only step
    point = last(fit(model, optimiser, no_data(2), 1, loss=half_square))
    assert point.diverged_at.tolist() == [1, -1]


@pytest.mark.parametrize("make", [Sgd, Adam])
def test_neighbours_of_a_diverging_model_train_as_without_it(make: type, classes: tuple[Tensor, Tensor]) -> None:
    def trained(seeds: list[int], rates: list[float]) -> tuple[Mlp, Point]:
        model = initialise(Mlp(len(seeds), (6, 8, 4), torch.relu), seeds).double()
        batches = Samples(*classes, 16, seeds)
        return model, last(fit(model, make(model, torch.tensor(rates)), batches, 40, evaluate=Evaluation(*classes), every=5))

    beside, point = trained([1, 2, 3], [0.01, 1e30, 0.01])
    without, _ = trained([1, 3], [0.01, 0.01])
    assert point.diverged.tolist() == [False, True, False]
    assert np.isnan([values[1] for values in point.metrics.values()]).all()
    for own, expected in zip(take(beside, 0, 2).parameters(), without.parameters(), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-11, atol=1e-13)


TEXT = torch.randint(9, (200,), generator=torch.Generator().manual_seed(0))


def character(seeds: list[int], device: str = "cpu") -> tuple[nn.Module, Windows]:
    model = initialise(CharacterModel(len(seeds), 9, 6, 8, 1, 2, 16, dropout=0.1), seeds).to(device, torch.float64)
    return model, Windows(TEXT.to(device), 6, 4, seeds)


def mlp(seeds: list[int], device: str = "cpu") -> tuple[nn.Module, Samples]:
    x = torch.randn(70, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64, device="cpu")
    model = initialise(Mlp(len(seeds), (6, 8, 8, 4), torch.relu, dropout=0.3), seeds).to(device, torch.float64)
    return model, Samples(x.to(device), (x[:, 0] > 0).long().to(device), 32, seeds)  # a batch of 6 ends each epoch


def convolutions(seeds: list[int], device: str = "cpu") -> tuple[nn.Module, Samples]:
    x = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = initialise(ConvNet(len(seeds), (8, 8), (1, 3), 2), seeds).to(device, torch.float64)
    return model, Samples(x.to(device), (x.mean((1, 2, 3)) > 0).long().to(device), 16, seeds)


PROBLEMS = [mlp, character, convolutions]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_model_trained_with_others_is_the_model_trained_alone(problem: object) -> None:
    seeds, rates = [4, 2, 9], [0.01, 0.02, 0.005]
    model, batches = problem(seeds)
    together = last(fit(model, AdamW(model, rates), batches, 10)).step_losses
    for i in range(3):
        alone, own_batches = problem([seeds[i]])
        losses = last(fit(alone, AdamW(alone, rates[i]), own_batches, 10)).step_losses
        np.testing.assert_allclose(losses[:, 0], together[:, i], rtol=1e-9)
        for own, batched in zip(alone.parameters(), take(model, i).parameters(), strict=True):
            torch.testing.assert_close(own, batched, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("problem", [mlp, character])
def test_equal_seeds_give_equal_results(problem: object) -> None:
    # Exactly, and in any order of the models.
    def losses(seeds: list[int]) -> np.ndarray:
        model, batches = problem(seeds)
        return last(fit(model, Adam(model, 0.01), batches, 6)).step_losses

    first = losses([1, 2, 3])
    assert np.array_equal(first, losses([1, 2, 3]))
    np.testing.assert_allclose(losses([3, 1, 2]), first[:, [2, 0, 1]], rtol=1e-12)


def test_who_stops_reading_leaves_the_model_there() -> None:
    model = initialise(Parabola(1), [0]).double()
    points = fit(model, Sgd(model, 0.5), no_data(1), 100, loss=half_square, every=3)
    next(points), next(points)
    points.close()
    assert model.w.item() == pytest.approx(1 / 8)


def test_batches_of_other_models_are_refused() -> None:
    model = initialise(Parabola(2), [0, 1])
    with pytest.raises(ParameterError, match="batches"):
        last(fit(model, Sgd(model, 0.5), no_data(3), 1, loss=half_square))


@pytest.mark.parametrize(("field", "options"), [("steps", {"steps": 0}), ("every", {"steps": 1, "every": -1})])
def test_lengths_below_one_are_refused(field: str, options: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match=field):
        parabolas([0.5], **options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("make", [Sgd, AdamW])
def test_graph_replays_are_the_single_steps(problem: object, make: type) -> None:
    seeds = [1, 2, 3]
    curves = []
    for device, graph in (("cuda", True), ("cuda", False), ("cpu", False)):
        model, batches = problem(seeds, device)
        points = list(fit(model, make(model, [0.01, 1e30, 0.02]), batches, 12, graph=graph, every=4))
        curves.append(np.concatenate([point.step_losses for point in points]))
        assert points[-1].diverged.tolist() == [False, True, False]
    for other in curves[1:]:
        np.testing.assert_allclose(curves[0][:, [0, 2]], other[:, [0, 2]], rtol=1e-8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_that_cannot_be_captured_is_run_eagerly_and_says_so() -> None:
    def waits(model: Parabola, inputs: Tensor, targets: Tensor) -> Tensor:
        model.w.sum().item()
        return half_square(model, inputs, targets)

    model = initialise(Parabola(1), [0]).double().cuda()
    batches = Samples(torch.zeros(4, 1, device="cuda"), torch.zeros(4, device="cuda"), 2, [0])
    with pytest.warns(UserWarning, match="run eagerly"):
        last(fit(model, Sgd(model, 0.5), batches, 3, loss=waits))
    assert model.w.item() == pytest.approx(1 / 8)
    torch.rand(1, device="cuda")  # nor does the capture that failed keep the generator
