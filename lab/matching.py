"""Which measurement of one run is the same as which of another.

Two measurements match when protocol, arm, implementation, baseline, metric, statistic, dimensions, dtype, kind of device and the values of
the swept parameters agree. What that means where the runs were asked for different things, decided for each pair of runs:

- **Swept somewhere.** A parameter that either run sweeps takes part with its value in the cell, whether it comes from a sweep or is fixed
  in that run: n = 4096 of a sweep matches the run that has n = 4096 alone.
- **Different as a whole.** A parameter that has one value in each run, not the same (k = 32 and k = 64), is what is being compared: it
  takes no part. What agrees in all dimensions and the dtype matches first. Of what is left, a dimension (or the dtype) that repeats such
  a parameter stands for it: one in which the first run has its own value and never the other's, and the second the reverse. So does
  a dimension that has one value in the whole of each run, not the same: it follows from such a parameter.
- **Data** match by name. Whether they are the same, their SHA-256 tells (``lab.comparability``).
- **Whole-run measurements** of a run that sweeps (a fixed published protocol) have no value of the swept parameters; they match their
  like, else, where only one measurement is left on each side, whatever agrees in all the rest.
- **CPU and GPU.** What both runs measured on the same kind of device matches first. What is left on the device that each run was made on
  matches across kinds, to stand side by side (``lab.comparability`` then refuses the ratio).

Where two measurements of one run agree in all of this, none of them matches: a wrong match is worse than none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lab.comparability import is_physical, kind_of
from lab.environment import device_kind
from lab.parameters import fields
from lab.records import Estimate, RunView, Scalar
from lab.workload import Metric

DATA_HASH = " (SHA-256 "  # what follows the name in a data set's label
LOW, HIGH = "_low", "_high"  # endings of the metrics in which an experiment records the interval of an exact value of its own


@dataclass(frozen=True)
class Quantity:
    """One measurement of a run, ready to be matched.

    ``low``/``high`` bound its 95 % interval, those that the experiment recorded itself included; ``n`` is 0 where only such an interval
    tells how many observations there were. ``unit`` is that of the metric (of a ratio too), ``baseline`` marks an arm that the run has
    as a baseline only. ``cell`` maps each parameter to the text of its value, None for a swept one of a whole-run measurement.
    """

    estimate: Estimate
    low: float | None
    high: float | None
    n: int
    unit: str
    baseline: bool
    metric: Metric | None
    cell: Mapping[str, str | None] = field(repr=False)

    @property
    def kind(self) -> str:
        """The kind of device it was measured on; "" for none."""
        return kind_of(self.estimate.device)

    @property
    def physical(self) -> bool:
        return is_physical(self.unit)

    @property
    def is_pair(self) -> bool:
        """Whether it compares two arms within its run."""
        return bool(self.estimate.baseline_arm)


@dataclass(frozen=True)
class Match:
    """The same measurement of two runs. ``exactly``: the dimensions and the dtype agree as they are, none stands for a parameter."""

    first: Quantity
    second: Quantity
    exactly: bool


@dataclass(frozen=True)
class Matched:
    """Every match of two runs in the first one's order, and what only one of them has."""

    matches: tuple[Match, ...]
    only_first: tuple[Quantity, ...]
    only_second: tuple[Quantity, ...]
    compared: tuple[str, ...]  # names of the parameters that differ as a whole


def quantities(view: RunView, estimates: Sequence[Estimate]) -> list[Quantity]:
    """The measurements of a run, in the order of its summary; an interval recorded as two metrics joins its value."""
    roles: dict[tuple[str, str], set[str]] = defaultdict(set)
    for stored in view.records:
        roles[stored.record.arm, stored.record.implementation].add(stored.record.role)
    known = fields(view.plan.model)
    fixed = {name: known[name].text(values[0]) if len(values) == 1 else None for name, values in view.plan.values.items()}
    ends = {_identity(e): e.mean for e in estimates if e.metric.endswith((LOW, HIGH))}
    values = {_identity(e) for e in estimates if e.statistic == "exact"}

    def end(e: Estimate, which: str) -> float | None:
        return ends.get(_identity(e, e.metric + which)) if e.statistic == "exact" else None

    found = []
    for e in estimates:
        stem = e.metric.removesuffix(LOW).removesuffix(HIGH)
        if stem != e.metric and _identity(e, stem) in values:
            continue
        low, high, n = e.ci_low, e.ci_high, e.n
        if low is None and high is None and e.mean is not None:
            low, high = end(e, LOW), end(e, HIGH)
            n = 0 if low is not None and high is not None else n
        metric = view.workload.metrics.get(e.metric)
        cell = {**fixed, **{name: text(value) for name, value in e.swept.items()}}
        unit = metric.unit if metric is not None else e.unit
        baseline = roles[e.arm, e.implementation] == {"baseline"}
        found.append(Quantity(e, low, high, n, unit, baseline, metric, cell))
    return found


def _identity(e: Estimate, metric: str = "") -> Hashable:
    return (
        metric or e.metric,
        *(e.protocol, e.arm, e.implementation, e.baseline_arm, e.baseline_implementation, e.statistic, e.device, e.dtype),
        _scalars(e.dimensions),
        _scalars(e.swept),
    )


def _scalars(values: Mapping[str, Scalar]) -> tuple[tuple[str, str], ...]:
    """Names with texts; what is empty is as good as absent, as a table cannot tell the two apart."""
    return tuple(sorted((name, text(value)) for name, value in values.items() if value != ""))


def text(value: Scalar) -> str:
    """A scalar as text, the same however it was read: 1, 1.0 and "1" are one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value) if not isinstance(value, float) else repr(value)


def match(first: RunView, ours: Sequence[Quantity], second: RunView, theirs: Sequence[Quantity]) -> Matched:
    """Match the measurements of two runs of one workload by the rule of the module's docstring."""
    texts = [{name: tuple(known) for name, known in _texts(view).items()} for view in (first, second)]
    both = [name for name in texts[0] if name in texts[1]]
    compared = tuple(name for name in both if len(texts[0][name]) == len(texts[1][name]) == 1 and texts[0][name] != texts[1][name])
    swept = tuple(name for name in both if max(len(texts[0][name]), len(texts[1][name])) > 1)
    main = [device_kind(str(view.manifest.get("device") or "cpu")) for view in (first, second)]
    values = {name: (texts[0][name][0], texts[1][name][0]) for name in compared}
    follows = _single_valued(ours, theirs) if compared else {}

    def key(side: int, stands_for: Mapping[tuple[int, str, str], str], ways: _Ways) -> Callable[[Quantity], Hashable]:
        def of(q: Quantity) -> Hashable:
            e = q.estimate
            dimensions = tuple((name, stands_for.get((side, name, value), value)) for name, value in _named(e))
            kind = q.kind if ways.by_kind else q.kind and ("the run's device" if q.kind == main[side] else "the host")
            cell = tuple(q.cell.get(name) for name in swept) if ways.by_cell else ()
            arms = (e.protocol, e.arm, e.implementation, e.baseline_arm, e.baseline_implementation, e.metric, e.statistic)
            return (*arms, dimensions, kind, cell)

        return of

    pairs: dict[int, int] = {}
    left, right = list(range(len(ours))), list(range(len(theirs)))
    for ways in _ways(bool(compared), main[0] != main[1], bool(swept)):
        remaining = [ours[i] for i in left], [theirs[i] for i in right]
        stands_for = {**follows, **_stand_ins(*remaining, values)} if ways.standing else {}
        keyed = [
            _by_key([(i, qs[i]) for i in there], key(side, stands_for, ways)) for side, qs, there in ((0, ours, left), (1, theirs, right))
        ]
        for found, mine in keyed[0].items():
            other = keyed[1].get(found, [])
            if len(mine) == len(other) == 1 and (ways.by_cell or _whole(ours[mine[0]], swept) or _whole(theirs[other[0]], swept)):
                pairs[mine[0]] = other[0]
        taken = set(pairs.values())
        left, right = [i for i in left if i not in pairs], [i for i in right if i not in taken]
    return Matched(
        tuple(Match(ours[i], theirs[pairs[i]], _named(ours[i].estimate) == _named(theirs[pairs[i]].estimate)) for i in sorted(pairs)),
        tuple(ours[i] for i in left),
        tuple(theirs[i] for i in right),
        compared,
    )


def _texts(view: RunView) -> dict[str, list[str]]:
    known = fields(view.plan.model)
    return {name: [known[name].text(value) for value in values] for name, values in view.plan.values.items()}


def _whole(q: Quantity, swept: Sequence[str]) -> bool:
    return any(q.cell.get(name) is None for name in swept)


def _by_key(items: Sequence[tuple[int, Quantity]], key: Callable[[Quantity], Hashable]) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for index, q in items:
        found[key(q)].append(index)
    return found


def _named(e: Estimate) -> tuple[tuple[str, str], ...]:
    """Dimensions and dtype by name; of data their name alone."""
    return (*((name, value.partition(DATA_HASH)[0]) for name, value in _scalars(e.dimensions)), ("dtype", e.dtype))


class _Ways(NamedTuple):
    """How two measurements are held against each other: with stand-ins of a parameter, by kind of device, by the cell of a sweep."""

    standing: bool
    by_kind: bool
    by_cell: bool


def _ways(comparing: bool, across_kinds: bool, sweeping: bool) -> list[_Ways]:
    """The ways that there are for two runs, the strictest first."""
    found = [_Ways(False, True, True)]
    found += [_Ways(True, True, True)] if comparing else []
    found += [_Ways(comparing, False, True)] if across_kinds else []
    found += [_Ways(comparing, True, False)] if sweeping else []
    return found


def _values(found: Sequence[Quantity]) -> dict[str, set[str]]:
    """The values of each dimension and of the dtype that occur."""
    seen: dict[str, set[str]] = defaultdict(set)
    for q in found:
        for name, value in _named(q.estimate):
            seen[name] |= {value} - {""}
    return seen


def _stand_ins(
    ours: Sequence[Quantity], theirs: Sequence[Quantity], compared: Mapping[str, tuple[str, str]]
) -> dict[tuple[int, str, str], str]:
    """Which value of which dimension, in the first run (0) and the second (1), repeats a parameter that differs as a whole."""
    mine, other = _values(ours), _values(theirs)
    found: dict[tuple[int, str, str], str] = {}
    for name in mine:
        for parameter, (a, b) in compared.items():
            if a in mine[name] and b in other[name] and b not in mine[name] and a not in other[name]:
                found[0, name, a] = found[1, name, b] = f"‹{parameter}›"
                break
    return found


def _single_valued(ours: Sequence[Quantity], theirs: Sequence[Quantity]) -> dict[tuple[int, str, str], str]:
    """The dimensions that have one value in the whole of each run, not the same."""
    mine, other = _values(ours), _values(theirs)
    found: dict[tuple[int, str, str], str] = {}
    for name in mine:
        if len(mine[name]) == len(other[name]) == 1 and mine[name] != other[name]:
            (a,), (b,) = mine[name], other[name]
            found[0, name, a] = found[1, name, b] = f"‹{name}›"
    return found
