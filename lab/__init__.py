"""The instrument: parameters, runs, timing, statistics, claims, verdicts and their presentation.

Nothing in here imports a page or a workload statically, and only ``lab.ui`` imports Streamlit. ``torch``, ``scipy`` and
``sklearn`` are imported by the worker process alone (``lab.timing`` takes them as arguments of a run, never at import).
"""

__version__ = "0.1.0"
SCHEMA_VERSION = 1  # of manifest.json and the CSV files; raised when a column changes its meaning
