"""A report: one HTML file on one or several runs, which opens in any browser without a network and says the same for the same runs.

    RunView --judgements, circumstances, drawings, tables--> template/report.html --composition--> bytes

No Streamlit and no torch in here: the pages and the command line make the same file.
"""

from lab.report.composition import ENDINGS, MAX_RUNS, Subject, check, document, write

__all__ = ["ENDINGS", "MAX_RUNS", "Subject", "check", "document", "write"]
