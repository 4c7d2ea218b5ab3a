"""What helps a reader: the answer in a line, parameters that change nothing greyed out, hints that go away."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from lab.store import Store


def said(page: AppTest) -> list[str]:
    return [found.value.replace("\\", "") for found in page.markdown]


def test_the_answer_comes_first_with_the_leading_claim_and_counts(open_page: Callable[..., AppTest]) -> None:
    page = open_page("activations")
    texts = said(page)
    answer = next(
        text for text in texts if text.startswith("**The forward pass of Phi6Simple is faster than that of GELU**, claimed 8.1×.")
    )
    assert "As published" in answer
    assert "best against best" in answer
    assert "Recorded run, NVIDIA H200" in answer
    assert texts.index(answer) < next(place for place, text in enumerate(texts) if "New here?" in text)
    # Each claim is one line with its verdicts, and the words of tables are not counted beside those of their cells.
    assert [line.label for line in page.expander if line.label.startswith("**The forward pass")] != []


def test_what_changes_nothing_is_greyed_out_and_keeps_its_value(open_page: Callable[..., AppTest]) -> None:
    page = open_page("activations", studies="learning", n="2048")
    assert page.select_slider[0].disabled
    assert page.text_input[0].disabled
    assert page.query_params["n"] in ("2048", ["2048"])
    line = next(found.value.replace("\\", "") for found in page.caption if "Greyed out" in found.value)
    assert "N (needs What is measured: Speed and Mode: Forward or Forward + backward)" in line
    assert any("about" in found.value.lower() and "combinations" not in found.value for found in page.caption)
    page.button_group(key="activations:widget:studies#0").set_value(["speed", "learning"]).run()
    assert not page.select_slider[0].disabled
    assert page.text_input[0].value == "2048"


def test_all_choices_at_once_are_shown_as_chosen(open_page: Callable[..., AppTest]) -> None:
    page = open_page("activations", implementations="all")
    key = "activations:widget:implementations#0"
    every = page.button_group(key=key).value
    assert len(every) == len(page.button_group(key=key).options) > 1
    page.button_group(key=key).set_value(every[1:]).run()
    assert page.query_params["implementations"] in (",".join(every[1:]), [",".join(every[1:])])
    page.button_group(key=key).set_value(every).run()
    assert page.query_params["implementations"] in ("all", ["all"])
    assert page.button_group(key=key).value == every
    assert page.query_params["preset"] in ("quick", ["quick"])  # the preset's own values again


def test_a_refused_value_can_be_mended_though_it_changes_nothing(open_page: Callable[..., AppTest]) -> None:
    page = open_page("training_diagnostics", studies="embedding", steps="50")  # too few for the windows
    assert page.error[0].value.startswith("steps")
    assert page.slider(key="training_diagnostics:widget:seeds#0").disabled
    page.slider(key="training_diagnostics:widget:steps#0").set_value(800).run()
    assert not page.error
    assert page.slider(key="training_diagnostics:widget:steps#0").disabled


def test_a_hint_goes_with_a_click_on_every_experiment_and_with_the_first_run(
    open_page: Callable[..., AppTest], store: Store, until: Callable[[Callable[[], object]], None]
) -> None:
    page = open_page("demo")
    assert any("New here?" in text for text in said(page))
    next(found for found in page.button if found.label == "Got it").click().run()
    assert not any("New here?" in text for text in said(page))
    page.query_params.clear()
    page.switch_page("pages/smoothing.py").run()
    assert not any("New here?" in text for text in said(page))
    next(found for found in page.button if found.label == "Run").click().run()
    assert not any("New here?" in text for text in said(open_page("demo")))  # another browser: here something was run
    until(lambda: not store.runs()[0].active)
