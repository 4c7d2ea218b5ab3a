"""What a bundle says of its records against what follows from them: other results are told, other words and roundings are not."""

from __future__ import annotations

import pytest

from lab.bundle_differences import differences

HEADER = "claim_id,source,protocol,comparison,metric,claimed,measured,ci_low,ci_high,verdict,reason,evidence\n"
ROWS = {
    "a": "a,T,sound,best,latency_s,8.1,4.0,3.9,4.1,smaller than claimed,Measured 4.,Some CPU\n",
    "b": "b,T,sound,best,latency_s,2.0,2.0,1.9,2.1,reproduced,Measured 2.,Some CPU\n",
}


def table(**rows: str) -> bytes:
    return (HEADER + "".join(({**ROWS, **rows}).values())).encode()


def told(given: bytes, max_rows: int = 100) -> list[str]:
    return differences({"verdicts.csv": given}, {"verdicts.csv": table(), "summary.csv": b"mean\n1.0\n"}, max_rows)


@pytest.mark.parametrize(
    "given",
    [
        table(),
        b"\xef\xbb\xbf" + table().replace(b"\n", b"\r\n"),
        table(a=ROWS["a"].replace("Measured 4.", "It took 4.").replace("Some CPU", "A CPU")),
        table(a=ROWS["a"].replace("4.0", "4.0000000000000001")),
        table(a=ROWS["a"].replace(",4.0,", ",4.000000001,")),
        (HEADER + ROWS["b"] + ROWS["a"]).encode(),
    ],
    ids=["same", "other line ends", "other words", "same number", "last digit", "other order"],
)
def test_the_same_results_in_other_words_are_no_difference(given: bytes) -> None:
    assert told(given) == []


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (table(a=ROWS["a"].replace(",4.0,", ",4.1,")), "1 of 2 rows"),
        (table(a=ROWS["a"].replace(",4.0,", ",,")), "1 of 2 rows"),
        (table(b=""), "1 of 2 rows"),
        (table(c=ROWS["a"].replace("a,", "c,", 1)), "1 of 3 rows"),
        (table(c=ROWS["a"]), "1 of 3 rows"),
        (HEADER.encode(), "2 of 2 rows"),
        (table().replace(b"measured,", b"found,"), "4 of 4 rows"),
    ],
)
def test_other_results_are_counted(given: bytes, count: str) -> None:
    (notice,) = told(given)
    assert f"The bundle's own verdicts.csv differs in {count} from what this version of the lab makes of the same records" in notice
    assert notice.endswith("Shown is what this version makes.")


def test_another_verdict_is_named() -> None:
    (notice,) = told(table(a=ROWS["a"].replace("smaller than claimed", "reproduced")))
    assert "(a: “reproduced” there, “smaller than claimed” here)" in notice


def test_a_verdict_that_is_none_is_not_repeated() -> None:
    (notice,) = told(table(a=ROWS["a"].replace("smaller than claimed", "\x1b[31mcertified by NIST")))
    assert "(a: something else there, “smaller than claimed” here)" in notice


def test_settings_of_a_verdict_are_not_repeated() -> None:
    (notice,) = told(table(a=ROWS["a"].replace("smaller than claimed", "reproducible with settings <b>mine</b>")))
    assert "(a: “reproducible with settings” there, “smaller than claimed” here)" in notice


@pytest.mark.parametrize(("given", "problem"), [(b"", "has no header"), (b"\xff", "is not UTF-8 CSV"), (table(), "has more than 1 rows")])
def test_a_file_that_cannot_be_read_is_said_to_be_so(given: bytes, problem: str) -> None:
    (notice,) = told(given + b"x" * bool(given == table()), max_rows=1)
    assert notice.startswith(f"The bundle's own verdicts.csv cannot be read ({problem}")


def test_a_file_that_is_not_there_is_no_difference() -> None:
    assert differences({}, {"verdicts.csv": table(), "summary.csv": b""}, 100) == []
