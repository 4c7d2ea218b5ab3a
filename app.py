"""Start page of Efficiency Lab: ``streamlit run app.py``."""

from lab.ui import overview

overview.show()
