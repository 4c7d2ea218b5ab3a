"""Real text: a small causal character model, its queries, keys and values, and its perplexity with SSA in the place of attention.

The model is trained once for each data set and choice of settings and kept in the cache folder. On held-out text every layer and head then
attends in another way, with the same weights: nothing is trained anew. Clusters are made of all queries of a window, later ones
included, so that a token's cluster knows a little of the future: what SSA scores here favours it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import pickle
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from lab.data import loading
from lab.data.dataset import Dataset
from lab.records import Event, Phase, Progress, Record, Role
from lab.training.batches import Windows, consecutive_windows
from lab.training.evaluation import Evaluation
from lab.training.layers import SelfAttention
from lab.training.losses import item_cross_entropy
from lab.training.models import Block, CharacterModel
from lab.training.optimisers import AdamW
from lab.training.recipe import Recipe as TrainingRecipe
from lab.workload import Context
from workloads.spectral_sparse_attention import eager, rivals, sampling
from workloads.spectral_sparse_attention.clustering import cluster
from workloads.spectral_sparse_attention.data import Tokens
from workloads.spectral_sparse_attention.parameters import TEXT_CONTEXT, TEXT_HEAD_DIM, TEXT_HEADS, TEXT_LAYERS, SsaParameters, nearest_root
from workloads.spectral_sparse_attention.series import DENSE, MEAN_OF_V, NO_SAMPLES, REWEIGHTED, SSA, TEXT, WINDOW, dimensions

D_MODEL = TEXT_HEADS * TEXT_HEAD_DIM
D_FF = 2 * D_MODEL
BATCH_SIZE = 16
LEARNING_RATE = 2e-3
POINTS = 12  # of the training curve
WINDOWS_JUDGED = 20  # of held-out text, for perplexity
VALIDATION_WINDOWS = 16
FORMAT = 1  # of the cached file; another number is another file

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # query, key, value [batch, heads, N, head_dim] → the same


@dataclass(frozen=True)
class TextModel:
    """A trained character model with its data; ``curve``: (step, training loss, validation loss)."""

    model: CharacterModel
    data: Dataset
    curve: tuple[tuple[int, float, float], ...]
    device: str

    def windows(self) -> Tensor:
        """Held-out text in windows of the context [n, TEXT_CONTEXT], inputs."""
        return consecutive_windows(torch.from_numpy(self.data.test.inputs).to(self.device), TEXT_CONTEXT).inputs

    def heads(self, ids: Tensor, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [batch, heads, N, head_dim] of one layer for windows ``ids`` [batch, N]."""
        found: list[tuple[Tensor, Tensor, Tensor]] = []

        def keep(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            found.append((query, key, value))
            return scaled_dot_product_attention(query, key, value, is_causal=True)

        with torch.no_grad(), attending(self.model, keep):
            self.model(ids[None])
        return found[layer]


@dataclass(frozen=True)
class TextTokens:
    """Queries, keys and values of one layer and head of a text model, as a source of data sets: each seed another window."""

    text: TextModel
    layer: int
    head: int

    def tokens(self, n: int, seed: int, device: str, *, n_heads: int = 1, dtype: torch.dtype = torch.float32) -> Tokens:
        """The first ``n`` tokens of ``n_heads`` windows; no token has a planted cluster."""
        windows = self.text.windows()
        first = seed * n_heads
        ids = torch.stack([windows[(first + i) % len(windows)] for i in range(n_heads)])[:, :n]
        query, key, value = (x[:, self.head].to(device, dtype).contiguous() for x in self.text.heads(ids, self.layer))
        return Tokens(query, key, value, torch.zeros(n_heads, n, dtype=torch.int64, device=device))


class _Other(nn.Module):
    """A self-attention layer whose heads attend in another way."""

    def __init__(self, layer: SelfAttention, attend: Attend) -> None:
        super().__init__()
        self.layer, self.attend = layer, attend

    def forward(self, x: Tensor) -> Tensor:
        models, batch, seq_len, d_model = x.shape
        heads = self.layer.qkv(x).view(models * batch, seq_len, 3, self.layer.n_heads, d_model // self.layer.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        return self.layer.out(self.attend(q, k, v).transpose(1, 2).reshape(models, batch, seq_len, d_model))


@contextlib.contextmanager
def attending(model: CharacterModel, attend: Attend) -> Iterator[None]:
    """Every layer and head of ``model`` attends by ``attend`` within the block."""
    blocks = [block for block in model.blocks if isinstance(block, Block)]
    before = [block.mixer for block in blocks]
    try:
        for block, mixer in zip(blocks, before, strict=True):
            assert isinstance(mixer, SelfAttention)
            block.mixer = _Other(mixer, attend)
        yield
    finally:
        for block, mixer in zip(blocks, before, strict=True):
            block.mixer = mixer


def build(n_models: int, vocabulary: int) -> CharacterModel:
    """The model before its parameters are drawn."""
    return CharacterModel(n_models, vocabulary, TEXT_CONTEXT, D_MODEL, TEXT_LAYERS, TEXT_HEADS, D_FF)


def trained(params: SsaParameters, context: Context) -> Generator[Event, None, TextModel]:
    """The text model, from the cache folder or trained now; its curve is recorded in either case."""
    data = loading.load("text", cache_dir=context.cache_dir)
    yield data.used()
    settings = [FORMAT, data.sha256, params.train_steps, params.seed, D_MODEL, TEXT_LAYERS, TEXT_HEADS, D_FF, BATCH_SIZE, LEARNING_RATE]
    name = hashlib.sha256(json.dumps([*settings, context.device_kind]).encode()).hexdigest()[:20]
    path = Path(context.cache_dir, "ssa_text_model", f"{name}.pt")
    found = _cached(path, data, context.device)
    if found is None:
        found = yield from _train(params, context, data)
        _keep(path, found)
    else:
        yield Phase("text model", f"trained before: {params.train_steps} steps, from {path.name}", budgeted=False)
    for step, train_loss, validation_loss in found.curve:
        if math.isfinite(train_loss):
            yield _record(context.device, DENSE, "loss", train_loss, setting="training text", step=step)
        yield _record(context.device, DENSE, "loss", validation_loss, setting="validation text", step=step)
    return found


def _train(params: SsaParameters, context: Context, data: Dataset) -> Generator[Event, None, TextModel]:
    device = context.device
    yield Phase(
        "train the text model",
        f"{params.train_steps} steps of {BATCH_SIZE} windows of {TEXT_CONTEXT}; once, then it is kept",
        budgeted=False,
    )
    tokens = torch.from_numpy(data.train.inputs).to(device)
    held_out = consecutive_windows(torch.from_numpy(data.validation.inputs).to(device), TEXT_CONTEXT)
    evaluation = Evaluation(
        held_out.inputs[:VALIDATION_WINDOWS], held_out.targets[:VALIDATION_WINDOWS], {"loss": item_cross_entropy}, batch_size=16
    )
    recipe = TrainingRecipe(
        build=lambda n_models: build(n_models, data.n_classes),
        batches=lambda seeds: Windows(tokens, TEXT_CONTEXT, BATCH_SIZE, seeds),
        steps=params.train_steps,
        optimiser=AdamW,
        device=device,
    )
    model, points = recipe.train([params.seed], [LEARNING_RATE], lambda seeds: evaluation, every=max(1, params.train_steps // POINTS))
    curve = []
    for point in points:
        curve.append((point.step, float(point.train_loss[0]), float(point.metrics["loss"][0])))
        yield Progress(point.step / params.train_steps, f"text model, step {point.step}: validation loss {curve[-1][2]:.3f}")
    assert isinstance(model, CharacterModel)
    return TextModel(model.eval(), data, tuple(curve), device)


def _cached(path: Path, data: Dataset, device: str) -> TextModel | None:
    """The model kept at ``path``; None where there is none that can be read."""
    try:
        kept = torch.load(path, map_location=device, weights_only=True)
        model = build(1, data.n_classes).to(device)
        model.load_state_dict(kept["parameters"])
        return TextModel(model.eval(), data, tuple((int(a), float(b), float(c)) for a, b, c in kept["curve"]), device)
    except (OSError, KeyError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
        return None


def _keep(path: Path, found: TextModel) -> None:
    """Write the model whole or not at all; a full disk costs only the time to train it again."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        torch.save({"parameters": found.model.state_dict(), "curve": [list(point) for point in found.curve]}, part)
        part.replace(path)


def perplexities(params: SsaParameters, context: Context, text: TextModel) -> Generator[Event, None, None]:
    """Perplexity on held-out text with dense attention and with each approximation in every layer and head, for groups of windows."""
    held_out = consecutive_windows(torch.from_numpy(text.data.test.inputs).to(context.device), TEXT_CONTEXT)
    n_windows = min(WINDOWS_JUDGED, len(held_out.inputs))
    groups = torch.arange(n_windows).tensor_split(min(params.seeds, n_windows))
    arms = attentions(params)
    for place, (arm, attend) in enumerate(arms.items()):
        yield Phase("text", f"perplexity with {arm.replace('_', ' ')}")
        with attending(text.model, attend):
            for index, group in enumerate(groups):
                evaluation = Evaluation(held_out.inputs[group], held_out.targets[group], {"loss": item_cross_entropy}, batch_size=8)
                loss = float(evaluation(text.model)["loss"][0])
                yield _record(context.device, arm, "perplexity", math.exp(loss), seed=index)
                yield Progress((place + (index + 1) / len(groups)) / len(arms), f"perplexity, {arm}")


def attentions(params: SsaParameters) -> dict[str, Attend]:
    """Arm → what every head does: dense attention, SSA at k and s, and the rivals at its density; all causal."""
    k, s = params.k or nearest_root(TEXT_CONTEXT), params.s or nearest_root(TEXT_CONTEXT)

    def sparse(k: int, s: int, weighted: bool) -> Attend:
        def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            clusters = cluster(query, k, m=min(params.m, TEXT_HEAD_DIM), seed=params.seed, steps=params.kmeans_steps)
            samples = sampling.per_query(clusters, s, seed=params.seed, causal=True)
            return eager.attention(query, key, value, clusters, samples, weighted=weighted, causal=True).output

        return attend

    # As many keys per query as SSA keeps of equal clusters: half of its cluster lies before a token, and its samples.
    keys_per_query = TEXT_CONTEXT / k / 2 + s
    return {
        DENSE: lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=True),
        SSA: sparse(k, s, weighted=False),
        REWEIGHTED: sparse(k, s, weighted=True),
        NO_SAMPLES: sparse(max(1, round(TEXT_CONTEXT / 2 / keys_per_query)), 0, weighted=False),
        WINDOW: lambda q, k, v: rivals.sliding_window(q, k, v, keys_per_query, causal=True),
        MEAN_OF_V: lambda q, k, v: rivals.mean_of_values(v, causal=True),
    }


def _record(device: str, arm: str, metric: str, value: float, *, seed: int | None = None, setting: str = "", step: int = 0) -> Record:
    role: Role = "baseline" if arm == DENSE else "technique"
    where = dimensions(TEXT, "text", TEXT_CONTEXT, setting=setting, step=step)
    return Record("sound", arm, role, "reference", device, "float32", metric, value, "1", seed=seed, dimensions=where, whole_run=True)
