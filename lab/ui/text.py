"""Text that Streamlit must show as it is: what came from a URL, a run or a machine is never read as Markdown."""

from __future__ import annotations

_SPECIAL = str.maketrans({character: "\\" + character for character in "\\`*_{}[]<>#|~$:!&"})


def plain(text: str) -> str:
    """``text`` with every character that Markdown, LaTeX or Streamlit's directives would read escaped, on one line."""
    return " ".join(text.split()).translate(_SPECIAL)
