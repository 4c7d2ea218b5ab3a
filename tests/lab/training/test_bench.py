"""Both sides of the bench train the same: as many parameters, the same batches; and it says what it measured."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lab.training import bench
from lab.training.initialisation import n_parameters
from lab.training.models import Mlp


@pytest.mark.parametrize("problem", bench.problems("cpu"), ids=lambda problem: problem.name)
def test_both_sides_have_the_same_model(problem: bench.Problem) -> None:
    peer = problem.peer()
    assert n_parameters(problem.build(2)) == sum(parameter.numel() for parameter in peer.parameters())
    batches = problem.batches([0])
    inputs, targets = batches.gather(next(batches.indices()))
    assert peer(inputs[0]).shape[:-1] == targets[0].shape


def test_a_part_that_fails_does_not_lose_the_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    batches = bench.problems("cpu")[0].batches

    def fails() -> nn.Module:
        raise RuntimeError("no such model")

    def problems(device: str) -> list[bench.Problem]:
        build, peer = (lambda models: Mlp(models, (2, 3, 2), torch.relu)), (lambda: bench.peer_mlp((2, 3, 2)))
        usual = bench.Problem("usual", build, peer, batches, 2, 2)
        return [bench.Problem("broken", usual.build, fails, batches, 2, 2), usual]

    monkeypatch.setattr(bench, "problems", problems)
    monkeypatch.setattr(bench, "routing_study", lambda device: None)
    monkeypatch.setattr(bench, "stopping_study", lambda device: None)
    assert bench.main(["--device", "cpu"]) == 1
    printed = capsys.readouterr().out
    assert "FAILED broken" in printed
    assert "usual: one by one" in printed
