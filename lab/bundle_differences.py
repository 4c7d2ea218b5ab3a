"""What a bundle says of its own records, held against what this version of the lab makes of the same records.

Versions differ in words and platforms in the last digit of a logarithm, so that reasons are not compared and numbers count as equal
within 1 part in 10⁹. What is left is another result: other code, or a changed file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from lab.csv_format import CsvError, read_table
from lab.export import SUMMARY, VERDICTS
from lab.verdicts import WORDS

NAMED = 3  # verdicts that a notice names; more are counted
ROUNDING = 1e-9

_WORDING = frozenset({"reason", "source", "evidence"})
_NUMBERS = frozenset({"mean", "ci_low", "ci_high", "n", "claimed", "measured"})
_VERDICT = "verdict"

Key = tuple[str, ...]  # the cells that say what a row is of, and which of several such rows it is


def differences(given: Mapping[str, bytes], made: Mapping[str, bytes], max_rows: int) -> list[str]:
    """One sentence for each of summary.csv and verdicts.csv that is ``given`` and differs from the one ``made`` from the records.

    ``max_rows`` bounds what is read of a given file; one that cannot be read is said to be so.
    """
    found = []
    for name in (SUMMARY, VERDICTS):
        if name not in given or given[name] == made[name]:
            continue
        try:
            theirs = _keyed(*read_table(given[name].removeprefix(b"\xef\xbb\xbf"), max_rows))
        except CsvError as error:
            found.append(f"The bundle's own {name} cannot be read ({error}). Shown is what follows from its records.")
            continue
        ours = _keyed(*read_table(made[name]))
        different = [key for key in {**ours, **theirs} if not _same(theirs.get(key), ours.get(key))]
        if different:
            named = _verdicts(different, theirs, ours)
            words = f" ({'; '.join(named)})" if named else ""
            found.append(
                f"The bundle's own {name} differs in {len(different):,} of {len({**ours, **theirs}):,} rows from what this version of the "
                f"lab makes of the same records{words}. Shown is what this version makes."
            )
    return found


def _keyed(header: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[Key, dict[str, str]]:
    """What each row found, by what it is of."""
    found: dict[Key, dict[str, str]] = {}
    times: Counter[Key] = Counter()
    for row in rows:
        cells = dict(zip(header, row, strict=True))
        key = tuple(f"{name}={cell}" for name, cell in cells.items() if name not in _WORDING | _NUMBERS | {_VERDICT})
        times[key] += 1
        found[(*key, str(times[key]))] = {name: cell for name, cell in cells.items() if name in _NUMBERS | {_VERDICT}}
    return found


def _same(theirs: Mapping[str, str] | None, ours: Mapping[str, str] | None) -> bool:
    if theirs is None or ours is None or theirs.keys() != ours.keys():
        return False
    return all(theirs[name] == cell or (name in _NUMBERS and _close(theirs[name], cell)) for name, cell in ours.items())


def _close(one: str, other: str) -> bool:
    try:
        return math.isclose(float(one), float(other), rel_tol=ROUNDING)
    except ValueError:
        return False


def _verdicts(different: Sequence[Key], theirs: Mapping[Key, Mapping[str, str]], ours: Mapping[Key, Mapping[str, str]]) -> list[str]:
    """The first claims whose verdict is another word, in words. What a bundle calls a verdict is shown only where it is one."""
    found = []
    for key in different:
        there, here = theirs.get(key, {}).get(_VERDICT), ours.get(key, {}).get(_VERDICT)
        if there is not None and here is not None and there != here:
            known = next((f"“{word}”" for word in WORDS if there.startswith(word)), "something else")
            found.append(f"{key[0].partition('=')[2]}: {known} there, “{here}” here")
    return found[:NAMED] + ([f"and {len(found) - NAMED} more"] if len(found) > NAMED else [])
