"""How one of several settings or practices is chosen. Light: plain Python.

The source does not say how its threshold was picked among four once their test accuracies were known. The lab takes what serves the claim
best: the setting that saves the most at no visible loss (:func:`pick`). The same choice on validation data shows what is left of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.claims import ACCURACY_MARGIN

NO_VISIBLE_LOSS = ACCURACY_MARGIN  # points of accuracy below the full budget that a picked threshold may cost


@dataclass(frozen=True)
class Option:
    """What a choice is made by: share saved in %, change of accuracy against the full budget in points."""

    saved: float
    change: float


def pick(options: Sequence[Option]) -> int:
    """The place of the option that saves the most among those that lose at most half a point; of the most accurate where all lose more."""
    fit = [place for place, option in enumerate(options) if option.change >= -NO_VISIBLE_LOSS]
    if fit:
        return max(fit, key=lambda place: (options[place].saved, options[place].change))
    return max(range(len(options)), key=lambda place: options[place].change)


@dataclass(frozen=True)
class Practice:
    """A usual practice with its mean cost (any unit) and mean validation accuracy in %."""

    cost: float
    accuracy: float


def best_at_cost(practices: Sequence[Practice], cost: float) -> int:
    """The place of the most accurate practice that costs at most ``cost``; of the cheapest where each costs more."""
    affordable = [place for place, practice in enumerate(practices) if practice.cost <= cost]
    if affordable:
        return max(affordable, key=lambda place: (practices[place].accuracy, -practices[place].cost))
    return min(range(len(practices)), key=lambda place: practices[place].cost)


def cheapest_as_accurate(practices: Sequence[Practice], accuracy: float) -> int:
    """The place of the cheapest practice whose accuracy is at least ``accuracy``; of the most accurate where none reaches it."""
    reaching = [place for place, practice in enumerate(practices) if practice.accuracy >= accuracy]
    if reaching:
        return min(reaching, key=lambda place: (practices[place].cost, -practices[place].accuracy))
    return max(range(len(practices)), key=lambda place: practices[place].accuracy)
