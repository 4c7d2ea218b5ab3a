"""Foreign text is shown as it is."""

from __future__ import annotations

import pytest

from lab.ui.text import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[a](b)", r"\[a\](b)"),
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


@pytest.mark.parametrize(
    "text",
    ["http://example.org", "HTTPS://example.org", "www.example.org", "WWW.example.org", "a@example.org", ":material/home:", ":smile:"],
)
def test_what_markdown_would_make_of_unescaped_text_is_parted_by_what_cannot_be_seen(text: str) -> None:
    shown = plain(text)
    assert text not in shown.replace("\\", "")
    assert shown.replace("\\", "").replace("\u2060", "") == text


@pytest.mark.parametrize("text", ["14:05 UTC", "2026-01-31T17:45:02Z", "python -m lab run demo", "a: b", "3 @ 4"])
def test_other_text_is_not_parted(text: str) -> None:
    assert "\u2060" not in plain(text)
