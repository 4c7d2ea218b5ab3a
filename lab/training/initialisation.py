"""Starting values of M models from their seeds, and single models taken out of a batch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import nn

from lab.parameters import ParameterError
from lab.training.layers import Batched
from lab.training.seeding import generator

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def n_models(module: nn.Module) -> int:
    """How many models a module holds. Raises ValueError where its layers disagree or none is :class:`Batched`."""
    found = {layer.n_models for layer in module.modules() if isinstance(layer, Batched)}
    if len(found) != 1:
        raise ValueError(f"the layers of a module must all hold the same number of models, not {sorted(found)}")
    return found.pop()


def initialise(module: ModuleT, seeds: Sequence[int]) -> ModuleT:
    """Draw the parameters of model i from ``seeds[i]`` in place, as they would be drawn for that model alone; returns the module.

    Each layer has a stream of its own, by seed and the layer's name: layers that two architectures share start alike in both. Values are
    drawn in float32 on the CPU, so devices and data types start alike too. Raises ParameterError unless there is one seed per model,
    ValueError where a parameter is drawn by no layer.
    """
    if len(seeds) != n_models(module):
        raise ParameterError("seeds", list(seeds), f"{n_models(module)} seeds, one per model")
    drawn = set()
    with torch.no_grad():
        for layer_name, layer in module.named_modules():
            if not isinstance(layer, Batched):
                continue
            models = [layer.draw(generator(seed, f"parameters of {layer_name}")) for seed in seeds]
            for name in models[0]:
                getattr(layer, name).copy_(torch.stack([values[name] for values in models]))
                drawn.add(f"{layer_name}.{name}".removeprefix("."))
    missing = [name for name, _ in module.named_parameters() if name not in drawn]
    if missing:
        raise ValueError(f"no layer draws the parameters {missing}")
    return module


def take(module: ModuleT, *indices: int) -> ModuleT:
    """A copy of the models ``indices``, as a batch of that many; the original keeps its own parameters."""
    n_models(module)
    chosen: dict[int, object] = {}
    for parameter in module.parameters():
        values = parameter.detach()[list(indices)].clone()
        chosen[id(parameter)] = nn.Parameter(values, requires_grad=parameter.requires_grad)
    for buffer in module.buffers():
        chosen[id(buffer)] = buffer[list(indices)].clone()
    taken = copy.deepcopy(module, chosen)
    for layer in taken.modules():
        if isinstance(layer, Batched):
            layer.n_models = len(indices)
    return taken


def n_parameters(module: nn.Module) -> int:
    """Trainable parameters of one model."""
    return sum(parameter[0].numel() for parameter in module.parameters() if parameter.requires_grad)
