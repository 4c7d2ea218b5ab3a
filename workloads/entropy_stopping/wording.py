"""Rules and their settings in a reader's words. Light."""

from __future__ import annotations

from workloads.entropy_stopping.names import PATIENCE_ACCURACY, PATIENCE_LOSS, PLATEAU, SMOOTHED


def setting_words(arm: str, setting: object) -> str:
    """What a rule is set to: "threshold 0.01", "patience 3", "12 epochs", "threshold picked on test data"."""
    if arm in (PLATEAU, SMOOTHED):
        return f"threshold {setting}"
    return f"patience {setting}" if arm in (PATIENCE_LOSS, PATIENCE_ACCURACY) else f"{setting} epochs"
