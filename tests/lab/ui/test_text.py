"""Foreign text is shown as it is."""

from __future__ import annotations

import pytest

from lab.ui.text import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[a](http://b)", r"\[a\](http\://b)"),
        ("x**3", r"x\*\*3"),
        (":red[a]", r"\:red\[a\]"),
        ("$x$", r"\$x\$"),
        ("<b>", r"\<b\>"),
        ("one\ntwo", "one two"),
        ("plain words, 8.1×", "plain words, 8.1×"),
    ],
)
def test_markdown_is_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown
