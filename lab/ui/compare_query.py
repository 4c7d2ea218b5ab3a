"""The address of a comparison: ``/compare?runs=ref1,ref2,…``, read with everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.comparison import MAX_RUNS
from lab.parameters import ParameterError

NAME = "runs"
MAX_REFERENCE = 120  # characters; no run's name is longer


def read(query: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """The references that a raw query names, in order, and in one line each what is wrong with it.

    What is wrong is left out of the references; whether a run of that name exists is not asked here.
    """
    problems = [
        str(ParameterError(name, several[0] if several else "", f"only the name {NAME}", "belongs to no comparison"))
        for name, several in query.items()
        if name != NAME
    ]
    given = query.get(NAME, [])
    if len(given) > 1:
        problems.append(
            str(ParameterError(NAME, ", ".join(given), "the name once, with the runs separated by commas", "is given several times"))
        )
    found: list[str] = []
    for reference in (part.strip() for several in given[:1] for part in several.split(",")):
        if not reference:
            continue
        if len(reference) > MAX_REFERENCE or not reference.isprintable():
            problems.append(
                str(ParameterError(NAME, reference, f"names of runs, of at most {MAX_REFERENCE} characters", "is no name of a run"))
            )
        elif reference in found:
            problems.append(str(ParameterError(NAME, reference, "each run once", "is given twice")))
        elif len(found) == MAX_RUNS:
            problems.append(str(ParameterError(NAME, reference, f"at most {MAX_RUNS} runs", "is one run too many")))
            break
        else:
            found.append(reference)
    return found, problems


def write(references: Sequence[str]) -> dict[str, str]:
    """The query that names these runs; empty for none."""
    return {NAME: ",".join(references)} if references else {}
