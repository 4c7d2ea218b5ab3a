"""Numbers in words for readers: SI values in, short text with a unit out.

Everything inside the lab is SI; this module and :mod:`lab.charts` are the only places where a number becomes text. Four significant
digits at most: no measurement of the lab is better than that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

NOT_MEASURED = "not measured"
MINUS = "−"

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
_PREFIXED_UNITS = frozenset({"s", "B", "B/s", "J", "W", "FLOP", "FLOP/s", "Hz", "elements/s", "tokens/s", "samples/s"})
# Units that name a direction, and what a negative value of them is called: nothing is "−7 % lower".
_OPPOSITE = {
    "% fewer": "% more",
    "% higher": "% lower",
    "% higher loss": "% lower loss",
    "% lower": "% higher",
    "% saved": "% more used",
}
_SPELLED_UNITS = {"ratio": "×", "x": "×", "×": "×", "fraction": "", "1": "", "count": "", "": ""}


def prefix(value: float, unit: str) -> tuple[float, str]:
    """The factor to divide by and the prefixed unit that bring ``value`` to 1 … 999 (``(1e-6, "µs")`` for 4.2e-6 s).

    Units that take no prefix (a ratio, a count, percent) come back with factor 1. Zero and non-finite values take no prefix.
    """
    if unit not in _PREFIXED_UNITS or value == 0 or not math.isfinite(value):
        return 1.0, _SPELLED_UNITS.get(unit, unit)
    # Rounded to the four digits shown, so that 999.96 µs becomes 1 ms and not 1000 µs.
    magnitude = math.floor(math.log10(float(f"{abs(value):.3e}")))
    exponent = min(max(3 * math.floor(magnitude / 3), min(_PREFIXES)), max(_PREFIXES))
    if unit == "s" and exponent > 0:
        exponent = 0
    return 10.0**exponent, _PREFIXES[exponent] + unit


def number(value: float, digits: int = 4) -> str:
    """``value`` with ``digits`` significant digits, thousands separators and a real minus sign; whole numbers stay whole."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    if value == 0:
        return "0"
    if float(value).is_integer() and abs(value) < 1e15:
        text = f"{int(value):,}"
    elif abs(value) < 1e-4 or abs(value) >= 1e15:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa} × 10{_superscript(int(exponent))}"
    else:
        rounded = abs(float(f"{value:.{digits - 1}e}"))  # 0.99996 is shown as 1.00: its digits count from there
        places = max(0, digits - 1 - math.floor(math.log10(rounded)))
        text = f"{value:,.{places}f}"
    return text.replace("-", MINUS)


def signed(value: float, places: int = 2) -> str:
    """``value`` with its sign and ``places`` decimals, for differences: "+1.95", "−0.25"; what rounds to zero is "0.00"."""
    rounded = round(value, places)
    return f"{rounded:+.{places}f}".replace("-", MINUS) if rounded else f"{0:.{places}f}"


def quantity(value: float | None, unit: str, reason: str = "") -> str:
    """A value with its unit and SI prefix ("4.20 µs", "2.91 TB/s", "8.10×", "44 %"), or "not measured: reason" for None."""
    if value is None:
        return f"{NOT_MEASURED}: {reason}" if reason else NOT_MEASURED
    value, unit = directed(value, unit)
    factor, shown = prefix(value, unit)
    scaled = float(f"{value / factor:.12g}")  # 1e-05 / 1e-06 is 10 and not 9.999…
    return with_unit(number(scaled, 3), shown)


def directed(value: float, unit: str) -> tuple[float, str]:
    """A value whose unit names a direction, the right way round: −7.2 "% lower" is 7.2 "% higher". Others come back as they are."""
    return (-value, _OPPOSITE[unit]) if value < 0 and unit in _OPPOSITE else (value, unit)


def interval(low: float | None, high: float | None, unit: str) -> str:
    """Both ends of an interval in one unit ("8.04 to 8.16 ×", "4.1 to 4.3 µs"); "" where there is none."""
    if low is None or high is None:
        return ""
    factor, shown = prefix(max(abs(low), abs(high)), unit)
    return span(low / factor, high / factor, shown)


def span(low: float, high: float, unit: str, digits: int = 3) -> str:
    """From ``low`` to ``high`` in a unit that takes no prefix: "1 to 3 % lower"; across nothing "1 % higher to 3 % lower"."""
    if low < 0 >= high and unit in _OPPOSITE:
        low, high, unit = -high, -low, _OPPOSITE[unit]
    first, first_unit = directed(low, unit)
    text = number(first, digits) if first_unit == unit else with_unit(number(first, digits), first_unit)
    return with_unit(f"{text} to {number(high, digits)}", unit)


def estimate(value: float | None, low: float | None, high: float | None, unit: str, reason: str = "") -> str:
    """A value with its 95 % interval: "8.10× (8.04 to 8.16×)"; without an interval only the value; None as in :func:`quantity`."""
    text = quantity(value, unit, reason)
    ends = interval(low, high, unit)
    return f"{text} ({ends})" if value is not None and ends else text


def count(value: int) -> str:
    """A whole number with thousands separators; powers of two from 1024 up also as such: "67,108,864 (2²⁶)"."""
    text = f"{value:,}".replace("-", MINUS)
    return f"{text} ({power_of_two(value)})" if value >= 1024 and value & (value - 1) == 0 else text


def power_of_two(value: int) -> str:
    """``2¹⁰`` for 1024. Only for exact powers of two."""
    return "2" + _superscript(value.bit_length() - 1)


def tick(value: float) -> str:
    """A short axis or slider label: binary prefixes for powers of two from 1024 up (``64 Ki``), decimal ones else (``1.5 M``)."""
    if float(value).is_integer() and value >= 1024 and int(value) & (int(value) - 1) == 0:
        step = (int(value).bit_length() - 1) // 10
        return f"{int(value) >> (10 * step)} {('', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi')[min(step, 5)]}".strip()
    for exponent in (12, 9, 6, 3):
        if abs(value) >= 10 ** (exponent + (exponent == 3)):  # four-digit counts stay as they are: 2000, not 2 k
            return f"{number(value / 10**exponent, 3)} {_PREFIXES[exponent]}"
    return number(value, 3)


def duration(seconds: float) -> str:
    """How long something takes, for people: "8 s", "1 min 20 s", "2 h 5 min"; under a second "less than 1 s"."""
    if seconds < 1:
        return "less than 1 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{round(whole / 60)} min"
    hours, rest = divmod(round(whole / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def date(text: str) -> str:
    """ "21 November 2026" from an ISO 8601 time; other text comes back as it is."""
    moment = _moment(text)
    return text if moment is None else f"{moment.day} {moment:%B %Y}"


def time_of_day(text: str) -> str:
    """ "21 November 2026, 14:05 UTC" from an ISO 8601 time; other text comes back as it is."""
    moment = _moment(text)
    return text if moment is None else f"{date(text)}, {moment:%H:%M} UTC"


def sentence(text: str) -> str:
    """``text`` with a capital at its start and a full stop at its end; "" stays ""."""
    text = text.strip()
    return f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.!?…' else '.'}" if text else ""


def moment(seconds: float) -> str:
    """:func:`time_of_day` of seconds since 1970 UTC."""
    return time_of_day(datetime.fromtimestamp(seconds, UTC).isoformat())


def labelled(name: str, labels: Mapping[str, str]) -> str:
    """What readers call ``name``: its label, or the name with its underscores as spaces."""
    return labels.get(name, name.replace("_", " "))


def cell(values: Mapping[str, Any]) -> str:
    """The cell of a sweep in words: "n = 1,024, dtype = fp32"; "" for no swept parameter."""
    return ", ".join(f"{name} = {scalar(value)}" for name, value in values.items())


def scalar(value: Any) -> str:
    """A dimension's or parameter's value: numbers as in :func:`number`, truth values as yes or no, text as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else str(value)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def _superscript(value: int) -> str:
    return str(value).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def with_unit(text: str, unit: str) -> str:
    """A number in words with its unit behind it: "8.1×", "44 %"."""
    if not unit:
        return text
    return f"{text}×" if unit == "×" else f"{text} {unit}"
