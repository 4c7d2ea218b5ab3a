"""What a reader has chosen on an experiment's page, and the query of the URL that says the same.

    URL query --read--> Choice --widgets--> Choice --plan--> lab.parameters.Plan --> a run
                           '--query--> URL (every value, none left out)

Values are kept as the texts of :meth:`lab.parameters.Plan.texts`, so that a text that is not valid yet stays where it was typed. No
Streamlit in here: the page's state is a plain value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lab.parameters import MAX_TEXT, Field, ParameterError, Plan, fields
from lab.workload import DeviceKind, Workload

DEVICES = ("auto", "cpu", "cuda")
CUSTOM = "custom"
SWEEP_FACTOR = 4  # between neighbouring points of a slider's sweep: fine enough to see a bend, coarse enough to end soon
_RESERVED = ("preset", "device", "run")


@dataclass(frozen=True)
class Choice:
    """One state of a page: ``texts`` holds every parameter as text; ``run`` is the reference of the run it shows, "" for none."""

    device: str
    texts: Mapping[str, str]
    run: str = ""

    def plan(self, workload: Workload) -> Plan:
        """The validated plan. Raises ParameterError."""
        return Plan.parse(workload.parameters, self.texts)

    def edited(self, name: str, text: str) -> Choice:
        """This choice with one parameter changed; it no longer shows a run."""
        return replace(self, texts={**self.texts, name: text}, run="")

    def preset(self, workload: Workload, kind: DeviceKind) -> str:
        """The preset whose values these are on ``kind``, or "custom"."""
        return next((name for name in workload.presets if preset_texts(workload, name, kind) == dict(self.texts)), CUSTOM)

    def query(self, workload: Workload, kind: DeviceKind) -> dict[str, str]:
        """The URL query: the run alone when one is shown (it knows its parameters), else preset, device and every value."""
        return {"run": self.run} if self.run else self.settings_query(workload, kind)

    def settings_query(self, workload: Workload, kind: DeviceKind) -> dict[str, str]:
        """The URL query of the settings alone, which means the same on any machine."""
        return {"preset": self.preset(workload, kind), "device": self.device, **self.texts}


def preset_texts(workload: Workload, preset: str, kind: DeviceKind) -> dict[str, str]:
    """Every parameter of a preset as text. Raises ParameterError for an unknown preset."""
    return workload.plan(preset, kind).texts()


def from_preset(workload: Workload, preset: str, kind: DeviceKind, device: str = "auto") -> Choice:
    """The choice that a preset makes."""
    return Choice(device, preset_texts(workload, preset, kind))


def read(workload: Workload, query: Mapping[str, Sequence[str]], kind: DeviceKind) -> tuple[Choice, ParameterError | None]:
    """The choice that a raw URL query asks for, and the first thing wrong with it.

    ``query`` maps each name to all values given for it. What is wrong is left at the quick preset's value, everything else is kept.
    The query of a run is not looked up here: the choice carries its reference.
    """
    known = fields(workload.parameters)
    problem: ParameterError | None = None

    def note(error: ParameterError) -> None:
        nonlocal problem
        problem = problem or error

    single: dict[str, str] = {}
    for name, several in query.items():
        if name not in known and name not in _RESERVED:
            note(ParameterError(name, several[0], "the names " + ", ".join((*_RESERVED, *known)), "belongs to no parameter"))
        elif len(several) > 1:
            note(ParameterError(name, ", ".join(several), "each name once", "is given several times"))
        else:
            single[name] = several[0]
    if "run" in single and len(query) > 1:
        note(ParameterError("run", single["run"], "?run=ID alone: a run brings its parameters", "is given with other names"))

    preset = single.get("preset", "quick")
    if preset not in (*workload.presets, CUSTOM):
        note(ParameterError("preset", preset, "one of " + ", ".join((*workload.presets, CUSTOM))))
    device = single.get("device", "auto")
    if device not in DEVICES:
        note(ParameterError("device", device, "one of " + ", ".join(DEVICES)))
        device = "auto"
    texts = preset_texts(workload, preset if preset in workload.presets else "quick", kind)
    given = {name: text for name, text in single.items() if name in known}
    try:
        texts = Plan.parse(workload.parameters, {**texts, **given}).texts()
    except ParameterError as error:
        note(error)
        texts |= {name: text for name, text in given.items() if shows(known[name], text)}
    return Choice(device, texts, single.get("run", "") if problem is None else ""), problem


def shows(info: Field, text: str) -> bool:
    """Whether a widget can show ``text``: each of its values is of the field's kind and within its range."""
    if len(text) > MAX_TEXT:
        return False
    try:
        values = parse(info, text)
    except ParameterError:
        return False
    numbers = [value for value in values if isinstance(value, int | float)]
    within = all((info.minimum is None or v >= info.minimum) and (info.maximum is None or v <= info.maximum) for v in numbers)
    return within and (len(values) == 1 or info.sweep)


def parse(info: Field, text: str) -> list[object]:
    """The values of one parameter's text (several where commas sweep). Raises ParameterError."""
    if info.kind == "choices" or "," not in text:
        return [info.parse(text)]
    return [info.parse(item) for item in text.split(",")]


def powers_of_two(info: Field) -> list[int]:
    """The powers of two within the bounds of a log2 field: the stops of its slider, after 0 where that is allowed."""
    low, high = int(info.minimum or 1), int(info.maximum or 1)
    zero = [0] if info.minimum == 0 else []
    return zero + [1 << exponent for exponent in range(max(low - 1, 0).bit_length(), high.bit_length()) if low <= 1 << exponent <= high]


def sweep_points(low: float, high: float) -> list[float]:
    """What a range slider sweeps: low, low × 4, … and high itself; one value where both handles are equal.

    0 is no size but a rule of the field's own ("√N"): it is swept beside the other end alone.
    """
    if low == 0:
        return [low] if high == 0 else [low, high]
    points = [low]
    while points[-1] * SWEEP_FACTOR < high:
        points.append(points[-1] * SWEEP_FACTOR)
    return points if low == high else [*points, high]
