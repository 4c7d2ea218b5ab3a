"""Text and values that were written elsewhere (run names, manifests, records), made safe for each place of the file they stand in."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markdown_it import MarkdownIt
from markupsafe import Markup

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})  # among them what turns the direction of writing around
# Images would be fetched, and HTML would be obeyed.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image").enable("table")


def visible(text: str) -> str:
    """``text`` with every character that cannot be seen, line breaks and tabs apart, replaced by "�": nothing hides or is turned around."""
    if text.isprintable():
        return text
    return "".join("�" if unicodedata.category(c) in _INVISIBLE and c not in "\n\t" else c for c in text)


def plot_text(text: str) -> str:
    """``text`` as Plotly shows it literally: its texts are a small HTML with bold, line breaks and links."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def script_json(value: Any) -> Markup:
    """``value`` as JSON inside a script element: no "<", ">", "&" or line separator is left that could end it."""
    return htmlsafe_json_dumps(value, dumps=_dumps)


def _dumps(value: Any, **_: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def markdown(text: str) -> Markup:
    """Markdown of a workload as HTML, without HTML of its own and without images."""
    return Markup(_MARKDOWN.render(text))


def markdown_line(text: str) -> Markup:
    """One sentence of Markdown as HTML, without a paragraph around it."""
    return Markup(_MARKDOWN.renderInline(text))
