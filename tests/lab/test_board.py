"""The claims board: which verdict leads, what is never hidden, its filters and its CSV."""

from __future__ import annotations

import dataclasses
import random
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import board, board_csv, board_query
from lab.board import JudgedRun, Row
from lab.board_query import BoardQuery
from lab.claims import claims
from lab.csv_format import parse_number, parse_text, read_table
from lab.records import RunView
from lab.verdicts import WORDS, Verdict
from lab.workload import experiments, workload

CLAIM = "act-speed-phi6"
EXPERIMENTS = tuple(experiments().values())


def verdict(
    word: str, protocol: str = "published", comparison: str = "published", *, claim: str = CLAIM, measured: float | None = 2.0
) -> Verdict:
    value = None if word == "not measured" else measured
    evidence = "A GPU; no data set; 2026-01-31"
    return Verdict(claim, "a source", protocol, comparison, "latency_s", 8.1, value, None, None, word, f"because {word}", evidence)  # type: ignore[arg-type]


def run(
    *verdicts: Verdict,
    reference: str = "recorded/activations/h200",
    started_at: str = "2026-01-31T12:00:00Z",
    finished: bool = True,
    preset: str = "custom",
) -> JudgedRun:
    return JudgedRun(reference, "activations", "A GPU", started_at, finished, verdicts, preset)


def row(*runs: JudgedRun, claim: str = CLAIM) -> Row:
    (found,) = [row for row in board.board(runs, EXPERIMENTS) if row.claim.id == claim]
    return found


# --- every claim is there ---------------------------------------------------------------------------------------------------------


def test_every_claim_and_table_has_one_row_tables_before_their_cells() -> None:
    rows = board.board((), EXPERIMENTS)
    assert [found.claim.id for found in rows] == list(claims())
    for found in rows:
        assert (found.published.verdict, found.best.verdict) == ("not measured", "not measured")
        assert found.reference == found.evidence == found.dissent == ""


def test_a_claim_without_an_experiment_says_so_and_one_without_a_run_says_that() -> None:
    assert row(claim="dedekind").published.reason == "No experiment yet."
    assert row(claim="theory-table4-7b-energy").best.reason == "No experiment yet."
    assert row().published.reason == "No run of “Activation speed” is among this evidence."
    # A cell is tested by the experiment that names its table.
    assert row(claim="ssa-speedup-128").workload == "spectral_sparse_attention"


def test_a_comparison_that_no_run_makes_says_so() -> None:
    found = row(run(verdict("reproduced")))
    assert found.best.verdict == "not measured"
    assert found.best.reason == "No run among this evidence makes this comparison for the claim."
    assert found.reference == "recorded/activations/h200"


def test_a_run_that_does_not_bear_on_the_claim_stands_for_both_comparisons_only_where_none_does() -> None:
    silent = run(verdict("not measured", "", ""), reference="recorded/activations/silent", started_at="2026-02-28T12:00:00Z")
    assert [standing.reason for standing in row(silent).standings] == ["because not measured"] * 2
    measured = row(silent, run(verdict("reproduced")))
    assert (measured.published.verdict, measured.reference) == ("reproduced", "recorded/activations/h200")


# --- the rule ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("comparison", board.COMPARISONS)
def test_the_rule_in_its_order(comparison: str) -> None:
    wanted, other = ("published", "sound") if comparison == "published" else ("sound", "published")
    # Each run is better than the next by one step of the rule and worse by all later ones.
    runs = [
        run(verdict("smaller than claimed", wanted, comparison), reference="recorded/activations/7", started_at="2026-01-02T00:00:00Z"),
        run(verdict("contradicted", wanted, comparison), reference="recorded/activations/6", started_at="2026-01-01T00:00:00Z"),
        run(verdict("contradicted", wanted, comparison), reference="5", started_at="2026-01-05T00:00:00Z"),
        run(verdict("reproduced", wanted, comparison), reference="4", started_at="2026-01-04T00:00:00Z"),
        run(verdict("reproduced", wanted, comparison), reference="quick", started_at="2026-01-29T00:00:00Z", preset="quick"),
        run(verdict("inconclusive", wanted, comparison), reference="3", started_at="2026-01-30T00:00:00Z", finished=False),
        run(verdict("no difference", wanted, comparison), reference="imported/3", started_at="2026-01-30T12:00:00Z"),
        run(verdict("larger than claimed", other, comparison), reference="2", started_at="2026-01-31T00:00:00Z"),
        run(verdict("not measured", wanted, comparison), reference="1", started_at="2026-02-01T00:00:00Z"),
    ]
    references = [one.reference for one in runs]
    for order in (range(len(runs)), range(len(runs) - 1, -1, -1), [2, 4, 8, 0, 5, 7, 3, 1, 6]):
        found = row(*(runs[place] for place in order))
        standing = found.published if comparison == "published" else found.best
        assert [finding.run.reference for finding in standing.findings] == references


def test_a_quick_run_of_today_does_not_lead_over_the_recorded_one_and_says_what_it_is() -> None:
    recorded = run(verdict("reproduced"), preset="thorough")
    today = run(verdict("contradicted"), reference="20260301-120000-aaaaaa", started_at="2026-03-01T12:00:00Z", preset="quick")
    found = row(recorded, today)
    assert found.published.verdict == "reproduced"
    said = "contradicted (another run, run of this machine: A GPU; no data set; 2026-01-31; quick preset)"
    assert found.dissent == f"As published also: {said}"
    assert today.title == "run of this machine, A GPU, 1 March 2026, quick preset"


def test_within_a_run_the_order_of_the_experiment_decides() -> None:
    found = row(run(verdict("smaller than claimed", measured=3.0), verdict("reproduced", measured=8.0)))
    assert found.published.verdict == "smaller than claimed"
    assert [finding.word for finding in found.published.differing] == ["reproduced"]


def test_a_run_without_a_time_comes_last_and_times_compare_across_zones() -> None:
    early = run(verdict("reproduced"), reference="early", started_at="2026-01-31T12:30:00+02:00")  # 10:30 UTC
    late = run(verdict("contradicted"), reference="late", started_at="2026-01-31T11:00:00Z")
    undated = run(verdict("inconclusive"), reference="undated", started_at="")
    assert [finding.run.reference for finding in row(undated, early, late).published.findings] == ["late", "early", "undated"]


FINDINGS = st.builds(verdict, st.sampled_from(WORDS), st.sampled_from(["published", "sound"]), st.sampled_from(["published", "best"]))
RUNS = st.lists(
    st.tuples(st.lists(FINDINGS, max_size=4), st.integers(1, 28), st.booleans()).map(
        lambda made: (made[0], f"2026-01-{made[1]:02d}T00:00:00Z", made[2])
    ),
    max_size=5,
).map(lambda several: [run(*found, reference=str(place), started_at=at, finished=f) for place, (found, at, f) in enumerate(several)])


@settings(max_examples=40)
@given(RUNS, st.randoms(use_true_random=False))
def test_what_leads_depends_neither_on_the_order_of_the_runs_nor_on_a_verdict_word(runs: list[JudgedRun], chance: random.Random) -> None:
    before = row(*runs)
    shuffled = row(*chance.sample(runs, len(runs)))
    assert [standing.findings for standing in shuffled.standings] == [standing.findings for standing in before.standings]
    # Every measured verdict turned into another measured one: the same places lead.
    turned = {name: WORDS[(place + 1) % 6] for place, name in enumerate(WORDS)} | {"not measured": "not measured"}
    others = [run(*(dataclasses.replace(v, verdict=turned[v.verdict]) for v in one.verdicts), **facts(one)) for one in runs]
    assert leading(row(*others)) == leading(before)


def facts(one: JudgedRun) -> dict:
    return {"reference": one.reference, "started_at": one.started_at, "finished": one.finished}


def leading(found: Row) -> list[list[str]]:
    return [[finding.run.reference for finding in standing.findings] for standing in found.standings]


@settings(max_examples=50)
@given(RUNS)
def test_no_measured_verdict_is_hidden(runs: list[JudgedRun]) -> None:
    found = row(*runs)
    for standing in found.standings:
        given_words = {v.verdict for one in runs for v in one.verdicts if v.comparison == standing.comparison} - {"not measured"}
        if not given_words:
            assert not standing.measured
            continue
        assert {standing.word, *(finding.word for finding in standing.differing)} == given_words
        assert all(word in standing.dissent() for word in given_words - {standing.word})


# --- disagreement -----------------------------------------------------------------------------------------------------------------


def test_runs_that_disagree_are_both_named_and_it_is_said_where_each_comes_from() -> None:
    recorded = run(verdict("reproduced"))
    local = run(verdict("contradicted"), reference="20260201-120000-aaaaaa", started_at="2026-02-01T12:00:00Z", finished=False)
    found = row(recorded, local)
    assert found.published.verdict == "reproduced"  # it finished
    assert [finding.run.reference for finding in found.published.disagreement] == ["20260201-120000-aaaaaa"]
    assert found.evidence == "recorded run: A GPU; no data set; 2026-01-31"
    said = "contradicted (another run, run of this machine: A GPU; no data set; 2026-01-31; ended early)"
    assert found.dissent == f"As published also: {said}"


def test_runs_that_agree_and_other_settings_of_one_run_are_no_disagreement_of_runs() -> None:
    first = run(verdict("reproduced"), verdict("contradicted", "sound"))
    second = run(verdict("reproduced"), verdict("contradicted", "sound"), reference="recorded/activations/other")
    found = row(first, second)
    assert found.published.disagreement == ()
    assert found.dissent.startswith("As published also: contradicted (sound protocol); contradicted (sound protocol, another run")


def test_reproducible_with_other_settings_is_the_same_word() -> None:
    found = row(run(verdict("reproducible with settings a"), verdict("reproducible with settings b")))
    assert (found.published.word, found.published.differing) == ("reproducible with settings", ())
    assert found.published.verdict == "reproducible with settings a"


# --- in a sentence ----------------------------------------------------------------------------------------------------------------


def test_the_headline_counts_claims_and_their_cells_but_no_table() -> None:
    each = [claim for claim in claims().values() if not claim.is_table]
    cells = run(
        verdict("reproduced", claim="act-speed-phi6"),
        verdict("contradicted", claim="act-gating"),  # the table
        verdict("contradicted", claim="act-gating-zeta"),  # its cell
        verdict("inconclusive", "sound", "best", claim="act-speed-phi6"),
    )
    rows = board.board([cells], EXPERIMENTS)
    untested = sum(claim.technique in ("model_shape", "theory") for claim in each)
    assert board.headline(rows) == (
        f"Of {len(each)} claims, 2 are put to the test: as published 1 of 2 was reproduced and 1 contradicted; "
        f"best against best 0 of 1 were reproduced, 0 contradicted and 1 left inconclusive. "
        f"{untested} have no experiment yet; {len(each) - untested - 2} are not measured by these runs."
    )
    assert board.counts(rows, "published") == {"reproduced": 1, "contradicted": 1, "not measured": len(each) - 2}
    assert board.headline([]) == "No claim fits."


def test_larger_than_claimed_is_called_worse_where_a_drawback_was_claimed() -> None:
    # 0.45× is a slow-down: more of it is worse. 2.01× is not, nor is a rank a size.
    assert [board.adverse(claims()[name]) for name in ("ssa-speedup-1024", "ssa-speedup-2048", "ssa-error-128", "takens")] == [
        True,
        False,
        True,
        False,
    ]
    found = run(verdict("larger than claimed", claim="ssa-speedup-1024"), verdict("larger than claimed"))
    assert "1 of these 2 is worse for the technique" in board.larger_for_worse(board.board([found], EXPERIMENTS))
    assert board.larger_for_worse(board.board([run(verdict("larger than claimed"))], EXPERIMENTS)) == ""


def test_a_run_becomes_evidence_by_its_manifest() -> None:
    declared = workload("activations")
    view = RunView("id", declared, declared.plan(), {"device": "cpu", "created_at": "2026-01-31T10:00:00Z"}, (), "cancelled")
    made = JudgedRun.of("20260131-100000-aaaaaa", view, [])
    assert (made.workload, made.hardware, made.finished) == ("activations", "cpu", False)
    assert made.title == "run of this machine, cpu, 31 January 2026, ended early"


# --- filters ----------------------------------------------------------------------------------------------------------------------

ROWS = board.board(
    [
        run(
            verdict("reproduced"),
            verdict("contradicted", "sound", "best"),
            verdict("reproducible with settings x", claim="ssa-cosine-256"),
            verdict("larger than claimed", claim="act-flops-zeta"),
        )
    ],
    EXPERIMENTS,
)
QUERIES = st.builds(
    BoardQuery,
    **{name: st.lists(st.sampled_from(options), unique=True).map(tuple) for name, options in board_query.OPTIONS.items()},
    text=st.one_of(st.sampled_from(["", "gelu", "SSA n = 1,024"]), st.text(max_size=board_query.MAX_TEXT)),
    contradictions=st.booleans(),
    evidence=st.sampled_from(["recorded", "local", "all"]),
    axis=st.sampled_from(["effect", "times"]),
    claim=st.sampled_from(["", *claims()]),
)


def ids(query: BoardQuery) -> list[str]:
    return [found.claim.id for found in query.rows(ROWS)]


def test_each_filter_alone() -> None:
    assert ids(BoardQuery(published=("reproduced",))) == [CLAIM]
    assert ids(BoardQuery(published=("reproducible with settings",))) == ["ssa-cosine-256"]
    assert ids(BoardQuery(best=("contradicted",))) == [CLAIM]
    assert {claims()[found].technique for found in ids(BoardQuery(technique=("theory", "moe_routing")))} == {"theory", "moe_routing"}
    assert all(found.startswith(("ssa", "theory")) for found in ids(BoardQuery(source=("P",))))
    assert "act-flops-zeta" in ids(BoardQuery(contradictions=True))
    assert CLAIM not in ids(BoardQuery(contradictions=True))
    assert ids(BoardQuery(text="ZETALN2 faster")) == ["act-speed-zeta"]
    assert ids(BoardQuery()) == list(claims())


@settings(max_examples=50)
@given(QUERIES)
def test_filters_only_take_away_and_each_row_left_meets_all_of_them(query: BoardQuery) -> None:
    left = query.rows(ROWS)
    assert [found for found in ROWS if found in left] == left  # a part, in order
    alone = [
        BoardQuery(technique=query.technique),
        BoardQuery(published=query.published),
        BoardQuery(best=query.best),
        BoardQuery(source=query.source),
        BoardQuery(text=query.text),
        BoardQuery(contradictions=query.contradictions),
    ]
    assert left == [found for found in ROWS if all(one.matches(found) for one in alone)]
    assert query.filters or left == list(ROWS)


@given(QUERIES)
def test_the_address_says_the_same(query: BoardQuery) -> None:
    ordered = dataclasses.replace(
        query, **{name: tuple(o for o in options if o in getattr(query, name)) for name, options in board_query.OPTIONS.items()}
    )
    asked = parse_qs(urlencode(ordered.query()), keep_blank_values=True)
    assert board_query.read(asked) == (ordered, [])


@given(
    st.dictionaries(
        st.one_of(st.sampled_from(board_query.NAMES), st.text(max_size=8)), st.lists(st.text(max_size=300), min_size=1, max_size=3)
    )
)
def test_any_address_gives_a_state_and_a_line_for_what_is_ignored(query: dict[str, list[str]]) -> None:
    state, problems = board_query.read(query)
    assert board_query.read({name: [value] for name, value in state.query().items()}) == (state, [])
    for name in query:
        if name not in board_query.NAMES:
            assert any("belongs to no filter" in problem for problem in problems)
    assert all("is ignored; allowed: " in problem for problem in problems)


def test_what_is_right_in_a_bad_address_is_kept() -> None:
    state, problems = board_query.read({"technique": ["activations,magic"], "axis": ["log"], "claim": [CLAIM], "colour": ["red"]})
    assert state == BoardQuery(technique=("activations",), claim=CLAIM)
    assert [problem.split(":")[0] for problem in problems] == ["technique", "axis", "colour"]
    assert problems[1] == "axis: 'log' is not allowed and is ignored; allowed: one of effect, times"


# --- CSV --------------------------------------------------------------------------------------------------------------------------


def test_the_csv_reads_back_what_the_board_says() -> None:
    local = run(verdict("contradicted", measured=-1 / 3), reference="20260101-120000-aaaaaa", started_at="2026-01-01T12:00:00Z")
    rows = board.board([run(verdict("reproduced", measured=8.1), verdict("no difference", "sound", "best")), local], EXPERIMENTS)
    header, lines = read_table(board_csv.encode(rows))
    assert header == list(board_csv.COLUMNS)
    assert len(lines) == 2 * len(claims())
    found = [dict(zip(header, line, strict=True)) for line in lines]
    assert [line["claim_id"] for line in found[::2]] == list(claims())
    for line, (each, standing) in zip(found, [(one, standing) for one in rows for standing in one.standings], strict=True):
        assert (line["verdict"], line["comparison"]) == (standing.verdict, standing.comparison)
        lead = standing.lead
        assert parse_number(line["measured"]) == (None if lead is None else lead.verdict.measured)
        assert parse_number(line["claimed"]) == each.claim.value
        assert parse_text(line["statement"]) == each.claim.statement
        assert parse_text(line["reason"]) == standing.reason
        assert line["contradiction"] == str(each.claim.contradiction).lower()
    (first,) = [line for line in found if line["claim_id"] == CLAIM and line["comparison"] == "published"]
    assert first["disagreeing_runs"] == "20260101-120000-aaaaaa"
    assert first["run"] == "recorded/activations/h200"
    assert "contradicted" in first["other_verdicts"]


def test_a_cell_that_a_spreadsheet_would_execute_is_guarded() -> None:
    hostile = dataclasses.replace(verdict("reproduced"), evidence="=HYPERLINK(1)", reason="=cmd()")
    made = dataclasses.replace(run(hostile), reference="=1+1")
    _, lines = read_table(board_csv.encode([row(made)]))
    assert all(not cell.startswith(("=", "+", "@")) for line in lines for cell in line)
