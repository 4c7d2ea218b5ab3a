"""The sequences that models learn: read out where the question stands, pairs as one token, named fallbacks."""

import numpy as np
import pytest
import torch

from lab.data import DataUnavailable
from lab.parameters import Plan
from lab.records import DataUsed, Fact
from lab.workload import Context
from workloads.fft_mixing import tasks
from workloads.fft_mixing.parameters import FftMixingParameters


def loaded(task, monkeypatch, tmp_path, **values):
    """The examples of a task and the events on the way; few sequences."""
    monkeypatch.setattr(tasks, "SIZES", (64, 8, 8))
    plan = Plan.of(FftMixingParameters, values)
    events, generator = [], tasks.examples(task, plan.cells[0], Context("cpu", 0, 1, "custom", 1, str(tmp_path), plan))
    try:
        while True:
            events.append(next(generator))
    except StopIteration as end:
        return end.value, events


def test_copy_asks_for_the_token_at_each_distance(monkeypatch, tmp_path):
    found, events = loaded("copy", monkeypatch, tmp_path, distance=16, n_distances=2)
    assert found.distances == (8, 16)
    assert found.seq_len == 48  # 16 + 16 tokens, up to a multiple of the window of 24
    for place, distance in enumerate(found.distances):
        assert torch.equal(found.train.targets[place], found.train.inputs[place, :, -1 - distance])
    assert found.chance == 1 / 8
    assert sum(isinstance(event, DataUsed) for event in events) == 2


def test_recall_has_the_answer_in_one_token_with_its_key(monkeypatch, tmp_path):
    found, _ = loaded("recall", monkeypatch, tmp_path, distance=8, n_distances=1)
    inputs, targets = found.train.inputs[0], found.train.targets[0]
    asked = inputs[:, -1, :8]
    assert torch.equal(asked.sum(-1), torch.ones(len(inputs)))
    # Found by content: the one token before the last that carries the key asked for also carries the answer.
    match = (inputs[:, :-1, :8] * asked[:, None]).sum(-1)
    assert torch.equal(match.sum(-1), torch.ones(len(inputs)))
    values = (inputs[:, :-1] * match[..., None]).sum(1)[:, 8:16]
    assert torch.equal(values.argmax(-1), targets)
    # Its place: 8 steps back for the last pair, two more for each pair before it.
    back = found.seq_len - 1 - match.argmax(-1)
    assert set(back.tolist()) <= set(range(8, 8 + 2 * 8, 2))


def test_pairs_as_tokens_by_hand():
    # filler, key 1, value 3 (id 8 + 3), question: key 1
    ids = np.array([[16, 1, 11, 1]], dtype=np.uint8)
    expected = torch.zeros(1, 4, 17)
    expected[0, 0, 16] = expected[0, 1, 16] = 1  # the key's own place holds nothing any more
    expected[0, 2, 1] = expected[0, 2, 11] = 1
    expected[0, 3, 1] = 1
    assert torch.equal(tasks.pairs_as_tokens(ids), expected)


def test_rows_of_published_images_and_pixels_of_others():
    assert tasks.sequences(np.zeros((3, 28, 28), np.float32)).shape == (3, 28, 28)
    assert tasks.sequences(np.zeros((3, 8, 8), np.float32)).shape == (3, 64, 1)
    assert tasks.sequences(np.zeros((3, 40), np.float32)).shape == (3, 40, 1)


def test_images_fall_back_on_digits_and_say_so(monkeypatch, tmp_path):
    real = tasks.load

    def load(name, **options):
        if name != "digits":
            raise DataUnavailable(name, "there is no network here", "digits")
        return real(name, **options)

    monkeypatch.setattr(tasks, "load", load)
    found, events = loaded("images", monkeypatch, tmp_path)
    (fact,) = [event for event in events if isinstance(event, Fact)]
    assert fact.name == "data_fallback"
    assert "digits instead of MNIST" in fact.value
    assert "no network" in fact.value
    (used,) = [event for event in events if isinstance(event, DataUsed)]
    assert "digits instead of MNIST" in used.note
    assert found.label.startswith("digits")
    assert found.seq_len == 64


def test_an_unknown_data_set_is_an_error(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="unknown"):
        loaded("kuzushiji", monkeypatch, tmp_path)
