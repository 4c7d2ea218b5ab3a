"""What a comparison of runs says, section by section: what differs, verdicts, what moved, how much equal runs differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from lab import charts, comparison_chart, formatting
from lab import verdicts as verdict_words
from lab.claims import claims
from lab.comparison import (
    DIFFERENT_WORDS,
    REFUSED,
    WORDS,
    Comparison,
    ControlFinding,
    Kind,
    Pairing,
    Row,
    Spread,
    Value,
    VerdictRow,
    common,
    what,
    where,
)
from lab.matching import Quantity
from lab.run_differences import MINOR, Difference, Differences
from lab.ui import compare_data
from lab.ui.text import plain
from lab.ui.verdict_cards import COMPARISONS
from lab.workload import Workload

LETTERS = "ABCDEF"
DISAGREEMENT = ("agree", "differ, one being inconclusive", "disagree")
ONE_RUN = "measured by one run alone"
TABLE_HEIGHT = 460
METHOD = """
- **Which measurements are the same.** Protocol, arm, implementation, baseline, metric, dimensions, dtype, kind of device and the values of
  swept parameters agree. A parameter that has one value in each run, not the same, is what is being compared and does not keep
  measurements apart. What only one run has is listed.
- **Ratios of ratios first.** A ratio of technique to baseline is taken within each run, so whatever moves both arms alike cancels.
- **Intervals.** Those of both sides are combined as √(a² + b²) on the log scale, which never covers less than 95 %. They hold
  what varies within a run. What varies from run to run they do not hold.
- **Between runs.** With three or more runs of equal settings each run is one observation. Else the baselines that are the same in both
  runs are the control: how differently they moved is added to every interval. Fewer than two such baselines cannot tell: then the
  interval is shown and no word is given.
- **The machine moved.** Where an unchanged baseline moved by more than its interval and the practical margin, no raw time or joule of a
  technique is called different.
- **Words.** All measurements of two sides are judged together, at 5 % for any wrong word (Holm's procedure). *faster*, *slower*, *higher*,
  *lower*: the adjusted interval lies beyond the practical margin (1 % on a GPU, 5 % on a CPU, 0.5 points of accuracy, none for losses). *no
  difference*: it lies within. *no difference shown*: neither. The intervals in the tables are those of each row alone.
- **Refused.** Raw values of different GPUs, CPUs, drivers, versions, code or threads stand side by side without a ratio, and so do losses
  and accuracies of different data or code, fewer than five observations, and what drifted.
"""


def differences(title: str, found: Differences) -> None:
    """What differs in a table, what seldom matters folded away, and the names of everything that was found the same."""
    st.markdown(f"**{title}**")
    major = [row for row in found.found if row.title not in MINOR]
    minor = [row for row in found.found if row.title in MINOR]
    _differing(title, major)
    if minor:
        with st.expander(f"{_counted(len(minor), 'more difference')}: {', '.join(row.title for row in minor)}"):
            _differing(title, minor)
    if found.same:
        everything = "Everything else is the same" if found.found else "All the same"
        st.caption(plain(f"{everything}: {', '.join(found.same)}."))


def _differing(title: str, rows: Sequence[Difference]) -> None:
    if rows:
        columns = ["", *(LETTERS[place] for place in range(len(rows[0].values)))]
        cells = [(plain(row.title), *(plain(value) for value in row.values)) for row in rows]
        st.table(pd.DataFrame(cells, columns=columns), border="horizontal", hide_index=True, alt=f"{title} that differ between the runs")


def verdicts(found: Comparison) -> None:
    """How often the runs agree, the claims on which they do not in full, the others folded away."""
    tally = Counter(_agreement(row) for row in found.verdicts)
    st.markdown(f"**{plain(' · '.join(f'{tally[word]} {word}' for word in (*reversed(DISAGREEMENT), ONE_RUN) if tally[word]))}**")
    differing = [row for row in found.verdicts if row.disagreement]
    others = [row for row in found.verdicts if not row.disagreement]
    if differing:
        shown = _verdict_table(found, differing).drop(columns="Runs").map(plain)
        st.table(shown, border="horizontal", hide_index=True, alt="Claims on which the verdicts of the runs differ, disagreements first")
    if others:
        with st.expander(f"{_counted(len(others), 'verdict')} that agree or that one run alone has", icon=":material/check:"):
            letters = [LETTERS[place] for place in range(len(found.runs))]
            _dataframe(_verdict_table(found, others), "compare:verdicts", "Verdicts that do not differ", medium=letters, large=("Claim",))


def _verdict_table(found: Comparison, rows: Sequence[VerdictRow]) -> pd.DataFrame:
    places = range(len(found.runs))
    cells = []
    for row in rows:
        claim = claims()[row.claim_id]
        protocol = f", {row.protocol} protocol" if row.protocol else ""
        said = f"{claim.statement}; claimed {claim.claimed_text}; {COMPARISONS[row.comparison].lower()}{protocol}"
        cells.append((_agreement(row), said, *(_verdict_cell(row, place, claim.unit) for place in places)))
    return pd.DataFrame(cells, columns=["Runs", "Claim", *(LETTERS[place] for place in places)])


def _agreement(row: VerdictRow) -> str:
    return ONE_RUN if sum(map(bool, row.words)) == 1 else DISAGREEMENT[row.disagreement]


def _verdict_cell(row: VerdictRow, place: int, unit: str) -> str:
    cells = []
    for verdict in row.verdicts[place]:
        measured = formatting.estimate(verdict.measured, verdict.ci_low, verdict.ci_high, unit) if verdict.measured is not None else ""
        cells.append(f"{verdict.verdict}: {measured}" if measured else verdict.verdict)
    return "; ".join(dict.fromkeys(cells)) or verdict_words.NOT_MEASURED


def pairings(found: Comparison, references: tuple[str, ...]) -> None:
    if not found.pairings:
        st.markdown("All runs have equal settings: how much they differ from each other stands below.")
        return
    labels = {place: f"{_side(pairing.second)} against {_side(pairing.first)}" for place, pairing in enumerate(found.pairings)}
    place = 0
    if len(labels) > 1:
        place = st.segmented_control(
            "Which runs",
            tuple(labels),
            default=0,
            required=True,
            format_func=labels.__getitem__,
            key=f"compare:pair:{','.join(references)}",
        )
    pairing = found.pairings[place]
    _summary(found, pairing)
    for finding in pairing.findings:
        _control(finding, pairing)
    _section(found, references, place, "Technique against baseline, within each run", ("ratio",), overlaid=True)
    _section(found, references, place, "Times and joules", ("raw", "control"), overlaid=False)
    _section(found, references, place, "What was learned", ("learned",), overlaid=False)
    _rest(found, pairing)


def _side(places: Sequence[int]) -> str:
    return "+".join(LETTERS[place] for place in places)


def _names(pairing: Pairing) -> tuple[str, str]:
    return _side(pairing.first), _side(pairing.second)


def _summary(found: Comparison, pairing: Pairing) -> None:
    """In sentences: how many measurements both have, what became of them, what was refused and why."""
    judged = pairing.of("ratio", "raw", "learned", "count")
    only = len(pairing.only_first), len(pairing.only_second)
    first, second = _names(pairing)
    shared = f"{first} and {second} share {_counted(len(pairing.rows), 'measurement')}"
    shared += f"; {only[0]:,} only in {first}, {only[1]:,} only in {second}."
    tally = Counter(row.word for row in judged)
    words = " · ".join(f"{tally[word]:,} {word}" for word in WORDS if tally[word])
    st.markdown(plain(shared) + (f"  \n**{plain(words)}**" if words else ""))
    for caveat in pairing.caveats:
        st.caption(plain(formatting.sentence(caveat)))
    refused = [row for row in judged if row.word == REFUSED]
    if refused:
        reasons = dict.fromkeys(
            reason for row in refused for reason in row.reason.split("; ") if not reason.startswith(("first side", "second side"))
        )
        if reasons:
            st.warning(
                plain(
                    f"No ratio between {first} and {second} is given for {_counted(len(refused), 'measurement')}: {'; '.join(reasons)}. "
                    "Their values, the ratios within each run and the verdicts stand side by side all the same."
                ),
                icon=":material/block:",
            )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}" if count else f"no {noun}"


def _control(finding: ControlFinding, pairing: Pairing) -> None:
    """How far the unchanged baselines of one metric moved, as a sentence; a warning where the machine was another one."""
    first, second = _names(pairing)
    metric = finding.rows[0].first.metric
    name = metric.title if metric is not None else finding.metric
    changes = sorted(row.change for row in finding.rows if row.change is not None)
    told = finding.controls
    device = "CPU" if finding.device_kind == "cpu" else "GPU"
    span = (
        f"{formatting.number(changes[0], 4)} to {formatting.number(changes[-1], 4)} times"
        if len(changes) > 1
        else f"{formatting.number(changes[0], 4)} times"
    )
    baselines = f"{_counted(len(changes), 'unchanged baseline')} of {_counted(told.implementations, 'implementation')}"
    text = f"{name} ({device}): {baselines} took {span} in {second} what they took in {first}"
    if finding.moved:
        st.warning(
            plain(
                f"{text}. {len(finding.moved)} moved by more than their interval and the practical margin: the machine was in another "
                "state, or a parameter that differs changes the baselines too. No raw value of a technique is called different; ratios "
                "within a run may be."
            ),
            icon=":material/thermostat:",
        )
        return
    spread = (
        "how much single runs differ cannot be told from them"
        if told.spread is None
        else f"spread of an arm between runs {100 * told.spread:.2g} %"
    )
    st.caption(plain(f"{text}; {spread}."))


def _section(found: Comparison, references: tuple[str, ...], place: int, title: str, kinds: tuple[Kind, ...], *, overlaid: bool) -> None:
    pairing = found.pairings[place]
    rows = [row for row in pairing.of(*kinds) if any(value.mean is not None for value in row.values)]
    if not rows:
        return
    st.subheader(title)
    declared = found.runs[0].view.workload
    metrics = tuple(dict.fromkeys(row.first.estimate.metric for row in rows))
    key = f"compare:{kinds[0]}:{place}:{','.join(references)}"
    metric = metrics[0]
    if len(metrics) > 1:
        metric = st.segmented_control(
            "Metric",
            metrics,
            default=metric,
            required=True,
            key=f"{key}:metric",
            format_func=lambda name: _metric(declared, name),
            label_visibility="collapsed",
        )
    shown = [row for row in rows if row.first.estimate.metric == metric]
    first, second = names = _names(pairing)
    movable = comparison_chart.drawable(shown)
    shared = common(shown)
    if shared:
        st.caption(plain(f"All of these: {', '.join(shared)}."))
    if overlaid:
        caption = f"How many times better than its baseline each technique was in {first} and in {second}, with 95 % intervals."
        _draw(compare_data.ratios(references, place, metric, names), f"{key}:{metric}:both", len(shown), caption)
    if movable:
        caption = f"{second} divided by {first}, the largest moves first, with the 95 % interval of each."
        _draw(compare_data.moves(references, place, metric, names, kinds), f"{key}:{metric}:moves", len(movable), caption)
    _table(found, pairing, shown, f"{key}:{metric}:table", f"{title}, {_metric(declared, metric)}")


def _draw(picture: compare_data.Picture, key: str, count: int, caption: str) -> None:
    st.caption(
        plain(caption)
        + (f" The first {comparison_chart.MOST_LINES} of {count:,}; the table has all." if count > comparison_chart.MOST_LINES else "")
    )
    st.plotly_chart(picture.figure, key=key, config=charts.CONFIG, alt=picture.alt)


def _metric(declared: Workload, name: str) -> str:
    metric = declared.metrics.get(name)
    return metric.title if metric is not None else formatting.labelled(name, {})


def _table(found: Comparison, pairing: Pairing, rows: Sequence[Row], key: str, alt: str) -> None:
    """The rows in words; what was found different first, then in the order of the summary."""
    view = found.runs[pairing.first[0]].view
    first, second = _names(pairing)
    shared = common(rows)
    cells = [
        (
            row.word or ("unchanged baseline" if row.kind == "control" else "–"),
            what(row.first, view),
            where(row.first, row.second, shared) or "–",
            _value(row.first, row.values[0]),
            _value(row.second, row.values[1]),
            _change(row),
            row.reason or "–",
        )
        for row in sorted(rows, key=lambda row: row.word not in DIFFERENT_WORDS)
    ]
    columns = ["Found", "What", "Where", first, second, f"{second} against {first}", "Why"]
    _dataframe(pd.DataFrame(cells, columns=columns), key, alt, medium=("What", "Where", f"{second} against {first}"), large=("Why",))


def _value(q: Quantity, value: Value) -> str:
    return formatting.estimate(value.mean, value.low, value.high, q.estimate.unit)


def _change(row: Row) -> str:
    if row.change is None:
        return "–"
    if row.scale == "ratio":
        return formatting.estimate(row.change, row.low, row.high, "×")
    unit = {"%": "points"}.get(row.first.estimate.unit, row.first.estimate.unit)
    sign = "+" if row.change > 0 else ""
    return sign + formatting.estimate(row.change, row.low, row.high, unit)


def _rest(found: Comparison, pairing: Pairing) -> None:
    counts = pairing.of("count")
    if counts:
        unequal = sum(row.word == "not equal" for row in counts)
        said = f"{unequal:,} of {len(counts):,} not equal" if unequal else f"{len(counts):,}, all equal"
        with st.expander(f"Counts and exact values: {said}", icon=":material/tag:"):
            _metric_table(found, pairing, counts, "counts")
    listed = pairing.of("listed")
    if listed:
        with st.expander(f"Other measurements, side by side: {len(listed):,}", icon=":material/view_column:"):
            st.caption("The experiment compares none of these: no word is given.")
            _metric_table(found, pairing, listed, "listed")
    for places, quantities in ((pairing.first, pairing.only_first), (pairing.second, pairing.only_second)):
        if quantities:
            with st.expander(f"Only in {_side(places)}: {_counted(len(quantities), 'measurement')}", icon=":material/playlist_remove:"):
                view = found.runs[places[0]].view
                rows = [
                    (
                        _metric(view.workload, q.estimate.metric),
                        what(q, view),
                        where(q),
                        formatting.estimate(q.estimate.mean, q.low, q.high, q.estimate.unit, q.estimate.reason),
                    )
                    for q in quantities
                ]
                table = pd.DataFrame(rows, columns=["Metric", "What", "Where", "Measured"])
                _dataframe(
                    table,
                    f"compare:only:{_side(places)}",
                    f"Measurements that only {_side(places)} has",
                    medium=("What",),
                    large=("Where",),
                )


def _metric_table(found: Comparison, pairing: Pairing, rows: Sequence[Row], name: str) -> None:
    view = found.runs[pairing.first[0]].view
    first, second = _names(pairing)
    cells = [
        (
            row.word,
            _metric(view.workload, row.first.estimate.metric),
            what(row.first, view),
            where(row.first, row.second),
            _value(row.first, row.values[0]),
            _value(row.second, row.values[1]),
        )
        for row in sorted(rows, key=lambda row: row.word != "not equal")
    ]
    columns = ["Found", "Metric", "What", "Where", first, second]
    frame = pd.DataFrame(cells, columns=columns)
    _dataframe(
        frame if name == "counts" else frame.drop(columns="Found"), f"compare:{name}", f"{name} of both sides", medium=("What", "Where")
    )


def spread(found: Comparison, spread: Spread) -> None:
    letters = _side(spread.runs)
    st.header(f"How much runs of equal settings differ: {letters}", divider="gray")
    view = found.runs[spread.runs[0]].view
    st.caption(
        f"Each of the {len(spread.runs)} runs is one observation: mean with a 95 % t interval over the runs, the standard deviation "
        "between them, and beside it the half-width that a single run gives for itself."
    )
    rows = [
        (
            _metric(view.workload, row.quantity.estimate.metric),
            what(row.quantity, view),
            where(row.quantity),
            formatting.estimate(row.mean, row.low, row.high, row.quantity.estimate.unit),
            formatting.quantity(100 * row.deviation, "%"),
            "–" if row.own_half_width is None else f"± {formatting.quantity(100 * row.own_half_width, '%')}",
        )
        for row in sorted(spread.rows, key=lambda row: -row.deviation)
    ]
    columns = ["Metric", "What", "Where", "Mean of the runs", "Between runs (SD)", "A run's own interval"]
    _dataframe(
        pd.DataFrame(rows, columns=columns), f"compare:spread:{letters}", f"Spread between the runs {letters}", medium=("What", "Where")
    )


def _dataframe(frame: pd.DataFrame, key: str, alt: str, medium: Sequence[str] = (), large: Sequence[str] = ()) -> None:
    """A table in full height up to ``TABLE_HEIGHT``, without columns that say nothing."""
    frame = frame.drop(columns=[name for name in ("Where", "Why") if name in frame and (frame[name] == "–").all()])
    if "Where" not in frame:
        medium, large = [name for name in medium if name != "What"], [*large, "What"]
    configured: dict[str, Any] = {name: st.column_config.TextColumn(width="medium") for name in medium if name in frame}
    configured |= {name: st.column_config.TextColumn(width="large") for name in large if name in frame}
    height = min(TABLE_HEIGHT, 35 * (len(frame) + 1) + 3)
    st.dataframe(frame, key=key, hide_index=True, height=height, column_config=configured, alt=alt)
