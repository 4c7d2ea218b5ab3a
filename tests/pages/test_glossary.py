"""The page "Glossary": its address, its search, and what it says where nothing is found."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest


def shown(page: AppTest) -> str:
    return "\n".join(found.value for found in page.markdown).replace("\\", "")


def test_an_address_opens_a_word_and_a_search_changes_the_address(open_page: Callable[..., AppTest]) -> None:
    page = open_page("glossary", find="Holm")
    assert page.text_input[0].value == "Holm"
    assert "**Holm**" in shown(page)
    assert "latency_s" not in shown(page)
    page.text_input[0].set_value("latency_s").run()
    assert "**latency_s**" in shown(page)
    assert page.query_params["find"] in ("latency_s", ["latency_s"])  # AppTest gives back what was set
    assert page.table  # the experiments that measure it


def test_a_search_that_finds_nothing_says_what_to_do(open_page: Callable[..., AppTest]) -> None:
    page = open_page("glossary", find="<b>nothing</b>")
    assert not page.exception
    assert "No word here contains “\\<b\\>nothing\\</b\\>”. Clear the search" in page.info[0].value
    page.text_input[0].set_value("").run()
    assert "find" not in page.query_params
    assert not page.info
