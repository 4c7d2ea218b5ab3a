"""The tab of imported runs: a file goes in, stands there with its label, opens, and goes again after a question."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from lab import export
from lab.bundle_check import LIMITS, check
from lab.imports import Imports
from lab.store import Store
from tests.lab import bundles

ZIP, JSON, CSV = "application/zip", "application/json", "text/csv"


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process of its own finds is tested elsewhere."""
    monkeypatch.setattr("lab.imports.Imports.__init__.__defaults__", (LIMITS, check))


@pytest.fixture
def tab(app: Path) -> AppTest:
    """A page with the section alone."""
    page = app.parent / "pages" / "imported_runs.py"
    page.write_text("from lab.ui import importing\n\nimporting.section()\n")
    return AppTest.from_file(str(app)).switch_page("pages/imported_runs.py").run()


def send(tab: AppTest, *files: tuple[str, bytes, str]) -> None:
    tab.file_uploader[0].set_value(list(files))
    tab.run()
    button(tab, "Import").click()
    tab.run()
    assert not tab.exception


def button(tab: AppTest, label: str) -> Button:
    return next(found for found in tab.button if found.label == label)


def texts(elements: Iterable[Any]) -> str:
    """What a reader sees, without escapes and what parts an address."""
    return "\n".join(element.value for element in elements).replace("\\", "").replace("\u2060", "")


def test_nothing_is_imported_at_first(tab: AppTest) -> None:
    assert "Nothing is imported yet" in texts(tab.info)
    assert button(tab, "Import").disabled


def test_a_run_comes_in_and_goes_again(tab: AppTest, store: Store, open_page: Callable[..., AppTest]) -> None:
    send(tab, ("run.zip", export.as_zip(bundles.view(hardware="*Some* [CPU](http://x)")), ZIP))
    label = "Imported; measured on *Some* [CPU](http://x) on 31 January 2026; not checked by this machine."
    assert f"run.zip: Demo. {label}" in texts(tab.success)
    assert label in texts(tab.markdown)
    assert button(tab, "Import").disabled  # the uploader is empty again
    (run,) = Imports(store.home).all()
    page = open_page("demo", run=run.reference)
    assert not page.exception
    assert "not checked by this machine" in texts(page.info)
    send(tab, ("again.zip", export.as_zip(bundles.view(hardware="*Some* [CPU](http://x)")), ZIP))
    assert "It had been imported before, and stays once." in texts(tab.success)
    button(tab, "Remove this run").click()
    tab.run()
    assert not tab.exception
    assert Imports(store.home).all() == []
    assert "Nothing is imported yet" in texts(tab.info)
    gone = open_page("demo", run=run.reference)
    assert not gone.exception
    assert "is unknown" in texts(gone.error)


def test_each_file_has_its_own_outcome(tab: AppTest, store: Store) -> None:
    files = export.bundle(bundles.view())
    send(
        tab,
        ("good.json", export.as_json(bundles.view(seed="1")), JSON),
        ("bad.zip", b"**hello**", ZIP),
        (f"{bundles.RUN_ID}-manifest.json", files[export.MANIFEST], JSON),
        (f"{bundles.RUN_ID}-records.csv", files[export.RECORDS], CSV),
        (f"{bundles.RUN_ID}-summary.csv", b"mean\n1\n", CSV),
    )
    assert "bad.zip: Not imported: is not a zip file." in texts(tab.error)
    assert "good.json: Demo." in texts(tab.success)
    assert f"{bundles.RUN_ID}-manifest.json, " in texts(tab.success)
    assert "The bundle's own summary.csv differs" in texts(tab.warning)
    assert len(Imports(store.home).all()) == 2


def test_a_run_that_cannot_be_read_can_be_removed(tab: AppTest, store: Store) -> None:
    send(tab, ("run.zip", export.as_zip(bundles.view()), ZIP))
    (run,) = Imports(store.home).all()
    (Imports(store.home).folder / run.id / export.MANIFEST).write_text("{")
    tab.run()
    assert "This run cannot be read (manifest.json: is not JSON" in texts(tab.error)
    button(tab, "Remove this run").click()
    tab.run()
    assert Imports(store.home).all() == []


def test_a_long_list_is_shown_in_parts(tab: AppTest, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.ui.importing.SHOWN", 1)
    for seed in range(3):
        Imports(store.home).add(export.as_zip(bundles.view(seed=str(seed))))
    tab.run()
    removals = [found for found in tab.button if found.label == "Remove this run"]
    assert len(removals) == 1
    button(tab, "Show 1 more").click()
    tab.run()
    assert sum(found.label == "Remove this run" for found in tab.button) == 2
