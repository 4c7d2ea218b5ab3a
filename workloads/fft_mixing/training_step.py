"""Time of one training step of the published models: what the published speed is a ratio of. Worker side.

Published: seconds per epoch on the CPU, batches of 64 images, both models trained with Adam. An epoch is the same number of steps for both
models, so the ratio of epochs is the ratio of steps. Beside the two published models: FFT-Mix by its fast layer, and attention by the
backend of the framework that is fastest at this shape, found by measurement; both are first compared with float64, gradients included.
Departures: random images (time does not depend on them), one batch at every step, mirrored passes over the arms.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from lab.measuring import missing, sampling_of, timed
from lab.records import Event, Phase, Protocol, Role
from lab.timing import Arm
from workloads.fft_mixing.attention import FusedAttention, PublishedAttention, fastest_backend
from workloads.fft_mixing.checks import wrong_attention, wrong_gradients, wrong_mixing
from workloads.fft_mixing.classifier import BATCH_SIZE, D_MODEL, LEARNING_RATE, N_HEADS, PublishedClassifier, training_step
from workloads.fft_mixing.layers import FftMix
from workloads.fft_mixing.names import ATTENTION, EAGER, FFT_MIX, FUSED, MODULE, SDPA, TRAINING_STEP, dimensions_of
from workloads.fft_mixing.parameters import FftMixingParameters

N_CLASSES = 10
SEQ_LEN = 28
NOT_REPLAYED = "a step of the framework's optimiser is launched from the host"
L = TypeVar("L", bound=nn.Module)

MIXERS: dict[tuple[str, str], Callable[[int], nn.Module]] = {
    (FFT_MIX, EAGER): partial(FftMix, implementation="reference"),
    (FFT_MIX, FUSED): partial(FftMix, implementation="fast"),
    (ATTENTION, MODULE): partial(PublishedAttention, n_heads=N_HEADS),
    (ATTENTION, SDPA): partial(FusedAttention, n_heads=N_HEADS),
}


def training_steps(params: FftMixingParameters, device: str, protocol: Protocol) -> Generator[Event, None, None]:
    """One training step of each model on ``device``, side by side."""
    yield Phase("build", f"training step of the published models, {device}", budgeted=False)
    images = torch.randn(BATCH_SIZE, SEQ_LEN, D_MODEL, generator=torch.Generator().manual_seed(params.seed)).to(device)
    labels = torch.randint(N_CLASSES, (BATCH_SIZE,), generator=torch.Generator().manual_seed(params.seed)).to(device)
    dimensions = dimensions_of(TRAINING_STEP, direction="training", seq_len=SEQ_LEN, batch_size=BATCH_SIZE, d_model=D_MODEL)
    arms = []
    for (name, implementation), mixer in MIXERS.items():
        torch.manual_seed(params.seed)
        model = PublishedClassifier(mixer, SEQ_LEN, D_MODEL, N_CLASSES).to(device)
        wrong = ""
        if implementation == SDPA:
            implementation = f"{SDPA}_{_choose_backend(model, images)}"
            wrong = _wrong_attention(model, images)
        elif implementation == FUSED:
            wrong = _wrong_mixing(model, images)
        optimiser = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        step = partial(training_step, model, optimiser, images, labels)
        role: Role = "technique" if name == FFT_MIX else "baseline"
        arm = Arm(name, implementation, role, device, "float32", _ignoring_input(step))
        if wrong:
            yield from missing(arm, ("latency_s", "device_time_s"), f"wrong result: {wrong}", dimensions, protocol)
        else:
            arms.append(arm)
    what = f"training step on the {'CPU' if device == 'cpu' else 'GPU'}"
    yield from timed(arms, (ATTENTION, MODULE), device, sampling_of(params), dimensions, what, NOT_REPLAYED, protocol)


def _choose_backend(model: PublishedClassifier, images: Tensor) -> str:
    """Set every attention layer to the backend that is fastest forward and backward at this shape; its name."""
    layers = _layers(model, FusedAttention)
    choice = fastest_backend(layers[0], images.clone().requires_grad_(), backward=True)
    for layer in layers[1:]:
        layer.backend = layers[0].backend
    return choice.name


def _wrong_attention(model: PublishedClassifier, images: Tensor) -> str:
    layer = _layers(model, FusedAttention)[0]
    with torch.no_grad():
        return wrong_attention(layer(images), layer, images)


def _wrong_mixing(model: PublishedClassifier, images: Tensor) -> str:
    fast = _layers(model, FftMix)[0]
    reference = FftMix(D_MODEL, fast.windows, implementation="reference").to(images.device)
    reference.load_state_dict(fast.state_dict())
    return wrong_mixing(fast, reference, images) or wrong_gradients(fast, reference, images)


def _layers(model: PublishedClassifier, kind: type[L]) -> list[L]:
    return [module for module in model.modules() if isinstance(module, kind)]


def _ignoring_input(step: Callable[[], object]) -> Callable[[int], object]:
    return lambda i: step()
