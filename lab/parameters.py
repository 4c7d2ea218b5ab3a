"""Parameters of a workload: one pydantic model drives widgets, command line, worker input, CSV columns and permalinks.

A workload declares ``class Parameters(lab.parameters.Parameters)`` with fields made by :func:`parameter`. Everything else reads
that model: :func:`fields` describes it for widgets, :class:`Plan` holds one concrete choice (with sweeps) and turns it into
validated cells, URL texts and JSON. Every rejection is a :class:`ParameterError` that names the field and what is allowed.
"""

from __future__ import annotations

import itertools
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticUndefined

MAX_CELLS = 64  # of one sweep: a run is meant to end while somebody watches
ALL = "all"  # the text of every choice at once: a list of many names in each row would be most of a file
MAX_TEXT = 400  # characters of one value given as text; longer ones are hostile or a mistake

Scale = Literal["linear", "log2"]
Group = Literal["main", "more"]
Condition = Mapping[str, tuple[str, ...]]  # a parameter of choices → the choices with which another parameter matters


class ParameterError(ValueError):
    """A parameter was refused. ``str(error)`` is one line naming the field, the value and what is allowed."""

    def __init__(self, name: str, value: object, allowed: str, problem: str = "is not allowed") -> None:
        self.name, self.value, self.allowed, self.problem = name, value, allowed, problem
        field, shown = _one_line(name), _one_line(value if isinstance(value, str) else repr(value))
        super().__init__(f"{field}: {shown!r} {problem}; allowed: {allowed}" if allowed else f"{field}: {shown!r} {problem}")


def _one_line(text: str) -> str:
    """Text from outside, short and without line breaks or control characters, for a message."""
    text = "".join(c if c.isprintable() else "�" for c in text)
    return text if len(text) <= 60 else text[:57] + "…"


class Parameters(BaseModel):
    """Base of every workload's parameters: unknown names, NaN and infinities are refused, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


def parameter(
    default: Any,
    *,
    title: str,
    help: str,
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    step: float | None = None,
    scale: Scale = "linear",
    labels: Mapping[str, str] | None = None,
    group: Group = "more",
    sweep: bool = False,
    when: Condition | Sequence[Condition] = (),
) -> Any:
    """A pydantic field with what a widget and an error message need.

    ``ge``/``le`` are enforced (both ends included); ``step`` and ``scale`` only shape the widget. ``labels`` gives a reader's name for
    each choice, or for single stops of a slider. ``group="main"`` shows it as a main slider. ``sweep=True`` allows several values in one
    run. ``when`` says with which choices of other parameters this one changes anything (``{"studies": ("speed",)}``; several names must
    all hold, of several conditions one): the value is kept and checked all the same, see ``lab.relevance``.
    """
    extra: Any = {"unit": unit, "step": step, "scale": scale, "labels": dict(labels or {}), "group": group, "sweep": sweep}
    extra["when"] = [dict(one) for one in ((when,) if isinstance(when, Mapping) else when)]
    return pydantic.Field(default, title=title, description=help, ge=ge, le=le, json_schema_extra=extra)


@dataclass(frozen=True)
class Field:
    """One parameter as widgets, the command line and error messages see it (derived from the model, never written by hand)."""

    name: str
    kind: Literal["int", "float", "bool", "choice", "choices"]
    title: str
    help: str
    unit: str
    default: Any
    minimum: float | None
    maximum: float | None
    step: float | None
    scale: Scale
    options: tuple[str, ...]
    labels: Mapping[str, str]
    group: Group
    sweep: bool
    when: tuple[Condition, ...]

    @property
    def allowed(self) -> str:
        """What may be given, in words: a range with its unit, or the options."""
        if self.kind == "bool":
            return "true or false"
        if self.kind == "choice":
            return "one of " + ", ".join(self.options)
        if self.kind == "choices":
            return "one or more, each once, of " + ", ".join(self.options) + (f", or {ALL}" if len(self.options) > 1 else "")
        word = "a whole number" if self.kind == "int" else "a number"
        low, high = self.minimum, self.maximum
        unit = f" {self.unit}" if self.unit else ""
        if low is not None and high is not None:
            return f"{word} from {_plain(low)} to {_plain(high)}{unit}"
        if low is not None:
            return f"{word} of at least {_plain(low)}{unit}"
        if high is not None:
            return f"{word} of at most {_plain(high)}{unit}"
        return word + unit

    def parse(self, text: str) -> Any:
        """One value from text. Raises ParameterError (naming field, text, allowed) when it is not of this kind."""
        refused = ParameterError(self.name, text, self.allowed, "is not " + ("valid" if self.options else "a value it takes"))
        text = text.strip()
        if len(text) > MAX_TEXT:
            raise ParameterError(self.name, text, self.allowed, f"is longer than {MAX_TEXT} characters")
        if self.kind == "int":
            digits = text[1:] if text[:1] in "+-" else text
            if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
                raise refused
            return int(text)
        if self.kind == "float":
            try:
                value = float(text) if text.isascii() and "_" not in text else math.nan
            except ValueError:
                raise refused from None
            if not math.isfinite(value):
                raise refused
            return value
        if self.kind == "bool":
            if text.lower() not in ("true", "false"):
                raise refused
            return text.lower() == "true"
        if self.kind == "choice":
            if text not in self.options:
                raise refused
            return text
        if text == ALL:
            return self.options
        items = tuple(item.strip() for item in text.split(","))
        if any(item not in self.options for item in items) or len(set(items)) != len(items):
            raise refused
        return items

    def text(self, value: Any) -> str:
        """The canonical text of one value; ``parse(text(v)) == v``, where all choices are in the order of ``options``."""
        if self.kind == "choices":
            return ALL if len(value) == len(self.options) > 1 else ",".join(value)
        if self.kind == "bool":
            return "true" if value else "false"
        return _plain(value) if self.kind in ("int", "float") else str(value)


def _plain(value: float) -> str:
    """A number without a thousands separator or a trailing '.0', exact for floats (repr round-trips)."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)


def fields(model: type[Parameters]) -> dict[str, Field]:
    """Describe each parameter of ``model``, in declaration order."""
    return {name: _describe(name, info) for name, info in model.model_fields.items()}


def _describe(name: str, info: pydantic.fields.FieldInfo) -> Field:
    extra = typing.cast("dict[str, Any]", info.json_schema_extra or {})
    bounds = {key: getattr(item, key) for item in info.metadata for key in ("ge", "le") if hasattr(item, key)}
    annotation = info.annotation
    origin = typing.get_origin(annotation)
    options: tuple[str, ...] = ()
    kind: str
    if origin is Literal:
        kind, options = "choice", typing.get_args(annotation)
    elif origin is tuple:
        kind, options = "choices", typing.get_args(typing.get_args(annotation)[0])
    elif annotation in (int, float, bool):
        kind = typing.cast("type", annotation).__name__
    else:
        raise TypeError(f"parameter {name}: {annotation} is none of int, float, bool, Literal[…], tuple[Literal[…], ...]")
    if info.default is PydanticUndefined:
        raise TypeError(f"parameter {name} has no default")
    return Field(
        name=name,
        kind=typing.cast("Any", kind),
        title=info.title or name,
        help=info.description or "",
        unit=extra.get("unit", ""),
        default=info.default,
        minimum=bounds.get("ge"),
        maximum=bounds.get("le"),
        step=extra.get("step"),
        scale=extra.get("scale", "linear"),
        options=options,
        labels=types.MappingProxyType(extra.get("labels", {})),
        group=extra.get("group", "more"),
        sweep=extra.get("sweep", False),
        when=tuple(types.MappingProxyType(condition) for condition in extra.get("when", ())),
    )


def validate(model: type[Parameters], values: Mapping[str, Any]) -> Parameters:
    """One validated instance. Types are strict (a float or text is no whole number). Raises ParameterError, first problem first."""
    known = fields(model)
    for name in values:
        if name not in known:
            raise ParameterError(str(name), values[name], "the parameters " + ", ".join(known), "belongs to no parameter")
    for name, info in known.items():
        # Plain JSON says little of what is wrong with a NaN or a repeated choice: say it here, in the field's own words.
        value = values.get(name, info.default)
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(name, value, info.allowed, "is not finite")
        if info.kind == "choices":
            if not isinstance(value, list | tuple) or not value:
                raise ParameterError(name, value, info.allowed, "is not a value it takes")
            if len(set(map(str, value))) != len(value):
                raise ParameterError(name, value, info.allowed, "repeats a choice")
    try:
        return model.model_validate_json(json.dumps(dict(values), default=list), strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        context = first.get("ctx", {})
        cause = context.get("error")
        if isinstance(cause, ParameterError):  # a cross-field validator already named its field
            raise cause from None
        name = str(first["loc"][0]) if first["loc"] else ", ".join(known)
        found = known.get(name)
        value = values.get(name, first.get("input"))
        if found is None:
            raise ParameterError(name, value, "", str(cause or first["msg"])) from None
        problem = "is out of range" if first["type"].endswith(("_equal", "_than")) else "is not a value it takes"
        raise ParameterError(name, value, found.allowed, problem) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterError("parameters", str(error), "plain JSON values", "cannot be read") from None


@dataclass(frozen=True)
class Plan:
    """What one run is asked to do: for each parameter one value, or several where it may be swept.

    Build it with :meth:`of` or :meth:`parse`; both validate every cell. ``values`` maps every parameter name to a tuple of values
    (length 1 unless swept).
    """

    model: type[Parameters]
    values: Mapping[str, tuple[Any, ...]]
    cells: tuple[Parameters, ...] = field(compare=False)

    @classmethod
    def of(cls, model: type[Parameters], values: Mapping[str, Any] = types.MappingProxyType({})) -> Plan:
        """From Python values; a list means a sweep (a tuple is one value of a ``choices`` field). Raises ParameterError."""
        known = fields(model)
        for name in values:
            if name not in known:
                raise ParameterError(str(name), values[name], "the parameters " + ", ".join(known), "belongs to no parameter")
        lists: dict[str, tuple[Any, ...]] = {}
        for name, info in known.items():
            value = values.get(name, info.default)
            several = tuple(value) if isinstance(value, list) else (value,)
            if not several:
                raise ParameterError(name, value, info.allowed, "has no value")
            if len(several) > 1 and not info.sweep:
                raise ParameterError(name, value, info.allowed + " (one value: it cannot be swept)", "has several values")
            if len(set(map(repr, several))) != len(several):
                raise ParameterError(name, value, info.allowed + ", each once", "repeats a value")
            lists[name] = several
        count = math.prod(len(several) for several in lists.values())
        if count > MAX_CELLS:
            widest = max(lists, key=lambda name: len(lists[name]))
            raise ParameterError(
                widest, f"{len(lists[widest])} values", f"at most {MAX_CELLS} combinations in one run", f"makes {count} combinations"
            )
        combinations = itertools.product(*lists.values())
        cells = tuple(validate(model, dict(zip(lists, combination, strict=True))) for combination in combinations)
        return cls(model, types.MappingProxyType(lists), cells)

    @classmethod
    def parse(cls, model: type[Parameters], texts: Mapping[str, str], base: Mapping[str, Any] = types.MappingProxyType({})) -> Plan:
        """From texts (command line, URL); ``base`` holds a preset's values for what the texts leave out. Commas sweep."""
        known = fields(model)
        values: dict[str, Any] = dict(base)
        for name, text in texts.items():
            if name not in known:
                raise ParameterError(name, text, "the parameters " + ", ".join(known), "belongs to no parameter")
            info = known[name]
            if info.kind == "choices" or "," not in text:
                values[name] = info.parse(text)
            elif len(text) > MAX_TEXT:
                raise ParameterError(name, text, info.allowed, f"is longer than {MAX_TEXT} characters")
            else:
                values[name] = [info.parse(item) for item in text.split(",")]
        return cls.of(model, values)

    @property
    def swept(self) -> tuple[str, ...]:
        """Names of the parameters that take more than one value."""
        return tuple(name for name, several in self.values.items() if len(several) > 1)

    def texts(self) -> dict[str, str]:
        """Every parameter as canonical text, for permalinks and the reproducing command; ``parse`` reads it back."""
        known = fields(self.model)
        return {name: ",".join(known[name].text(value) for value in several) for name, several in self.values.items()}

    def to_json(self) -> dict[str, list[Any]]:
        """Every parameter as a list of values; :meth:`from_json` reads it back."""
        return {name: [list(v) if isinstance(v, tuple) else v for v in several] for name, several in self.values.items()}

    @classmethod
    def from_json(cls, model: type[Parameters], data: Mapping[str, Sequence[Any]]) -> Plan:
        """Inverse of :meth:`to_json`, validating everything again (the data may come from another process)."""
        if not isinstance(data, Mapping) or not all(
            isinstance(several, Iterable) and not isinstance(several, str) for several in data.values()
        ):
            raise ParameterError("parameters", data, "a list of values for each parameter", "cannot be read")
        return cls.of(model, {name: [tuple(v) if isinstance(v, list) else v for v in several] for name, several in data.items()})
