"""The page "Claims": counts, filters and the address, the evidence of one claim, local and recorded runs."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from lab.claims import claims
from lab.store import Store
from lab.ui import board_data

CLAIM = "act-speed-phi6"


def table(page: AppTest) -> pd.DataFrame:
    (found,) = [shown.value for shown in page.dataframe if "Other verdicts" in shown.value.columns]
    return found


def headline(page: AppTest) -> str:
    (found,) = [shown.value for shown in page.markdown if shown.value.startswith("**Of ")]
    return found


def texts(page: AppTest) -> str:
    return "\n".join(shown.value for shown in (*page.markdown, *page.caption)).replace("\\", "")


def address(page: AppTest) -> dict[str, str]:
    return {name: several[0] if isinstance(several, list) else several for name, several in page.query_params.items()}


def test_every_claim_is_listed_and_counted(open_page: Callable[..., AppTest]) -> None:
    page = open_page("claims")
    assert not page.exception
    assert table(page)["Id"].tolist() == list(claims())
    single = sum(not claim.is_table for claim in claims().values())
    assert headline(page).startswith(f"**Of {single} claims, ")
    assert "have no experiment yet" in headline(page)
    assert address(page) == {}
    rows = table(page).set_index("Id")
    assert rows.loc[CLAIM, "Run"] == "activations?run=recorded%2Factivations%2Fh200"
    assert rows.loc[CLAIM, "Evidence"].startswith("recorded run: ")
    assert rows.loc["dedekind", "Evidence"] == "No experiment yet."
    assert pd.isna(rows.loc["dedekind", "Run"])


def test_the_overview_begins_with_the_same_counts_and_leads_to_the_board(open_page: Callable[..., AppTest]) -> None:
    overview = open_page()
    assert headline(overview) == headline(open_page("claims"))
    assert any(link.proto.page == "claims" for link in overview.get("page_link"))


def test_an_address_filters_everything(open_page: Callable[..., AppTest]) -> None:
    page = open_page("claims", technique="theory,moe_routing", text="egyptian")
    assert table(page)["Id"].tolist() == ["moe-egyptian", "moe-entropy", "moe-inactive"]
    assert headline(page).startswith("**Of 3 claims, ")
    assert address(page) == {"technique": "moe_routing,theory", "text": "egyptian"}  # in the order of the techniques
    assert page.multiselect[0].value == ["moe_routing", "theory"]
    assert [button.label for button in page.get("download_button")] == ["These 3 rows (CSV)", f"All {len(claims())} rows (CSV)"]


def test_a_filter_moves_the_address(open_page: Callable[..., AppTest]) -> None:
    page = open_page("claims")
    page.multiselect[0].set_value(["fft_mixing"]).run()
    page.text_input[0].set_value("parameters").run()
    assert address(page) == {"technique": "fft_mixing", "text": "parameters"}
    assert table(page)["Id"].tolist() == ["fft-params"]
    page.toggle[0].set_value(True).run()
    assert address(page)["contradictions"] == "yes"
    page.text_input[0].set_value("no such claim").run()
    assert "No claim fits these filters." in [shown.value for shown in page.info]
    next(button for button in page.button if button.label == "Show all claims").click().run()
    assert address(page) == {}
    assert len(table(page)) == len(claims())


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"technique": "magic"}, "technique: 'magic' is not allowed and is ignored"),
        ({"colour": "[red](http://x)"}, "colour: '[red](http://x)' belongs to no filter and is ignored"),
        ({"evidence": ["local", "all"]}, "evidence: 'local, all' is given several times and is ignored"),
        ({"claim": "<script>"}, "claim: '<script>' is not allowed and is ignored"),
    ],
)
def test_what_is_wrong_in_an_address_is_one_line_and_ignored(open_page: Callable[..., AppTest], query: dict, words: str) -> None:
    page = open_page("claims", **query, source="P")
    assert not page.exception
    (said,) = [shown.value.replace("\\", "").replace("\u2060", "") for shown in page.warning]  # what keeps it from being read as Markdown
    assert said.startswith(words)
    assert table(page)["Id"].str.startswith(("ssa", "theory")).all()  # what was right holds
    page.toggle[0].set_value(True).run()
    assert not page.warning
    assert address(page) == {"source": "P", "contradictions": "yes"}


def test_a_claim_shows_both_verdicts_all_evidence_and_the_way_to_the_run(open_page: Callable[..., AppTest]) -> None:
    page = open_page("claims", claim=CLAIM)
    assert not page.exception
    said = texts(page)
    assert "Claimed: **8.1×**" in said
    assert "NumPy on a CPU" in said  # the note
    assert "**Also:** " in said
    (evidence,) = [shown.value for shown in page.dataframe if "Leads" in shown.value.columns]
    assert evidence["Leads"].tolist().count("leads") == 2
    assert set(evidence["Comparison"]) == {"as published", "best against best"}
    links = [link.proto for link in page.get("page_link") if link.proto.label == "Open the recorded run"]
    assert [(link.page, link.query_string) for link in links] == [("activations", "run=recorded%2Factivations%2Fh200")]


def test_a_claim_without_evidence_says_why_and_offers_its_experiment(open_page: Callable[..., AppTest]) -> None:
    page = open_page("claims", claim=CLAIM, evidence="local")
    assert "No run of “Activation speed” is among this evidence." in texts(page)
    assert any(link.proto.label == "Open the experiment: Activation speed" for link in page.get("page_link"))
    assert "No experiment yet." in texts(open_page("claims", claim="dedekind"))


def test_runs_of_this_machine_are_evidence_apart_from_recorded_ones(
    open_page: Callable[..., AppTest], store: Store, until: Callable[[Callable[[], object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = open_page("demo")
    next(found for found in demo.button if found.label == "Run").click().run()
    until(lambda: not store.runs()[0].active)
    local, recorded, everything = (open_page("claims", evidence=kind) for kind in ("local", "recorded", "all"))
    assert "1 run: run of this machine, " in texts(local)
    assert "run of this machine" not in texts(recorded)
    assert "run of this machine" in texts(everything)
    assert "recorded run" in texts(everything)
    assert " 0 are put to the test." in headline(local)
    assert "older run" not in texts(local)
    monkeypatch.setattr(board_data, "LATEST_RUNS", 0)
    assert "Not used: 1 older run of this machine, beyond the latest 0" in texts(open_page("claims", evidence="local"))
