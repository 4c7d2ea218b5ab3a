"""What the source prints of its experiments: table 6 and figure 3, and the norm ratio that follows from them.

Source: Da Xu, "A Unified Mathematical Theory of Energy-Efficient AI" (2025), sections 11.3 to 11.6. Light: the web server imports this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Row:
    """One row of table 6: seconds of naive dense attention and of SSA, relative Frobenius error and cosine of the outputs."""

    dense_s: float
    ssa_s: float
    error: float
    cosine: float

    @property
    def norm_ratio(self) -> float:
        """‖Y‖ / ‖Y_dense‖ that error e and cosine c imply: the larger root r of e² = r² + 1 − 2 r c."""
        return self.cosine + math.sqrt(self.cosine**2 - 1 + self.error**2)


TABLE6 = MappingProxyType(
    {
        128: Row(0.0006, 0.0034, 0.8134, 0.9535),
        256: Row(0.0030, 0.0074, 1.1678, 0.9276),
        512: Row(0.0150, 0.0220, 1.5747, 0.8928),
        1024: Row(0.0372, 0.0827, 2.3218, 0.8675),
        2048: Row(0.7865, 0.3917, 3.2712, 0.8176),
        4096: Row(3.1014, 1.5440, 4.2556, 0.7601),
    }
)
FIGURE3_N = 4096
FIGURE3_FIXED = 64  # the samples of figure 3a, the clusters of figure 3b
FIGURE3A = MappingProxyType({16: (1.2, 0.89), 32: (1.6, 0.82), 64: (2.0, 0.76), 128: (1.7, 0.71)})  # clusters → speed, cosine
FIGURE3B = MappingProxyType({32: (2.3, 0.68), 64: (2.0, 0.76), 128: (1.6, 0.81), 256: (1.2, 0.85)})  # samples → speed, cosine
UNCLUSTERED_N = 4096
UNCLUSTERED = (0.9, 0.52)  # speed, cosine
Q_HIGH, Q_MODERATE = 0.3, 0.1  # of the quality Q: above the first use SSA, below the second dense attention
MIN_N = 1500  # the decision tree's shortest sequence
