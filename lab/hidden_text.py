"""Characters that text from elsewhere must not hold: they move, hide or reverse other text on a page, in a file or on a terminal."""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, invisible formats (direction too), half pairs, line and paragraph ends


def hidden_character(text: str, allowed: str = "") -> str:
    """The first character of ``text`` that cannot be seen but does something, as "U+202E"; "" where there is none.

    ``allowed`` lists those that may be there (a line break).
    """
    if text.isascii() and text.isprintable():
        return ""
    found = next((c for c in text if c not in allowed and unicodedata.category(c) in _HIDDEN), None)
    return "" if found is None else f"U+{ord(found):04X}"


def visible(text: str, allowed: str = "") -> str:
    """``text`` with "�" for each character that cannot be seen but does something, those in ``allowed`` apart."""
    if text.isprintable():
        return text
    return "".join("�" if c not in allowed and unicodedata.category(c) in _HIDDEN else c for c in text)
