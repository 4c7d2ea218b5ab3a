"""Random streams of one model: each purpose (parameters, order of the data, dropout) has its own stream of the model's seed."""

from __future__ import annotations

from hashlib import blake2b

import torch


def stream_seed(seed: int, purpose: str) -> int:
    """The seed of one purpose's stream: 63 bits of a hash of both, so that streams of neighbouring seeds are unrelated."""
    return int.from_bytes(blake2b(f"{purpose}:{seed}".encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: str) -> torch.Generator:
    """A generator on the CPU for one purpose of one model; what it draws does not depend on the device or on other models."""
    return torch.Generator().manual_seed(stream_seed(seed, purpose))
