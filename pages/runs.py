"""Runs: those of this machine, the recorded and the imported ones."""

from lab.ui import runs_page

runs_page.show()
