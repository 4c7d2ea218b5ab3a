"""Trainings on a task small enough for a test: stored curves against trainings that really stop, models alone against batched ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from workloads.entropy_stopping.examples import Examples, Part
from workloads.entropy_stopping.models import build, item_entropy
from workloads.entropy_stopping.parameters import EntropyStoppingParameters
from workloads.entropy_stopping.recording import Outcome, Recorder
from workloads.entropy_stopping.rules import Curves, PatienceOnLoss, Plateau, Rule, SmoothedPlateau, Stop
from workloads.entropy_stopping.studies import Sound, _picked
from workloads.entropy_stopping.training import Trainer, evaluation, without_diverged

EPOCHS = 6
SEEDS = (0, 1, 2)
RULES: tuple[Rule, ...] = (Plateau(0.08, 2), SmoothedPlateau(0.02), PatienceOnLoss(1))


def part(n: int, seed: int) -> Part:
    """Points in a plane with their quadrant, a fifth of them mislabelled, so that losses turn."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=random)
    labels = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
    noisy = torch.rand(n, generator=random) < 0.2
    return Part(x, torch.where(noisy, torch.randint(4, (n,), generator=random), labels))


@pytest.fixture(scope="module")
def data() -> Examples:
    return Examples("quadrants", 4, part(96, 0), part(64, 1), part(50, 2))


@pytest.fixture(scope="module")
def params() -> EntropyStoppingParameters:
    return EntropyStoppingParameters(
        epochs=EPOCHS, seeds=3, batch_size=32, window=2, patience=1, learning_rate=0.02, schedules=2, tuned=False
    )


@pytest.fixture(scope="module")
def trainer(params: EntropyStoppingParameters, data: Examples) -> Trainer:
    return Trainer(params, data, data.train, "cpu")


def test_the_entropy_of_a_prediction_is_shannon_s() -> None:
    # Uniform over four: ln 4. Probabilities 1/2, 1/4, 1/4: (1/2) ln 2 + 2 · (1/4) ln 4 = 1.5 ln 2. A certain one: 0.
    logits = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [math.log(2), 0.0, 0.0, -math.inf], [1e4, 0.0, 0.0, 0.0]]])
    found = item_entropy(logits[:, [0, 2]], torch.zeros(1, 2))
    assert found.tolist() == [pytest.approx([math.log(4), 0.0])]
    three = torch.tensor([[[math.log(2), 0.0, 0.0]]])
    assert item_entropy(three, torch.zeros(1, 1)).item() == pytest.approx(1.5 * math.log(2))


def test_the_published_model_is_the_difference_of_its_two_mlps() -> None:
    from lab.training.initialisation import initialise

    model = initialise(build("difference", 2, (3,), 4, 0.3), [0, 1]).eval()
    x = torch.randn(2, 5, 3)
    torch.testing.assert_close(model(x), model.first(x) - model.second(x))
    assert not torch.equal(model.first(x), model.second(x))  # each drawn for itself
    # 2 · (784 · 128 + 128 + 128 · 10 + 10) parameters on MNIST
    assert sum(p[0].numel() for p in build("difference", 1, (784,), 10, 0.3).parameters()) == 2 * 101_770


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_on_stored_curves_stops_where_a_training_under_it_ends(rule: Rule, trainer: Trainer, data: Examples) -> None:
    stored, points = trainer.run(SEEDS, EPOCHS, data.validation, 0.02, keep=True)
    for _ in points:
        pass
    tested = stored.tested(data.test)
    stops = [rule.stop(stored.curves(model)) for model in range(len(SEEDS))]
    assert any(stop is not None and stop.fired for stop in stops)
    for model, stop in enumerate(stops):
        assert stop is not None
        live, points = trainer.run(SEEDS, EPOCHS, data.validation, 0.02, keep=True)
        for _ in points:  # a training that asks the rule after every epoch and ends when it says so
            said = rule.stop(live.curves(model))
            if said is not None and said.fired:
                break
        assert live.epochs == stop.epoch
        accuracy = evaluation(data.test).items(live.model)["accuracy"]
        if stop.kept == stop.epoch:  # what is left of the live training is what was kept of the stored one
            np.testing.assert_array_equal(accuracy[model].numpy(), tested[stop.epoch - 1, model])
        else:
            np.testing.assert_array_equal(live.tested(data.test)[stop.kept - 1, model], tested[stop.kept - 1, model])


def test_a_seed_trained_alone_has_the_curve_it_has_in_a_batch(trainer: Trainer, data: Examples) -> None:
    together, points = trainer.run(SEEDS, 3, data.validation, 0.02)
    list(points)
    alone, points = trainer.run(SEEDS[1:2], 3, data.validation, 0.02)
    list(points)
    for curve in ("entropy", "loss", "accuracy"):
        assert getattr(alone.curves(0), curve) == pytest.approx(getattr(together.curves(1), curve), rel=1e-4)


def test_testing_later_finds_what_evaluating_at_once_would_have(trainer: Trainer, data: Examples) -> None:
    """The parameters after each epoch are kept: the test set watched live gives the same answers as tested from what was kept."""
    watched, points = trainer.run(SEEDS, 3, data.test, 0.02)
    list(points)
    kept, points = trainer.run(SEEDS, 3, data.validation, 0.02, keep=True)
    list(points)
    np.testing.assert_array_equal(kept.tested(data.test), np.stack(watched.correct))


def test_a_training_that_diverges_has_no_accuracy_from_there_on(params: EntropyStoppingParameters, data: Examples) -> None:
    trainer = Trainer(params, data, data.train, "cpu")
    trained, points = trainer.run(SEEDS, 3, data.validation, 1e6, keep=True)
    list(points)
    assert (trained.diverged_at > 0).all()
    assert all(Plateau(0.01, 1).stop(trained.curves(model)) is None for model in range(3))
    tested = trained.tested(data.test)
    for model, epoch in enumerate(trained.diverged_at):
        assert np.isnan(tested[epoch - 1 :, model]).all()
    correct = without_diverged(np.ones((3, 2, 4)), np.array([0, 2]))
    assert correct[:, 0].min() == 1
    assert np.isnan(correct[1:, 1]).all()
    assert correct[0, 1].min() == 1


def test_a_threshold_is_picked_for_each_seed_by_the_accuracies_given() -> None:
    # Two thresholds stop seed 0 after 1 and 2 of 4 epochs. By these accuracies epoch 1 loses 1 point, epoch 2 loses 0.2: epoch 2 it is.
    accuracy = np.array([[97.0, 98.0], [97.8, 98.0], [98.0, 98.0], [98.0, 98.0]])
    correct = np.zeros((4, 2, 3))
    correct[1, 0] = 1
    rules = [
        Outcome("plateau", 0.05, (Stop(1, 1), Stop(1, 1)), correct[0], accuracy[0], True),
        Outcome("plateau", 0.01, (Stop(2, 2), Stop(3, 3)), correct[1], accuracy[1], True),
        Outcome("smoothed_plateau", 0.01, (Stop(1, 1), Stop(1, 1)), correct[0], accuracy[0], True),
    ]
    found = _picked("picked on test data", rules, correct, accuracy)
    assert found.stops == (Stop(2, 2), Stop(1, 1))
    assert found.correct[0].tolist() == [1, 1, 1]


def test_a_usual_practice_is_never_chosen_by_test_data(params: EntropyStoppingParameters, data: Examples) -> None:
    """With the test answers reversed, the practices that the rule is compared with stay the same."""

    def against(records: list) -> list[tuple[object, object]]:
        return [(r.dimensions["against"], r.dimensions["against_setting"]) for r in records]

    def outcomes(flip: bool) -> tuple[Outcome, list[Outcome]]:
        def made(arm: str, setting: int, epochs: int, accuracy: float) -> Outcome:
            correct = np.full((3, 5), 0.0 if flip else 1.0)
            return Outcome(arm, setting, (Stop(epochs, epochs),) * 3, correct, np.full(3, accuracy), arm != "cosine")

        return made("plateau", 1, 3, 90.0), [made("cosine", 3, 3, 91.0), made("cosine", 6, 6, 95.0), made("patience_loss", 1, 2, 90.0)]

    class Context:
        device = "cpu"

    sound = Sound(params, data, Context())  # type: ignore[arg-type]
    chosen = [against(list(sound._comparisons(*outcomes(flip)))) for flip in (False, True)]
    assert chosen[0] == chosen[1]
    # At 3 epochs the cosine of 3 is the most accurate on validation data; patience reaches 90 % after 2 epochs.
    assert set(chosen[0]) == {("full_budget", ""), ("cosine", 3), ("patience_loss", 1)}


def test_a_value_that_is_not_finite_is_missing_with_its_reason() -> None:
    recorder = Recorder("sound", "cpu", "mlp", "digits", (0,))
    record = recorder.record("curve", "constant_rate", "loss", math.nan, "nats", seed=0)
    assert (record.value, record.reason) == (None, "the model diverged")


def test_stops_are_told_once_and_while_training_goes_on(trainer: Trainer, data: Examples) -> None:
    recorder = Recorder("sound", "cpu", "mlp", "quadrants", SEEDS)
    trained, points = trainer.run(SEEDS, EPOCHS, data.validation, 0.02)
    told = []
    for _ in points:
        told += [(trained.epochs, r.value, r.seed) for r in recorder.live_stops([Plateau(0.08, 2)], trained)]
    assert all(epoch == value for epoch, value, _ in told)
    assert sorted(seed for *_, seed in told) == sorted({seed for *_, seed in told})
    stops = [Plateau(0.08, 2).stop(trained.curves(model)) for model in range(3)]
    assert len(told) == sum(stop is not None and stop.fired for stop in stops)


def test_curves_can_be_cut() -> None:
    assert Curves([1, 2, 3], [4, 5, 6], [7, 8, 9]).first(2) == Curves([1, 2], [4, 5], [7, 8])
