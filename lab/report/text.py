"""Text and values that were written elsewhere (run names, manifests, records), made safe for each place of the file they stand in."""

from __future__ import annotations

import json
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markdown_it import MarkdownIt
from markupsafe import Markup

from lab.hidden_text import visible

# Images would be fetched, and HTML would be obeyed.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image").enable("table")


def shown(text: str) -> str:
    """``text`` with every character that hides or turns others around replaced by "�"; line breaks and tabs stay."""
    return visible(text, "\n\t")


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
