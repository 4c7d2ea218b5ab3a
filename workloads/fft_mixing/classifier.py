"""The published image classifiers: the same model around FFT-Mix and around attention. Worker side.

An image is a sequence of its rows, 28 tokens of 28 features; learned positions are added; two pre-norm blocks, each a mixer and a
feed-forward net of ratio 2 with GELU, both with a residual; mean over the tokens; a linear head. With d_model = 28 = the features of a
token, no input projection and no norm before the head, the attention model has exactly the 14,234 parameters that the source states;
neither stands in the source's text. Images of another size than 28 × 28 are read pixel by pixel and need a projection 1 → d_model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

D_MODEL = 28
N_HEADS = 4
N_BLOCKS = 2
FFN_RATIO = 2
POSITION_STD = 0.02
BATCH_SIZE = 64
LEARNING_RATE = 1e-3  # of Adam
STATED_PARAMETERS = {"fft_mix": 12_994, "attention": 14_234}  # as the source prints them


class Block(nn.Module):
    """Pre-norm block: x + mixer(norm(x)), then x + ffn(norm(x)); x [batch, seq_len, d_model]."""

    def __init__(self, d_model: int, mixer: nn.Module) -> None:
        super().__init__()
        self.mixer_norm, self.mixer = nn.LayerNorm(d_model), mixer
        self.ffn_norm = nn.LayerNorm(d_model)
        self.ffn = nn.Sequential(nn.Linear(d_model, FFN_RATIO * d_model), nn.GELU(), nn.Linear(FFN_RATIO * d_model, d_model))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.mixer_norm(x))
        return x + self.ffn(self.ffn_norm(x))


class PublishedClassifier(nn.Module):
    """Sequence classifier: x [batch, seq_len, features] → logits [batch, n_classes].

    ``mixer(d_model)`` builds the token-mixing layer of each block. Tokens of other than d_model features are projected.
    """

    def __init__(self, mixer: Callable[[int], nn.Module], seq_len: int, features: int, n_classes: int, d_model: int = D_MODEL) -> None:
        super().__init__()
        self.inputs = nn.Identity() if features == d_model else nn.Linear(features, d_model)
        self.positions = nn.Parameter(POSITION_STD * torch.randn(seq_len, d_model))
        self.blocks = nn.Sequential(*(Block(d_model, mixer(d_model)) for _ in range(N_BLOCKS)))
        self.head = nn.Linear(d_model, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.inputs(x) + self.positions).mean(1))


def as_tokens(images: Tensor) -> Tensor:
    """Images [n, height, width] → tokens [n, seq_len, features]: rows of 28 × 28 images, pixels of others."""
    return images if tuple(images.shape[1:]) == (D_MODEL, D_MODEL) else images.flatten(1).unsqueeze(-1)


def training_step(model: nn.Module, optimiser: torch.optim.Optimizer, x: Tensor, y: Tensor) -> Tensor:
    """One step on a batch: forward, cross-entropy, backward, update; the loss, not waited for."""
    optimiser.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimiser.step()
    return loss.detach()
