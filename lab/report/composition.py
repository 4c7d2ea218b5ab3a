"""Puts the file together: what the template says of each run, the scripts with their hashes, and writing it as a whole or not at all."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import uuid
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jinja2
import plotly
from markupsafe import Markup

from lab import __version__, calibration, collection, export
from lab.collection import origin
from lab.formatting import quantity
from lab.imports import Imports
from lab.parameters import ParameterError
from lab.records import Estimate, RunView
from lab.report import circumstances, judgements, tables
from lab.report.drawings import CONFIG, TEMPLATE, Drawing, drawings
from lab.report.judgements import JudgedClaim
from lab.report.tables import Table
from lab.report.text import markdown, markdown_line, script_json, shown
from lab.store import ACTIVE, Store
from lab.summary import summarise
from lab.verdicts import Evidence, verdicts
from lab.workload import Workload

ENDINGS = (".html", ".htm")
MAX_RUNS = 20  # in one report: each adds half a megabyte and a second
_TEMPLATE = Path(__file__).with_name("template")


@dataclass(frozen=True)
class Subject:
    """A run to report on, by its ``reference`` (:mod:`lab.collection`).

    ``name`` is what its owner called it, ``notices`` is what its import had to say of it.
    """

    reference: str
    view: RunView
    name: str = ""
    notices: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: Store, reference: str) -> Subject:
        """The run called ``reference``. Raises ParameterError when there is none or it has not ended: a document is of a result."""
        view = collection.view(store, reference)
        if view.status in ACTIVE:
            raise ParameterError("run", reference, "runs that have ended", f"is still {view.status}")
        if origin(reference) == "imported":
            return cls(reference, view, notices=Imports(store.home).get(reference).notices)
        return cls(reference, view, name=store.run(reference).name if origin(reference) == "local" else "")


@dataclass(frozen=True)
class _Section:
    """What the template shows of one run. ``anchor`` tells its ids in the file from those of other runs, ``number`` its title."""

    anchor: str
    number: str
    subject: Subject

    @property
    def view(self) -> RunView:
        return self.subject.view

    @property
    def workload(self) -> Workload:
        return self.view.workload

    @property
    def title(self) -> str:
        return f"{self.number}{self.workload.title}"

    @property
    def provenance(self) -> str:
        return circumstances.provenance(origin(self.subject.reference))

    @property
    def permalink(self) -> str:
        """Where every Efficiency Lab shows the run; "" for one that only some have."""
        reference = self.subject.reference
        page = "device" if self.workload.instrument else self.workload.name
        return f"/{page}?run={reference}" if origin(reference) == "recorded" else ""

    @property
    def ending(self) -> str:
        return circumstances.ending(self.view)

    @property
    def hardware(self) -> str:
        return circumstances.hardware(self.view.manifest)

    @property
    def date(self) -> str:
        return circumstances.date(self.view.manifest)

    @cached_property
    def estimates(self) -> list[Estimate]:
        return summarise(self.workload, self.view.plan, self.view.records)

    @cached_property
    def claims(self) -> list[JudgedClaim]:
        return judgements.judged(verdicts(self.workload, self.estimates, Evidence.from_manifest(self.view.manifest)))

    @cached_property
    def counts(self) -> list[tuple[str, list[tuple[str, int]]]]:
        return judgements.counts(self.claims)

    @property
    def findings(self) -> list[tuple[str, str]]:
        """What a calibration found, which no claim asks for."""
        return calibration.findings(self.estimates) if self.workload.name == calibration.WORKLOAD else []

    @cached_property
    def drawings(self) -> list[Drawing]:
        return drawings(self.view, self.estimates)

    @property
    def notices(self) -> list[Markup]:
        return [markdown_line(sentence) for sentence in self.workload.notice]

    @property
    def method(self) -> Markup:
        return markdown(self.workload.method)

    @property
    def facts(self) -> circumstances.Rows:
        return circumstances.facts(self.view)

    @property
    def data_sets(self) -> list[circumstances.DataSet]:
        return circumstances.data_sets(self.view)

    @property
    def parameters(self) -> list[tuple[str, str, str]]:
        return circumstances.parameters(self.view)

    @property
    def manifest(self) -> str:
        return json.dumps(export.manifest(self.view), ensure_ascii=False, indent=2, sort_keys=True)

    @property
    def command(self) -> str:
        return circumstances.command(self.view)

    @cached_property
    def archive(self) -> bytes:
        return export.as_zip(self.view)

    @property
    def archive_base64(self) -> str:
        return base64.b64encode(self.archive).decode("ascii")

    @property
    def archive_facts(self) -> str:
        """Size and hash, so that a reader can check what was saved."""
        return f"{quantity(len(self.archive), 'B')}, SHA-256 {hashlib.sha256(self.archive).hexdigest()}"

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The tables of the archive by their file names."""
        with zipfile.ZipFile(io.BytesIO(self.archive)) as archive:
            files = {Path(name).name: archive.read(name) for name in archive.namelist()}
        return {name: tables.of_csv(files[name]) for name in (export.SUMMARY, export.RECORDS)}


def check(references: Sequence[str]) -> None:
    """Raise ParameterError for no run at all, for more than a file should hold, and for a run that is named twice."""
    if not references:
        raise ParameterError("run", "", f"1 to {MAX_RUNS} runs", "is missing")
    if len(references) > MAX_RUNS:
        raise ParameterError("run", f"{len(references)} runs", f"1 to {MAX_RUNS} runs", "are too many for one report")
    for place, reference in enumerate(references):
        if reference in references[:place]:
            raise ParameterError("run", reference, "each run once", "is given twice")


def document(subjects: Sequence[Subject]) -> bytes:
    """The report on one or several runs, in the order given, as UTF-8; the same runs give the same bytes.

    Raises ParameterError as :func:`check` does.
    """
    check([subject.reference for subject in subjects])
    numbers = [f"{place}. " if len(subjects) > 1 else "" for place in range(1, len(subjects) + 1)]
    sections = [_Section(f"run-{place}", numbers[place - 1], subject) for place, subject in enumerate(subjects, start=1)]
    page = (
        _environment()
        .get_template("report.html")
        .render(
            sections=sections,
            title=_title(sections),
            plotly=_plotly(),
            script=_script(),
            style=Markup((_TEMPLATE / "report.css").read_text(encoding="utf-8")),
            policy=_policy(),
            look={"template": TEMPLATE, "config": CONFIG},
            version=__version__,
        )
    )
    return page.encode("utf-8", "replace")


def write(path: Path, subjects: Sequence[Subject]) -> None:
    """Write the report to ``path``, whose folder is made if needed: the whole file or none, an old one is kept until then.

    Raises OSError when it cannot be written, and what :func:`document` raises.
    """
    data = document(subjects)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{uuid.uuid4().hex}.report")
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def _title(sections: Sequence[_Section]) -> str:
    if len(sections) == 1:
        return f"{sections[0].workload.title}: {sections[0].hardware}, {sections[0].date}"
    return f"{len(sections)} runs: " + ", ".join(dict.fromkeys(section.workload.title for section in sections))


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["script_json"] = script_json
    found.filters["slug"] = lambda words: words.replace(" ", "-")
    return found


def _finalize(value: Any) -> Any:
    """What a template expression shows: text without invisible characters; Markup is finished."""
    return shown(value) if type(value) is str else value


@cache
def _plotly() -> Markup:
    """Plotly.js as the plotly package brings it: the same in every report, so that nothing is fetched."""
    text = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    return _inline(text)


@cache
def _script() -> Markup:
    return _inline((_TEMPLATE / "report.js").read_text(encoding="utf-8"))


def _inline(script: str) -> Markup:
    """A script that can stand inside a page: no end of its element in it, line ends as a browser's parser leaves them (it hashes them)."""
    return Markup(script.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--"))


@cache
def _policy() -> str:
    """The content security policy: exactly these two scripts, styles and pictures of the file's own, and no network for anything."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in (_plotly(), _script()))
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
