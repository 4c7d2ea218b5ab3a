"""Which parameters matter for the choices made: some change nothing unless a choice of another parameter asks for what they set.

A field declares it (``lab.parameters.parameter(when=…)``). A parameter without effect keeps its value, is checked and exported like any
other: only the pages say that it changes nothing, and count no combinations that differ in nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lab.parameters import ALL, Condition, Field, Parameters, Plan, fields

Chosen = Mapping[str, Collection[str]]  # of each parameter the texts of its values


def without_effect(model: type[Parameters], texts: Mapping[str, str]) -> dict[str, tuple[Condition, ...]]:
    """The parameters that change nothing with the choices in ``texts`` (as :meth:`Plan.texts`; any may be invalid), with what they need."""
    known = fields(model)
    chosen = {name: _values(known[name], text) for name, text in texts.items()}
    return {name: info.when for name, info in known.items() if not _matters(known, name, chosen)}


def distinct_cells(plan: Plan) -> int:
    """How many of a plan's combinations differ in something that matters."""
    known = fields(plan.model)
    seen = set()
    for cell in plan.cells:
        chosen = {name: _values(info, info.text(getattr(cell, name))) for name, info in known.items()}
        seen.add(tuple(frozenset(chosen[name]) if _matters(known, name, chosen) else None for name in known))
    return len(seen)


def in_words(model: type[Parameters], needed: tuple[Condition, ...]) -> str:
    """What conditions ask for, for readers: "Mode: Inside an FFN and What is measured: Speed", alternatives after "or"."""
    known = fields(model)

    def one(name: str, choices: tuple[str, ...]) -> str:
        return f"{known[name].title}: " + " or ".join(known[name].labels.get(choice, choice) for choice in choices)

    return ", or ".join(" and ".join(one(name, choices) for name, choices in condition.items()) for condition in needed)


def _matters(known: Mapping[str, Field], name: str, chosen: Chosen) -> bool:
    """Whether one of the parameter's conditions holds, by choices that matter themselves."""
    return not known[name].when or any(
        all(not set(choices).isdisjoint(chosen.get(other, ())) and _matters(known, other, chosen) for other, choices in condition.items())
        for condition in known[name].when
    )


def _values(info: Field, text: str) -> tuple[str, ...]:
    if info.kind == "choices" and text == ALL:
        return info.options
    return tuple(item.strip() for item in text.split(","))
