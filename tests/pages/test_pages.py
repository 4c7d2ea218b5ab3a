"""Every page in Streamlit's test harness: what is shown, what an edit does, what a bad address does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lab import export
from lab.store import Store
from lab.ui.text import plain
from lab.workload import experiments
from tests.pages.app_copy import ROOT

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))


def button(page: AppTest, label: str) -> object:
    return next(found for found in page.button if found.label == label)


def address(page: AppTest) -> dict[str, str]:
    return {name: several[0] if isinstance(several, list) else several for name, several in page.query_params.items()}


@pytest.mark.parametrize("name", ["", *PAGES, "demo"])
def test_every_page_opens(open_page: Callable[..., AppTest], name: str) -> None:
    page = open_page(name)
    assert not page.exception
    assert len(page.title) == 1


def test_the_overview_says_what_was_found_and_lists_only_what_exists(open_page: Callable[..., AppTest]) -> None:
    page = open_page()
    assert any("CPU" in found.value for found in page.info)
    titles = [found.value for found in page.markdown if found.value.startswith("### ")]
    # Those with a page, by the name of their package; the instrument is no experiment.
    with_page = experiments()
    assert titles == [f"### {plain(found.title)}" for name, found in with_page.items() if name in (*PAGES, "demo", "smoothing")]
    assert "### Activation speed" in titles


def test_the_address_holds_every_value(open_page: Callable[..., AppTest]) -> None:
    page = open_page("demo")
    assert (
        address(page).items() >= {"preset": "quick", "device": "auto", "n": "1024", "repeats": "3", "seed": "0", "chatter": "false"}.items()
    )


def test_an_address_sets_the_widgets(open_page: Callable[..., AppTest]) -> None:
    page = open_page("demo", n="1024,16384", repeats="5")
    assert page.select_slider[0].value == (1024, 16384)
    assert page.text_input[0].value == "1024,16384"
    assert page.number_input(key="demo:widget:repeats#0").value == 5
    assert page.button_group(key="demo:widget:preset#0").value is None  # no preset has these values


def test_a_slider_writes_its_sweep_into_text_and_address(open_page: Callable[..., AppTest]) -> None:
    page = open_page("demo")
    page.select_slider[0].set_range(4096, 65536).run()
    assert page.text_input[0].value == "4096,16384,65536"
    assert address(page)["n"] == "4096,16384,65536"
    assert address(page)["preset"] == "custom"


def test_zero_is_a_stop_of_its_own_with_its_meaning(open_page: Callable[..., AppTest]) -> None:
    page = open_page("spectral_sparse_attention")
    clusters = page.select_slider(key="spectral_sparse_attention:widget:k:range#0")
    assert clusters.options[:4] == ["√N", "1", "2", "4"]
    assert clusters.value == (0, 0)
    clusters.set_range(0, 64).run()
    assert address(page)["k"] == "0,64"
    assert not page.error


def test_exact_values_are_kept_as_typed_and_wrong_ones_block_the_run(open_page: Callable[..., AppTest]) -> None:
    page = open_page("demo")
    page.text_input[0].set_value("1000, 3000").run()
    assert address(page)["n"] == "1000,3000"
    assert not page.error
    page.text_input[0].set_value("1000,many").run()
    assert page.text_input[0].value == "1000,many"
    assert "n: 'many'" in page.error[0].value.replace("\\", "")
    assert button(page, "Run").disabled
    page.text_input[0].set_value("1000").run()
    assert not page.error
    assert not button(page, "Run").disabled


def test_a_preset_sets_all_values(open_page: Callable[..., AppTest]) -> None:
    page = open_page("demo", seed="7")
    page.button_group(key="demo:widget:preset#0").set_value("thorough").run()
    assert address(page).items() >= {"preset": "thorough", "seed": "0", "repeats": "10", "n": "1024,4096"}.items()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"n": "0"}, "n: '0'"),
        ({"seed": ["1", "2"]}, "several times"),
        ({"colour": "red"}, "colour: 'red' belongs to no parameter"),
        ({"device": "cuda"}, "device"),
        ({"run": "nothing"}, "run: 'nothing'"),
        ({"ending": "[a](http://b)"}, "[a](http://b)"),
    ],
)
def test_a_bad_address_is_one_line_and_blocks_the_run(open_page: Callable[..., AppTest], query: dict, words: str) -> None:
    page = open_page("demo", **query)
    assert not page.exception
    assert len(page.error) == 1
    assert words in page.error[0].value.replace("\\", "").replace("\u2060", "")
    assert button(page, "Run").disabled


def test_a_bad_address_stays_until_the_reader_goes_on(open_page: Callable[..., AppTest], store: Store) -> None:
    page = open_page("demo", n="0", repeats="7")
    assert address(page) == {"n": "0", "repeats": "7"}
    button(page, "Go on with the values shown").click().run()
    assert not page.error
    assert address(page).items() >= {"n": "1024", "repeats": "7"}.items()  # what was right is kept
    assert store.runs() == []


def test_the_choice_survives_a_switch_of_pages(open_page: Callable[..., AppTest]) -> None:
    page = open_page("demo")
    page.number_input(key="demo:widget:seed#0").set_value(42).run()
    page.query_params.clear()  # as a page link does
    page.switch_page("pages/activations.py").run()
    page.query_params.clear()
    page.switch_page("pages/demo.py").run()
    assert page.number_input(key="demo:widget:seed#0").value == 42
    assert address(page)["seed"] == "42"


def test_a_run_from_the_click_to_the_files(
    open_page: Callable[..., AppTest], store: Store, until: Callable[[Callable[[], object]], None]
) -> None:
    page = open_page("demo")
    button(page, "Run").click().run()
    (run,) = store.runs()
    assert address(page) == {"run": run.id}
    until(lambda: not store.run(run.id).active)
    page.run()
    assert not page.exception
    assert "Measured on" in page.success[0].value
    assert [found.value for found in page.header] == ["Results"]
    assert not button(page, "Run").disabled
    elsewhere = open_page("demo", run=run.id)  # another browser
    assert "Measured on" in elsewhere.success[0].value
    elsewhere.number_input(key="demo:widget:seed#0").set_value(1).run()
    assert "run" not in address(elsewhere)
    assert address(elsewhere)["seed"] == "1"


def test_run_pressed_twice_is_one_run(open_page: Callable[..., AppTest], store: Store) -> None:
    page = open_page("demo", ending="hang")
    run = button(page, "Run")
    run.click().run()
    run.click().run()  # the press of an impatient reader: the button of before the first answer
    assert len(store.runs()) == 1
    assert button(page, "Run").disabled
    button(page, "Cancel").click().run()


def test_a_failed_run_says_why_and_keeps_what_was_measured(
    open_page: Callable[..., AppTest], store: Store, until: Callable[[Callable[[], object]], None]
) -> None:
    page = open_page("demo", ending="crash")
    button(page, "Run").click().run()
    until(lambda: not store.runs()[0].active)
    page.run()
    said = page.warning[0].value.replace("\\", "")
    assert said.startswith("The run failed. The worker crashed with exit status 7")
    assert "6 measurements made before are kept" in said  # 3 repeats of two arms


def test_what_cannot_fit_into_memory_is_refused_and_nothing_starts(open_page: Callable[..., AppTest], store: Store) -> None:
    page = open_page("demo", n=str(2**50))  # 8 bytes each: 9 petabytes
    button(page, "Run").click().run()
    assert page.error[0].value.startswith(r"n\: '1125899906842624' needs 9.01 PB")
    assert "main memory" in page.error[0].value
    assert store.runs() == []
    assert button(page, "Run").disabled
    assert address(page)["n"] == str(2**50)


def test_a_run_of_another_experiment_is_not_shown(
    open_page: Callable[..., AppTest], store: Store, until: Callable[[Callable[[], object]], None]
) -> None:
    page = open_page("demo")
    button(page, "Run").click().run()
    other = open_page("activations", run=store.runs()[0].id)
    assert "demo" in other.error[0].value
    until(lambda: not store.runs()[0].active)


def test_pages_are_thin() -> None:
    for path in [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]:
        assert len(Path(path).read_text().splitlines()) <= 10, path


def test_a_recorded_run_can_be_linked_to_with_its_parameters(open_page: Callable[..., AppTest]) -> None:
    reference = "recorded/activations/h200-learning"
    page = open_page("activations", run=reference)
    assert not page.exception
    assert not page.error  # evidence from a GPU opens without complaint where there is none
    assert address(page) == {"run": reference}
    assert page.button_group(key=f"activations:show {reference}").value == "The recorded run: learning"
    assert any("Recorded on" in found.value for found in page.info)
    recorded = export.load_recorded(ROOT / "workloads" / "activations" / "recorded" / "h200-learning")
    assert page.session_state["activations:choice"].texts == recorded.plan.texts()


@pytest.mark.parametrize(
    "reference", ["recorded/activations/../activations/h200", "recorded/", "imported/0123456789ab", "imported/../x", "nonsense"]
)
def test_a_run_that_does_not_exist_is_one_line(open_page: Callable[..., AppTest], reference: str) -> None:
    page = open_page("activations", run=reference)
    assert not page.exception
    assert len(page.error) == 1
    assert "run" in page.error[0].value


def test_a_run_of_another_page_is_refused(open_page: Callable[..., AppTest]) -> None:
    page = open_page("activations", run="recorded/fft_mixing/h200")
    assert "belongs to another page" in page.error[0].value


def test_a_run_deleted_elsewhere_is_said_and_its_parameters_stay(
    open_page: Callable[..., AppTest], store: Store, until: Callable[[Callable[[], object]], None]
) -> None:
    page = open_page("demo", n="4096")
    button(page, "Run").click().run()
    run_id = address(page)["run"]
    until(lambda: not store.run(run_id).active)
    page.run()
    with store._write() as db:
        db.execute("DELETE FROM runs WHERE id = ?", (run_id,))
    page.run()
    assert not page.exception
    assert "is unknown" in page.error[0].value
    assert page.text_input[0].value == "4096"
