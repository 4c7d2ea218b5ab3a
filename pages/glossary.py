"""Glossary: what the lab's words and figures mean."""

from lab.ui import glossary_page

glossary_page.show()
