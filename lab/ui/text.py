"""Text that Streamlit must show as it is: what came from a URL, a run or a machine is never read as Markdown."""

from __future__ import annotations

import re

_SPECIAL = str.maketrans({character: "\\" + character for character in "\\`*_{}[]<>#|~$:!&"})
# Addresses, e-mail addresses, icons and emoji are made of text after its escapes have been read: only another character within parts them.
_MADE_OF_TEXT = re.compile(r"www(?=\.)|:(?=//)|@(?=[-\w])|:(?=[A-Za-z+_-][\w+/-]*:)", re.IGNORECASE)
_WORD_JOINER = "\u2060"  # takes no room, and no line breaks at it


def plain(text: str) -> str:
    """``text`` on one line with every character escaped that Markdown, LaTeX or Streamlit's directives would read; no link, no icon."""
    parted = _MADE_OF_TEXT.sub(lambda found: found[0] + _WORD_JOINER, " ".join(text.split()))
    return parted.translate(_SPECIAL)
