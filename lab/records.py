"""The values that flow from an experiment to a reader: events out of the worker, estimates, measured claims, charts.

    experiment --(Event)--> worker --events.jsonl--> store --(StoredRecord)--> summary --(Estimate)--> verdicts, charts, CSV

All values are SI (seconds, joules, bytes); formatting happens in ``lab.ui`` and ``lab.charts`` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lab.parameters import Plan
    from lab.workload import Workload

Protocol = Literal["published", "sound"]
Role = Literal["technique", "baseline"]
Comparison = Literal["published", "best"]
Statistic = Literal["mean", "ratio", "difference", "exact"]
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Phase:
    """A named stage that a reader sees (``import torch``, ``compile``, ``warm up``, ``measure``).

    ``budgeted`` is False for start-up and compilation, which do not count against a preset's time budget.
    """

    name: str
    detail: str = ""
    budgeted: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """Share done of the current cell, 0 to 1, with what is being done in words."""

    fraction: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """An entry of the manifest that only the run itself can know (``energy_method``); a later fact of the same name replaces it."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Record:
    """One raw measurement: a row of records.csv.

    A missing ``value`` is None with its ``reason``. Records of one mirrored observation share ``repeat`` (0, 1, …), so that ratios
    pair them. ``dimensions`` holds the workload's declared dimensions. The worker adds run, workload and the cell's parameters.
    ``whole_run`` marks a record that belongs to no cell of the sweep (a fixed published protocol, a count): the worker stores it
    with cell −1, and its swept parameters are left empty.
    """

    protocol: Protocol
    arm: str
    role: Role
    implementation: str
    device: str  # "cpu" or "cuda:0"
    dtype: str
    metric: str
    value: float | None
    unit: str
    repeat: int | None = None
    seed: int | None = None
    reason: str = ""
    dimensions: Mapping[str, Scalar] = field(default_factory=dict)
    whole_run: bool = False


@dataclass(frozen=True, slots=True)
class DataUsed:
    """A data set that the run has used; it goes into the manifest's ``data`` list, once however often it is told.

    ``label`` is what measurements call it (``Measured.data``): it tells this data from any other, by its SHA-256 where the name alone
    does not. ``sizes`` counts the items of each split (train, validation, test). :meth:`lab.data.Dataset.used` makes it.
    """

    name: str
    title: str
    label: str
    source: str
    licence: str
    sha256: str
    sizes: Mapping[str, int]
    note: str = ""


Event = Phase | Progress | Fact | DataUsed | Record  # what an experiment yields


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the store returns it: with its place in the run's event log and the cell of the sweep it belongs to.

    ``cell`` is −1 for a record of the run as a whole (``record.whole_run``).
    """

    seq: int
    cell: int
    record: Record


@dataclass(frozen=True, slots=True)
class Estimate:
    """One row of summary.csv: a mean per arm, or a ratio or difference of an arm against a baseline, with its 95 % interval.

    For ``statistic="ratio"`` of a lower-is-better metric, ``mean`` is baseline / arm ("how many times better"): > 1 favours the
    technique. ``ci_low``/``ci_high`` are None for exact values. ``n`` counts the observations behind the interval. ``reason``
    says why a value is missing or what is wrong with it (it begins with ``drift`` for a drifting ratio).
    ``dimensions`` and ``swept`` (parameter name → value, swept parameters only) tell which cell it is. ``device`` and ``dtype`` are
    not columns of summary.csv.
    """

    workload: str
    protocol: Protocol
    arm: str
    implementation: str
    baseline_arm: str
    baseline_implementation: str
    metric: str
    statistic: Statistic
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    unit: str
    reason: str = ""
    dimensions: Mapping[str, Scalar] = field(default_factory=dict)
    swept: Mapping[str, Scalar] = field(default_factory=dict)
    device: str = ""
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run found for one claim, in the claim's own unit and direction; ``lab.verdicts`` judges it.

    ``value`` None means not measured, ``reason`` says why. ``pair`` names technique and baseline with their implementations and
    the cell ("phi6 fused against gelu_tanh eager, N = 67,108,864, bfloat16"). ``data`` names the data set ("" where none is
    involved). ``flaws`` lists what makes the value unfit for a verdict: "drift: …", "grid edge: …", "settings searched: …".
    ``n`` counts observations; exact values have n = 1 and no interval.
    """

    claim_id: str
    protocol: Protocol
    comparison: Comparison
    metric: str
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    exact: bool = False
    pair: str = ""
    hardware_class: Literal["cpu", "gpu", "any"] = "any"
    data: str = ""
    reason: str = ""
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One line, bar group or set of points of a chart, or one row of a heat map.

    ``low``/``high`` bound an interval of each ``y`` where given (same length), ``x_low``/``x_high`` one of each ``x`` of a scatter. ``z``
    is the third coordinate of a "scatter3d". ``labels`` names the points of a scatter for those who ask what one is ("threshold 0.01").
    """

    name: str
    x: tuple[Scalar, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    emphasis: Literal["technique", "baseline", "limit"] = "technique"
    x_low: tuple[float | None, ...] = ()
    x_high: tuple[float | None, ...] = ()
    z: tuple[float | None, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure as data: ``lab.charts`` draws it in the theme, gives it its alt text and puts the same numbers in a table.

    ``kind``: "line" (intervals are bars, on a dense curve a translucent band), "bar", "scatter" (points alone, with intervals of x and y),
    "scatter3d" (points, ``z_title`` names the third axis), "heatmap" (each series is a row, its ``y`` the values of the cells at ``x``,
    ``rows_title`` says what the rows are; ``y_log`` makes the colour logarithmic and ``y_range`` bounds it).

    ``y_unit`` is SI ("s", "B/s", "J"); the drawing picks the prefix, of a scatter also that of ``x_unit``. ``limits`` maps the name of a
    physical limit to its value on the y axis, ``marks`` the name of an event (a stopping point, a crossover) to its place on the x axis.
    ``calibrated`` names limits of ``lab.calibration`` in the y unit: they are drawn where the run's device was calibrated before the run.
    ``interval`` is what ``low``/``high`` bound, in words. ``alt`` says in one sentence what the chart shows (not what it looks like).
    ``takeaway`` is shown above it. ``bands`` draws the intervals of every line as bands, however few its points are.
    """

    key: str
    title: str
    kind: Literal["line", "bar", "scatter", "scatter3d", "heatmap"]
    x_title: str
    y_title: str
    y_unit: str
    series: tuple[Series, ...]
    alt: str
    x_unit: str = ""
    x_log: bool = False
    y_log: bool = False
    limits: Mapping[str, float] = field(default_factory=dict)
    calibrated: tuple[str, ...] = ()
    takeaway: str = ""
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    marks: Mapping[str, float] = field(default_factory=dict)
    interval: str = "95 % interval"
    z_title: str = ""
    rows_title: str = ""
    bands: bool = False


@dataclass(frozen=True, slots=True)
class RunView:
    """One run as readers see it, wherever it comes from: the store (``store.view(run_id)``) or a recorded folder
    (``export.load_recorded(folder)``).

    ``workload`` is the declaration itself, not its name. ``manifest`` is what ``lab.environment.manifest`` wrote (plain JSON values).
    ``records`` are in the order of their ``seq``. ``status`` is the store's word for how the run stands or ended, ``reason`` says why
    it ended so ("" for a finished run).
    """

    run_id: str
    workload: Workload
    plan: Plan
    manifest: Mapping[str, Any]
    records: Sequence[StoredRecord]
    status: str
    reason: str = ""
