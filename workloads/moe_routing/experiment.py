"""The mixture-of-experts experiment: counts, the routing study, small experts against few large ones. Worker side.

Order: what needs no measuring, then once a run (in its first cell) the published routing study, the loss of character models and the speed
of layers, then in each cell the sound routing study at its number of experts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import torch

from lab.measuring import within
from lab.records import Event, Phase, Progress, Protocol, Record, Role
from lab.workload import Context
from workloads.moe_routing import character_study, costs, counts, routing_study, speed
from workloads.moe_routing.model import HIDDEN
from workloads.moe_routing.names import (
    ACTIVE,
    BLOCK_ACTIVE,
    COUNT,
    DENSE,
    EGYPTIAN_LAYER,
    INACTIVE,
    SMALL,
    STANDARD,
    TOTAL,
    dimensions_of,
)
from workloads.moe_routing.parameters import MoeRoutingParameters
from workloads.moe_routing.tasks import FEATURES

Part = Callable[[MoeRoutingParameters, Context], Generator[Event, None, None]]


def run(params: MoeRoutingParameters, context: Context) -> Iterator[Event]:
    """Everything one cell of the sweep yields; the first cell also yields what belongs to the run as a whole."""
    torch.set_num_threads(context.threads)
    if context.cell == 0:
        yield from counted(params)
    if context.device_kind == "cuda":
        yield Phase("initialise the GPU", budgeted=False)
        torch.cuda.synchronize(context.device)
    parts: dict[str, Part] = {
        costs.ROUTING_PUBLISHED: routing_study.published,
        costs.ROUTING_SOUND: routing_study.sound,
        costs.LOSS_PUBLISHED: character_study.published,
        costs.LOSS_SOUND: character_study.sound,
        costs.SPEED: whole_run(speed.comparison),
    }
    shares = costs.part_durations_s(params, context.device_kind, first=context.cell == 0)
    total = sum(shares.values())
    done = 0.0
    for name, seconds in shares.items():
        after = done + seconds / total
        yield from within(parts[name](params, context), done, after)
        done = after
    yield Progress(1.0, "done")


def whole_run(part: Part) -> Part:
    """The same part, its records belonging to no cell of the sweep: no number of experts of the routing study changes them."""

    def marked(params: MoeRoutingParameters, context: Context) -> Generator[Event, None, None]:
        for event in part(params, context):
            yield replace(event, whole_run=True) if isinstance(event, Record) else event

    return marked


def counted(params: MoeRoutingParameters) -> Iterator[Record]:
    """Parameters of the published layers (d_model 64) and of those of this run: exact, independent of the machine."""
    published = (*counts.PUBLISHED_LAYER, counts.PUBLISHED_D_MODEL)
    chosen = (params.layer_experts, params.top_k, params.split, params.d_model)
    setups: tuple[tuple[Protocol, tuple[int, int, int, int]], ...] = (("published", published), ("sound", chosen))
    for protocol, (experts, top_k, split, d_model) in setups:
        layers = {
            STANDARD: counts.standard(d_model, experts, top_k),
            SMALL: counts.small(d_model, experts, top_k, split),
            DENSE: counts.standard(d_model, 1, 1),
        }
        if protocol == "published":
            layers[EGYPTIAN_LAYER] = counts.egyptian(FEATURES, HIDDEN)
        for name, layer in layers.items():
            role: Role = "technique" if name in (SMALL, EGYPTIAN_LAYER) else "baseline"
            dimensions = dimensions_of(COUNT, experts=layer.n_experts, d_ff=layer.d_ff)
            values = {INACTIVE: layer.inactive_share}
            if name != EGYPTIAN_LAYER:  # whose experts narrow their output: only the share is that of a layer of this kind
                values |= {ACTIVE: layer.active, BLOCK_ACTIVE: layer.block_active, TOTAL: layer.total}
            for metric, value in values.items():
                unit = "%" if metric == INACTIVE else "1"
                yield Record(protocol, name, role, COUNT, "", "", metric, float(value), unit, dimensions=dimensions, whole_run=True)
