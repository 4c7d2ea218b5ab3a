"""Rules and their settings in a reader's words. Light."""

from __future__ import annotations

from lab.formatting import MINUS
from workloads.entropy_stopping.names import PATIENCE_ACCURACY, PATIENCE_LOSS, PLATEAU, SMOOTHED


def setting_words(arm: str, setting: object) -> str:
    """What a rule is set to: "threshold 0.01", "patience 3", "12 epochs", "threshold picked on test data"."""
    if arm in (PLATEAU, SMOOTHED):
        return f"threshold {setting}"
    return f"patience {setting}" if arm in (PATIENCE_LOSS, PATIENCE_ACCURACY) else f"{setting} epochs"


def point_words(arm: str, setting: object) -> str:
    """A rule's point in a figure: its setting, and of patience what it watches."""
    watches = {PATIENCE_LOSS: "on loss, ", PATIENCE_ACCURACY: "on accuracy, "}.get(arm, "")
    return watches + setting_words(arm, setting)


def signed(points: float) -> str:
    """A change in points with its sign, two decimals: "+0.10", "−0.20", "0.00"."""
    text = f"{points:+.2f}".replace("-", MINUS)
    return "0.00" if text[1:] == "0.00" else text
