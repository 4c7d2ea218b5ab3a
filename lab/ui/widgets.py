"""Widgets of a workload's parameters, made from its fields alone.

Every widget shows its parameter's text and reports a change as text; the text is the truth and the widget its picture. A swept
numeric field is a range slider over powers of two for the quick choice and a text of exact values under it, which holds any list
without loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import streamlit as st

from lab import formatting
from lab.parameters import ALL, Condition, Field, ParameterError, Parameters, Plan, fields
from lab.relevance import in_words, without_effect
from lab.ui.choice import parse, powers_of_two, sweep_points
from lab.ui.text import plain

MAX_SLIDER_STOPS = 1000  # a finer linear slider cannot be set by hand
MAX_SEGMENTS = 5
LARGEST_BROWSER_INTEGER = 2**53 - 1  # beyond it a browser's number is no longer exact


class Editable(Protocol):
    """What widgets are pictures of: the values of a model's parameters as texts, each of which can be changed."""

    @property
    def model(self) -> type[Parameters]: ...

    @property
    def texts(self) -> Mapping[str, str]: ...

    def key(self, name: str) -> str:
        """The session key of a value or widget."""

    def edit(self, name: str, text: str) -> None:
        """A parameter was changed."""


def parameters(state: Editable) -> None:
    """All parameters: of the main ones numbers to the left and choices to the right, the rest under "More".

    Those that change nothing with the choices made are greyed out, with what they need in words.
    """
    known = fields(state.model).values()
    idle = _without_effect(state)
    main = [info for info in known if info.group == "main"]
    numbers = [info for info in main if info.kind in ("int", "float")]
    others = [info for info in main if info not in numbers]
    sides = (numbers, others) if numbers and others else (main[::2], main[1::2])
    for column, infos in zip(st.columns(2, gap="medium"), sides, strict=True):
        with column:
            for info in infos:
                parameter(state, info, disabled=info.name in idle)
    _say_what_is_idle(state, [info for info in main if info.name in idle], idle)
    more = [info for info in known if info.group == "more"]
    if more:
        with st.expander("More", icon=":material/tune:"):
            for start in range(0, len(more), 3):
                for column, info in zip(st.columns(3), more[start : start + 3], strict=False):
                    with column:
                        parameter(state, info, disabled=info.name in idle)
            _say_what_is_idle(state, [info for info in more if info.name in idle], idle)


def parameter(state: Editable, info: Field, *, disabled: bool = False) -> None:
    """The widget (or slider and text) of one field."""
    text = state.texts[info.name]
    widget = partial(_keyed, state, info, disabled=disabled)
    if info.kind == "bool":
        widget(text == "true", lambda value: info.text(bool(value)), st.toggle)
    elif info.kind in ("choice", "choices"):
        _choice(info, text, widget)
    elif info.sweep:
        _sweep(info, text, widget)
    else:
        _single_number(info, text, widget)


def _without_effect(state: Editable) -> dict[str, tuple[Condition, ...]]:
    """The parameters that change nothing; one whose value is refused is not among them, so that it can be mended."""
    idle = without_effect(state.model, state.texts)
    try:
        Plan.parse(state.model, state.texts)
    except ParameterError as error:
        idle.pop(error.name, None)
    return idle


def _say_what_is_idle(state: Editable, infos: Sequence[Field], idle: Mapping[str, tuple[Condition, ...]]) -> None:
    """One line of what is greyed out and why: a reader of the screen does not see the grey, and a disabled widget takes no focus."""
    by_need: dict[str, list[str]] = {}
    for info in infos:
        by_need.setdefault(in_words(state.model, idle[info.name]), []).append(info.title)
    if by_need:
        groups = "; ".join(f"{', '.join(titles)} (needs {need})" for need, titles in by_need.items())
        st.caption(plain(f"Greyed out, as they change nothing now: {groups}."))


def _keyed(state: Editable, info: Field, shown: Any, to_text: Callable[[Any], str], widget: Callable[..., Any], **options: Any) -> None:
    """One widget that shows ``shown`` and reports its change to a value as ``to_text(value)``."""
    suffix = options.pop("suffix", "")
    key = widget_key(state.key(f"widget:{info.name}{suffix}"), shown)
    widget(
        options.pop("label", _title(info)),
        key=key,
        help=info.help,
        on_change=told(key, lambda value: state.edit(info.name, to_text(value))),
        **options,
    )


def widget_key(name: str, shown: Any) -> str:
    """The key of the widget ``name`` that shows ``shown``.

    A widget that must show something else than the reader left in it is replaced by a new one, and what the browser still says of the
    old one counts no more (:func:`told`): to a quick reader's next change it adds the old value, which would look like an edit.
    """
    version = st.session_state.setdefault(f"{name} version", 0)
    if st.session_state.get(f"{name}#{version}", shown) != shown:
        version = st.session_state[f"{name} version"] = version + 1
    key = f"{name}#{version}"
    if key not in st.session_state:
        st.session_state[key] = shown
    return key


def told(key: str, action: Callable[[Any], None]) -> Callable[[], None]:
    """The callback that hands the widget's value to ``action``, unless the widget has been replaced."""
    name, _, version = key.rpartition("#")

    def changed() -> None:
        if st.session_state[f"{name} version"] == int(version):
            action(st.session_state[key])

    return changed


def _choice(info: Field, text: str, widget: Callable[..., None]) -> None:
    chosen = [item for item in (info.options if text == ALL else text.split(",")) if item in info.options]
    label = {name: info.labels.get(name, name) for name in info.options}
    if info.kind == "choices" or info.sweep:

        def in_order(values: list[str] | None) -> str:
            picked = [name for name in info.options if name in (values or ())]
            return info.text(picked) if info.kind == "choices" else ",".join(picked)

        widget(chosen, in_order, st.pills, options=info.options, selection_mode="multi", format_func=label.__getitem__, wrap=True)
    elif len(info.options) <= MAX_SEGMENTS:
        widget(text, str, st.segmented_control, options=info.options, required=True, format_func=label.__getitem__, wrap=True)
    else:
        widget(text, str, st.selectbox, options=info.options, format_func=label.__getitem__)


def _sweep(info: Field, text: str, widget: Callable[..., None]) -> None:
    try:
        values = [value for value in parse(info, text) if isinstance(value, int | float)]
    except ParameterError:
        values = [info.default]  # the text below still shows what was typed
    if info.scale == "log2":
        stops = sorted({*powers_of_two(info), *values})

        def swept(ends: tuple[float, float]) -> str:
            return ",".join(info.text(value) for value in sweep_points(*ends))

        ends = (min(values), max(values))
        # The default only says that this is a range. It stays the same, as a change of it would reset the slider.
        whole = (stops[0], stops[-1])
        widget(ends, swept, st.select_slider, options=stops, value=whole, format_func=_stops(info), suffix=":range")
    widget(
        text,
        lambda typed: ",".join(item.strip() for item in typed.split(",")),
        st.text_input,
        suffix=":exact",
        label=f"{info.title}: exact values, separated by commas" if info.scale == "log2" else f"{_title(info)}, one or more",
    )


def _single_number(info: Field, text: str, widget: Callable[..., None]) -> None:
    try:
        value = parse(info, text)[0]
    except ParameterError:
        value = None
    low, high = info.minimum, info.maximum
    cast: Callable[[Any], Any] = int if info.kind == "int" else float
    if not isinstance(value, int | float) or (high or 0) > LARGEST_BROWSER_INTEGER:
        widget(text, str.strip, st.text_input)
        return
    step = info.step or (1 if info.kind == "int" else 0.01)
    if info.scale == "log2":
        stops = sorted({*powers_of_two(info), value})
        widget(value, info.text, st.select_slider, options=stops, format_func=_stops(info))
    elif info.group == "main" and low is not None and high is not None and (high - low) / step <= MAX_SLIDER_STOPS:
        bounds = {"min_value": cast(low), "max_value": cast(high), "step": cast(step)}
        widget(cast(value), info.text, st.slider, **bounds)
    else:
        bounds = {"min_value": None if low is None else cast(low), "max_value": None if high is None else cast(high), "step": cast(step)}
        if info.kind == "float":
            bounds["format"] = f"%.{_decimals(value, step)}f"
        widget(cast(value), lambda typed: "" if typed is None else info.text(typed), st.number_input, **bounds)


def _stops(info: Field) -> Callable[[float], str]:
    """What a field's slider says of a stop: the field's own label, "64 Ki" for powers of two, else all digits: no two read the same."""

    def shown(value: float) -> str:
        whole = float(value).is_integer() and int(value) & (int(value) - 1) == 0
        return info.labels.get(info.text(value)) or (formatting.tick(value) if whole else f"{value:,}")

    return shown


def _decimals(*values: float) -> int:
    """Decimal places that show each of ``values`` in full (at most 12)."""
    places = 0
    for value in values:
        while places < 12 and not math.isclose(value, round(value, places), rel_tol=0, abs_tol=1e-13):
            places += 1
    return places


def _title(info: Field) -> str:
    return f"{info.title} ({info.unit})" if info.unit else info.title
