"""Measured speed of batched training against training one by one, and of the two studies that have a time to keep.

    python -m lab.training.bench [--device cpu|cuda] [--only TEXT]

One by one means what a person would write: ``torch.nn`` layers, ``torch.optim``, one model after the other, each with its own batches drawn
beforehand. Both sides train M models for the same steps, in mirrored passes (A B B A); a target that is missed is printed, not an error.

What batching saves is overhead: operations too small to fill a device. On a CPU the gain falls as models grow, and the character model's
arithmetic takes as long either way; on a GPU, which small models leave idle, it lasts.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional

from lab.training.batches import Batches, Samples, Windows
from lab.training.evaluation import Evaluation
from lab.training.fit import fit, last
from lab.training.initialisation import initialise
from lab.training.models import CharacterModel, Mlp
from lab.training.optimisers import Adam

PASSES = 3
RATE = 1e-3


@dataclass(frozen=True)
class Problem:
    """M models both ways. ``peer()`` builds one model of ``torch.nn`` layers; ``target``: how many times as fast batched should be."""

    name: str
    build: Callable[[int], nn.Module]
    peer: Callable[[], nn.Module]
    batches: Callable[[Sequence[int]], Batches]
    n_models: int
    steps: int
    target: float | None = None


class PeerBlock(nn.Module):
    """A pre-norm transformer block of ``torch.nn`` layers with fused causal attention."""

    def __init__(self, d_model: int, n_heads: int, d_ff: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norms = nn.ModuleList([nn.LayerNorm(d_model), nn.LayerNorm(d_model)])
        self.qkv, self.out = nn.Linear(d_model, 3 * d_model), nn.Linear(d_model, d_model)
        self.ffn = nn.Sequential(nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.ffn(self.norms[1](x))


class PeerCharacterModel(nn.Module):
    """The character model of ``lab.training.models`` in ``torch.nn`` layers."""

    def __init__(self, vocabulary: int, context: int, d_model: int, n_layers: int, n_heads: int, d_ff: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, d_model), nn.Parameter(0.02 * torch.randn(context, d_model))
        self.blocks = nn.Sequential(*(PeerBlock(d_model, n_heads, d_ff) for _ in range(n_layers)))
        self.head = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, vocabulary))

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.blocks(self.tokens(ids) + self.positions))


def peer_mlp(widths: Sequence[int]) -> nn.Module:
    layers: list[nn.Module] = [nn.Linear(widths[0], widths[1])]
    for fan_in, fan_out in pairwise(widths[1:]):
        layers += [nn.ReLU(), nn.Linear(fan_in, fan_out)]
    return nn.Sequential(*layers)


def problems(device: str) -> list[Problem]:
    """Small to less small: XOR and the toy of the activation report, Egyptian routing's size, digits, a character model."""
    random = torch.Generator().manual_seed(0)

    def mlp(name: str, widths: tuple[int, ...], n_items: int, batch_size: int, n_models: int, target: float | None = None) -> Problem:
        x = torch.randn(n_items, widths[0], generator=random).to(device)
        y = torch.randint(widths[-1], (n_items,), generator=random).to(device)
        shape = "→".join(map(str, widths))
        return Problem(
            f"{n_models} MLPs {shape}, batch {batch_size} ({name})",
            lambda models: Mlp(models, widths, functional.relu),
            lambda: peer_mlp(widths),
            lambda seeds: Samples(x, y, batch_size, seeds, drop_last=True),
            n_models,
            60,
            target,
        )

    text = torch.randint(96, (100_000,), generator=random, dtype=torch.uint8).to(device)
    shape = (96, 64, 64, 2, 4, 256)
    return [
        mlp("XOR", (2, 16, 2), 200, 200, 25, 10),
        mlp("toy of the activation report", (32, 128, 32), 12_800, 64, 25),
        mlp("Egyptian routing", (64, 96, 32, 8), 1_600, 128, 25),
        mlp("digits", (64, 128, 10), 1_257, 128, 10),
        Problem(
            "10 character models, 2 layers of 64, 16 windows of 64",
            lambda models: CharacterModel(models, *shape),
            lambda: PeerCharacterModel(*shape),
            lambda seeds: Windows(text, shape[1], 16, seeds),
            10,
            6 if device == "cpu" else 60,
        ),
    ]


def one_by_one(problem: Problem, device: str) -> float:
    """Seconds per step of all models, trained one after the other."""
    spent_s = 0.0
    for seed in range(problem.n_models):
        batches = problem.batches([seed])
        drawn = [batches.gather(indices) for indices in islice(batches.indices(), problem.steps)]
        model = problem.peer().to(device)
        optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
        _synchronize(device)
        start_s = time.perf_counter()
        for inputs, targets in drawn:
            optimiser.zero_grad()
            functional.cross_entropy(model(inputs[0]).flatten(0, -2), targets[0].flatten()).backward()
            optimiser.step()
        _synchronize(device)
        spent_s += time.perf_counter() - start_s
    return spent_s / problem.steps


def batched(problem: Problem, device: str, graph: bool) -> float:
    """Seconds per step of all models, trained as one."""
    seeds = range(problem.n_models)
    model = initialise(problem.build(problem.n_models), seeds).to(device)
    return last(fit(model, Adam(model, RATE), problem.batches(seeds), problem.steps, graph=graph)).seconds / problem.steps


def compare(problem: Problem, device: str) -> None:
    """Print both sides' time per step and their ratio."""
    graph = device != "cpu"
    times: dict[str, list[float]] = {"one by one": [], "batched": []}
    one_by_one(problem, device), batched(problem, device, graph)  # warm up
    for _ in range(PASSES):
        for side in ("one by one", "batched", "batched", "one by one"):
            times[side].append(one_by_one(problem, device) if side == "one by one" else batched(problem, device, graph))
    single, together = median(times["one by one"]), median(times["batched"])
    print(f"{problem.name}: one by one {1e3 * single:.2f} ms a step of all, batched {1e3 * together:.2f} ms: {single / together:.1f}×")
    if graph:
        eager = batched(problem, device, graph=False)
        print(f"    batched without CUDA graphs {1e3 * eager:.2f} ms: {single / eager:.1f}×")
    if problem.target:
        print(f"    {'met   ' if single / together >= problem.target else 'MISSED'} at least {problem.target:g}×")


def routing_study(device: str) -> None:
    """25 models of Egyptian routing's size, 500 steps of batch 128, Adam: at most 3 s on two CPU cores, 2 s on a GPU."""
    x, y = torch.randn(2_000, 64, device=device), torch.randint(8, (2_000,), device=device)
    limit_s = 3.0 if device == "cpu" else 2.0
    start_s = time.perf_counter()
    model = initialise(Mlp(25, (64, 96, 32, 8), functional.relu), range(25)).to(device)
    evaluation = Evaluation(x[1_600:], y[1_600:])
    last(fit(model, Adam(model, 0.01), Samples(x[:1_600], y[:1_600], 128, range(25)), 500, evaluate=evaluation, every=100))
    _report("routing study, 25 models × 500 steps", time.perf_counter() - start_s, limit_s)


def stopping_study(device: str) -> None:
    """5 seeds of two MLPs 64→128→10 with dropout, 30 epochs of digits, evaluated after each: at most 5 s on two CPU cores."""
    x, y = torch.rand(1_797, 64, device=device), torch.randint(10, (1_797,), device=device)
    start_s = time.perf_counter()
    model = initialise(Mlp(10, (64, 128, 10), functional.relu, dropout=0.3), range(10)).to(device)
    batches = Samples(x[:1_257], y[:1_257], 128, range(10))
    steps = 30 * batches.steps_per_epoch
    last(fit(model, Adam(model, 1e-3), batches, steps, evaluate=Evaluation(x[1_257:], y[1_257:]), every=batches.steps_per_epoch))
    _report("early stopping study, 10 models × 30 epochs", time.perf_counter() - start_s, 5.0)


def _report(name: str, seconds: float, limit_s: float) -> None:
    print(f"{name}: {seconds:.2f} s\n    {'met   ' if seconds <= limit_s else 'MISSED'} at most {limit_s:g} s")


def _synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def main(arguments: list[str] | None = None) -> int:
    """Runs the bench. Exit status 1 where a part could not run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", default="", help="parts whose name holds this text")
    options = parser.parse_args(arguments)
    name = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"batched training on {name}, torch {torch.__version__}")
    parts: list[tuple[str, Callable[[], None]]] = [
        *((problem.name, lambda problem=problem: compare(problem, options.device)) for problem in problems(options.device)),
        ("routing study", lambda: routing_study(options.device)),
        ("stopping study", lambda: stopping_study(options.device)),
    ]
    failed = False
    for title, part in parts:
        if options.only not in title:
            continue
        try:
            part()
        except Exception:  # a part that fails must not lose the others' numbers
            failed = True
            print(f"FAILED {title}: {traceback.format_exc(limit=-3)}")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
