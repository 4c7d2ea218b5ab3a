"""The claims as data: every figure the sources state is there, with its place, and a malformed file is refused."""

import subprocess
import sys

import pytest

from lab.claims import TECHNIQUES, ClaimsError, claims, parse, sources

# Claimed values by id, listed by hand from the claim list (T: report, N: issue, P: paper). None: the claim has no number of its own.
SINGLE = {
    "act-speed-phi6": 8.1,
    "act-speed-zeta": 8,
    "act-flops-phi6": 71,
    "act-flops-zeta": 71,
    "act-loss-phi6": 6.6,
    "act-loss-zeta": 12.7,
    "act-dropin": None,
    "fft-acc": 0.55,
    "fft-params": 8.7,
    "fft-speed": 3.06,
    "fft-order": 1.12,  # n log n over 1,024 … 32,768: 1 + ln(15/10)/ln(32) = 1 + 0.405/3.466 = 1.117
    "ssa-crossover": 1500,
    "ssa-order": 1.5,
    "ssa-eigen": None,
    "ssa-gap": None,
    "ssa-bound": -0.5,
    "ssa-mixing": None,
    "ssa-gradient": 0.76,
    "ssa-flash": None,
    "moe-egyptian": 8.8,
    "moe-entropy": 0.99,
    "moe-active": 65,
    "moe-loss": 1.76,
    "moe-inactive": 65,
    "stop-energy": 66.7,
    "stop-acc": -0.20,
    "rfilter": 0.5,
    "takens": 1,
    "boltzmann": 63,
    "mertens": None,
    "dedekind": 25,
}
LENGTHS = (128, 256, 512, 1024, 2048, 4096)
TABLES = {
    "act-gating": {"act-gating-gelu": 0.5, "act-gating-zeta": 0.5, "act-gating-phi6": 0.75},
    "fft-speed-scaling": {"fft-speed-4096": 10, "fft-speed-8192": 20},
    "ssa-speedup": {f"ssa-speedup-{n}": x for n, x in zip(LENGTHS, (0.17, 0.41, 0.68, 0.45, 2.01, 2.01), strict=True)},
    "ssa-error": {f"ssa-error-{n}": x for n, x in zip(LENGTHS, (0.8134, 1.1678, 1.5747, 2.3218, 3.2712, 4.2556), strict=True)},
    "ssa-cosine": {f"ssa-cosine-{n}": x for n, x in zip(LENGTHS, (0.9535, 0.9276, 0.8928, 0.8675, 0.8176, 0.7601), strict=True)},
    "ssa-ablate-k": {
        **{f"ssa-ablate-k-speedup-{k}": x for k, x in zip((16, 32, 64, 128), (1.2, 1.6, 2.0, 1.7), strict=True)},
        **{f"ssa-ablate-k-cosine-{k}": x for k, x in zip((16, 32, 64, 128), (0.89, 0.82, 0.76, 0.71), strict=True)},
    },
    "ssa-ablate-s": {
        **{f"ssa-ablate-s-speedup-{s}": x for s, x in zip((32, 64, 128, 256), (2.3, 2.0, 1.6, 1.2), strict=True)},
        **{f"ssa-ablate-s-cosine-{s}": x for s, x in zip((32, 64, 128, 256), (0.68, 0.76, 0.81, 0.85), strict=True)},
    },
    "ssa-random": {"ssa-random-speedup": 0.9, "ssa-random-cosine": 0.52},
    "ssa-quality": {
        "ssa-quality-high-speedup": 1.5,
        "ssa-quality-mid-speedup": 1.5**0.5,  # the middle of 1.0 to 1.5 on the log scale
        "ssa-quality-low-speedup": 1.0,
        "ssa-quality-high-cosine": 0.85,
        "ssa-quality-mid-cosine": 0.775,  # the middle of 0.70 to 0.85
        "ssa-quality-low-cosine": 0.70,
    },
    "ssa-savings": {"ssa-savings-layer": 350, "ssa-savings-model": 47, "ssa-savings-32k": 50},
    "hcn": {"hcn-params": 15, "hcn-loss": None},  # 10 to 20 %
    "phi-ffn": {"phi-ffn-params": 67, "phi-ffn-loss": None},
    "egypt-attn": {"egypt-attn-flops": 40, "egypt-attn-speed": 1 / 0.6},
    "combined": {"combined-params": 50, "combined-flops": 70, "combined-train": 66},
    "combined-n": {"combined-n-train": 55, "combined-n-inference": 65, "combined-n-memory": 60},  # 50–60, 60–70, 50–70 %
    "combined-money": {"combined-money-gpus": 6000, "combined-money-power": 3, "combined-money-usd": 25},
}
THEORY = ("ex1.1", "ex3.1", "ex4.1", "ex4.2", "ex4.3", "table1", "table4", "table5", "table7")


@pytest.mark.parametrize(("claim_id", "value"), SINGLE.items())
def test_single_claims_have_their_value(claim_id: str, value: float | None) -> None:
    claim = claims()[claim_id]
    assert claim.value == value
    assert not claim.is_table
    assert claim.table == ""


@pytest.mark.parametrize(("table_id", "cells"), TABLES.items())
def test_tables_have_all_their_cells(table_id: str, cells: dict[str, float | None]) -> None:
    table = claims()[table_id]
    assert table.cells == tuple(cells)
    for cell_id, value in cells.items():
        cell = claims()[cell_id]
        assert cell.table == table_id
        assert cell.value == (value if value is None else pytest.approx(value, rel=1e-12))
        assert cell.citations == table.citations


def test_theory_figures_are_tables_of_exact_cells_of_the_paper() -> None:
    for name in THEORY:
        table = claims()[f"theory-{name}"]
        assert table.is_table
        assert [citation.source.key for citation in table.citations] == ["P"]
        assert {claims()[cell].kind for cell in table.cells} == {"exact"}
    # Table 4 has four models with four figures each.
    assert len(claims()["theory-table4"].cells) == 16


def test_nothing_else_is_claimed() -> None:
    theory = {claim.id for claim in claims().values() if claim.technique == "theory"}
    expected = set(SINGLE) | set(TABLES) | {cell for cells in TABLES.values() for cell in cells}
    assert set(claims()) - theory == expected


@pytest.mark.parametrize("claim", claims().values(), ids=lambda claim: claim.id)
def test_every_claim_says_where_it_stands_and_what_it_says(claim) -> None:  # type: ignore[no-untyped-def]
    assert claim.citations
    assert all(citation.locator.strip() for citation in claim.citations)
    assert claim.statement
    assert claim.claimed_text
    assert claim.technique in TECHNIQUES
    assert claim.source.startswith(("TECS-L report 2026, ", "N6 issue, undated, ", "Xu 2025, "))


def test_places_in_the_sources() -> None:
    def places(claim_id: str) -> dict[str, str]:
        return {citation.source.key: citation.locator for citation in claims()[claim_id].citations}

    assert places("ssa-speedup-4096") == {"P": "table 6"}
    assert places("ssa-ablate-k-cosine-64") == {"P": "figure 3a"}
    assert places("ssa-order") == {"P": "theorem 8.3; figure 2a"}
    assert set(places("act-flops-phi6")) == {"T", "N"}
    assert set(places("moe-inactive")) == {"N"}
    assert {key: source.year for key, source in sources().items()} == {"T": 2026, "N": None, "P": 2025}


def test_how_claims_are_to_be_judged() -> None:
    speed = claims()["act-speed-phi6"]
    assert (speed.kind, speed.scale, speed.null, speed.tolerance, speed.margin, speed.unit) == ("ratio", "log", 1.0, 0.1, None, "×")
    gate = claims()["act-gating-zeta"]
    assert (gate.kind, gate.bound, gate.null, gate.value, gate.tolerance) == ("level", "at_least", 0.0, 0.5, 0.0)
    assert (claims()["act-gating-phi6"].kind, claims()["act-gating-phi6"].bound) == ("exact", "value")
    assert claims()["act-dropin"].kind == "equivalence"
    assert claims()["takens"].chance == pytest.approx(1 / 6)
    assert {claims()[name].data for name in ("fft-acc", "stop-acc", "stop-energy")} == {"MNIST"}
    assert all(claims()[cell].under_specified for cell in claims()["ssa-speedup"].cells)
    cosine = claims()["ssa-ablate-k-cosine-64"]  # another kind than its row: nothing of a ratio is inherited
    assert (cosine.kind, cosine.unit, cosine.scale, cosine.null) == ("level", "", "linear", 0.0)


def test_contradictions_inside_the_sources_are_noted() -> None:
    assert "78.6" in claims()["act-flops-zeta"].note
    assert "33 %" in claims()["stop-energy"].note
    assert "0.7865" in claims()["ssa-speedup-2048"].note
    assert "2.6" in claims()["combined-money-usd"].note


def test_claims_are_immutable_and_read_once() -> None:
    assert claims() is claims()
    with pytest.raises(TypeError):
        claims()["new"] = claims()["fft-acc"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        claims()["fft-acc"].value = 1.0  # type: ignore[misc]


GOOD = """
[sources.T]
name = "Report"
title = "A report"
authors = "Somebody"
year = 2026
[[claim]]
id = "speed"
technique = "activations"
cite = { T = "table 1" }
kind = "ratio"
statement = "It is faster"
value = 2.0
text = "2×"
better = "higher"
"""


def test_a_good_file_is_read() -> None:
    found_sources, found = parse(GOOD)
    assert found_sources["T"].short == "Report 2026"
    assert found["speed"].source == "Report 2026, table 1"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('cite = { T = "table 1" }', 'cite = { X = "table 1" }', "unknown source 'X'"),
        ('cite = { T = "table 1" }', 'cite = { T = "" }', "does not say where"),
        ('cite = { T = "table 1" }', "cite = {}", "cites no source"),
        ("value = 2.0\n", "", "has no value"),
        ("value = 2.0", "value = nan", "finite"),
        ("value = 2.0", "value = -2.0", "positive value"),
        ("value = 2.0", "value = 1.0", "claims no effect"),
        ("value = 2.0", "valeu = 2.0", "valeu"),
        ('kind = "ratio"', 'kind = "level"', "needs a margin"),
        ('kind = "ratio"', 'kind = "rank"', "chance"),
        ('kind = "ratio"', 'kind = "guess"', "guess"),
        ('technique = "activations"', 'technique = "magic"', "unknown technique"),
        ('text = "2×"\n', "", "claimed text"),
        ('better = "higher"\n', "", "which direction is better"),
        ('better = "higher"', 'better = "higher"\ntolerance = -0.1', "negative tolerance"),
        ('better = "higher"', 'better = "higher"\nmargin = -0.1', "negative margin"),
        ('better = "higher"', 'better = "higher"\ncells = [{ id = "a", label = "A", value = 3.0, text = "3" }]', "a value of its own"),
        ("value = 2.0", 'cells = [{ id = "a", value = 3.0, text = "3" }]', "without a label"),
        ("value = 2.0", 'cells = [{ id = "a", label = "A", text = "3" }]', "has no value"),
        ('id = "speed"', "id = ", "Invalid"),
    ],
)
def test_a_malformed_file_is_refused(old: str, new: str, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(ClaimsError, match=problem):
        parse(GOOD.replace(old, new))


def test_an_id_is_used_once() -> None:
    row = GOOD[GOOD.index("[[claim]]") :]
    with pytest.raises(ClaimsError, match="speed: the id is used twice"):
        parse(GOOD + row)


def test_claims_verdicts_and_export_stay_light() -> None:
    code = "import sys, lab.claims, lab.verdicts, lab.export; print(sorted({'torch', 'scipy', 'sklearn', 'streamlit'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
