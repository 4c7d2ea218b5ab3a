"""Widgets of a workload's parameters, made from its fields alone.

Every widget shows its parameter's text and reports a change as text; the text is the truth and the widget its picture. A swept
numeric field is a range slider over powers of two for the quick choice and a text of exact values under it, which holds any list
without loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import streamlit as st

from lab import formatting
from lab.parameters import Field, ParameterError, Parameters, fields
from lab.ui.choice import parse, powers_of_two, sweep_points

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
    """All parameters: of the main ones numbers to the left and choices to the right, the rest under "More"."""
    known = fields(state.model).values()
    main = [info for info in known if info.group == "main"]
    numbers = [info for info in main if info.kind in ("int", "float")]
    others = [info for info in main if info not in numbers]
    sides = (numbers, others) if numbers and others else (main[::2], main[1::2])
    for column, infos in zip(st.columns(2, gap="medium"), sides, strict=True):
        with column:
            for info in infos:
                parameter(state, info)
    more = [info for info in known if info.group == "more"]
    if more:
        with st.expander("More", icon=":material/tune:"):
            for start in range(0, len(more), 3):
                for column, info in zip(st.columns(3), more[start : start + 3], strict=False):
                    with column:
                        parameter(state, info)


def parameter(state: Editable, info: Field) -> None:
    """The widget (or slider and text) of one field."""
    text = state.texts[info.name]
    if info.kind == "bool":
        _keyed(state, info, text == "true", lambda value: info.text(bool(value)), st.toggle)
    elif info.kind in ("choice", "choices"):
        _choice(state, info, text)
    elif info.sweep:
        _sweep(state, info, text)
    else:
        _single_number(state, info, text)


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


def _choice(state: Editable, info: Field, text: str) -> None:
    chosen = [item for item in text.split(",") if item in info.options]
    label = {name: info.labels.get(name, name) for name in info.options}
    if info.kind == "choices" or info.sweep:

        def in_order(values: list[str] | None) -> str:
            return ",".join(name for name in info.options if name in (values or ()))

        _keyed(
            state, info, chosen, in_order, st.pills, options=info.options, selection_mode="multi", format_func=label.__getitem__, wrap=True
        )
    elif len(info.options) <= MAX_SEGMENTS:
        _keyed(state, info, text, str, st.segmented_control, options=info.options, required=True, format_func=label.__getitem__, wrap=True)
    else:
        _keyed(state, info, text, str, st.selectbox, options=info.options, format_func=label.__getitem__)


def _sweep(state: Editable, info: Field, text: str) -> None:
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
        _keyed(state, info, ends, swept, st.select_slider, options=stops, value=whole, format_func=_stop, suffix=":range")
    _keyed(
        state,
        info,
        text,
        lambda typed: ",".join(item.strip() for item in typed.split(",")),
        st.text_input,
        suffix=":exact",
        label=f"{info.title}: exact values, separated by commas" if info.scale == "log2" else f"{_title(info)}, one or more",
    )


def _single_number(state: Editable, info: Field, text: str) -> None:
    try:
        value = parse(info, text)[0]
    except ParameterError:
        value = None
    low, high = info.minimum, info.maximum
    cast: Callable[[Any], Any] = int if info.kind == "int" else float
    if not isinstance(value, int | float) or (high or 0) > LARGEST_BROWSER_INTEGER:
        _keyed(state, info, text, str.strip, st.text_input)
        return
    step = info.step or (1 if info.kind == "int" else 0.01)
    if info.scale == "log2":
        stops = sorted({*powers_of_two(info), value})
        _keyed(state, info, value, info.text, st.select_slider, options=stops, format_func=_stop)
    elif info.group == "main" and low is not None and high is not None and (high - low) / step <= MAX_SLIDER_STOPS:
        bounds = {"min_value": cast(low), "max_value": cast(high), "step": cast(step)}
        _keyed(state, info, cast(value), info.text, st.slider, **bounds)
    else:
        bounds = {"min_value": None if low is None else cast(low), "max_value": None if high is None else cast(high), "step": cast(step)}
        if info.kind == "float":
            bounds["format"] = f"%.{_decimals(value, step)}f"
        _keyed(state, info, cast(value), lambda typed: "" if typed is None else info.text(typed), st.number_input, **bounds)


def _stop(value: float) -> str:
    """A slider's stop: "64 Ki" for powers of two, else in full, so that no two stops read the same."""
    whole = float(value).is_integer() and int(value) & (int(value) - 1) == 0
    return formatting.tick(value) if whole else f"{value:,}"


def _decimals(*values: float) -> int:
    """Decimal places that show each of ``values`` in full (at most 12)."""
    places = 0
    for value in values:
        while places < 12 and not math.isclose(value, round(value, places), rel_tol=0, abs_tol=1e-13):
            places += 1
    return places


def _title(info: Field) -> str:
    return f"{info.title} ({info.unit})" if info.unit else info.title
