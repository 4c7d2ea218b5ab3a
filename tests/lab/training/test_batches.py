"""Orders of data: whole epochs, seeds that decide alone, and what cannot be batched."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lab.parameters import ParameterError
from lab.training.batches import Samples, Windows, consecutive_windows


def numbered(n: int, batch_size: int, seeds: list[int], **options: object) -> Samples:
    """Examples whose input and target are their own number."""
    return Samples(torch.arange(n), torch.arange(n), batch_size, seeds, **options)


def drawn(batches: Samples | Windows, steps: int) -> list[Tensor]:
    return list(islice(batches.indices(), steps))


@given(n=st.integers(1, 30), batch_size=st.integers(1, 30), epochs=st.integers(1, 3), seed=st.integers(0, 1000))
def test_each_epoch_takes_every_example_once(n: int, batch_size: int, epochs: int, seed: int) -> None:
    batch_size = min(batch_size, n)
    batches = numbered(n, batch_size, [seed])
    steps = drawn(batches, epochs * batches.steps_per_epoch)
    for epoch in range(epochs):
        taken = torch.cat(steps[epoch * batches.steps_per_epoch : (epoch + 1) * batches.steps_per_epoch], 1)[0]
        assert sorted(taken.tolist()) == list(range(n))


def test_a_short_last_batch_is_kept_or_dropped() -> None:
    assert [batch.shape[1] for batch in drawn(numbered(10, 4, [0]), 4)] == [4, 4, 2, 4]
    assert [batch.shape[1] for batch in drawn(numbered(10, 4, [0], drop_last=True), 4)] == [4, 4, 4, 4]


def test_the_stored_order_can_be_kept() -> None:
    assert [batch.tolist() for batch in drawn(numbered(3, 2, [0, 1], shuffle=False), 2)] == [[[0, 1], [0, 1]], [[2], [2]]]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=4))
def test_an_order_depends_on_its_own_seed_alone(seeds: list[int]) -> None:
    text = torch.arange(40)
    for together, alone in (
        (numbered(20, 8, seeds), [numbered(20, 8, [seed]) for seed in seeds]),
        (Windows(text, 5, 8, seeds), [Windows(text, 5, 8, [seed]) for seed in seeds]),
    ):
        for i, single in enumerate(alone):
            for batch, own in zip(drawn(together, 4), drawn(single, 4), strict=True):
                assert torch.equal(batch[i], own[0])


def test_orders_differ_between_seeds_and_epochs() -> None:
    first, second = drawn(numbered(50, 50, [1, 2]), 2)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], second[0])


def test_inputs_and_targets_stay_together() -> None:
    batches = numbered(20, 8, [1, 2])
    inputs, targets = batches.gather(drawn(batches, 1)[0])
    assert torch.equal(inputs, targets)


def test_each_model_can_have_its_own_data() -> None:
    data = torch.tensor([[0, 1, 2], [10, 11, 12]])
    batches = Samples(data, data, 3, [5, 5, 6], owners=[1, 0, 1])
    inputs, _ = batches.gather(drawn(batches, 1)[0])
    assert sorted(inputs[0].tolist()) == [10, 11, 12]
    assert (inputs[0] - 10).tolist() == inputs[1].tolist()  # equal seeds, equal order
    assert sorted(inputs[2].tolist()) == [10, 11, 12]


def test_windows_are_followed_by_their_targets() -> None:
    batches = Windows(torch.arange(30, dtype=torch.uint8), 5, 64, [0])
    inputs, targets = batches.gather(drawn(batches, 1)[0])
    assert torch.equal(inputs + 1, targets)
    assert torch.equal(inputs[0], inputs[0, :, :1] + torch.arange(5))
    assert set(range(25)) >= set(inputs[0, :, 0].tolist())  # the last start leaves room for 5 inputs and a target: 24
    assert inputs.dtype == torch.int64


def test_every_start_of_a_window_can_come() -> None:
    starts = torch.cat(drawn(Windows(torch.arange(8), 5, 64, [0]), 4), 1)
    assert starts.unique().tolist() == [0, 1, 2]


def test_consecutive_windows_predict_every_token_once() -> None:
    inputs, targets = consecutive_windows(torch.arange(12), 4)
    assert inputs.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert targets.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("batch_size", lambda: numbered(10, 11, [0])),
        ("batch_size", lambda: numbered(10, 0, [0])),
        ("seeds", lambda: numbered(10, 5, [])),
        ("owners", lambda: Samples(torch.zeros(2, 4), torch.zeros(2, 4), 2, [0, 1], owners=[0, 2])),
        ("context", lambda: Windows(torch.arange(6), 6, 2, [0])),
        ("context", lambda: consecutive_windows(torch.arange(6), 6)),
    ],
)
def test_what_cannot_be_batched_is_refused_by_name(field: str, make: object) -> None:
    with pytest.raises(ParameterError) as refused:
        make()
    assert refused.value.name == field


def test_a_batch_larger_than_the_data_is_refused_in_words() -> None:
    with pytest.raises(ParameterError, match="from 1 to 10, the number of examples"):
        numbered(10, 11, [0])


def test_inputs_without_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="same examples"):
        Samples(torch.zeros(4, 2), torch.zeros(5), 2, [0])
